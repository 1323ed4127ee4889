"""Far pair: two handwritten digits at opposite ends of a wide canvas; are they of one class?

Where no unit of a CNN sees both digits, its features before global average pooling depend on one
digit each, so a linear head after the pooling scores f(left) + g(right). Same and different pairs
are equally frequent for every digit, so the gradient of the expected cross-entropy over such sums
vanishes at f = g = 0; the loss is convex in f and g, so nothing beats chance's log 2.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from models.data import digits

DIGIT = 8
GAP = 24
"""Empty columns between the digits, so that only a field of 26 columns touches both."""

WIDTH = DIGIT + GAP + DIGIT
"""Pixels."""

TRAIN_PAIRS = 2048
TEST_PAIRS = 2000
SAME = 1
"""Class of a pair of one class; 0 is a pair of two classes."""


def canvas(left: Tensor, right: Tensor, gap: int = GAP) -> Tensor:
    """Digits (..., 8, 8) at the ends of an empty canvas (..., 8, 16 + gap)."""
    image = left.new_zeros(*left.shape[:-1], 2 * DIGIT + gap)
    image[..., :DIGIT] = left
    image[..., -DIGIT:] = right
    return image


class FarPairs(Dataset[tuple[Tensor, int]]):
    """Random pairs: every second one of one class, the others of two different classes.

    Every class is equally frequent on the left and on the right, in pairs of either kind, and every
    image of a class is equally frequent. A pair of one class is never an image with itself.

    Args:
        images: (n, 1, 8, 8); at least two of each class.
        classes: (n,), 0 to 9.
        length: Pairs in one pass.
        transform: Of one canvas.
        seed: Draw pair ``i`` always alike, from this seed and ``i``. None draws new pairs in each
            pass, from PyTorch's global generator.
    """

    def __init__(
        self,
        images: Tensor,
        classes: Tensor,
        length: int,
        transform: Callable[[Tensor], Tensor],
        seed: int | None = None,
    ) -> None:
        self.images, self.classes = images, classes
        self.members = [(classes == label).nonzero().flatten() for label in range(10)]
        self.length = length
        self.transform = transform
        self.seed = seed

    def __len__(self) -> int:
        return self.length

    def draw(self, index: int) -> tuple[int, int, int]:
        """Left image, right image, and whether they are of one class."""
        generator = None
        if self.seed is not None:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + index)

        def below(bound: int) -> int:
            return int(torch.randint(bound, (), generator=generator))

        same = index % 2
        label = below(10)
        lefts = self.members[label]
        left = int(lefts[below(len(lefts))])
        rights = lefts[lefts != left] if same == SAME else self.members[(label + 1 + below(9)) % 10]
        return left, int(rights[below(len(rights))]), same

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        left, right, same = self.draw(index)
        return self.transform(canvas(self.images[left], self.images[right])), same


def read(root: Path, train: bool, transform: Callable[[Any], Any], download: bool) -> Dataset[Any]:
    """Pairs of training digits, new in each pass, or fixed pairs of test digits.

    No digit occurs in both parts. ``root`` and ``download`` are not needed.
    """
    images, classes = digits.arrays(train)
    if train:
        return FarPairs(images, classes, TRAIN_PAIRS, transform)
    return FarPairs(images, classes, TEST_PAIRS, transform, seed=0)
