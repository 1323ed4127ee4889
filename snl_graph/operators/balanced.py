"""D̂^-½ M̂ D̂^-½ Z of a factored M as one function, with a backward pass of its own.

Autograd finds its way back through scaled factors and degrees by itself, but keeps and copies much
of size N. Written out, the scale stays on the signals, every sum is accumulated where it lies, and
nothing of size N is kept but the factors and the signal.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from snl_graph.operators.diagonal import LinearDiagonal, accumulation_dtype, full_precision
from snl_graph.operators.layout import add_product_, product


def row_sums(phi: Tensor, psi: Tensor) -> Tensor:
    """Φ (Ψᵀ 1), summed in float32 at least, also under autocast; shape (*batch, N)."""
    dtype = accumulation_dtype(phi.dtype)
    with full_precision(phi.device):
        column_sums = psi.sum(dim=-2, dtype=dtype)  # (*batch, r)
        return (phi.to(dtype) @ column_sums.unsqueeze(-1)).squeeze(-1)


def balanced_product(phi: Tensor, psi: Tensor, root: Tensor, z: Tensor) -> Tensor:
    r"""S M̂ S Z with M̂ = ½ (Φ Ψᵀ + Ψ Φᵀ) and S = diag(root) = D̂^-½.

    Source: Zhu et al., Eq. 13.

    Args:
        phi: Φ ≥ 0, shape (*batch, N, r).
        psi: Ψ ≥ 0, shape (*batch, N, r).
        root: D̂^-½ of the row sums D̂ of M̂, shape (*batch, N), taken as a constant: the gradient
            through the degrees is part of that of Φ and Ψ.
        z: Z, shape (*batch, N, C).

    Cost: time 8·N·r·C, twice that backward; kept for backward: Φ, Ψ and Z.
    """
    return _BalancedProduct.apply(phi, psi, root.detach(), z)


class _BalancedProduct(torch.autograd.Function):
    """Y = S M̂ S Z as a function of Φ, Ψ and Z, the gradient through the degrees included."""

    @staticmethod
    def forward(ctx: Any, phi: Tensor, psi: Tensor, root: Tensor, z: Tensor) -> Tensor:
        scale = root.unsqueeze(-1)
        scaled = z * scale
        from_psi = (psi.mT @ scaled).mul_(0.5)  # (*batch, r, C)
        from_phi = (phi.mT @ scaled).mul_(0.5)
        ctx.save_for_backward(phi, psi, root, z, from_psi, from_phi)
        return add_product_(product(phi, from_psi, z), psi, from_phi).mul_(scale)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        phi, psi, root, z, from_psi, from_phi = ctx.saved_tensors
        if torch.is_grad_enabled():  # a second derivative is asked for: by way of autograd
            y = _plain_product(phi, psi, z)
            wanted = [t for t in (phi, psi, z) if t.requires_grad]
            found = iter(torch.autograd.grad(y, wanted, grad, create_graph=True))
            grads = [next(found) if t.requires_grad else None for t in (phi, psi, z)]
            return grads[0], grads[1], None, grads[2]
        scale = root.unsqueeze(-1)
        grad, scaled = grad * scale, z * scale
        to_psi = (psi.mT @ grad).mul_(0.5)  # (*batch, r, C)
        to_phi = (phi.mT @ grad).mul_(0.5)
        d_z = add_product_(product(psi, to_phi, z), phi, to_psi).mul_(scale)
        d_phi = add_product_(product(grad, from_psi.mT, phi), scaled, to_psi.mT)
        d_psi = add_product_(product(grad, from_phi.mT, psi), scaled, to_phi.mT)
        # Y and Z enter with the same scale s, so s·∂/∂s is ⟨Φ, dΦ⟩ + ⟨Ψ, dΨ⟩ of each node, and
        # s = d^-½ gives ∂/∂d = −½ s² of it. A node of degree 0 has s = 0.
        along = (phi * d_phi).sum(-1).add_((psi * d_psi).sum(-1))
        d_degree = along.mul_(root.square()).mul_(-0.25).unsqueeze(-1)  # the ½ of M̂ included
        ends = torch.cat([d_degree, torch.ones_like(d_degree)], dim=-1)  # (*batch, N, 2)
        for d_factor, other in ((d_phi, psi), (d_psi, phi)):
            sums = other.sum(-2, keepdim=True)
            add_product_(d_factor, ends, torch.cat([sums, d_degree.mT @ other], dim=-2))
        return d_phi, d_psi, None, d_z


def _plain_product(phi: Tensor, psi: Tensor, z: Tensor) -> Tensor:
    """The same in operations that autograd can differentiate again."""
    degree = LinearDiagonal((row_sums(phi, psi) + row_sums(psi, phi)) / 2)
    scale = degree.power(-0.5).values.unsqueeze(-1).to(z.dtype)
    scaled = z * scale
    return scale * (phi @ (psi.mT @ scaled) + psi @ (phi.mT @ scaled)) / 2
