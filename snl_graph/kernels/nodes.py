"""Which nodes belong together, for the kernels that look at all nodes at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch_geometric.utils import scatter, softmax

from snl_graph.operators.diagonal import accumulation_dtype
from snl_graph.sharding import NodeShards


@dataclass(frozen=True)
class NodeSet:
    """The nodes of each item of a batch: all of them, the valid ones, or those of one graph.

    Args:
        valid: Shape (*batch, N), bool: real positions of padded items. None means all.
        batch: Shape (N,): the graph of each node of a PyG batch. None means one graph.
        num_graphs: How many graphs ``batch`` names.
    """

    valid: Tensor | None = None
    batch: Tensor | None = None
    num_graphs: int = 1

    def softmax(self, values: Tensor) -> Tensor:
        """Softmax over the nodes of each item, (*batch, N, r); nodes that are not valid get 0."""
        if self.batch is not None:
            precise = values.to(accumulation_dtype(values.dtype))
            weights = softmax(precise, self.batch, num_nodes=self.num_graphs, dim=-2)
            return weights.to(values.dtype)
        if self.valid is None:
            return values.softmax(dim=-2)
        is_valid = self.valid.unsqueeze(-1)
        # A finite floor, and zeros after it, keep an item without any valid node free of NaN.
        floor = torch.finfo(values.dtype).min
        return values.masked_fill(~is_valid, floor).softmax(dim=-2) * is_valid

    def count(self, values: Tensor) -> Tensor | int:
        """Number of nodes of each node's item, broadcastable to (*batch, N, r)."""
        dtype = accumulation_dtype(values.dtype)
        if self.batch is not None:
            ones = torch.ones_like(self.batch, dtype=dtype)
            return scatter(ones, self.batch, dim_size=self.num_graphs)[self.batch].unsqueeze(-1)
        if self.valid is not None:
            return self.valid.sum(-1, dtype=dtype).clamp(min=1)[..., None, None]
        return values.shape[-2]

    def mean(self, values: Tensor) -> Tensor:
        """Mean over the nodes of each node's item, broadcastable to (*batch, N, r)."""
        if self.batch is not None:
            means = scatter(values, self.batch, dim=-2, dim_size=self.num_graphs, reduce="mean")
            return means.index_select(-2, self.batch)
        if self.valid is not None:
            values = values.masked_fill(~self.valid.unsqueeze(-1), 0)
        return values.sum(-2, keepdim=True) / self.count(values)


@dataclass(frozen=True, kw_only=True)
class ShardedNodeSet(NodeSet):
    """The nodes of each item, spread over processes: what is here is a part of them.

    Args:
        shards: The processes.
    """

    shards: NodeShards

    def softmax(self, values: Tensor) -> Tensor:
        precise = values.to(accumulation_dtype(values.dtype))
        # A finite floor keeps an item without any valid node, here or anywhere, free of NaN.
        floor = torch.finfo(precise.dtype).min
        if self.valid is not None:
            precise = precise.masked_fill(~self.valid.unsqueeze(-1), floor)
        nodes = precise.detach()
        bottom = nodes.new_full((*nodes.shape[:-2], 1, nodes.shape[-1]), floor)
        peak = self.shards.largest(torch.cat([nodes, bottom], -2).amax(-2, keepdim=True))
        weights = (precise - peak).exp()
        if self.valid is not None:
            weights = weights * self.valid.unsqueeze(-1)
        (total,) = self.shards.total(weights.sum(-2, keepdim=True))
        return (weights / torch.where(total == 0, 1, total)).to(values.dtype)

    def count(self, values: Tensor) -> Tensor:
        if self.valid is None:  # in float64: float32 ends at 2^24 nodes
            here = values.new_full((), values.shape[-2], dtype=torch.float64)
            return self.shards.total(here)[0]
        here = self.valid.sum(-1, dtype=torch.float64)[..., None, None]
        return self.shards.total(here)[0].clamp(min=1).to(accumulation_dtype(values.dtype))

    def mean(self, values: Tensor) -> Tensor:
        if self.valid is not None:
            values = values.masked_fill(~self.valid.unsqueeze(-1), 0)
        return self.shards.total(values.sum(-2, keepdim=True))[0] / self.count(values)
