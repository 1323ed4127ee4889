"""Picture files, read by Pillow, with an error that names the file."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image
from torch.utils.data import Dataset
from torchvision.datasets.folder import IMG_EXTENSIONS

from models.data.files import DataFileError


class Sample(NamedTuple):
    """A file, or a folder of frames, and its class. Text, since ImageNet has a million of them."""

    path: str
    label: int


def is_picture(name: str) -> bool:
    """Whether a file's name ends as a picture's does.

    Example:
        >>> is_picture("n01440764_10026.JPEG"), is_picture("images.txt")
        (True, False)
    """
    return name.lower().endswith(IMG_EXTENSIONS)


def in_order(names: Iterable[str]) -> list[str]:
    """Names of frames by the numbers in them, whether they are padded with zeros or not.

    Example:
        >>> in_order(["frame10.jpg", "frame9.jpg", "frame011.jpg"])
        ['frame9.jpg', 'frame10.jpg', 'frame011.jpg']
    """

    def key(name: str) -> tuple[list[str | int], str]:
        parts = re.split(r"(\d+)", name)  # text and numbers by turns
        return [int(part) if place % 2 else part for place, part in enumerate(parts)], name

    return sorted(names, key=key)


def lost_numbers(names: Iterable[str]) -> list[int]:
    """Numbers that are left out where frames are otherwise numbered at equal distances.

    Example:
        >>> lost_numbers(["a_01.jpg", "a_02.jpg", "a_04.jpg"]), lost_numbers(["2.jpg", "4.jpg"])
        ([3], [])
    """
    found = [re.findall(r"\d+", Path(name).stem) for name in names]
    numbers = sorted({int(each[-1]) for each in found if each})
    if len(numbers) < max(2, len(found)):
        return []
    step = min(b - a for a, b in pairwise(numbers))
    expected = range(numbers[0], numbers[-1] + 1, step)
    is_even = all(number in expected for number in numbers)
    return sorted(set(expected) - set(numbers)) if is_even else []


def read_picture(path: str | os.PathLike[str]) -> Image.Image:
    """The whole picture, in RGB.

    Raises:
        DataFileError: If it is absent, truncated or no picture.
    """
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except FileNotFoundError as error:
        raise DataFileError(
            f"{path} is not there, though the data set lists it. Unpack the data set again."
        ) from error
    # Pillow raises SyntaxError and ValueError too for some broken headers.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        size = Path(path).stat().st_size if Path(path).is_file() else 0
        raise DataFileError(
            f"{path} is corrupt or truncated: {size:,} bytes, expected a whole picture "
            f"({error}). Copy it again from the data set, or take it out of the list."
        ) from error


class Pictures(Dataset[tuple[Any, int]]):
    """Pictures on disk and their classes, each read when it is asked for.

    Args:
        samples: Files and classes.
        transform: Of a PIL image in RGB.
    """

    def __init__(self, samples: Sequence[Sample], transform: Callable[[Any], Any]) -> None:
        self.samples = samples
        self.transform = transform

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        sample = self.samples[index]
        return self.transform(read_picture(sample.path)), sample.label
