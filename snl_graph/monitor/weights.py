"""What the weights of a block tell without an input: dead or alive, its response, its gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from snl_graph.blocks import NonlocalBlock, SpectralUnit
from snl_graph.sharding import is_distributed
from snl_graph.spectral.response import filter_response


def is_dead(block: NonlocalBlock) -> bool:
    """Whether the weights of the norm layer, or of all taps, are 0 in every unit."""
    return all(_is_dead(unit) for unit in units_of(block))


def _is_dead(unit: SpectralUnit) -> bool:
    scale = getattr(unit.bn, "weight", None)
    if scale is not None and not scale.any():
        return True
    return not any(weight.any() for weight in unit.w.parameters())


def norm_scale(block: NonlocalBlock) -> float | None:
    """Root mean square of the weights of the norm layers, or None where they have none."""
    scales = [getattr(unit.bn, "weight", None) for unit in units_of(block)]
    known = [scale.detach().float().flatten() for scale in scales if scale is not None]
    return float(torch.cat(known).square().mean().sqrt()) if known else None


def response_norms(block: NonlocalBlock, lambdas: Sequence[float]) -> tuple[tuple[float, ...], ...]:
    """‖g(λ)‖ in the Frobenius norm at each λ, one tuple a unit."""
    norms = [
        torch.linalg.vector_norm(filter_response(unit, list(lambdas)), dim=(-2, -1))
        for unit in units_of(block)
    ]
    return tuple(tuple(float(size) for size in of_unit) for of_unit in norms)


def gradient_norm(block: nn.Module) -> float | None:
    """Norm of the gradient of all parameters of a module, or None while none holds one.

    Call it between ``backward()`` and ``zero_grad()``. Where it stays 0, the block gets no signal,
    or none of it comes through: a frozen block, a ReLU that is off everywhere. Where processes have
    a part of each parameter, as under ``fully_shard``, all of them call it together.

    Example:
        >>> from snl_graph import nonlocal_block
        >>> block = nonlocal_block("snl", 4)
        >>> gradient_norm(block) is None
        True
        >>> block(torch.randn(2, 4, 3, 3)).sum().backward()
        >>> gradient_norm(block) > 0
        True
    """
    gradients: list[Tensor] = [p.grad for p in block.parameters() if p.grad is not None]
    if not gradients:
        return None
    norms = [torch.linalg.vector_norm(gradient.detach().float()) for gradient in gradients]
    norms = [norm.full_tensor() if is_distributed(norm) else norm for norm in norms]
    return float(torch.linalg.vector_norm(torch.stack(norms)))


def units_of(block: NonlocalBlock) -> list[SpectralUnit]:
    """The units of a block, in order."""
    return cast(list[SpectralUnit], list(block.units))
