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
    """The products Σ_e w_e (j → i) z and Σ_e w_e (i → j) z of one edge list, each edge j → i."""

    def to_targets(self, weight: Tensor, z: Tensor) -> Tensor:
        """Signals (*batch, N', C) of the sources, summed at the targets, (*batch, N, C)."""

    def to_sources(self, weight: Tensor, z: Tensor) -> Tensor:
        """Signals (*batch, N, C) of the targets, summed at the sources, (*batch, N', C)."""


class RoutedOperator(AffinityOperator):
    """An ``EdgeOperator`` whose product is taken by a route, such as PyG message passing.

    Args:
        edges: The edges and their weights.
        route: Takes the product over the same edges in the same order.

    Cost: that of the route; a mirrored operator takes it twice.
    """

    representation = "edges"

    def __init__(self, edges: EdgeOperator, route: Route) -> None:
        self.edges, self.route = edges, route
        self.shape, self.dtype, self.device = edges.shape, edges.dtype, edges.device
        self.is_symmetric, self.is_nonnegative = edges.is_symmetric, edges.is_nonnegative

    def apply(self, z: Tensor) -> Tensor:
        product = self.route.to_targets(self.edges.weight, z)
        if self.edges.is_mirrored:
            product = product + self.route.to_sources(self.edges.weight, z)
        return product

    def _transposed(self) -> RoutedOperator:
        return RoutedOperator(self.edges._transposed(), _Reversed(self.route))

    def row_sums(self) -> Diagonal:
        return self.edges.row_sums()

    def to_dense(self) -> Tensor:
        return self.edges.to_dense()

    def to_edges(self) -> tuple[Tensor, Tensor]:
        return self.edges.to_edges()


class _Reversed:
    """The same edges turned round."""

    def __init__(self, route: Route) -> None:
        self.to_targets, self.to_sources = route.to_sources, route.to_targets


def routed(a: AffinityOperator, route: Route) -> AffinityOperator:
    """The operator ``a`` on edges with its products taken by ``route``.

    Raises:
        TypeError: If ``a`` is not made of an operator on edges.
    """
    if isinstance(a, EdgeOperator):
        made: AffinityOperator = RoutedOperator(a, route)
    elif isinstance(a, LogEdgeOperator):
        made = RoutedOperator(a.exponentiated(), route)
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


class Send(Protocol):
    """One round of messages: Σ_e w_e (j → i) z for edges (2, E) and sizes (N', N)."""

    def __call__(
        self, edge_index: Tensor, weight: Tensor, z: Tensor, size: tuple[int, int]
    ) -> Tensor: ...


class Messages:
    """The route of PyG message passing: a message for each of the caller's edges, in their order.

    Args:
        send: One round of messages.
        edge_index: Shape (2, E); row 0 = source, row 1 = target.
        shape: (N targets, N' sources).
    """

    def __init__(self, send: Send, edge_index: Tensor, shape: tuple[int, int]) -> None:
        self.send, self.edge_index, self.shape = send, edge_index, shape

    def to_targets(self, weight: Tensor, z: Tensor) -> Tensor:
        return self.send(self.edge_index, weight, z, (self.shape[1], self.shape[0]))

    def to_sources(self, weight: Tensor, z: Tensor) -> Tensor:
        return self.send(self.edge_index.flip(0), weight, z, self.shape)
