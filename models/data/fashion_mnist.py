"""Fashion-MNIST in torchvision's layout, ``ROOT/FashionMNIST/raw/*-ubyte``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from torch.utils.data import Dataset
from torchvision.datasets import FashionMNIST

from models.data.files import DataFileError, fetch, require_file, require_folder
from models.data.layout import Layout, Survey
from models.data.problems import Problem, Tell
from models.data.synthetic import Painter, Plan

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


class FashionMnist(Layout):
    """Four IDX files; torchvision leaves the gzipped ones beside them."""

    title: ClassVar[str] = NAME

    @property
    def published(self) -> Mapping[str, int]:
        return {"classes": 10, "train": 60_000, "test": 10_000}

    def folders(self, root: Path) -> list[Path]:
        return [root / "FashionMNIST" / "raw"]

    def classes(self, root: Path) -> list[str]:
        return list(FashionMNIST.classes)

    def survey(self, root: Path, tell: Tell) -> Survey:
        (raw,) = self.folders(root)
        counts, listed = {"classes": 10}, {}
        for part, stem in (("train", "train"), ("test", "t10k")):
            names = [f"{stem}-images-idx3-ubyte", f"{stem}-labels-idx1-ubyte"]
            zipped = [f"{name}.gz" for name in names if (raw / f"{name}.gz").is_file()]
            listed[part] = [str(raw / name) for name in [*names, *zipped]]
            try:
                check(root, part == "train")
                counts[part], *_ = idx_shape(raw / names[0], 3)
            except DataFileError as error:
                kind = "corrupt" if all((raw / name).is_file() for name in names) else "missing"
                tell(Problem(kind, raw, f"cannot give the {part} part:", str(error)))
        return Survey(counts, listed)

    def read(
        self, root: Path, train: bool, transform: Callable[[Any], Any], download: bool
    ) -> Dataset[Any]:
        return read(root, train, transform, download)

    def make(self, root: Path, plan: Plan, painter: Painter) -> dict[str, Any]:
        if plan.classes > 10:
            raise ValueError(f"{NAME} has 10 classes; got --classes {plan.classes}.")
        painter = Painter(replace(plan, height=28, width=28))
        (raw,) = self.folders(root)
        raw.mkdir(parents=True)
        labels = np.arange(plan.classes * plan.items) % plan.classes
        for stem in ("train", "t10k"):
            grey = np.stack([painter.picture(int(label)).mean(axis=-1) for label in labels])
            (raw / f"{stem}-images-idx3-ubyte").write_bytes(_idx(grey.astype(np.uint8)))
            (raw / f"{stem}-labels-idx1-ubyte").write_bytes(_idx(labels.astype(np.uint8)))
        return {"counts": {"classes": 10, "train": len(labels), "test": len(labels)}}


def _idx(array: npt.NDArray[np.uint8]) -> bytes:
    header = bytes([0, 0, 8, array.ndim])
    return header + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()
