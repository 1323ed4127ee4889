"""Which nodes belong together, for the kernels that look at all nodes at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch_geometric.utils import scatter, softmax

from snl_graph.operators.diagonal import accumulation_dtype


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
