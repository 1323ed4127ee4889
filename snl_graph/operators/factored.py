"""M = Φ Ψᵀ held as its factors: linear in N, exact."""

from __future__ import annotations

import torch
from torch import Tensor

from snl_graph.operators.base import AffinityOperator, require_square, scale_rows
from snl_graph.operators.diagonal import Diagonal, LinearDiagonal, accumulation_dtype
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
        sums = _product_with_ones(self.phi, self.psi)
        if self.is_symmetric:
            sums = (sums + _product_with_ones(self.psi, self.phi)) / 2
        return LinearDiagonal(sums)

    def _transposed(self) -> FactoredOperator:
        return FactoredOperator(self.psi, self.phi, is_nonnegative=self.is_nonnegative)

    def symmetrized(self) -> FactoredOperator:
        require_square(self)
        return FactoredOperator(
            self.phi, self.psi, is_symmetrized=True, is_nonnegative=self.is_nonnegative
        )

    def scaled(self, left: Diagonal | None, right: Diagonal | None) -> AffinityOperator:
        """The scale is folded into the factors, which also keeps half precision in range."""
        if self.is_symmetric and left is not right:
            return super().scaled(left, right)
        return FactoredOperator(
            scale_rows(self.phi, left),
            scale_rows(self.psi, right),
            is_symmetrized=self.is_symmetric,
            is_nonnegative=self.is_nonnegative,
        )

    def to_dense(self) -> Tensor:
        matrix = self.phi @ self.psi.mT
        return (matrix + matrix.mT) / 2 if self.is_symmetric else matrix


def _product_with_ones(phi: Tensor, psi: Tensor) -> Tensor:
    """Φ (Ψᵀ 1), summed in float32 at least, also under autocast."""
    dtype = accumulation_dtype(phi.dtype)
    with torch.autocast(device_type=phi.device.type, enabled=False):
        column_sums = psi.sum(dim=-2, dtype=dtype)  # (*batch, r)
        return (phi.to(dtype) @ column_sums.unsqueeze(-1)).squeeze(-1)
