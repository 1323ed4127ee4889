"""The entries of A that a layer shows: at the edges a caller listed, or at all pairs."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.utils import scatter
from torch_geometric.utils.sparse import set_sparse_value

from snl_graph.conv.complete import PaddedNodes, complete_edges
from snl_graph.conv.nodes import Nodes
from snl_graph.operators import (
    AffinityOperator,
    EdgeOperator,
    LogEdgeOperator,
    ScaledOperator,
    SymmetrizedOperator,
)


def attention_weights(
    a: AffinityOperator, edge_index: Tensor | None, nodes: Nodes, heads: int
) -> tuple[Tensor, Tensor]:
    """The edges of a graph, in the form they came in, and A_ij at each of them j → i.

    Args:
        a: A, on the caller's edges, or of all pairs of nodes.
        edge_index: The caller's graph, or None for all pairs.
        nodes: The nodes of A.
        heads: Number of heads.

    Returns:
        The edges, and entries (*batch, E), or (*batch, E, heads) for several heads.
    """
    if edge_index is not None:
        alpha = entries_at_edges(a)
    elif isinstance(nodes, PaddedNodes):
        dense = a.to_dense()
        edge_index, alpha = nodes.edges(dense if heads == 1 else dense.movedim(-3, -4))
    else:
        edge_index, alpha = complete_edges(a.to_dense())
    if heads > 1:
        alpha = alpha.movedim(-2, -1)
    if edge_index.layout == torch.strided:
        return edge_index, alpha
    if edge_index.layout == torch.sparse_coo:
        edge_index = edge_index.coalesce()
    return set_sparse_value(edge_index, alpha), alpha


def entries_at_edges(a: AffinityOperator) -> Tensor:
    """A_ij at each edge j → i that the operator on edges was made of, shape (*batch, E).

    Where an edge is listed several times its copies share the entry: their sum is A_ij.

    Cost: O(E log E) where edges count in both directions, nothing otherwise.
    """
    if isinstance(a, LogEdgeOperator):
        return a.exponentiated().weight
    if isinstance(a, EdgeOperator):
        return _mirrored_entries(a) if a.is_mirrored else a.weight
    if isinstance(a, ScaledOperator):
        edge_index, entries = _edges_of(a), entries_at_edges(a.inner)
        for scale, end in ((a.left, 1), (a.right, 0)):
            if scale is not None:
                entries = entries * scale.values.index_select(-1, edge_index[end]).to(a.dtype)
        return entries
    if isinstance(a, SymmetrizedOperator):
        edges = EdgeOperator(_edges_of(a), entries_at_edges(a.inner), (a.shape[-2], a.shape[-1]))
        return _mirrored_entries(edges.symmetrized())
    raise TypeError(f"{a!r} is not an operator on edges.")


def _edges_of(a: AffinityOperator) -> Tensor:
    while isinstance(a, ScaledOperator | SymmetrizedOperator):
        a = a.inner
    return a.edge_index  # type: ignore[attr-defined]


def _mirrored_entries(a: EdgeOperator) -> Tensor:
    """Entries of a mirrored operator: an edge and its reverse may both be listed, with halves."""
    source, target = a.edge_index[0], a.edge_index[1]
    low, high = torch.minimum(source, target), torch.maximum(source, target)
    pair, pairs = _groups(low * a.shape[-1] + high)
    # A self-loop is its own reverse: it counts in both directions as well.
    weight = torch.where(source == target, 2 * a.weight, a.weight)
    sums = scatter(weight, pair, dim=-1, dim_size=pairs, reduce="sum")
    direction, directions = _groups(source * a.shape[-1] + target)
    copies = scatter(torch.ones_like(direction), direction, dim_size=directions, reduce="sum")
    return sums.index_select(-1, pair) / copies.index_select(0, direction)


def _groups(key: Tensor) -> tuple[Tensor, int]:
    """Number of the group of equal keys that each key is in, and an upper bound of their count."""
    ordered, order = key.sort()
    is_first = torch.ones_like(ordered, dtype=torch.bool)
    is_first[1:] = ordered[1:] != ordered[:-1]
    group = torch.empty_like(key)
    group[order] = is_first.cumsum(0) - 1
    return group, key.numel()
