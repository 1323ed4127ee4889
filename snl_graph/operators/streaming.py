"""M = exp(Φ Ψᵀ), never stored: fused attention computes it tile by tile."""

from __future__ import annotations

import copy
from typing import Self

import torch
from torch import Tensor

from snl_graph.memory import apply_instead, require_room_for_matrices
from snl_graph.operators.attention import (
    NEVER,
    exponential_product,
    log_sums,
    softmax_product,
)
from snl_graph.operators.base import AffinityOperator, SymmetrizedOperator
from snl_graph.operators.dense import bounded_exp
from snl_graph.operators.diagonal import Diagonal, LinearDiagonal, LogDiagonal
from snl_graph.operators.sweep import row_and_column_log_sums


class StreamingOperator(AffinityOperator):
    r"""exp(S) with S_ij = ⟨φ_i, ψ_j⟩ + left_i + right_j, held as Φ, Ψ and the shifts.

    .. math:: A Z = e^{left + c} ⊙ softmax(Φ Ψ^⊤ + right) Z, \qquad
        c_i = \log Σ_j e^{⟨φ_i, ψ_j⟩ + right_j}

    Degrees are log-sum-exps, and scaling by them adds to the shifts, so logits of ±1e4 neither
    overflow nor give NaN. Unnormalised, a row whose sum of weights overflows is cut to the largest
    one that does not.

    Args:
        phi: Φ, shape (*batch, N, r), float32 at least.
        psi: Ψ, shape (*batch, N', r).
        left: Shape (*batch, N), or None; :data:`NEVER` makes a row of zeros.
        right: Shape (*batch, N'), or None; :data:`NEVER` makes a column of zeros.
        is_symmetric: Whether Φ and Ψ are the same features, and so are the shifts.
        dtype: Type of the operator seen from outside; by default that of the features.

    Cost: an application is one fused attention call, O(N²·(r + C)) time and O(N·(r + C)) memory;
    so are row sums. Backward is one fused backward call each application, and one forward call
    each row sum. Second derivatives are recomputed block by block of rows, in the same memory.

    Example:
        >>> import torch
        >>> phi, psi, z = torch.rand(6, 2), torch.rand(6, 2), torch.rand(6, 3)
        >>> torch.allclose(StreamingOperator(phi, psi).apply(z), (phi @ psi.T).exp() @ z)
        True
    """

    representation = "streaming"
    is_nonnegative = True

    def __init__(
        self,
        phi: Tensor,
        psi: Tensor,
        left: Tensor | None = None,
        right: Tensor | None = None,
        *,
        is_symmetric: bool = False,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.phi, self.psi, self.left, self.right = phi, psi, left, right
        self.is_symmetric = is_symmetric
        self.shape = torch.Size((*phi.shape[:-1], psi.shape[-2]))
        self.dtype, self.device = dtype or phi.dtype, phi.device

    def apply(self, z: Tensor) -> Tensor:
        left, right = self._shifts()
        signal = z.to(self.phi.dtype)
        return exponential_product(self.phi, self.psi, left, right, signal).to(z.dtype)

    def row_sums(self) -> LogDiagonal:
        left, right = self._shifts()
        logs = left + log_sums(self.phi, self.psi, right)
        return LogDiagonal(torch.where(logs > NEVER / 2, logs, -torch.inf))

    def row_normalized(self) -> AffinityOperator:
        if self.right is not None and self.right.requires_grad:
            return super().row_normalized()  # attention has no derivative by a shift
        return AttentionOperator(self)

    def symmetrized(self) -> AffinityOperator:
        return self if self.is_symmetric else SymmetrizedStreamingOperator(self)

    def scaled(self, left: Diagonal | None, right: Diagonal | None) -> AffinityOperator:
        shifts = []
        for shift, scale in ((self.left, left), (self.right, right)):
            if scale is not None and not isinstance(scale, LogDiagonal):
                return super().scaled(left, right)  # a number ≤ 0 has no logarithm
            logs = None if scale is None else scale.logs
            shifts.append(shift if logs is None else logs if shift is None else shift + logs)
        is_symmetric = self.is_symmetric and left is right
        return StreamingOperator(
            self.phi, self.psi, *shifts, is_symmetric=is_symmetric, dtype=self.dtype
        )

    def to(self, dtype: torch.dtype) -> Self:
        changed = copy.copy(self)
        changed.dtype = dtype
        return changed

    def to_dense(self) -> Tensor:
        require_room_for_matrices(self.phi, self.shape, 1, apply_instead)
        with torch.autocast(device_type=self.device.type, enabled=False):
            scores = self.phi @ self.psi.mT
        left, right = self._shifts()
        logits = scores + left.unsqueeze(-1) + right.unsqueeze(-2)
        return bounded_exp(logits, self.shape[-1], self.dtype)

    def _transposed(self) -> StreamingOperator:
        return StreamingOperator(self.psi, self.phi, self.right, self.left, dtype=self.dtype)

    def _shifts(self) -> tuple[Tensor, Tensor]:
        """The shifts of rows and columns, zeros where there are none."""
        left = self.phi.new_zeros(self.phi.shape[:-1]) if self.left is None else self.left
        right = self.psi.new_zeros(self.psi.shape[:-1]) if self.right is None else self.right
        return left, right


class SymmetrizedStreamingOperator(SymmetrizedOperator):
    """½ (exp(S) + exp(S)ᵀ), whose sums of rows and of columns can be had in one sweep.

    Args:
        inner: exp(S), square.
    """

    inner: StreamingOperator

    def row_sums(self) -> Diagonal:
        phi, psi = self.inner.phi, self.inner.psi
        has_shifts = self.inner.left is not None or self.inner.right is not None
        # With a gradient, what the fused calls of the row sums compute besides serves backward.
        needs_gradient = torch.is_grad_enabled() and (phi.requires_grad or psi.requires_grad)
        if has_shifts or needs_gradient:
            return super().row_sums()
        rows, columns = row_and_column_log_sums(phi, psi)
        return LogDiagonal(rows).mean(LogDiagonal(columns))


class AttentionOperator(AffinityOperator):
    """D^-1 exp(S), D the row sums: scaled-dot-product attention, as PyTorch computes it.

    Args:
        unnormalized: exp(S).

    Cost: an application is one fused attention call. All else (the transpose, the degrees, a scale)
    is that of exp(S) with D^-1 among its shifts.
    """

    representation = "streaming"
    is_nonnegative = True

    def __init__(self, unnormalized: StreamingOperator) -> None:
        self.unnormalized = unnormalized
        self.shape, self.dtype = unnormalized.shape, unnormalized.dtype
        self.device = unnormalized.device

    def apply(self, z: Tensor) -> Tensor:
        m = self.unnormalized
        y = softmax_product(m.phi, m.psi, m.right, z.to(m.phi.dtype)).to(z.dtype)
        has_sources = self._has_sources()
        return y if has_sources is None else y.masked_fill(~has_sources.unsqueeze(-1), 0)

    @property
    def T(self) -> AffinityOperator:
        return self._shifted().T

    def row_sums(self) -> Diagonal:
        has_sources = self._has_sources()
        ones = self.unnormalized.phi.new_ones(self.shape[:-1])
        return LinearDiagonal(ones if has_sources is None else ones * has_sources)

    @property
    def is_normalized(self) -> bool:
        return True

    def degree(self) -> Tensor:
        return self.unnormalized.degree()

    def scaled(self, left: Diagonal | None, right: Diagonal | None) -> AffinityOperator:
        return self._shifted().scaled(left, right)

    def to(self, dtype: torch.dtype) -> AttentionOperator:
        return AttentionOperator(self.unnormalized.to(dtype))

    def to_dense(self) -> Tensor:
        return self._shifted().to_dense()

    def _transposed(self) -> AffinityOperator:
        return self.T

    def _shifted(self) -> AffinityOperator:
        """The same operator as exp(S + left) with the row sums written down."""
        degree = self.unnormalized.row_sums()
        return self.unnormalized.scaled(degree.power(-1), None).with_degree(degree)

    def _has_sources(self) -> Tensor | None:
        """Which rows are not zero, (*batch, N), or None if none is."""
        left, right = self.unnormalized.left, self.unnormalized.right
        rows = None if left is None else left > NEVER / 2
        if right is None:
            return rows
        any_source = (right > NEVER / 2).any(-1, keepdim=True).expand(self.shape[:-1])
        return any_source if rows is None else rows & any_source
