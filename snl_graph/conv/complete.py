"""Graphs beside each other, padded to one size, with every node joined to every node."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.utils import cumsum, scatter

from snl_graph.conv.lambda_max import estimate_lambda_max
from snl_graph.conv.nodes import Nodes, raise_wrong_count
from snl_graph.operators import AffinityOperator


class PaddedNodes(Nodes):
    """The nodes of a PyG batch in items padded to the largest graph, (*batch, G, M, C).

    The number M of nodes of the largest graph sets a shape, so it is read from the device: the one
    synchronisation of a forward pass without edges.

    Args:
        batch: Graph of each node, shape (N,), sorted.
        num_graphs: G.
        heads: Number of heads; more than one are an axis between G and M.

    Attributes:
        valid: Real nodes, bool, shape (G, M), or (G, 1, M) for several heads.
    """

    def __init__(self, batch: Tensor, num_graphs: int, heads: int = 1) -> None:
        super().__init__(batch, num_graphs)
        counts = scatter(torch.ones_like(batch), batch, dim_size=num_graphs, reduce="sum")
        self.num_graphs, self.length = num_graphs, int(counts.max()) if num_graphs else 0
        self.first = cumsum(counts)[:-1]
        position = torch.arange(batch.numel(), device=batch.device)
        self.place = batch * self.length + position - self.first.index_select(0, batch)
        self.is_real = torch.arange(self.length, device=batch.device) < counts.unsqueeze(-1)
        self.valid = self.is_real if heads == 1 else self.is_real.unsqueeze(-2)

    def pack(self, x: Tensor) -> Tensor:
        """Shape (*batch, N, C) → (*batch, G, M, C), zeros where there is no node."""
        shape = (*x.shape[:-2], self.num_graphs * self.length, x.shape[-1])
        packed = x.new_zeros(shape).index_copy(-2, self.place, x)
        return packed.unflatten(-2, (self.num_graphs, self.length))

    def unpack(self, x: Tensor) -> Tensor:
        """Shape (*batch, G, M, C) → (*batch, N, C)."""
        return x.flatten(-3, -2).index_select(-2, self.place)

    def at_nodes(self, values: Tensor, x: Tensor) -> Tensor:
        if values.numel() != self.num_graphs:
            raise_wrong_count(values, self.num_graphs)
        return values[:, None, None]

    def estimate(self, a: AffinityOperator) -> Tensor:
        return estimate_lambda_max(a, valid=self.valid)

    def edges(self, dense: Tensor) -> tuple[Tensor, Tensor]:
        """A of each graph, (*batch, G, M, M), as edges between the nodes of the batch.

        Returns:
            ``edge_index`` (2, E) of all pairs within a graph, weights (*batch, E). Synchronises.
        """
        joined = self.is_real.unsqueeze(-1) & self.is_real.unsqueeze(-2)
        graph, target, source = joined.nonzero().T
        offset = self.first.index_select(0, graph)
        edge_index = torch.stack([source + offset, target + offset])
        return edge_index, dense[..., graph, target, source]


def complete_edges(dense: Tensor) -> tuple[Tensor, Tensor]:
    """A of one set of nodes, (*batch, N, N'), as edges of all pairs with weights (*batch, E)."""
    target, source = torch.ones(dense.shape[-2:], device=dense.device).nonzero().T
    return torch.stack([source, target]), dense.flatten(-2)
