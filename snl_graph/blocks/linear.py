"""The 1×1 convolution as a map of node signals: alone, several of one signal, a sum of several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeGuard

import torch.nn.functional as F
from torch import Tensor, nn

from snl_graph.blocks.products import FanIn, FanOut
from snl_graph.operators.eager import has_hooks, is_eager, is_rounded_to_half


class NodeLinear(nn.Linear):
    """Z W [+ b], shape (B, N, in) → (B, N, out), in the memory layout of its input.

    A map that lies in memory as (B, C, N) is convolved as it lies; a channels-last one is
    multiplied. Neither is copied.

    Args:
        in_channels: Width of Z.
        out_channels: Width of Z W.
        bias: Whether a learned b is added.

    Cost: 2·B·N·in·out operations.
    """

    def __init__(self, in_channels: int, out_channels: int, bias: bool = False) -> None:
        super().__init__(in_channels, out_channels, bias=bias)

    def forward(self, nodes: Tensor) -> Tensor:
        # Without any position both layouts are contiguous, and there is nothing to convolve.
        if nodes.dim() == 3 and nodes.mT.is_contiguous() and nodes.shape[1]:
            return F.conv1d(nodes.mT, self.weight.unsqueeze(-1), self.bias).mT
        return F.linear(nodes, self.weight, self.bias)

    def extra_repr(self) -> str:
        bias = "" if self.bias is None else ", bias=True"
        return f"{self.in_features}, {self.out_features}{bias}"


def projected(nodes: Tensor, maps: Sequence[nn.Module]) -> Sequence[Tensor]:
    """Z W_i for every map, in the memory layout of Z: one function with one backward pass.

    Args:
        nodes: Z, shape (B, N, in).
        maps: The maps, each (B, N, in) → (B, N, out_i).
    """
    if maps and are_plain(maps, nodes):
        return FanOut.apply(nodes, *(map.weight for map in maps))
    return [map(nodes) for map in maps]


def combined(signals: Sequence[Tensor], maps: Sequence[nn.Module]) -> Tensor:
    """Σ_i Z_i W_i, in the memory layout of Z_0: one function with one backward pass.

    Args:
        signals: Z_i, each (B, N, in_i).
        maps: The maps, each (B, N, in_i) → (B, N, out).
    """
    if are_plain(maps, *signals):
        return FanIn.apply(len(signals), *signals, *(map.weight for map in maps))
    terms = [map(signal) for map, signal in zip(maps, signals, strict=True)]
    return sum(terms[1:], start=terms[0])


def are_plain(
    maps: Sequence[nn.Module | None], *signals: Tensor
) -> TypeGuard[Sequence[NodeLinear]]:
    """Whether nothing but the products of :class:`NodeLinear` would happen.

    A map with a bias is called as it is, and so is one that somebody replaced, reparametrised or
    hung a hook on.
    """
    weights: list[Tensor] = []
    for map in maps:
        if type(map) is not NodeLinear or map.bias is not None or has_hooks(map):
            return False
        weights.append(map.weight)
    for signal in signals:
        if signal.dim() != 3 or not signal.numel():
            return False
    return is_eager(*signals, *weights) and not is_rounded_to_half(signals[0])
