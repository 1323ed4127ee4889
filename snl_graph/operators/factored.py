"""M = Φ Ψᵀ held as its factors: linear in N, exact."""

from __future__ import annotations

import torch
from torch import Tensor

from snl_graph.memory import apply_instead, require_room_for_matrices
from snl_graph.operators.balanced import FactoredProducts, balanced_product, row_sums
from snl_graph.operators.base import AffinityOperator, require_square, scale_rows
from snl_graph.operators.diagonal import Diagonal, LinearDiagonal, accumulation_dtype
from snl_graph.operators.eager import is_eager, is_rounded_to_half
from snl_graph.operators.layout import product


class FactoredOperator(AffinityOperator):
    r"""Φ Ψᵀ, or ½ (Φ Ψᵀ + Ψ Φᵀ) when symmetrised, of rank ≤ r or ≤ 2r.

    .. math:: A Z = Φ (Ψ^⊤ Z), \qquad  A Z = ½ [Φ (Ψ^⊤ Z) + Ψ (Φ^⊤ Z)]

    Args:
        phi: Φ, shape (*batch, N, r).
        psi: Ψ, shape (*batch, N', r).
        is_symmetrized: Whether the operator is the symmetric form.
        is_nonnegative: Whether Φ and Ψ are.

    Cost: time O(N·r·C) an application, memory O(N·r); the N×N matrix is never formed.

    Example:
        >>> import torch
        >>> phi, psi, z = torch.rand(6, 2), torch.rand(6, 2), torch.rand(6, 3)
        >>> torch.allclose(FactoredOperator(phi, psi).apply(z), phi @ psi.T @ z)
        True
    """

    representation = "factored"

    def __init__(
        self,
        phi: Tensor,
        psi: Tensor,
        *,
        is_symmetrized: bool = False,
        is_nonnegative: bool = False,
    ) -> None:
        self.phi, self.psi = phi, psi
        self.is_symmetric = is_symmetrized
        self.is_nonnegative = is_nonnegative
        self.shape = torch.Size((*phi.shape[:-1], psi.shape[-2]))
        self.dtype, self.device = phi.dtype, phi.device

    def apply(self, z: Tensor) -> Tensor:
        gathered = self.psi.mT @ z  # (*batch, r, C)
        if not self.is_symmetric:
            return product(self.phi, gathered, z)
        mirrored = self.phi.mT @ z
        return (product(self.phi, gathered, z) + product(self.psi, mirrored, z)) / 2

    def row_sums(self) -> Diagonal:
        sums = row_sums(self.phi, self.psi)
        if self.is_symmetric:
            sums = (sums + row_sums(self.psi, self.phi)) / 2
        return LinearDiagonal(sums)

    def _of(self, phi: Tensor, psi: Tensor, *, is_symmetrized: bool) -> FactoredOperator:
        """An operator of the same kind with other factors."""
        return FactoredOperator(
            phi, psi, is_symmetrized=is_symmetrized, is_nonnegative=self.is_nonnegative
        )

    def _column_sizes(self, *factors: Tensor) -> tuple[Tensor, ...]:
        """Σ_j |x_jc| of each channel c, shape (*batch, 1, r), as constants."""
        return tuple(factor.detach().abs().sum(-2, keepdim=True) for factor in factors)

    def _transposed(self) -> FactoredOperator:
        return self._of(self.psi, self.phi, is_symmetrized=False)

    def symmetrized(self) -> FactoredOperator:
        require_square(self)
        return self._of(self.phi, self.psi, is_symmetrized=True)

    def scaled(self, left: Diagonal | None, right: Diagonal | None) -> AffinityOperator:
        """The scale is folded into the factors, which also keeps half precision in range."""
        if self.is_symmetric and left is not right:
            return super().scaled(left, right)
        phi, psi = self.phi, self.psi
        if is_rounded_to_half(phi):
            dtype = accumulation_dtype(self.dtype)
            phi, psi = scale_rows(phi.to(dtype), left), scale_rows(psi.to(dtype), right)
            ours, theirs = self._column_sizes(phi, psi)
            phi, psi = _balanced(phi, psi, ours, theirs, self.is_symmetric)
        else:
            phi, psi = scale_rows(phi, left), scale_rows(psi, right)
        return self._of(phi.to(self.dtype), psi.to(self.dtype), is_symmetrized=self.is_symmetric)

    def balanced(self) -> AffinityOperator:
        """In eager mode and full precision with a backward pass of its own."""
        if (
            self.is_symmetric
            and self.is_nonnegative
            and is_eager(self.phi, self.psi)
            and not is_rounded_to_half(self.phi)
        ):
            return BalancedFactoredOperator(self)
        return super().balanced()

    def to(self, dtype: torch.dtype) -> AffinityOperator:
        made = self._of(self.phi.to(dtype), self.psi.to(dtype), is_symmetrized=self.is_symmetric)
        return made.with_degree(self._degree)

    def to_dense(self) -> Tensor:
        require_room_for_matrices(self.phi, self.shape, 1, apply_instead)
        matrix = self.phi @ self.psi.mT
        return (matrix + matrix.mT) / 2 if self.is_symmetric else matrix


