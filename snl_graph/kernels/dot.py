"""Dot products: of rectified features, and signed."""

from __future__ import annotations

from torch import Tensor

from snl_graph.kernels.base import InnerProductKernel, require_scale
from snl_graph.kernels.nodes import NodeSet


class Dot(InnerProductKernel):
    """M_ij = ⟨max(φ_i, 0), max(ψ_j, 0)⟩: the dot product of rectified features.

    Source: "Dot Product" of Zhu et al., §2. Departure: Φ and Ψ are rectified first, for Property 1
    asks for M ≥ 0 and a raw dot product is not.
    """

    def features(self, phi: Tensor, psi: Tensor, nodes: NodeSet) -> tuple[Tensor, Tensor]:
        return phi.relu(), psi.relu()


class SignedDot(InnerProductKernel):
    """M_ij = s · ⟨φ_i, ψ_j⟩, of either sign.

    Source: "Dot Product" of Wang et al. (2018), who use s = 1/N; Yue et al. (2018), CGNL.

    Args:
        scale: A number, or "1/n" or "1/sqrt(n)" with n the number of nodes of the item.

    Raises:
        ValueError: If ``scale`` is neither.
    """

    is_nonnegative = False

    def __init__(self, scale: float | str = 1.0) -> None:
        super().__init__()
        require_scale(scale, "1/n", "1/sqrt(n)")
        self.scale = scale

    def features(self, phi: Tensor, psi: Tensor, nodes: NodeSet) -> tuple[Tensor, Tensor]:
        if not isinstance(self.scale, str):
            return phi, psi if self.scale == 1 else psi * self.scale
        count = nodes.count(psi)  # float32 at least where a tensor: float16 ends at 65504 nodes
        divisor = count if self.scale == "1/n" else count**0.5
        return phi, (psi / divisor).to(psi.dtype)

    def extra_repr(self) -> str:
        return f"scale={self.scale!r}"
