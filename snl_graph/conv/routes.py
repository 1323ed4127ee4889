"""How signals travel along the edges: an operator on edges whose product is somebody else's."""

from __future__ import annotations

from typing import Protocol

from snl_graph.operators import (
    AffinityOperator,
    EdgeOperator,
    LogEdgeOperator,
    ScaledOperator,
    SymmetrizedOperator,
)


class Route(Protocol):
    """The products over one edge list."""

    def operator(self, edges: EdgeOperator) -> AffinityOperator:
        """The operator on the same edges in the same order, its products taken along this route."""


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
