"""A of one graph, and the operator that takes its products."""

from __future__ import annotations

from contextlib import nullcontext

from snl_graph.conv.fused import Structure
from snl_graph.conv.lifetime import remembering
from snl_graph.conv.routes import Route, routed
from snl_graph.operators import AffinityOperator


class Normalized:
    """A of one graph, on the caller's edges, and its fused product once that was needed.

    Args:
        a: A.
        is_kept: Whether this outlives the call; its weights then have no gradient.
    """

    def __init__(self, a: AffinityOperator, *, is_kept: bool = False) -> None:
        self.a, self.is_kept = a, is_kept
        self._fused: AffinityOperator | None = None

    def product(self, route: Route) -> AffinityOperator:
        """The same operator as ``a`` with its products taken along a route of the same edges."""
        if not isinstance(route, Structure):
            return routed(self.a, route)
        if self._fused is None:
            with remembering() if self.is_kept else nullcontext():
                self._fused = routed(self.a, route)
        return self._fused
