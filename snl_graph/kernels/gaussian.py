"""Exponential kernels: Gaussian, embedded Gaussian, radial basis function."""

from __future__ import annotations

import torch
from torch import Tensor

from snl_graph.kernels.base import ExponentialKernel, require_scale
from snl_graph.kernels.nodes import NodeSet


class EmbeddedGaussian(ExponentialKernel):
    """M_ij = exp(s · ⟨φ_i, ψ_j⟩) of learned projections Φ and Ψ.

    Source: Wang et al. (2018), Eq. 3; s = 1 there, s = 1/√r is that of attention.

    Args:
        scale: A number, or "1/sqrt(r)" with r the width of Φ.

    Raises:
        ValueError: If ``scale`` is neither.
    """

    is_symmetric = True

    def __init__(self, scale: float | str = 1.0) -> None:
        super().__init__()
        require_scale(scale, "1/sqrt(r)")
        self.scale = scale

    def features(self, phi: Tensor, psi: Tensor, nodes: NodeSet) -> tuple[Tensor, Tensor]:
        scale = phi.shape[-1] ** -0.5 if isinstance(self.scale, str) else self.scale
        return phi, psi if scale == 1 else psi * scale

    def extra_repr(self) -> str:
        return f"scale={self.scale!r}"


class Gaussian(EmbeddedGaussian):
    """M_ij = exp(s · ⟨x_i, x_j⟩) of the features themselves: nothing is learned, M is symmetric.

    Source: Wang et al. (2018), Eq. 2.

    Args:
        scale: A number, or "1/sqrt(r)" with r the width of X.
    """

    is_embedded = False


class RBF(ExponentialKernel):
    """M_ij = exp(−γ ‖φ_i − ψ_j‖²), written as an inner product of lengthened features.

    .. math:: -γ‖φ-ψ‖² = ⟨[√{2γ} φ, -γ‖φ‖², 1], [√{2γ} ψ, 1, -γ‖ψ‖²]⟩

    The mean of Ψ is taken from both first: distances stay, and features far from the origin no
    longer lose them to the rounding of their squares.

    Args:
        gamma: γ > 0, one over squared units of the features.

    Raises:
        ValueError: If ``gamma`` is not positive.
    """

    is_symmetric = True

    def __init__(self, gamma: float = 1.0) -> None:
        super().__init__()
        if not isinstance(gamma, int | float) or not gamma > 0:
            raise ValueError(f"gamma must be a positive number, got {gamma!r}.")
        self.gamma = gamma

    def features(self, phi: Tensor, psi: Tensor, nodes: NodeSet) -> tuple[Tensor, Tensor]:
        center = nodes.mean(psi.detach())  # a constant, for distances do not depend on it
        phi, psi = phi - center, psi - center
        width = (2 * self.gamma) ** 0.5
        phi_norm = -self.gamma * phi.square().sum(-1, keepdim=True)
        psi_norm = -self.gamma * psi.square().sum(-1, keepdim=True)
        phi = torch.cat([phi * width, phi_norm, torch.ones_like(phi_norm)], dim=-1)
        return phi, torch.cat([psi * width, torch.ones_like(psi_norm), psi_norm], dim=-1)

    def extra_repr(self) -> str:
        return f"gamma={self.gamma}"
