"""A = D̂^-½ M̂ D̂^-½ of factors Φ and Ψ, its products, and the way back through them by hand.

M̂ = ½ (Φ Ψᵀ + Ψ Φᵀ), D̂ its row sums (Zhu et al., Eq. 13). Autograd finds the way back by itself, but
keeps and copies much of size N, or N². Written out, the scale stays on the signals, every sum is
accumulated where it lies, and the gradient through the degrees is a few numbers a node.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from snl_graph.operators.diagonal import LinearDiagonal, accumulation_dtype, full_precision
from snl_graph.operators.layout import add_product_, batched, product
from snl_graph.operators.recomputed import recomputed_gradients


def row_sums(phi: Tensor, psi: Tensor) -> Tensor:
    """Φ (Ψᵀ 1), summed in float32 at least, also under autocast; shape (*batch, N)."""
    dtype = accumulation_dtype(phi.dtype)
    with full_precision(phi.device):
        column_sums = psi.sum(dim=-2, dtype=dtype)  # (*batch, r)
        return (phi.to(dtype) @ column_sums.unsqueeze(-1)).squeeze(-1)


class FactoredProducts:
    """A Z = ½ S [Φ (Ψᵀ S Z) + Ψ (Φᵀ S Z)] with S = D̂^-½, without gradients, and the way back.

    Args:
        phi: Φ ≥ 0, shape (*batch, N, r).
        psi: Ψ ≥ 0, shape (*batch, N, r).
        kept: In the backward pass, what the forward pass kept.

    Attributes:
        kept: What the way back needs beside Φ, Ψ and Z.

    Cost: time 8·N·r·C a product, twice that back; kept: a number a node, and 2·r·C a product.
    """

    def __init__(self, phi: Tensor, psi: Tensor, kept: tuple[Tensor, ...] = ()) -> None:
        self.phi, self.psi = phi, psi
        self.kept = kept or (inverse_root_degrees(phi, psi),)
        self.root, *self._sums = self.kept

    def apply(self, z: Tensor) -> Tensor:
        """A Z, shape (*batch, N, C)."""
        scaled = z * self.root
        from_psi, from_phi = _half(self.psi, scaled), _half(self.phi, scaled)  # (*batch, r, C)
        self.kept = (self.root, from_psi, from_phi)
        total = product(self.phi, from_psi, z)
        return add_product_(total, self.psi, from_phi).mul_(self.root)

    def gradients(self, z: Tensor, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The gradients of Φ, Ψ and Z from that of A Z, the last product of :meth:`apply`."""
        phi, psi = self.phi, self.psi
        from_psi, from_phi = self._sums
        scaled, grad = z * self.root, grad * self.root
        to_psi, to_phi = _half(psi, grad), _half(phi, grad)
        d_z = add_product_(product(psi, to_phi, z), phi, to_psi).mul_(self.root)
        d_phi = add_product_(product(grad, from_psi.mT, phi), scaled, to_psi.mT)
        d_psi = add_product_(product(grad, from_phi.mT, psi), scaled, to_phi.mT)
        # Z and its product enter with the same scale s of a node, so s·∂/∂s is ⟨Φ, dΦ⟩ + ⟨Ψ, dΨ⟩,
        # and s = d^-½ gives ∂/∂d = −½ s² of it. A node of degree 0 has s = 0.
        along = (phi * d_phi).addcmul_(psi, d_psi).sum(-1, keepdim=True)
        d_degree = along.mul_(self.root.square()).mul_(-0.25)  # the ½ of M̂ included
        # To dΦ go ∂/∂d_i Σ_j Ψ_j of the node itself and Σ_j ∂/∂d_j Ψ_j of those it is joined to.
        ends = torch.cat([d_degree, torch.ones_like(d_degree)], dim=-1)  # (*batch, N, 2)
        crossed = ends.flip(-1).mT
        for d_factor, other in ((d_phi, psi), (d_psi, phi)):
            add_product_(d_factor, ends, batched(crossed, other))
        return d_phi, d_psi, d_z


def inverse_root_degrees(phi: Tensor, psi: Tensor) -> Tensor:
    """D̂^-½ of the row sums D̂ of ½ (Φ Ψᵀ + Ψ Φᵀ), without its gradient, shape (*batch, N, 1).

    For factors of full precision; a node of degree 0 gets 0, one of negative degree NaN.
    """
    with torch.no_grad():
        # Rows first: a matrix that lies in memory as (r, N) is slow to multiply by a column.
        twice = batched(psi.sum(-2, keepdim=True), phi.mT)
        add_product_(twice, phi.sum(-2, keepdim=True), psi.mT)
        return inverse_root(twice.mul_(0.5).mT)


