"""The normalised weights of a graph that does not change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from snl_graph import checks
from snl_graph.conv.edges import Edges
from snl_graph.conv.lifetime import remembering
from snl_graph.conv.normalized import Normalized
from snl_graph.operators import AffinityOperator

_REMEDY = "Use cached=False, or reset_parameters()."


@dataclass(frozen=True)
class CachedAffinity:
    """A of the first graph that a layer saw.

    Attributes:
        normalized: The operator, without a gradient.
        shape: (N targets, N' sources).
        edge_index: The edges of that graph.
        weight: Their weights, or None for ones.
    """

    normalized: Normalized
    shape: tuple[int, int]
    edge_index: Tensor
    weight: Tensor | None

    @staticmethod
    def of(edges: Edges, make: Callable[[], AffinityOperator]) -> CachedAffinity:
        """What ``make`` makes of these edges, kept.

        Raises:
            ValueError: If the weights require a gradient.
        """
        _check_no_gradient(edges)
        with remembering():
            normalized = Normalized(make(), is_kept=True)
        return CachedAffinity(normalized, edges.shape, edges.edge_index, edges.weight)

    def checked(self, edges: Edges) -> Normalized:
        """A, for the same graph.

        Raises:
            ValueError: If this is another: of another size or, where values are looked at, with
                other edges or weights. Or if its weights require a gradient.
        """
        _check_no_gradient(edges)
        known = (*self.shape, self.edge_index.shape[1])
        came = (*edges.shape, edges.edge_index.shape[1])
        if known != came:
            raise ValueError(
                f"cached=True keeps the first graph, of {known[0]} nodes and {known[2]} edges; "
                f"this one has {came[0]} and {came[2]}. {_REMEDY}"
            )
        if checks.are_free(edges.edge_index):
            if not torch.equal(edges.edge_index, self.edge_index):
                raise ValueError(
                    "cached=True keeps the first graph; this one has as many edges, but others. "
                    f"{_REMEDY}"
                )
            if not _are_equal(edges.weight, self.weight):
                raise ValueError(
                    "cached=True keeps the normalised weights of the first call; these edges have "
                    f"others. {_REMEDY}"
                )
        return self.normalized


def _check_no_gradient(edges: Edges) -> None:
    if edges.weight is not None and edges.weight.requires_grad:
        raise ValueError(
            "cached=True keeps the normalised weights, but edge_weight requires a gradient at "
            "every call. Use cached=False, or edge_weight.detach()."
        )


def _are_equal(mine: Tensor | None, theirs: Tensor | None) -> bool:
    """Whether the weights of two graphs of as many edges are the same; None are ones."""
    if mine is None or theirs is None:
        given = theirs if mine is None else mine
        return given is None or bool((given == 1).all())
    return torch.equal(mine.to(theirs.dtype), theirs)
