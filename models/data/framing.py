"""How a picture or a clip of any size is brought to the size a network sees."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from torchvision.transforms import v2

Size = tuple[int, int]


class Framing(ABC):
    """Steps of torchvision's transforms, for tensors (..., C, H, W): a clip is cut as one."""

    @abstractmethod
    def train(self, size: Size) -> list[Any]:
        """At random."""

    @abstractmethod
    def test(self, size: Size) -> list[Any]:
        """Always alike."""


class AsItIs(Framing):
    """Pictures that have their size already."""

    def train(self, size: Size) -> list[Any]:
        return []

    def test(self, size: Size) -> list[Any]:
        return []


@dataclass(frozen=True)
class Whole(Framing):
    """All of the picture, its proportions changed if need be: boxes around a person."""

    def train(self, size: Size) -> list[Any]:
        return [v2.Resize(size, antialias=True)]

    def test(self, size: Size) -> list[Any]:
        return [v2.Resize(size, antialias=True)]


@dataclass(frozen=True)
class ShortSide(Framing):
    """Resize so that the short side is ``margin`` times the crop's; crop at random, or the centre.

    Args:
        margin: 8/7 makes 512 of a crop of 448, 256 of 224 and 128 of 112 pixels.
    """

    margin: float = 8 / 7

    def _resized(self, size: Size) -> Any:
        return v2.Resize(round(max(size) * self.margin), antialias=True)

    def train(self, size: Size) -> list[Any]:
        return [self._resized(size), v2.RandomCrop(size)]

    def test(self, size: Size) -> list[Any]:
        return [self._resized(size), v2.CenterCrop(size)]


@dataclass(frozen=True)
class ResizedCrop(ShortSide):
    """In training a random part of the picture, of random proportions, resized to the crop.

    Args:
        smallest: Least share of the picture's area.
    """

    smallest: float = 0.08

    def train(self, size: Size) -> list[Any]:
        return [v2.RandomResizedCrop(size, scale=(self.smallest, 1.0), antialias=True)]
