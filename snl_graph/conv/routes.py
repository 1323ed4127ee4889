"""How signals travel along the edges: an operator on edges whose product is somebody else's."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from snl_graph.operators import (
    AffinityOperator,
    Diagonal,
    EdgeOperator,
    LogEdgeOperator,
    ScaledOperator,
    SymmetrizedOperator,
)


class Route(Protocol):
    """The products over one edge list."""

    def operator(self, edges: EdgeOperator) -> AffinityOperator:
        """The operator on the same edges in the same order, its products taken along this route."""


class RoutedOperator(AffinityOperator):
    """An ``EdgeOperator`` whose product is taken along a route of the same edges.

    Args:
        edges: The edges and their weights.
    """

    representation = "edges"

    def __init__(self, edges: EdgeOperator) -> None:
        self.edges = edges
        self.shape, self.dtype, self.device = edges.shape, edges.dtype, edges.device
        self.is_symmetric, self.is_nonnegative = edges.is_symmetric, edges.is_nonnegative

    def row_sums(self) -> Diagonal:
        return self.edges.row_sums()

    def to_dense(self) -> Tensor:
        return self.edges.to_dense()

    def to_edges(self) -> tuple[Tensor, Tensor]:
        return self.edges.to_edges()


def routed(a: AffinityOperator, route: Route) -> AffinityOperator:
    """The operator ``a`` on edges with its products taken by ``route``.

    Raises:
        TypeError: If ``a`` is not made of an operator on edges.
    """
    if isinstance(a, EdgeOperator):
        made = route.operator(a)
    elif isinstance(a, LogEdgeOperator):
        made = route.operator(a.exponentiated())
    elif isinstance(a, SymmetrizedOperator):
        made = SymmetrizedOperator(routed(a.inner, route))
    elif isinstance(a, ScaledOperator):
        made = ScaledOperator(routed(a.inner, route), a.left, a.right)
    else:
        raise TypeError(
            f"the normalisation of a graph's edges must be an operator on edges, got {a!r}. "
            "Build it from symmetrized() and scaled()."
        )
    return made.with_degree(a._degree)
