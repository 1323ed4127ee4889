"""The gather-and-distribute kernel of double attention."""

from __future__ import annotations

from torch import Tensor

from snl_graph.kernels.base import InnerProductKernel
from snl_graph.kernels.nodes import NodeSet


class DoubleSoftmax(InnerProductKernel):
    """M = softmax_channels(Φ) softmax_nodes(Ψ)ᵀ; its rows sum to 1.

    Source: Zhu et al., Eq. 10 (Chen et al., A²-Nets). The first softmax runs over channels (each
    node's mixture), the second over nodes (each channel's gathering map).
    """

    def features(self, phi: Tensor, psi: Tensor, nodes: NodeSet) -> tuple[Tensor, Tensor]:
        return phi.softmax(dim=-1), nodes.softmax(psi)
