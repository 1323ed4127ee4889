"""An image as a network takes it."""

from __future__ import annotations

import math
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from snl_graph.cli.errors import CommandError, one_line
from snl_graph.cli.inputs.arrays import read_npy

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm")
# Without those that start other programs, as PostScript does.
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
_BROKEN = (EOFError, IndexError, KeyError, OSError, SyntaxError, TypeError, ValueError)


@dataclass(frozen=True)
class Preparation:
    """What is done to the pixels, in this order.

    Attributes:
        size: H and W to resize to; None keeps the size.
        mean: Subtracted from the pixels, which lie in 0 .. 1; one number, or one a channel.
        std: What they are divided by.
    """

    size: tuple[int, int] | None = None
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    @classmethod
    def parsed(cls, size: str | None, mean: str | None, std: str | None) -> Preparation:
        """Read from options.

        Raises:
            CommandError: If one of them is not what it should be.
        """
        numbers = None if size is None else _numbers(size, "--size")
        if numbers is not None and (
            len(numbers) != 2 or any(n != int(n) or n < 1 for n in numbers)
        ):
            raise CommandError(f'--size is two whole numbers H,W of at least 1; got "{size}".')
        divisors = (1.0,) if std is None else _numbers(std, "--std")
        if any(number <= 0 for number in divisors):
            raise CommandError(f'--std is above 0; got "{std}".')
        return cls(
            None if numbers is None else (int(numbers[0]), int(numbers[1])),
            (0.0,) if mean is None else _numbers(mean, "--mean"),
            divisors,
        )

    @property
    def is_nothing(self) -> bool:
        """Whether the pixels stay as they are."""
        return self == Preparation()

    def apply(self, pixels: Tensor) -> Tensor:
        """The input of a network, (1, C, H, W), of pixels of the same shape in 0 .. 1."""
        channels = pixels.shape[1]
        for name, values in (("--mean", self.mean), ("--std", self.std)):
            if len(values) not in (1, channels):
                raise CommandError(
                    f"{name} is one number or one for each of {channels} channels; got "
                    f"{len(values)}."
                )
        if self.size is not None:
            pixels = interpolate(
                pixels, self.size, mode="bilinear", antialias=True, align_corners=False
            ).clamp(0, 1)
        mean, std = (torch.tensor(v).view(1, -1, 1, 1) for v in (self.mean, self.std))
        return (pixels - mean) / std


def _numbers(text: str, option: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = (math.nan,)
    if not all(map(math.isfinite, numbers)):
        raise CommandError(f'{option} is numbers with commas between them; got "{text}".')
    return numbers


def channels_of(model: nn.Module) -> int:
    """Channels of an image that a network takes: those of its first convolution, 1 or 3."""
    convolutions = (m for m in model.modules() if isinstance(m, nn.Conv2d))
    first = next(convolutions, None)
    return 1 if first is not None and first.in_channels == 1 else 3


def read_input(path: Path, channels: int, preparation: Preparation) -> Tensor:
    """An image as a network takes it, (1, C, H, W); of .npy the numbers as they are, (1, C, ...).

    Raises:
        CommandError: If it is missing, cut off, of another kind, or holds what is not finite.
    """
    if not path.is_file():
        raise CommandError(f"there is no file {path}.")
    if path.suffix.lower() == ".npy":
        if not preparation.is_nothing:
            raise CommandError("--size, --mean and --std are for pictures; .npy is taken as it is.")
        return _as_input(read_npy(path), path)
    if path.suffix.lower() not in SUFFIXES:
        raise CommandError(
            f"{path}: images are read from {', '.join(SUFFIXES)} and .npy; got "
            f"{path.suffix or 'no suffix'}."
        )
    return preparation.apply(_pixels(path, channels))


def _pixels(path: Path, channels: int) -> Tensor:
    try:
        from PIL import Image
    except ImportError as error:
        raise CommandError('images need Pillow: pip install "snl-graph[plot]"') from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=_FORMATS) as image:
                pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise CommandError(f"{path} is too large: {one_line(str(error), 200)}") from error
    except (*_BROKEN, struct.error, zlib.error) as error:
        raise CommandError(
            f"{path} cannot be read as an image: {one_line(str(error), 200).rstrip('.')}."
        ) from error
    levels = torch.from_numpy(pixels.astype(np.float32) / 255)
    return levels[None, None] if channels == 1 else levels.movedim(-1, 0)[None]


def _as_input(array: np.ndarray[Any, Any], path: Path) -> Tensor:
    if array.dtype.kind not in "fiub":
        raise CommandError(f"{path}: an input is real numbers; this array holds {array.dtype}.")
    numbers = torch.from_numpy(array.astype(np.float32))
    if not 2 <= numbers.dim() <= 5 or numbers.numel() == 0:
        raise CommandError(
            f"{path}: an input has shape (C, *spatial) or (1, C, *spatial); got {array.shape}."
        )
    if not bool(numbers.isfinite().all()):
        raise CommandError(f"{path} holds numbers that are not finite (NaN or infinity).")
    return numbers if numbers.shape[0] == 1 and numbers.dim() > 3 else numbers[None]
