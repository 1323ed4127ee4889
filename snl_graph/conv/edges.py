"""The forms of a graph that a layer takes, as edges j → i with their weights and their route."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch_geometric import EdgeIndex

from snl_graph.conv.fused import Structure
from snl_graph.conv.messages import Messages, Send
from snl_graph.conv.routes import Route
from snl_graph.conv.sparse import SparseAdjacency, sparse_adjacency, sparse_values


@dataclass(frozen=True)
class Edges:
    """Edges j → i of one graph or of a batch of graphs.

    Attributes:
        edge_index: Shape (2, E); row 0 = source j, row 1 = target i, whatever the flow.
        weight: Shape (E,) or (B, E); None means ones.
        shape: (N targets, N' sources).
        route: How signals travel along these edges.
        is_symmetric: Whether the graph is known to be its own transpose, weights included.
        adjacency: The sparse adjacency they were read from, if its values need no gradient.
    """

    edge_index: Tensor
    weight: Tensor | None
    shape: tuple[int, int]
    route: Route
    is_symmetric: bool = False
    adjacency: SparseAdjacency | None = None


def listed_edges(
    edge_index: Tensor,
    weight: Tensor | None,
    shape: tuple[int, int],
    send: Send | None = None,
    *,
    is_reversed: bool,
) -> Edges:
    """Edges of an ``edge_index`` (2, E) or an ``EdgeIndex``, which knows whether it is undirected.

    Args:
        edge_index: The edges.
        weight: Their weights, or None.
        shape: (N targets, N' sources).
        send: One round of messages, if they shall be sent one by one; None takes the fused product.
        is_reversed: Whether messages flow from row 1 to row 0.
    """
    is_undirected = isinstance(edge_index, EdgeIndex) and edge_index.is_undirected
    plain = edge_index.as_tensor() if isinstance(edge_index, EdgeIndex) else edge_index
    plain = (plain.flip(0) if is_reversed else plain).to(torch.int64)
    route = Structure(plain, shape) if send is None else Messages(send, plain, shape)
    return Edges(plain, weight, shape, route, is_undirected and weight is None)


def sparse_edges(adj_t: Tensor, send: Send | None = None) -> Edges:
    """Edges of a torch.sparse matrix (N, N'), row = target; its values are the weights.

    Args:
        adj_t: COO, CSR or CSC.
        send: As for :func:`listed_edges`.
    """
    known = sparse_adjacency(adj_t)
    shape = (adj_t.shape[0], adj_t.shape[1])
    edge_index = known.structure.edge_index
    route = known.structure if send is None else Messages(send, edge_index, shape)
    if adj_t.requires_grad:
        # The gradient of M̂ = (M + Mᵀ)/2 goes to both triangles, also where M is symmetric.
        return Edges(edge_index, sparse_values(adj_t), shape, route)
    return Edges(edge_index, known.values, shape, route, known.is_symmetric, known)
