"""Which positions a page holds: all of them, or every s-th where the page would weigh too much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from snl_graph.attention import BlockAttention
from snl_graph.explorer.picture import volume
from snl_graph.grids import num_positions

_BASE64 = 4 / 3


@dataclass(frozen=True)
class Sample:
    """Positions on a coarser grid: the middles of cells of ``stride`` × ``stride`` positions.

    Attributes:
        stride: Along rows and columns; every frame is held.
        size: Frames, rows and columns of the map.
    """

    stride: int
    size: tuple[int, int, int]

    @property
    def axes(self) -> tuple[list[int], list[int], list[int]]:
        """Frames, rows and columns that are held."""
        frames, rows, columns = self.size
        return list(range(frames)), self._middles(rows), self._middles(columns)

    def _middles(self, length: int) -> list[int]:
        starts = range(0, length, self.stride)
        return [(start + min(start + self.stride, length) - 1) // 2 for start in starts]

    @property
    def positions(self) -> Tensor:
        """Their numbers in the map, row-major."""
        frames, rows, columns = (torch.tensor(axis) for axis in self.axes)
        _, height, width = self.size
        return ((frames[:, None, None] * height + rows[:, None]) * width + columns).flatten()


def choose_samples(
    attentions: Sequence[BlockAttention], stride: int | None, budget: float
) -> list[Sample]:
    """A sample for each block: the stride asked for, or the finest that keeps within the budget.

    Args:
        attentions: Of the blocks.
        stride: For all of them; None to choose.
        budget: Bytes that all rows together may take, before compression.
    """
    strides = [stride or 1] * len(attentions)

    def weight(index: int) -> float:
        seen = attentions[index]
        count = len(Sample(strides[index], volume(seen.size)).positions)
        return _BASE64 * count * num_positions(seen.source_size) * len(seen.views)

    if stride is None:
        while sum(weights := [weight(i) for i in range(len(attentions))]) > budget:
            heaviest = max(range(len(weights)), key=weights.__getitem__)
            if strides[heaviest] >= max(volume(attentions[heaviest].size)[1:]):
                break  # one position a frame is left; the page says itself what it weighs
            strides[heaviest] += 1
    return [Sample(step, volume(seen.size)) for step, seen in zip(strides, attentions, strict=True)]
