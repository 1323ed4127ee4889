"""CIFAR-10 and CIFAR-100 as their author distributes them, the "python version"."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset
from torchvision.datasets import CIFAR10, CIFAR100

from models.data.files import fetch, require_file, require_folder, require_md5


def name_of(reader: type[CIFAR10]) -> str:
    """Its name for people."""
    return "CIFAR-100" if issubclass(reader, CIFAR100) else "CIFAR-10"


def check(reader: type[CIFAR10], root: Path) -> None:
    """Raise a :class:`DataFileError` unless every file is the published one."""
    name = name_of(reader)
    folder = root / reader.base_folder
    files = [*reader.train_list, *reader.test_list]
    files.append([reader.meta["filename"], reader.meta["md5"]])
    require_folder(folder, name, ", ".join(file for file, _ in files))
    for file, md5 in files:
        require_file(folder / file, name)
        require_md5(folder / file, md5, name)


def _read(
    reader: type[CIFAR10],
    root: Path,
    train: bool,
    transform: Callable[[Any], Any],
    download: bool,
) -> Dataset[Any]:
    if download:
        fetch(lambda: reader(root, train=train, download=True), root, name_of(reader))
    check(reader, root)
    return reader(root, train=train, transform=transform)


def read10(
    root: Path, train: bool, transform: Callable[[Any], Any], download: bool
) -> Dataset[Any]:
    """CIFAR-10 from ``ROOT/cifar-10-batches-py``, 50,000 or 10,000 images.

    Raises:
        DataFileError: If a file is missing or not the published one.
    """
    return _read(CIFAR10, root, train, transform, download)


def read100(
    root: Path, train: bool, transform: Callable[[Any], Any], download: bool
) -> Dataset[Any]:
    """CIFAR-100 from ``ROOT/cifar-100-python``, 50,000 or 10,000 images.

    Raises:
        DataFileError: If a file is missing or not the published one.
    """
    return _read(CIFAR100, root, train, transform, download)
