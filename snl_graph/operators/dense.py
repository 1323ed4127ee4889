"""The N×N matrix itself, as numbers or as logarithms."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from snl_graph.operators.balanced import BalancedMatrix, SymmetricPart
from snl_graph.operators.base import AffinityOperator, require_square
from snl_graph.operators.diagonal import (
    DeferredDiagonal,
    Diagonal,
    LinearDiagonal,
    LogDiagonal,
    accumulation_dtype,
)
from snl_graph.operators.eager import is_eager, is_rounded_to_half
from snl_graph.operators.layout import product


class DenseOperator(AffinityOperator):
    """A batch of matrices, shape (*batch, N, N').

    Args:
        matrix: The numbers A_ij.
        is_symmetric: Whether the matrix is known to be symmetric.
        is_nonnegative: Whether the matrix is known to be non-negative.

    Cost: time O(N²·C) an application, memory O(N²).
    """

    representation = "dense"

    def __init__(
        self, matrix: Tensor, *, is_symmetric: bool = False, is_nonnegative: bool = False
    ) -> None:
        self.matrix = matrix
        self.shape, self.dtype, self.device = matrix.shape, matrix.dtype, matrix.device
        self.is_symmetric, self.is_nonnegative = is_symmetric, is_nonnegative

    def apply(self, z: Tensor) -> Tensor:
        return product(self.matrix, z, z)

    def row_sums(self) -> Diagonal:
        return LinearDiagonal(self.matrix.sum(-1, dtype=accumulation_dtype(self.dtype)))

    def _transposed(self) -> DenseOperator:
        return DenseOperator(self.matrix.mT, is_nonnegative=self.is_nonnegative)

    def symmetrized(self) -> DenseOperator:
        require_square(self)
        if self.is_symmetric:
            return self
        if is_eager(self.matrix):
            matrix = SymmetricPart.apply(self.matrix)
        else:
            matrix = (self.matrix + self.matrix.mT) / 2
        return DenseOperator(matrix, is_symmetric=True, is_nonnegative=self.is_nonnegative)

    def scaled(self, left: Diagonal | None, right: Diagonal | None) -> DenseOperator:
        matrix = self.matrix
        if left is not None:
            matrix = matrix * left.values.unsqueeze(-1)
        if right is not None:
            matrix = matrix * right.values.unsqueeze(-2)
        return DenseOperator(
            matrix.to(self.dtype),
            is_symmetric=self.is_symmetric and left is right,
            is_nonnegative=self.is_nonnegative,
        )

    def balanced(self) -> AffinityOperator:
        """In eager mode and full precision with a backward pass of its own."""
        is_plain = is_eager(self.matrix) and not is_rounded_to_half(self.matrix)
        if not (self.is_symmetric and self.is_nonnegative and is_plain):
            return super().balanced()
        a, degree = BalancedMatrix.apply(self.matrix)
        balanced = DenseOperator(a, is_symmetric=True, is_nonnegative=True)
        return balanced.with_degree(LinearDiagonal(degree))

    def to_dense(self) -> Tensor:
        return self.matrix

    def to(self, dtype: torch.dtype) -> DenseOperator:
        if dtype == self.dtype:
            return self
        return DenseOperator(
            self.matrix.to(dtype),
            is_symmetric=self.is_symmetric,
            is_nonnegative=self.is_nonnegative,
        ).with_degree(self._degree)


def densified(a: AffinityOperator) -> DenseOperator:
    """The same operator with its matrix written down: cheaper to apply when N is small."""
    if isinstance(a, DenseOperator):
        return a
    matrix = a.to_dense()
    return DenseOperator(
        matrix, is_symmetric=a.is_symmetric, is_nonnegative=a.is_nonnegative
    ).with_degree(a._degree)


class LogDenseOperator(AffinityOperator):
    """exp(S) held as its logits S, −∞ where a pair is not joined; stable for logits of ±1e4.

    The degrees are log-sum-exps, and scaling by them adds to S before the exponential is taken, so
    nothing overflows under "sym" and "rw". Unnormalised, exp(S) is cut at the largest number whose
    row sums stay finite.

    Args:
        logits: S, shape (*batch, N, N'), float32 at least.
        dtype: Type of the weights exp(S) that come of it; by default that of the logits.

    Cost: as :class:`DenseOperator`.
    """

    representation = "dense"
    is_nonnegative = True

    def __init__(self, logits: Tensor, dtype: torch.dtype | None = None) -> None:
        self.logits = logits
        self.shape, self.device = logits.shape, logits.device
        self.dtype = dtype or logits.dtype

    def apply(self, z: Tensor) -> Tensor:
        return product(self.to_dense(), z, z)

    def row_sums(self) -> LogDiagonal:
        return LogDiagonal(_log_sum_exp(self.logits))

    def row_normalized(self) -> AffinityOperator:
        """softmax(S), whose sums are those of its own weights.

        exp(S − log Σ_j exp S) loses the logarithm of the number of equal scores beside large ones:
        each of them would weigh 1, in the gradients too.
        """
        is_empty = _is_empty(self.logits)
        weights = torch.where(is_empty, 0, self.logits).softmax(-1).masked_fill(is_empty, 0)
        normalised = DenseOperator(weights.to(self.dtype), is_nonnegative=True)
        return normalised.with_degree(DeferredDiagonal(self.row_sums))

    def _transposed(self) -> LogDenseOperator:
        return LogDenseOperator(self.logits.mT, self.dtype)

    def scaled(self, left: Diagonal | None, right: Diagonal | None) -> AffinityOperator:
        shifted = self.logits
        for scale, axis in ((left, -1), (right, -2)):
            if isinstance(scale, LogDiagonal):
                shifted = shifted + scale.logs.unsqueeze(axis)
            elif scale is not None:  # a number that may be 0 or negative has no logarithm
                return super().scaled(left, right)
        return DenseOperator(shifted.exp().to(self.dtype), is_nonnegative=True)

    def to_dense(self) -> Tensor:
        return bounded_exp(self.logits, self.shape[-1], self.dtype)


def bounded_exp(logits: Tensor, terms: int, dtype: torch.dtype) -> Tensor:
    """exp(logits) in ``dtype``, cut at its largest number and where ``terms`` of them overflow.

    Sums are taken in float32 at least, so they do not bound half precision any lower.
    """
    sum_bound = math.log(torch.finfo(accumulation_dtype(dtype)).max) - math.log(max(terms, 1)) - 1
    bound = min(sum_bound, math.log(torch.finfo(dtype).max))
    return logits.clamp(max=bound).exp().clamp(max=torch.finfo(dtype).max).to(dtype)


def _log_sum_exp(logits: Tensor) -> Tensor:
    """Log-sum-exp over the last axis; −∞ with a zero gradient where every logit is −∞."""
    is_empty = _is_empty(logits)
    sums = torch.logsumexp(torch.where(is_empty, 0, logits), -1)
    return torch.where(is_empty.squeeze(-1), -torch.inf, sums)


def _is_empty(logits: Tensor) -> Tensor:
    """Rows whose every logit is −∞, shape (*batch, N, 1)."""
    return (logits == -torch.inf).all(-1, keepdim=True)
