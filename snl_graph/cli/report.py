"""What a command found, in every form that can be asked for, and where it goes."""

from __future__ import annotations

import csv
import io
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import typer

from snl_graph.cli.errors import CommandError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURES = (".png", ".svg", ".pdf")
NUMBERS = (".json", ".csv", ".npz")


class Report(ABC):
    """Results of a command."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """All facts as plain values for JSON; a complex number is a pair [re, im]."""

    @abstractmethod
    def lines(self) -> Iterable[str]:
        """For a reader at a terminal."""

    @abstractmethod
    def rows(self) -> Iterable[Sequence[object]]:
        """A table, its heads first."""

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """Numbers in full precision by name."""
        raise CommandError("there are no arrays in this result; write .json or .csv.")

    def draw(self, figure: Figure) -> None:
        """Draw into an empty figure."""
        raise CommandError("there is no picture of this result; write .json or .csv.")


@dataclass(frozen=True)
class Destinations:
    """Files to write, each by its suffix a picture or numbers.

    Raises:
        CommandError: Before anything is computed, if one of them cannot be written.
    """

    paths: tuple[Path, ...]
    force: bool
    suffixes: tuple[str, ...] = (*PICTURES, *NUMBERS)

    def __post_init__(self) -> None:
        for path in self.paths:
            self._require_writable(path)
        if len({path.absolute() for path in self.paths}) < len(self.paths):
            raise CommandError("two outputs have the same name.")
        if any(path.suffix.lower() in PICTURES for path in self.paths):
            require_matplotlib()

    def _require_writable(self, path: Path) -> None:
        if path.suffix.lower() not in self.suffixes:
            raise CommandError(
                f"{path} would be of no kind that can be written here; end its name in "
                f"{', '.join(self.suffixes)}."
            )
        if not path.absolute().parent.is_dir():
            raise CommandError(f"{path}: there is no folder {path.parent} to write to.")
        if path.is_dir():
            raise CommandError(f"{path} is a folder; name a file.")
        if path.exists() and not self.force:
            raise CommandError(
                f"{path} exists and was left as it is. Take another name, or replace it on "
                f"purpose with --force."
            )


def require_matplotlib() -> None:
    """Raise a :class:`CommandError` where pictures cannot be drawn."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise CommandError('pictures need matplotlib: pip install "snl-graph[plot]"') from error


def deliver(report: Report, destinations: Destinations, *, as_json: bool) -> None:
    """Write every file, then print: text, or with ``as_json`` one JSON object and nothing else."""
    for path in destinations.paths:
        _WRITERS[path.suffix.lower()](report, path)
    if as_json:
        typer.echo(as_text(report))
        return
    for line in report.lines():
        typer.echo(line)
    for path in destinations.paths:
        typer.echo(f"wrote {path}")


def as_text(report: Report) -> str:
    """The report as JSON, without NaN, which is no JSON."""
    return json.dumps(report.to_dict(), indent=2, allow_nan=False, ensure_ascii=False)


def replace_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file beside ``path`` and put it in place when it is whole."""
    part = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        write(part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _write_json(report: Report, path: Path) -> None:
    replace_whole(path, lambda part: part.write_text(as_text(report) + "\n", encoding="utf-8"))


def _write_csv(report: Report, path: Path) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(report.rows())
    replace_whole(path, lambda part: part.write_text(text.getvalue(), encoding="utf-8"))


def _write_npz(report: Report, path: Path) -> None:
    arrays: dict[str, Any] = report.arrays()
    replace_whole(path, lambda part: np.savez_compressed(part, allow_pickle=False, **arrays))


def _write_picture(report: Report, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained")
    report.draw(figure)
    replace_whole(path, lambda part: figure.savefig(part, dpi=150))


_WRITERS: dict[str, Callable[[Report, Path], None]] = {
    ".json": _write_json,
    ".csv": _write_csv,
    ".npz": _write_npz,
    **dict.fromkeys(PICTURES, _write_picture),
}
