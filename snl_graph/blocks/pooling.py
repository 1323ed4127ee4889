"""Subsampled keys and values."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from snl_graph.checks import whole_number
from snl_graph.grids import Size, flatten, unflatten

_MAX_POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}


class Subsampling:
    """Max pooling of node signals over s positions along each axis.

    Source: Wang et al. (2018), §3.3. Departure: a rest at the border is pooled too; published code
    drops it (``keeps_rest=False``).

    Args:
        stride: s, one number for every axis or one an axis.
        keeps_rest: Pool a rest at the border that has fewer than s positions, or drop it.
        pools_input: Pool X, and project that to keys and values, rather than pool keys and values.
            The maximum of a projection is not the projection of a maximum: weights trained one way
            give other numbers the other way.

    Raises:
        ValueError: If a stride is below 1.
    """

    def __init__(
        self,
        stride: int | tuple[int, ...],
        *,
        keeps_rest: bool = True,
        pools_input: bool = False,
    ) -> None:
        self.stride: int | tuple[int, ...]
        if isinstance(stride, tuple | list) and stride:
            self.stride = tuple(whole_number(s, "each number of subsample") for s in stride)
            self.is_identity = all(s == 1 for s in self.stride)
        else:
            self.stride = whole_number(stride, "subsample")
            self.is_identity = self.stride == 1
        self.keeps_rest = keeps_rest
        self.pools_input = pools_input and not self.is_identity

    def pooled_size(self, size: Size) -> Size:
        """Spatial size after pooling.

        Raises:
            ValueError: If there is not one stride an axis, or nothing is left of an axis.
        """
        strides = (self.stride,) * len(size) if isinstance(self.stride, int) else self.stride
        if len(strides) != len(size):
            raise ValueError(
                f"subsample={self.stride} does not fit a map of size {size}: give one number an "
                "axis, or one for all."
            )
        if self.keeps_rest:
            return tuple(-(-length // s) for length, s in zip(size, strides, strict=True))
        if any(length < s for length, s in zip(size, strides, strict=True)):
            raise ValueError(
                f"subsample={self.stride} drops the rest at the border, and that is all of a map "
                f"of size {size}. Use Subsampling({self.stride}), which keeps it."
            )
        return tuple(length // s for length, s in zip(size, strides, strict=True))

    def pool(self, nodes: Tensor, size: Size, valid: Tensor | None = None) -> Tensor:
        """Signals (B, N, C) pooled to (B, N', C); positions that are not valid are left out."""
        if self.is_identity:
            return nodes
        self.pooled_size(size)  # refuses what does not fit
        if valid is None:
            return self._max(nodes, size)
        masked = nodes.masked_fill(~valid.unsqueeze(-1), torch.finfo(nodes.dtype).min)
        return self._max(masked, size).where(self.pool_valid(valid, size).unsqueeze(-1), 0)

    def _max(self, nodes: Tensor, size: Size) -> Tensor:
        pool = _MAX_POOL[len(size)]
        pooled = pool(unflatten(nodes, size), self.stride, ceil_mode=self.keeps_rest)
        return flatten(pooled)[0]

    def pool_valid(self, valid: Tensor, size: Size) -> Tensor:
        """Which pooled positions hold a valid one, (B, N')."""
        if self.is_identity:
            return valid
        marks = valid.to(torch.float32).unsqueeze(-1)
        return self.pool(marks, size).squeeze(-1) > 0

    def __repr__(self) -> str:
        rest = "" if self.keeps_rest else ", keeps_rest=False"
        of_input = ", pools_input=True" if self.pools_input else ""
        return f"Subsampling({self.stride}{rest}{of_input})"