def inverse_root(degree: Tensor) -> Tensor:
    """d^-½, and 0 where d = 0."""
    return degree.rsqrt().masked_fill_(degree == 0, 0)


def _half(factor: Tensor, z: Tensor) -> Tensor:
    """½ Fᵀ Z, shape (*batch, r, C)."""
    return batched(factor.mT, z).mul_(0.5)


def balanced_product(products: FactoredProducts, z: Tensor) -> Tensor:
    """A Z with the gradients of Φ, Ψ and Z.

    Args:
        products: The factors, which may need gradients.
        z: Z, shape (*batch, N, C).

    Cost: time 8·N·r·C, twice that backward; kept for backward: Φ, Ψ and Z.
    """
    return _BalancedProduct.apply(products.phi, products.psi, products.root, z)


class _BalancedProduct(torch.autograd.Function):
    """A Z of Φ, Ψ and Z; the gradient through D̂^-½, a constant here, goes to Φ and Ψ."""

    @staticmethod
    def forward(ctx: Any, phi: Tensor, psi: Tensor, root: Tensor, z: Tensor) -> Tensor:
        products = FactoredProducts(phi, psi, (root,))
        y = products.apply(z)
        ctx.save_for_backward(phi, psi, z, *products.kept)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        phi, psi, z, *kept = ctx.saved_tensors
        if torch.is_grad_enabled():  # a second derivative is asked for: by way of autograd
            d_phi, d_psi, d_z = recomputed_gradients(plain_product, (phi, psi, z), grad)
            return d_phi, d_psi, None, d_z
        products = FactoredProducts(phi, psi, tuple(kept))
        d_phi, d_psi, d_z = products.gradients(z, grad)
        return d_phi, d_psi, None, d_z


def plain_product(phi: Tensor, psi: Tensor, z: Tensor) -> Tensor:
    """A Z in operations that autograd can differentiate again."""
    degree = LinearDiagonal((row_sums(phi, psi) + row_sums(psi, phi)) / 2)
    scale = degree.power(-0.5).values.unsqueeze(-1).to(z.dtype)
    scaled = z * scale
    return scale * (phi @ (psi.mT @ scaled) + psi @ (phi.mT @ scaled)) / 2


def balanced_matrix(m_hat: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A, D̂ (*batch, N) and D̂^-½ (*batch, N, 1) of a symmetric matrix M̂ ≥ 0, without gradients."""
    degree = m_hat.sum(-1)
    root = inverse_root(degree.unsqueeze(-1))
    return (m_hat * root).mul_(root.mT), degree, root


class BalancedMatrix(torch.autograd.Function):
    """A = D^-½ M̂ D^-½ of any symmetric matrix M̂ ≥ 0 (*batch, N, N), and its row sums D."""

    @staticmethod
    def forward(ctx: Any, m_hat: Tensor) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        a, degree, root = balanced_matrix(m_hat)
        ctx.save_for_backward(m_hat, root, a)
        return a, degree

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None, grad_degree: Tensor | None) -> Tensor | None:
        m_hat, root, a = ctx.saved_tensors
        if grad is None:
            return None if grad_degree is None else grad_degree.unsqueeze(-1).expand_as(a)
        if torch.is_grad_enabled():  # a second derivative is asked for: by way of autograd
            (d_m,) = recomputed_gradients(_plain_matrix, (m_hat,), grad)
            return d_m if grad_degree is None else d_m + grad_degree.unsqueeze(-1)
        # ∂/∂d_i = −½ d_i^-1 Σ_j (G_ij A_ij + G_ji A_ji), the same for every M̂_ij of row i.
        along = grad * a
        d_degree = along.sum(-1).add_(along.sum(-2)).unsqueeze(-1)
        d_degree.mul_(root.square()).mul_(-0.5)
        if grad_degree is not None:
            d_degree.add_(grad_degree.unsqueeze(-1))
        return (grad * root).mul_(root.mT).add_(d_degree)


def _plain_matrix(m_hat: Tensor) -> Tensor:
    """A in operations that autograd can differentiate again."""
    root = LinearDiagonal(m_hat.sum(-1)).power(-0.5).values
    return m_hat * root.unsqueeze(-1) * root.unsqueeze(-2)


class SymmetricPart(torch.autograd.Function):
    """½ (M + Mᵀ) of matrices (*batch, N, N); its gradient is the same of the gradient."""

    @staticmethod
    def forward(ctx: Any, m: Tensor) -> Tensor:
        return torch.add(m, m.mT).mul_(0.5)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return SymmetricPart.apply(grad)
