"""Fashion-MNIST in torchvision's layout, ``ROOT/FashionMNIST/raw/*-ubyte``."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset
from torchvision.datasets import FashionMNIST

from models.data.files import DataFileError, fetch, require_file, require_folder

NAME = "Fashion-MNIST"
REMEDY = "Delete it and fetch it again with --download."
_GZIP = b"\x1f\x8b"


def idx_shape(path: Path, num_axes: int) -> tuple[int, ...]:
    """Shape that the header of an IDX file of bytes states, after comparing it with the file.

    An IDX file is 0x00 0x00 0x08 (unsigned byte), the number of axes, each length as a big-endian
    32-bit integer, then the data.

    Raises:
        DataFileError: If the file is gzipped, of another type, truncated or too long.
    """
    header_size = 4 + 4 * num_axes
    with path.open("rb") as file:
        header = file.read(header_size)
    if header[:2] == _GZIP:
        raise DataFileError(
            f"{path} is gzipped; expected {NAME}'s file unpacked. "
            f"Unpack it: mv {path} {path}.gz && gunzip {path}.gz"
        )
    expected = bytes([0, 0, 8, num_axes])
    if header[:4] != expected or len(header) < header_size:
        raise DataFileError(
            f"{path} is no IDX file of bytes with {num_axes} axes: it starts with "
            f"{header[:4].hex(' ') or 'nothing'}, expected {expected.hex(' ')}. {REMEDY}"
        )
    shape = tuple(
        int.from_bytes(header[4 + 4 * axis : 8 + 4 * axis], "big") for axis in range(num_axes)
    )
    found, stated = path.stat().st_size, header_size + prod(shape)
    if found != stated:
        what = "truncated" if found < stated else "too long"
        raise DataFileError(
            f"{path} is {what}: {found:,} bytes, expected {stated:,} for the {shape} items of its "
            f"header. {REMEDY}"
        )
    return shape


def check(root: Path, train: bool) -> None:
    """Raise a :class:`DataFileError` unless both files of the part can be read whole."""
    raw = root / "FashionMNIST" / "raw"
    stem = "train" if train else "t10k"
    images = raw / f"{stem}-images-idx3-ubyte"
    labels = raw / f"{stem}-labels-idx1-ubyte"
    require_folder(raw, NAME, f"{images.name} and {labels.name}")
    for path in (images, labels):
        require_file(path, NAME)
    count, height, width = idx_shape(images, 3)
    (num_labels,) = idx_shape(labels, 1)
    if (height, width) != (28, 28):
        raise DataFileError(f"{images} holds images of {height}×{width}, expected 28×28. {REMEDY}")
    if count != num_labels:
        raise DataFileError(
            f"{images} holds {count:,} images but {labels} {num_labels:,} labels. "
            f"Delete both and fetch them again with --download."
        )
    highest = max(labels.read_bytes()[8:], default=0)
    if highest > 9:
        raise DataFileError(f"{labels} holds the label {highest}, expected 0 to 9. {REMEDY}")


def read(root: Path, train: bool, transform: Callable[[Any], Any], download: bool) -> Dataset[Any]:
    """The training or the test part, 60,000 or 10,000 images as published.

    Raises:
        DataFileError: If a file is missing, gzipped, corrupt or truncated.
    """
    if download:
        fetch(lambda: FashionMNIST(root, train=train, download=True), root, NAME)
    check(root, train)
    return FashionMNIST(root, train=train, transform=transform)
