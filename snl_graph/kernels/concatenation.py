"""The additive kernel with weights of its own."""

from __future__ import annotations

from numbers import Real

import torch
from torch import Tensor, nn

from snl_graph.checks import whole_number
from snl_graph.kernels.base import Kernel
from snl_graph.kernels.nodes import NodeSet


class Concatenation(Kernel):
    """M_ij = s · max(⟨w, [φ_i, ψ_j]⟩, 0) with a learned vector w.

    Source: Wang et al. (2018), Eq. 5, who use s = 1/N. The sum of two scalars is an inner product
    of width 2, so no pair is ever concatenated.

    Args:
        channels: r, the width of Φ and of Ψ; w has 2r entries.
        scale: A number > 0, or "1/n" with n the number of nodes of the item.

    Raises:
        ValueError: If ``channels`` < 1, or ``scale`` is neither.
    """

    def __init__(self, channels: int, scale: float | str = 1.0) -> None:
        super().__init__()
        channels = whole_number(channels, "channels")
        is_number = isinstance(scale, Real | Tensor) and not isinstance(scale, bool)
        if scale != "1/n" and not (is_number and scale > 0):  # type: ignore[operator]
            raise ValueError(f'scale is a number > 0, or "1/n"; got {scale!r}.')
        self.scale = scale
        self.weight = nn.Parameter(torch.empty(2, channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw w anew, Glorot-uniform."""
        nn.init.xavier_uniform_(self.weight)

    def features(self, phi: Tensor, psi: Tensor, nodes: NodeSet) -> tuple[Tensor, Tensor]:
        if phi.shape[-1] != self.weight.shape[1]:
            raise ValueError(
                f"this kernel weighs {self.weight.shape[1]} channels, but phi and psi have "
                f"{phi.shape[-1]}. Make it with channels={phi.shape[-1]}."
            )
        phi_weight, psi_weight = self.weight.to(phi.dtype)
        phi_score = (phi @ phi_weight).unsqueeze(-1)
        psi_score = (psi @ psi_weight).unsqueeze(-1)
        phi = torch.cat([phi_score, torch.ones_like(phi_score)], dim=-1)
        psi = torch.cat([torch.ones_like(psi_score), psi_score], dim=-1)
        if self.scale == 1:
            return phi, psi
        # s max(x, 0) = max(s x, 0): the scale may enter before the link.
        scale = 1 / nodes.count(psi) if isinstance(self.scale, str) else self.scale
        return phi, (psi * scale).to(psi.dtype)

    def link(self, scores: Tensor) -> Tensor:
        return scores.relu()

    def extra_repr(self) -> str:
        scale = "" if self.scale == 1 else f", scale={self.scale!r}"
        return f"channels={self.weight.shape[1]}{scale}"
