"""CIFAR-10 and CIFAR-100 as their author distributes them, the "python version"."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from torch.utils.data import Dataset
from torchvision.datasets import CIFAR10, CIFAR100

from models.data.files import DataFileError, fetch, require_file, require_folder, require_md5
from models.data.layout import Layout, Survey
from models.data.problems import Problem, Tell
from models.data.synthetic import Painter, Plan, read_marker


def name_of(reader: type[CIFAR10]) -> str:
    """Its name for people."""
    return "CIFAR-100" if issubclass(reader, CIFAR100) else "CIFAR-10"


def as_marked(reader: type[CIFAR10], root: Path) -> type[CIFAR10]:
    """The reader, or one that expects the files of a folder that says it is synthetic."""
    marker = read_marker(root, name_of(reader))
    if marker is None:
        return reader
    md5 = marker.get("md5", {})
    renewed = {
        name: [[file, md5.get(file, "")] for file, _ in getattr(reader, name)]
        for name in ("train_list", "test_list")
    }
    meta = {**reader.meta, "md5": md5.get(reader.meta["filename"], "")}
    return type("SyntheticCIFAR", (reader,), {**renewed, "meta": meta})


def check(reader: type[CIFAR10], root: Path) -> None:
    """Raise a :class:`DataFileError` unless every file is the published one."""
    name = name_of(reader)
    reader = as_marked(reader, root)
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
    return as_marked(reader, root)(root, train=train, transform=transform)


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


class Cifar(Layout):
    """Pickles with published MD5 sums.

    Attributes:
        reader: torchvision's.
    """

    reader: ClassVar[type[CIFAR10]]

    @property
    def published(self) -> Mapping[str, int]:
        classes = 100 if issubclass(self.reader, CIFAR100) else 10
        return {"classes": classes, "train": 50_000, "test": 10_000}

    def folders(self, root: Path) -> list[Path]:
        return [root / self.reader.base_folder]

    def classes(self, root: Path) -> list[str]:
        return list(self._opened(root, False).classes)

    def _opened(self, root: Path, train: bool) -> CIFAR10:
        check(self.reader, root)
        return as_marked(self.reader, root)(root, train=train)

    def survey(self, root: Path, tell: Tell) -> Survey:
        folder = root / self.reader.base_folder
        files = {
            "train": [file for file, _ in self.reader.train_list],
            "test": [file for file, _ in self.reader.test_list],
            "meta": [self.reader.meta["filename"], "readme.html", "file.txt~"],
        }
        listed = {
            part: [
                str(folder / name) for name in names if (folder / name).exists() or part != "meta"
            ]
            for part, names in files.items()
        }
        reader = as_marked(self.reader, root)
        whole = True
        for name, md5 in [*reader.train_list, *reader.test_list, list(reader.meta.values())[::2]]:
            try:
                require_file(folder / name, self.title)
                require_md5(folder / name, md5, self.title)
            except DataFileError as error:
                whole = False
                kind = "corrupt" if (folder / name).exists() else "missing"
                tell(Problem(kind, folder / name, "is not as published:", str(error)))
        if not whole:
            return Survey({}, listed)
        parts = {part: self._opened(root, part == "train") for part in ("train", "test")}
        counts = {part: len(opened) for part, opened in parts.items()}
        counts["classes"] = len(parts["test"].classes)
        return Survey(counts, listed)

    def read(
        self, root: Path, train: bool, transform: Callable[[Any], Any], download: bool
    ) -> Dataset[Any]:
        return _read(self.reader, root, train, transform, download)

    def make(self, root: Path, plan: Plan, painter: Painter) -> dict[str, Any]:
        classes = self.published["classes"]
        if plan.classes > classes:
            raise ValueError(f"{self.title} has {classes} classes; got --classes {plan.classes}.")
        painter = Painter(replace(plan, height=32, width=32))
        folder = root / self.reader.base_folder
        folder.mkdir(parents=True)
        md5 = {}

        def write(name: str, content: dict[str, Any]) -> None:
            data = pickle.dumps(content)
            (folder / name).write_bytes(data)
            md5[name] = hashlib.md5(data, usedforsecurity=False).hexdigest()

        key = "fine_labels" if classes == 100 else "labels"
        labels = np.arange(plan.classes * plan.items) % plan.classes
        for files in (self.reader.train_list, self.reader.test_list):
            for (name, _), part in zip(files, np.array_split(labels, len(files)), strict=True):
                pixels = [painter.picture(int(label)).transpose(2, 0, 1).ravel() for label in part]
                data = np.array(pixels, dtype=np.uint8).reshape(len(part), 3 * 32 * 32)
                write(name, {"data": data, key: part.tolist()})
        names = [f"class_{label + 1}" for label in range(classes)]
        write(self.reader.meta["filename"], {self.reader.meta["key"]: names})
        counts = {"classes": classes, "train": len(labels), "test": len(labels)}
        return {"counts": counts, "md5": md5}


class Cifar10(Cifar):
    """``ROOT/cifar-10-batches-py``."""

    title: ClassVar[str] = "CIFAR-10"
    reader: ClassVar[type[CIFAR10]] = CIFAR10


class Cifar100(Cifar):
    """``ROOT/cifar-100-python``."""

    title: ClassVar[str] = "CIFAR-100"
    reader: ClassVar[type[CIFAR10]] = CIFAR100
