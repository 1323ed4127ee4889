"""Matrix products whose result lies in memory as the signal does."""

from __future__ import annotations

import torch
from torch import Tensor


def batched(left: Tensor, right: Tensor) -> Tensor:
    """``left @ right`` of tensors that share their batch; with one batch axis without detours."""
    is_plain = left.dim() == right.dim() == 3 and left.shape[0] == right.shape[0]
    return torch.bmm(left, right) if is_plain else left @ right


def is_node_minor(signal: Tensor) -> bool:
    """Whether a signal (*batch, N, C), or a part of its channels, lies in memory as (*batch, C, N).

    The signal of a feature map (B, C, H, W) does.
    """
    return signal.stride(-2) == 1 and signal.stride(-1) >= signal.shape[-2]


def product(left: Tensor, right: Tensor, like: Tensor) -> Tensor:
    """``left @ right``; where ``like`` lies in memory as (*batch, C, N), so does the result.

    The signal of a feature map (B, C, H, W) lies so: the next convolution and norm then find the
    map as it was, without a copy.
    """
    if is_node_minor(like):
        return batched(right.mT, left.mT).mT
    return batched(left, right)


def add_product_(total: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """``total += left @ right`` in place and without a copy of the product, where it is a batch."""
    if total.dim() != 3:
        return total.add_(left @ right)
    if total.is_contiguous():
        return total.baddbmm_(left, right)
    total.mT.baddbmm_(right.mT, left.mT)
    return total


def laid_as(signal: Tensor, like: Tensor) -> Tensor:
    """The same numbers, in memory as (*batch, C, N) where ``like`` lies so; else contiguous."""
    if is_node_minor(like):
        return signal.mT.contiguous().mT
    return signal.contiguous()


def empty_as(signal: Tensor, width: int) -> Tensor:
    """An empty signal (B, N, width), in memory as ``signal``, (B, N, ·), lies."""
    batch, count, _ = signal.shape
    if is_node_minor(signal):
        return signal.new_empty(batch, width, count).mT
    return signal.new_empty(batch, count, width)
