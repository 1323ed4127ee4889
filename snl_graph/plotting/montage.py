"""Values on one to three spatial axes as one flat picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def montage(values: Array, *, colours: bool = False) -> Array:
    """A picture (H, W[, 3]) of values (L), (H, W) or (T, H, W): frames side by side.

    Between two frames lies a column of NaN, which is drawn as the paper. Of colours, last axis,
    it is white.
    """
    spatial = values.ndim - colours
    if spatial == 1:
        return values[None]
    if spatial == 2:
        return values
    gap = np.full((values.shape[1], 1, *values.shape[3:]), 1.0 if colours else np.nan)
    parts: list[Array] = []
    for frame in values:
        parts += [gap, frame]
    return np.concatenate(parts[1:], axis=1)


def place_in_montage(
    position: Sequence[int], size: Sequence[int], shown: Sequence[int]
) -> tuple[float, float]:
    """Column and row, in cells of the picture, of the middle of a position.

    Args:
        position: Counted on a grid of ``size``.
        size: That grid.
        shown: Size of the values of the picture, which may be finer or coarser.
    """
    middles = [
        (at + 0.5) * there / here - 0.5
        for at, here, there in zip(position, size, shown, strict=True)
    ]
    if len(middles) == 1:
        return middles[0], 0.0
    y, x = middles[-2:]
    if len(middles) == 3:
        frame = min(shown[0] - 1, int(middles[0] + 0.5))
        x += frame * (shown[2] + 1)
    return x, y
