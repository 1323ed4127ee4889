"""The normalised weights of a graph that does not change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from snl_graph.conv.edges import Edges
from snl_graph.conv.lifetime import remembering
from snl_graph.conv.normalized import Normalized
from snl_graph.operators import AffinityOperator


@dataclass(frozen=True)
class CachedAffinity:
    """A of the first graph that a layer saw.

    Attributes:
        normalized: The operator, without a gradient.
        num_edges: E of that graph.
    """

    normalized: Normalized
    num_edges: int

    @staticmethod
    def of(edges: Edges, make: Callable[[], AffinityOperator]) -> CachedAffinity:
        """What ``make`` makes of these edges, kept.

        Raises:
            ValueError: If the weights require a gradient.
        """
        if edges.weight is not None and edges.weight.requires_grad:
            raise ValueError(
                "cached=True keeps the normalised weights, but edge_weight requires a gradient at "
                "every call. Use cached=False, or edge_weight.detach()."
            )
        with remembering():
            return CachedAffinity(Normalized(make(), is_kept=True), edges.edge_index.shape[1])

    def checked(self, edges: Edges) -> Normalized:
        """A, for a graph of the same size.

        Raises:
            ValueError: If this graph has another number of nodes or edges.
        """
        known = (*self.normalized.a.shape[-2:], self.num_edges)
        came = (*edges.shape, edges.edge_index.shape[1])
        if known != came:
            raise ValueError(
                f"cached=True keeps the first graph, of {known[0]} nodes and {known[2]} edges; "
                f"this one has {came[0]} and {came[2]}. Use cached=False, or reset_parameters()."
            )
        return self.normalized
