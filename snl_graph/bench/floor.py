"""The floor: a block with its operator taken out. What is left is 1×1 convolutions and the norm.

No implementation of the block can be faster than its own projections, so this is what its time is
held against. By counted operations the whole snl block with C_s = C/2 costs 7/5 of it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from snl_graph.bench.naive import block_output
from snl_graph.blocks import NonlocalBlock
from snl_graph.blocks.affinity import FeatureAffinity
from snl_graph.operators import AffinityOperator


class _PassOn(torch.autograd.Function):
    """Z, with its gradient handed to Φ and Ψ too, so that their projections have one."""

    @staticmethod
    def forward(ctx: Any, phi: Tensor, psi: Tensor, z: Tensor) -> Tensor:
        ctx.width = phi.shape[-1]
        return z.view_as(z)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        part = grad[..., : ctx.width]
        return part, part, grad


class TakenOut(AffinityOperator):
    """A = I. Costs nothing, and passes gradients on to Φ and Ψ, shape (*batch, N, r)."""

    representation = "none"

    def __init__(self, phi: Tensor, psi: Tensor) -> None:
        self.phi, self.psi = phi, psi
        self.shape = torch.Size((*phi.shape[:-1], psi.shape[-2]))
        self.dtype, self.device = phi.dtype, phi.device

    def apply(self, z: Tensor) -> Tensor:
        return _PassOn.apply(self.phi, self.psi, z)

    def _transposed(self) -> TakenOut:
        return self


class _ProjectionsAlone(nn.Module):
    """Φ and Ψ as the block computes them, and no affinity of them."""

    embed = FeatureAffinity.embed
    kernel = None

    def __init__(self, affinity: FeatureAffinity) -> None:
        super().__init__()
        self.phi, self.psi, self.pieces = affinity.phi, affinity.psi, affinity.pieces

    def forward(self, phi: Tensor, psi: Tensor, *args: Any, **kwargs: Any) -> TakenOut:
        arrange = self.pieces.arrangement.arrange
        return TakenOut(arrange(phi), arrange(psi))


def floor_of(block: NonlocalBlock) -> NonlocalBlock:
    """The same block, weights shared, with its operator taken out."""
    floor = copy.copy(block)
    floor._modules = {**block._modules, "affinity": _ProjectionsAlone(block.affinity)}
    return floor


def plain_floor(block: NonlocalBlock, x: Tensor) -> Tensor:
    """What :func:`floor_of` computes, written out, to compare with."""

    def product_of(phi: Tensor, psi: Tensor) -> Callable[[Tensor], Tensor]:
        # Zeros in value; the gradients of Φ and Ψ are that of Z.
        zero = (phi - phi.detach()) + (psi - psi.detach())
        return lambda z: torch.cat([z[..., : phi.shape[-1]] + zero, z[..., phi.shape[-1] :]], -1)

    return block_output(block, x, product_of)
