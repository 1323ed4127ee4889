"""A data set's layout on disk: one object that reads it, checks it, and makes a tiny one."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from torch.utils.data import Dataset

from models.data.files import DataFileError
from models.data.pictures import Sample
from models.data.problems import Problem, Tell
from models.data.synthetic import Painter, Plan

_LITTER = ("Thumbs.db", "desktop.ini")  # archives made on Windows carry them along


@dataclass(frozen=True)
class Survey:
    """What the lists of a data set say, before any picture is opened.

    Attributes:
        counts: Of parts and classes.
        listed: Files, or folders of frames, by part.
    """

    counts: Mapping[str, int]
    listed: Mapping[str, list[str]]


def survey_of_samples(parts: Mapping[str, Sequence[Sample]]) -> Survey:
    """Counts and files of parts, and the count of the classes that they have together."""
    counts = {part: len(samples) for part, samples in parts.items()}
    counts["classes"] = len({s.label for samples in parts.values() for s in samples})
    return Survey(counts, {part: [s.path for s in found] for part, found in parts.items()})


class Layout(ABC):
    """One data set as its authors distribute it.

    Attributes:
        title: Its name for people.
        disjoint: Parts that must not share a file.
    """

    title: ClassVar[str]
    disjoint: ClassVar[tuple[str, ...]] = ("train", "test")

    @property
    @abstractmethod
    def published(self) -> Mapping[str, int]:
        """Counts that its authors state."""

    @abstractmethod
    def survey(self, root: Path, tell: Tell) -> Survey:
        """Read lists and folders, telling whatever is wrong."""

    @abstractmethod
    def folders(self, root: Path) -> list[Path]:
        """Folders in which every file should be listed."""

    @abstractmethod
    def classes(self, root: Path) -> list[str]:
        """Names of the classes (or of the persons to train with), in the order of their numbers.

        Raises:
            DataFileError: If what tells them is missing or corrupt.
        """

    @abstractmethod
    def read(
        self, root: Path, train: bool, transform: Callable[[Any], Any], download: bool
    ) -> Dataset[Any]:
        """The training or the test part.

        Raises:
            DataFileError: At the first thing that is wrong.
        """

    def read_with_flow(
        self, root: Path, train: bool, transform: Callable[[Any], Any], download: bool
    ) -> Dataset[Any]:
        """As :meth:`read`, but in training with optical flow in two more channels.

        Raises:
            ValueError: If no flow is known for these data.
        """
        raise ValueError(
            f"no optical flow is known for {self.title}, which a teacher of flow needs; "
            f"ucf101 and ucf101_holdout have some."
        )

    @abstractmethod
    def make(self, root: Path, plan: Plan, painter: Painter) -> dict[str, Any]:
        """Write a tiny one, and return what its marker is to say: its ``counts``, at least."""


def locate(root: Path, *names: str) -> Path:
    """Folder of a data set: one of those names below ``root``, or else ``root`` itself.

    Example:
        >>> locate(Path("data/CUB_200_2011"), "CUB_200_2011").name
        'CUB_200_2011'
    """
    for name in names:
        if (root / name).is_dir():
            return root / name
    return root


def refuse_download(title: str, source: str) -> None:
    """Raise a :class:`DataFileError`: that data set cannot be fetched for the user.

    Args:
        title: Name of the data set.
        source: Where it is to be had.
    """
    raise DataFileError(
        f"{title} is not fetched for you: its authors ask for an agreement or its archives must be "
        f"unpacked by hand. Get it from {source}, unpack it, and leave --download out."
    )


def class_folders(
    folder: Path, title: str, is_wanted: Callable[[os.DirEntry[str]], bool], tell: Tell
) -> dict[str, list[str]]:
    """Files of every class folder, both in the order of their names.

    Args:
        folder: Holds a folder for each class.
        title: Of the data set.
        is_wanted: Whether an entry of a class folder is a sample.
        tell: Told of a missing folder and of classes without samples.
    """
    if not folder.is_dir():
        tell(_no_folder(folder, title))
        return {}
    found = {}
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if not entry.is_dir() or entry.name.startswith("."):
            continue
        found[entry.name] = sorted(item.path for item in os.scandir(entry.path) if is_wanted(item))
        if not found[entry.name]:
            tell(
                Problem(
                    "missing",
                    Path(entry.path),
                    "is a class folder without a sample; each needs at least one.",
                    "Put its files there, or take the folder away.",
                )
            )
    if not found:
        tell(
            Problem(
                "missing",
                folder,
                f"holds no class folder; {title} has one folder for each class.",
                "Sort the files into folders named by their class.",
            )
        )
    return found


def _no_folder(folder: Path, title: str) -> Problem:
    return Problem(
        "missing",
        folder,
        f"does not exist; {title} has a folder of classes there.",
        "Name the folder above it with --data ROOT.",
    )


def labelled(found: Mapping[str, list[str]], classes: list[str]) -> list[Sample]:
    """Samples of class folders, numbered by the place of their class in ``classes``."""
    number = {name: place for place, name in enumerate(classes)}
    return [
        Sample(path, number[name])
        for name, paths in found.items()
        if name in number
        for path in paths
    ]


def files_below(folder: Path) -> Iterator[tuple[str, int]]:
    """Path and bytes of every file below a folder; hidden ones and a desktop's own left out."""
    for place, folders, _ in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        with os.scandir(place) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                is_litter = entry.name.startswith(".") or entry.name in _LITTER
                if entry.is_file() and not is_litter:
                    yield entry.path, entry.stat().st_size
