"""Whether a graph lists every edge in both directions, as symmetric normalisation expects it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary
from torch_geometric import EdgeIndex

from snl_graph import checks
from snl_graph.conv.sparse import sparse_adjacency

REMEDY = (
    'NeighborLoader samples directed edges: give it subgraph_type="bidirectional", or take '
    "subgraphs of whole node sets (RandomNodeLoader, ClusterLoader) or the full graph, or make the "
    'network with normalization="rw". A graph that is directed itself: '
    "torch_geometric.utils.to_undirected(edge_index)."
)

_undirected: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
"""Version of each tensor that was found to list every edge in both directions."""


def require_undirected(edge_index: Tensor, num_nodes: int) -> None:
    """Raise a ``ValueError`` if a graph has edges whose reverse it does not list.

    Looks where that costs no synchronisation: on the processor, or inside
    ``snl_graph.value_checks()``; at each tensor once while it does not change.

    Args:
        edge_index: Shape (2, E), an ``EdgeIndex``, or a torch.sparse matrix (N, N).
        num_nodes: N.

    Cost: O(E log E) time, O(E) memory, the first time.
    """
    if not checks.are_free(edge_index):
        return
    if isinstance(edge_index, EdgeIndex) and edge_index.is_undirected:
        return
    version = None if edge_index.is_inference() else edge_index._version
    if version is not None and _undirected.get(edge_index) == version:
        return
    is_listed = edge_index.layout == torch.strided
    if is_listed and (edge_index.dim() != 2 or edge_index.shape[0] != 2):
        return  # the layers say what is wrong with it
    pairs = edge_index if is_listed else sparse_adjacency(edge_index).structure.edge_index
    if count := one_way_edges(pairs, num_nodes):
        raise ValueError(
            f"{count} of {pairs.shape[1]} edges are listed in one direction only, and symmetric "
            f"normalisation would give each of them half its weight in both. {REMEDY}"
        )
    if version is not None:
        _undirected[edge_index] = version


def one_way_edges(edge_index: Tensor, num_nodes: int) -> int:
    """How many of the edges (2, E) are listed more often than their reverse.

    Example:
        >>> one_way_edges(torch.tensor([[0, 1, 1, 2], [1, 0, 2, 2]]), 3)
        1
    """
    source, target = (end.long() for end in edge_index)
    there, back = source * num_nodes + target, target * num_nodes + source
    pairs, place = torch.cat([there, back]).unique(return_inverse=True)
    ones = torch.ones_like(there)
    excess = torch.zeros_like(pairs).index_add_(0, place, torch.cat([ones, -ones]))
    return int(excess.clamp(min=0).sum())