class BalancedFactoredOperator(FactoredOperator):
    r"""A = S M̂ S with M̂ = ½ (Φ Ψᵀ + Ψ Φᵀ), S = D̂^-½ and D̂ the row sums of M̂ itself.

    .. math:: A Z = ½ S [Φ (Ψ^⊤ S Z) + Ψ (Φ^⊤ S Z)]

    Source: Zhu et al., Eq. 13.

    Args:
        m_hat: M̂, symmetrised and non-negative.

    Cost: time 8·N·r·C an application, twice that backward; kept for backward: Φ, Ψ and Z.
    """

    def __init__(self, m_hat: FactoredOperator) -> None:
        super().__init__(m_hat.phi, m_hat.psi, is_symmetrized=True, is_nonnegative=True)
        self.m_hat = m_hat
        self.products = FactoredProducts(self.phi, self.psi)

    @property
    def root(self) -> Diagonal:
        """S = D̂^-½, without its gradient."""
        return LinearDiagonal(self.products.root.squeeze(-1))

    def apply(self, z: Tensor) -> Tensor:
        if z.shape[:-2] != self.shape[:-2] or z.dtype != self.dtype:
            return self.generic().apply(z)
        return balanced_product(self.products, z)

    def generic(self) -> AffinityOperator:
        """The same operator with its scale folded into the factors."""
        return AffinityOperator.balanced(self.m_hat)

    @property
    def is_normalized(self) -> bool:
        return True

    def degree(self) -> Tensor:
        return self.m_hat.row_sums().values

    def row_sums(self) -> Diagonal:
        return self.generic().row_sums()

    def symmetrized(self) -> BalancedFactoredOperator:
        return self

    def scaled(self, left: Diagonal | None, right: Diagonal | None) -> AffinityOperator:
        return self.generic().scaled(left, right)

    def to(self, dtype: torch.dtype) -> AffinityOperator:
        return self if dtype == self.dtype else self.generic().to(dtype)

    def to_dense(self) -> Tensor:
        return self.generic().to_dense()


def _balanced(
    phi: Tensor, psi: Tensor, ours: Tensor, theirs: Tensor, is_symmetrized: bool
) -> tuple[Tensor, Tensor]:
    """The same Φ Ψᵀ, its channels scaled so that half precision holds the sums Ψᵀ Z.

    Column c of Φ is multiplied by t_c and that of Ψ divided by it. Without it Ψᵀ Z grows with N·r
    while a random walk's D^-1 Φ shrinks as fast. With t_c = Σ_j |ψ_jc|, |Ψᵀ Z| ≤ max |Z|; where
    Φᵀ Z is needed too, both columns get the same sum. A constant: Φ Ψᵀ does not depend on t.

    Args:
        phi: Φ.
        psi: Ψ.
        ours: Σ_j |φ_jc|, shape (*batch, 1, r).
        theirs: Σ_j |ψ_jc|.
        is_symmetrized: Whether Φᵀ Z is needed too.
    """
    # A column of zeros counts as 1: its partner is balanced too, for 0 times an overflow is NaN.
    ours, theirs = (torch.where(size == 0, 1, size) for size in (ours, theirs))
    scale = (theirs / ours).sqrt() if is_symmetrized else theirs
    return phi * scale, psi / scale
