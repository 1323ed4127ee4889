"""Subsampled keys and values."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from snl_graph.grids import Size, flatten, unflatten

_MAX_POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}


class Subsampling:
    """Max pooling of node signals over s positions along each axis.

    Source: Wang et al. (2018), §3.3. Departure: a rest at the border is pooled too, not dropped.

    Args:
        stride: s, one number for every axis or one an axis.

    Raises:
        ValueError: If a stride is below 1.
    """

    def __init__(self, stride: int | tuple[int, ...]) -> None:
        strides = (stride,) if isinstance(stride, int) else tuple(stride)
        if not strides or any(not isinstance(s, int) or s < 1 for s in strides):
            raise ValueError(f"subsample is a whole number ≥ 1, or one an axis; got {stride!r}.")
        self.stride = stride if isinstance(stride, int) else strides
        self.is_identity = all(s == 1 for s in strides)

    def pool(self, nodes: Tensor, size: Size, valid: Tensor | None = None) -> Tensor:
        """Signals (B, N, C) pooled to (B, N', C); positions that are not valid are left out."""
        if self.is_identity:
            return nodes
        if not isinstance(self.stride, int) and len(self.stride) != len(size):
            raise ValueError(f"subsample={self.stride} does not fit a map of size {size}.")
        pool = _MAX_POOL[len(size)]
        if valid is None:
            return flatten(pool(unflatten(nodes, size), self.stride, ceil_mode=True))[0]
        floor = nodes.detach().amin().clamp(max=0) - 1
        masked = nodes.where(valid.unsqueeze(-1), floor)
        pooled = flatten(pool(unflatten(masked, size), self.stride, ceil_mode=True))[0]
        return pooled.where(self.pool_valid(valid, size).unsqueeze(-1), 0)

    def pool_valid(self, valid: Tensor, size: Size) -> Tensor:
        """Which pooled positions hold a valid one, (B, N')."""
        if self.is_identity:
            return valid
        marks = valid.to(torch.float32).unsqueeze(-1)
        return self.pool(marks, size).squeeze(-1) > 0
