"""Check a data set's folder: what is missing, unexpected, corrupt, contradictory or miscounted."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations, islice
from pathlib import Path
from typing import Any

from models.data.files import DataFileError
from models.data.layout import Layout, Survey, files_below
from models.data.pictures import is_picture, lost_numbers, read_picture
from models.data.problems import KINDS, Problem, Tell, missing
from models.data.source import DATASETS
from models.data.synthetic import MARKER, read_marker
from models.data.videos import VideoFile, is_video
from snl_graph.names import lookup

SHOWN = 20
"""Problems of one kind in a printed report."""

LAYOUTS = {name: spec.layout for name, spec in DATASETS.items() if spec.layout is not None}
"""Data sets that lie on disk, by the name that recipes use."""

Progress = Callable[[Iterable[str], int], Iterable[str]]


@dataclass(frozen=True)
class Report:
    """What a check found.

    Attributes:
        title: Of the data set.
        root: The folder.
        problems: In the order they were found.
        counts: Of parts and classes, as found.
        files: Files below the data set's folders.
        decoded: How many of them were decoded; None if that was not asked for.
        is_synthetic: Whether counts were compared with a marker's, not with the published ones.
    """

    title: str
    root: Path
    problems: tuple[Problem, ...]
    counts: dict[str, int]
    files: int
    decoded: int | None
    is_synthetic: bool

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """For JSON: every problem, and the facts above."""
        return {
            "dataset": self.title,
            "root": str(self.root),
            "ok": self.ok,
            "synthetic": self.is_synthetic,
            "counts": self.counts,
            "files": self.files,
            "decoded": self.decoded,
            "problems": [
                {"kind": p.kind, "path": str(p.path), "found": p.found, "remedy": p.remedy}
                for p in self.problems
            ],
        }

    def __str__(self) -> str:
        found = f"{len(self.problems):,} problem" + ("s" if len(self.problems) != 1 else "")
        lines = [f"{self.title} at {self.root}: {'nothing is wrong' if self.ok else found}"]
        if self.is_synthetic:
            lines.append(f"  synthetic: counts compared with {MARKER}, not with the published ones")
        counted = ", ".join(f"{count:,} {name}" for name, count in self.counts.items())
        how = "none decoded; --deep does" if self.decoded is None else f"{self.decoded:,} decoded"
        lines.append(f"  {counted or 'nothing could be counted'}; {self.files:,} files, {how}")
        for kind, meaning in KINDS.items():
            of_kind = [problem for problem in self.problems if problem.kind == kind]
            if of_kind:
                lines.append(f"  {kind} ({len(of_kind):,}): {meaning}")
                lines += [f"    {problem}" for problem in of_kind[:SHOWN]]
            if len(of_kind) > SHOWN:
                lines.append(f"    ... and {len(of_kind) - SHOWN:,} more; --json lists them all")
        return "\n".join(lines)


def check(name: str, root: Path, *, deep: bool = False, progress: Progress | None = None) -> Report:
    """Compare a folder with the published layout of a data set.

    Args:
        name: Of the data set, as recipes name it.
        root: The folder that ``--data`` would name.
        deep: Decode every picture and every video.
        progress: Wraps the files to decode, given their number.

    Raises:
        ValueError: If there is no such data set on disk; lists the choices.

    Cost: one listing of the folder; MD5 sums of CIFAR; with ``deep`` every file is read.
    """
    layout = lookup(LAYOUTS, name, "data set on disk")
    problems: list[Problem] = []
    if not root.is_dir():
        absent = missing(root, layout.title)
        return Report(layout.title, root, (absent,), {}, 0, None, False)
    try:
        marker = read_marker(root, layout.title)
    except DataFileError as error:
        problems.append(Problem("corrupt", root / MARKER, str(error), ""))
        marker = None
    survey = layout.survey(root, problems.append)
    problems = list(dict.fromkeys(problems))  # a list that several parts need is told of once
    # Without its lists a data set cannot be counted, and every file is in none of them.
    lists_are_there = not any(
        problem.kind in ("missing", "corrupt") and problem.path.suffix and not problem.path.is_dir()
        for problem in problems
    )
    sizes = {path: size for folder in layout.folders(root) for path, size in files_below(folder)}
    sizes.pop(str(root / MARKER), None)
    whole = list(_compare(sizes, survey, problems.append))
    _overlap(layout, root, survey, problems.append)
    if lists_are_there:
        _count(layout, root, survey, marker, problems.append)
    else:
        problems = [problem for problem in problems if problem.kind != "unexpected"]
    if deep:
        files: Iterable[str] = whole if progress is None else progress(whole, len(whole))
        problems += _decode(files)
    decoded = len(whole) if deep else None
    counts = dict(survey.counts)
    return Report(
        layout.title, root, tuple(problems), counts, len(sizes), decoded, marker is not None
    )


def _compare(sizes: dict[str, int], survey: Survey, tell: Tell) -> Iterator[str]:
    """Compare files with lists; yields those that can be decoded."""
    listed = {os.path.normpath(path) for paths in survey.listed.values() for path in paths}
    folders = {os.path.dirname(path) for path in sizes}
    for path in sorted(listed - sizes.keys() - folders):
        what = "is not there, though the data set lists it."
        tell(Problem("missing", Path(path), what, "Unpack the data set again."))
    frames: dict[str, list[str]] = {}
    for path, size in sizes.items():
        folder, name = os.path.split(path)
        of_frames = folder in listed
        if path not in listed and not (of_frames and is_picture(path)):
            what = "is in no list of the data set." if not of_frames else "is no picture."
            tell(
                Problem("unexpected", Path(path), what, "Take it away, or unpack the lists again.")
            )
            continue
        if of_frames:
            frames.setdefault(folder, []).append(name)
        if size == 0:
            tell(Problem("corrupt", Path(path), "is empty.", "Copy it again from the data set."))
        elif is_picture(path) or is_video(path):
            yield path
    for folder, names in frames.items():
        if lost := lost_numbers(names):
            more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
            what = f"holds {len(names)} frames and lacks {', '.join(map(str, lost[:3]))}{more}."
            tell(Problem("missing", Path(folder), what, "Extract its frames again."))


def _overlap(layout: Layout, root: Path, survey: Survey, tell: Tell) -> None:
    parts = [part for part in layout.disjoint if part in survey.listed]
    for first, second in combinations(parts, 2):
        for path in sorted(set(survey.listed[first]) & set(survey.listed[second])):
            what = f"is in the {first} part and in the {second} part."
            tell(Problem("split", Path(path), what, "Unpack the lists again."))


def _count(
    layout: Layout, root: Path, survey: Survey, marker: dict[str, Any] | None, tell: Tell
) -> None:
    for name, expected in (layout.published if marker is None else marker["counts"]).items():
        found = survey.counts.get(name)
        if found is not None and found != expected:
            source = "published" if marker is None else f"told by {MARKER}"
            what = f"holds {found:,} {name}; {expected:,} are {source}."
            tell(Problem("count", root, what, "Unpack the data set again."))


def _decode(files: Iterable[str]) -> Iterator[Problem]:
    # Decoders let go of Python's lock; pieces keep the queue of a million files short.
    waiting = iter(files)
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        while piece := list(islice(waiting, 512)):
            yield from (problem for problem in pool.map(_decoded, piece) if problem is not None)


def _decoded(path: str) -> Problem | None:
    try:
        if is_picture(path):
            read_picture(path)
        else:
            VideoFile(Path(path)).decode()
    except DataFileError as error:
        return Problem("corrupt", Path(path), str(error).removeprefix(path).strip(), "")
    return None
