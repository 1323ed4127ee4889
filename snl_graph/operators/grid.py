"""One block of weights along each axis of a grid: the criss-cross affinity without its matrix."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import reduce

import torch
from torch import Tensor

from snl_graph.grids import Size, num_positions
from snl_graph.masks import CrissCross
from snl_graph.operators.base import AffinityOperator
from snl_graph.operators.dense import bounded_exp
from snl_graph.operators.diagonal import (
    DeferredDiagonal,
    Diagonal,
    LinearDiagonal,
    LogDiagonal,
    accumulation_dtype,
)
from snl_graph.operators.layout import laid_as


def lines(signals: Tensor, size: Size, axis: int) -> Tensor:
    """Signals (*batch, N, C) on the lines along an axis, (*batch, *other lengths, S_axis, C)."""
    return signals.unflatten(-2, size).movedim(axis - len(size) - 1, -2)


def _combined(
    combine: Callable[[Tensor, Tensor], Tensor], terms: Iterable[Tensor], size: Size
) -> Tensor:
    """One term an axis, each on the lines along it, combined into signals (*batch, N, C)."""
    grids = [term.movedim(-2, axis - len(size) - 1) for axis, term in enumerate(terms)]
    # From the last axis on, whose lines lie in memory as the grid does.
    return reduce(combine, reversed(grids)).flatten(-1 - len(size), -2)


def _scaled(
    combine: Callable[[Tensor, Tensor], Tensor],
    blocks: Iterable[Tensor],
    scales: Sequence[Tensor | None],
    size: Size,
) -> list[Tensor]:
    """Blocks combined with a number of each target and one of each source, shapes (*batch, N)."""
    left, right = scales
    scaled = []
    for axis, block in enumerate(blocks):
        if left is not None:
            block = combine(block, lines(left.unsqueeze(-1), size, axis))
        if right is not None:
            block = combine(block, lines(right.unsqueeze(-1), size, axis).mT)
        scaled.append(block)
    return scaled


def _shape(blocks: Sequence[Tensor], size: Size) -> torch.Size:
    batch = blocks[0].shape[: blocks[0].dim() - len(size) - 1]
    return torch.Size((*batch, num_positions(size), num_positions(size)))


class GridOperator(AffinityOperator):
    r"""Σ_a A^a, where A^a joins the positions of a grid that differ in coordinate a alone.

    .. math:: (A Z)_{hw} = \sum_{h'} A^1_{w,hh'} Z_{h'w} + \sum_{w'} A^2_{h,ww'} Z_{hw'}

    Source: Huang et al., CCNet, Eq. 1 and 2; here in any dimension. Self lies on a line of every
    axis, so all blocks but one are 0 on their diagonals where self is to count once.

    Args:
        blocks: A^a of each axis a, shape (*batch, *lengths of the others, S_a targets, S_a
            sources).
        size: S, the lengths of the axes.
        is_symmetric: Whether every block is known to be symmetric.
        is_nonnegative: Whether the weights are known to be non-negative.

    Cost: time O(N·ΣS·C) an application, memory O(N·ΣS).

    Example:
        >>> import torch
        >>> columns, rows = torch.ones(3, 2, 2) - torch.eye(2), torch.ones(2, 3, 3)
        >>> a = GridOperator((columns, rows), (2, 3))
        >>> a.apply(torch.arange(6.0).unsqueeze(-1)).squeeze(-1)  # of the map 0 1 2 / 3 4 5
        tensor([ 6.,  7.,  8., 12., 13., 14.])
    """

    representation = "grid"

    def __init__(
        self,
        blocks: Sequence[Tensor],
        size: Size,
        *,
        is_symmetric: bool = False,
        is_nonnegative: bool = False,
    ) -> None:
        self.blocks, self.size = tuple(blocks), size
        self.shape = _shape(self.blocks, size)
        self.dtype, self.device = blocks[0].dtype, blocks[0].device
        self.is_symmetric, self.is_nonnegative = is_symmetric, is_nonnegative

    def apply(self, z: Tensor) -> Tensor:
        nodes = z.contiguous()  # once: then a line along the last axis is a view
        products = (block @ lines(nodes, self.size, a) for a, block in enumerate(self.blocks))
        # In place: a product is nobody else's, and fresh memory costs as much as the sum.
        return laid_as(_combined(Tensor.add_, products, self.size), z)

    def row_sums(self) -> Diagonal:
        dtype = accumulation_dtype(self.dtype)
        sums = (block.sum(-1, keepdim=True, dtype=dtype) for block in self.blocks)
        return LinearDiagonal(_combined(torch.add, sums, self.size).squeeze(-1))

    def _transposed(self) -> GridOperator:
        return self._with([block.mT for block in self.blocks])

    def symmetrized(self) -> GridOperator:
        if self.is_symmetric:
            return self
        blocks = [(block + block.mT) / 2 for block in self.blocks]
        return self._with(blocks, is_symmetric=True)

    def scaled(self, left: Diagonal | None, right: Diagonal | None) -> GridOperator:
        values = [None if scale is None else scale.values for scale in (left, right)]
        blocks = _scaled(torch.mul, self.blocks, values, self.size)
        is_symmetric = self.is_symmetric and left is right
        return self._with([block.to(self.dtype) for block in blocks], is_symmetric=is_symmetric)

    def to(self, dtype: torch.dtype) -> GridOperator:
        blocks = [block.to(dtype) for block in self.blocks]
        return self._with(blocks, is_symmetric=self.is_symmetric).with_degree(self._degree)

    def to_edges(self) -> tuple[Tensor, Tensor]:
        """The pairs of the criss-cross mask in its order, also those of weight 0."""
        own = (block.diagonal(dim1=-2, dim2=-1).unsqueeze(-1) for block in self.blocks)
        weights = [_combined(torch.add, own, self.size)]  # each (*batch, N, edges of a target)
        for axis, block in enumerate(self.blocks):
            length = self.size[axis]
            target = torch.arange(length, device=self.device).unsqueeze(-1)
            source = (target + torch.arange(1, length, device=self.device)) % length
            others = block[..., target, source].movedim(-2, axis - len(self.size) - 1)
            weights.append(others.flatten(-1 - len(self.size), -2))
        edge_index = CrissCross().edges(self.size, self.device)
        return edge_index, torch.cat(weights, dim=-1).flatten(-2)

    def _with(self, blocks: Sequence[Tensor], *, is_symmetric: bool = False) -> GridOperator:
        return GridOperator(
            blocks, self.size, is_symmetric=is_symmetric, is_nonnegative=self.is_nonnegative
        )


class LogGridOperator(AffinityOperator):
    """Σ_a exp(S^a) held as its logits; the twin of ``LogDenseOperator``.

    Args:
        logits: S^a of each axis a, of the shapes of :class:`GridOperator`, −∞ where a pair is not
            joined or joined in another block; float32 at least.
        size: Lengths of the axes.
        dtype: Type of the weights exp(S^a) that come of it; by default that of the logits.

    Cost: as :class:`GridOperator`.
    """

    representation = "grid"
    is_nonnegative = True

    def __init__(
        self, logits: Sequence[Tensor], size: Size, dtype: torch.dtype | None = None
    ) -> None:
        self.logits, self.size = tuple(logits), size
        self.shape = _shape(self.logits, size)
        self.dtype, self.device = dtype or logits[0].dtype, logits[0].device

    def exponentiated(self) -> GridOperator:
        """The same operator with its weights as numbers, cut where a row sum would overflow."""
        terms = sum(self.size)
        return self._weighted([bounded_exp(s, terms, self.dtype) for s in self.logits])

    def apply(self, z: Tensor) -> Tensor:
        return self.exponentiated().apply(z)

    def row_sums(self) -> LogDiagonal:
        peak = self._peak()
        shifted = _scaled(torch.sub, self.logits, (peak, None), self.size)
        sums = _combined(torch.add, (s.exp_().sum(-1, keepdim=True) for s in shifted), self.size)
        sums = sums.squeeze(-1)
        is_empty = sums == 0
        logs = torch.where(is_empty, -torch.inf, torch.where(is_empty, 1, sums).log() + peak)
        return LogDiagonal(logs)

    def row_normalized(self) -> AffinityOperator:
        """As :meth:`LogDenseOperator.row_normalized`: from logits less the largest of their row."""
        peak = self._peak()
        logits = _scaled(torch.sub, self.logits, (peak, None), self.size)
        normalised = super(LogGridOperator, self._with(logits)).row_normalized()
        return normalised.with_degree(DeferredDiagonal(self.row_sums))

    def _peak(self) -> Tensor:
        """The largest logit of each row, shape (*batch, N), a constant; 0 where all are −∞."""
        peaks = (s.detach().amax(-1, keepdim=True) for s in self.logits)
        peak = _combined(torch.maximum, peaks, self.size).squeeze(-1)
        return torch.where(peak == -torch.inf, 0, peak)

    def _with(self, logits: Sequence[Tensor]) -> LogGridOperator:
        return LogGridOperator(logits, self.size, self.dtype)

    def _transposed(self) -> LogGridOperator:
        return self._with([s.mT for s in self.logits])

    def scaled(self, left: Diagonal | None, right: Diagonal | None) -> AffinityOperator:
        logs: list[Tensor | None] = []
        for scale in (left, right):
            if scale is not None and not isinstance(scale, LogDiagonal):
                return super().scaled(left, right)  # it may be 0 or negative: no logarithm
            logs.append(None if scale is None else scale.logs)
        logits = _scaled(torch.add, self.logits, logs, self.size)
        return self._weighted([s.exp().to(self.dtype) for s in logits])

    def to_edges(self) -> tuple[Tensor, Tensor]:
        return self.exponentiated().to_edges()

    def _weighted(self, blocks: Sequence[Tensor]) -> GridOperator:
        return GridOperator(blocks, self.size, is_nonnegative=True)
