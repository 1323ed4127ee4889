"""Weights on PyG edges: any graph, any mask, memory O(E)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.utils import scatter

from snl_graph.operators.base import AffinityOperator, require_square
from snl_graph.operators.dense import bounded_exp
from snl_graph.operators.diagonal import (
    DeferredDiagonal,
    Diagonal,
    LinearDiagonal,
    LogDiagonal,
    accumulation_dtype,
)


class EdgeOperator(AffinityOperator):
    """Σ_e w_e (edge e = j → i), one edge list shared by a batch of weights and signals.

    A mirrored operator counts every edge in both directions, Σ_e w_e (j → i and i → j): the
    symmetric form ½ (M + Mᵀ) without a second list, so that messages keep the caller's edges and
    their order. Repeated edges add up.

    Args:
        edge_index: Shape (2, E); row 0 is the source j, row 1 the target i.
        weight: Shape (*batch, E).
        shape: (N targets, N' sources).
        is_mirrored: Whether every edge counts in both directions.
        is_nonnegative: Whether the weights are known to be non-negative.
        is_symmetric: Whether the edges as listed are known to be symmetric, every edge beside its
            reverse of the same weight; a mirrored operator always is.

    Cost: time O(E·C) an application, memory O(E·C) for the messages.

    Example:
        >>> import torch
        >>> a = EdgeOperator(torch.tensor([[0, 1], [1, 2]]), torch.tensor([2.0, 3.0]), (3, 3))
        >>> a.apply(torch.tensor([[1.0], [10.0], [100.0]])).squeeze(-1)
        tensor([ 0.,  2., 30.])
    """

    representation = "edges"

    def __init__(
        self,
        edge_index: Tensor,
        weight: Tensor,
        shape: tuple[int, int],
        *,
        is_mirrored: bool = False,
        is_nonnegative: bool = False,
        is_symmetric: bool = False,
    ) -> None:
        self.edge_index, self.weight = edge_index, weight
        self.shape = torch.Size((*weight.shape[:-1], *shape))
        self.dtype, self.device = weight.dtype, weight.device
        self.is_mirrored = is_mirrored
        self.is_symmetric = is_mirrored or is_symmetric
        self.is_nonnegative = is_nonnegative

    def apply(self, z: Tensor) -> Tensor:
        source, target = self.edge_index[0], self.edge_index[1]
        product = self._propagate(source, target, self.shape[-2], z)
        if self.is_mirrored:
            product = product + self._propagate(target, source, self.shape[-1], z)
        return product

    def _propagate(self, source: Tensor, target: Tensor, num_targets: int, z: Tensor) -> Tensor:
        messages = self.weight.unsqueeze(-1) * z.index_select(-2, source)
        # Many small terms one after the other: a sum in half precision would stand still.
        terms = messages.to(accumulation_dtype(messages.dtype))
        sums = scatter(terms, target, dim=-2, dim_size=num_targets, reduce="sum")
        return sums.to(messages.dtype)

    def row_sums(self) -> Diagonal:
        weight = self.weight.to(accumulation_dtype(self.dtype))
        source, target = self.edge_index[0], self.edge_index[1]
        sums = scatter(weight, target, dim=-1, dim_size=self.shape[-2], reduce="sum")
        if self.is_mirrored:
            sums = sums + scatter(weight, source, dim=-1, dim_size=self.shape[-1], reduce="sum")
        return LinearDiagonal(sums)

    def _transposed(self) -> EdgeOperator:
        return self._with(self.weight, self.edge_index.flip(0), (self.shape[-1], self.shape[-2]))

    def symmetrized(self) -> EdgeOperator:
        require_square(self)
        return self if self.is_symmetric else self._with(self.weight / 2, is_mirrored=True)

    def scaled(self, left: Diagonal | None, right: Diagonal | None) -> AffinityOperator:
        if self.is_mirrored and left is not right:
            return super().scaled(left, right)
        weight = self.weight
        for scale, end in ((left, 1), (right, 0)):
            if scale is not None:
                weight = weight * scale.values.index_select(-1, self.edge_index[end])
        return self._with(
            weight.to(self.dtype),
            is_mirrored=self.is_mirrored,
            is_symmetric=self.is_symmetric and left is right,
        )

    def to(self, dtype: torch.dtype) -> EdgeOperator:
        return self._with(
            self.weight.to(dtype), is_mirrored=self.is_mirrored, is_symmetric=self.is_symmetric
        ).with_degree(self._degree)

    def to_dense(self) -> Tensor:
        place = self.edge_index[1] * self.shape[-1] + self.edge_index[0]
        count = self.shape[-2] * self.shape[-1]
        entries = scatter(self.weight, place, dim=-1, dim_size=count, reduce="sum")
        matrix = entries.unflatten(-1, tuple(self.shape[-2:]))
        return matrix + matrix.mT if self.is_mirrored else matrix

    def to_edges(self) -> tuple[Tensor, Tensor]:
        """The edges held, in their order; a mirrored operator lists each joined pair once."""
        if not self.is_mirrored:
            return self.edge_index, self.weight
        both = torch.cat([self.edge_index, self.edge_index.flip(0)], dim=1)
        weight = torch.cat([self.weight, self.weight], dim=-1)
        nodes = self.shape[-1]
        pairs, place = torch.unique(both[1] * nodes + both[0], return_inverse=True)
        edge_index = torch.stack([pairs % nodes, pairs // nodes])
        return edge_index, scatter(weight, place, dim=-1, dim_size=len(pairs), reduce="sum")

    def _with(
        self,
        weight: Tensor,
        edge_index: Tensor | None = None,
        shape: tuple[int, ...] | None = None,
        *,
        is_mirrored: bool = False,
        is_symmetric: bool = False,
    ) -> EdgeOperator:
        return EdgeOperator(
            self.edge_index if edge_index is None else edge_index,
            weight,
            tuple(self.shape[-2:] if shape is None else shape),  # type: ignore[arg-type]
            is_mirrored=is_mirrored,
            is_nonnegative=self.is_nonnegative,
            is_symmetric=is_symmetric,
        )


class LogEdgeOperator(AffinityOperator):
    """Σ_e exp(s_e) (edge e = j → i) held as its logits; the twin of ``LogDenseOperator``.

    Args:
        edge_index: Shape (2, E).
        logits: Shape (*batch, E), −∞ for a weight of 0.
        shape: (N targets, N' sources).
        dtype: Type of the weights exp(s_e) that come of it; by default that of the logits.

    Cost: as :class:`EdgeOperator`.
    """

    representation = "edges"
    is_nonnegative = True

    def __init__(
        self,
        edge_index: Tensor,
        logits: Tensor,
        shape: tuple[int, int],
        dtype: torch.dtype | None = None,
    ) -> None:
        self.edge_index, self.logits = edge_index, logits
        self.shape = torch.Size((*logits.shape[:-1], *shape))
        self.dtype, self.device = dtype or logits.dtype, logits.device

    def exponentiated(self) -> EdgeOperator:
        """The same operator with its weights as numbers, cut where a row sum would overflow."""
        return self._weighted(bounded_exp(self.logits, self.logits.shape[-1], self.dtype))

    def apply(self, z: Tensor) -> Tensor:
        return self.exponentiated().apply(z)

    def row_sums(self) -> LogDiagonal:
        target, size = self.edge_index[1], self.shape[-2]
        return LogDiagonal(_segment_log_sum_exp(self.logits, target, size))

    def row_normalized(self) -> AffinityOperator:
        """As :meth:`LogDenseOperator.row_normalized`: from logits less the largest of their row."""
        target, size = self.edge_index[1], self.shape[-2]
        logits = self.logits - _peak(self.logits, target, size).index_select(-1, target)
        shape = (size, self.shape[-1])
        shifted = LogEdgeOperator(self.edge_index, logits, shape, self.dtype)
        normalised = super(LogEdgeOperator, shifted).row_normalized()
        return normalised.with_degree(DeferredDiagonal(self.row_sums))

    def _transposed(self) -> LogEdgeOperator:
        shape = (self.shape[-1], self.shape[-2])
        return LogEdgeOperator(self.edge_index.flip(0), self.logits, shape, self.dtype)

    def scaled(self, left: Diagonal | None, right: Diagonal | None) -> AffinityOperator:
        logits = self.logits
        for scale, end in ((left, 1), (right, 0)):
            if isinstance(scale, LogDiagonal):
                logits = logits + scale.logs.index_select(-1, self.edge_index[end])
            elif scale is not None:  # a number that may be 0 or negative has no logarithm
                return super().scaled(left, right)
        return self._weighted(logits.exp().to(self.dtype))

    def to_dense(self) -> Tensor:
        return self.exponentiated().to_dense()

    def to_edges(self) -> tuple[Tensor, Tensor]:
        return self.exponentiated().to_edges()

    def _weighted(self, weight: Tensor) -> EdgeOperator:
        shape = (self.shape[-2], self.shape[-1])
        return EdgeOperator(self.edge_index, weight, shape, is_nonnegative=True)


def _segment_log_sum_exp(logits: Tensor, index: Tensor, size: int) -> Tensor:
    """Log Σ exp(s_e) over the edges of each target; −∞ for a target without any."""
    peak = _peak(logits, index, size)
    sums = scatter((logits - peak.index_select(-1, index)).exp(), index, dim=-1, dim_size=size)
    is_empty = sums == 0
    return torch.where(is_empty, -torch.inf, torch.where(is_empty, 1, sums).log() + peak)


def _peak(logits: Tensor, index: Tensor, size: int) -> Tensor:
    """The largest logit of each target, a constant; 0 where all are −∞."""
    peak = scatter(logits.detach(), index, dim=-1, dim_size=size, reduce="max")
    return torch.where(peak == -torch.inf, 0, peak)
