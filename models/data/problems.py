"""What can be wrong with a data set's folder, said once for reading and for checking it.

A reader tells its problems to a function. Where a network waits for data that function is
:func:`stop`, which raises the first one; a check collects them all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from models.data.files import DataFileError

KINDS = {
    "missing": "a file or folder that belongs there is not there",
    "unexpected": "a file that no list names, or of another kind",
    "corrupt": "a file that cannot be read whole",
    "split": "a list or table of the split contradicts itself or the files",
    "count": "another number than published",
}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Args:
        kind: A key of :data:`KINDS`.
        path: The file or folder it is about.
        found: What came, and what was expected.
        remedy: What to do.

    Example:
        >>> print(Problem("missing", Path("images.txt"), "is not there.", "Unpack it again."))
        images.txt is not there. Unpack it again.
    """

    kind: str
    path: Path
    found: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.path} {self.found} {self.remedy}"


Tell = Callable[[Problem], None]


def stop(problem: Problem) -> None:
    """Raise the problem as a :class:`DataFileError`."""
    raise DataFileError(str(problem))


def lines_of(path: Path, title: str, tell: Tell) -> list[list[str]]:
    """Words of every line of a list that belongs to a data set; none, and told, if it is absent.

    Example:
        >>> lines_of(Path("nowhere/images.txt"), "CUB-200-2011", stop)
        Traceback (most recent call last):
        models.data.files.DataFileError: nowhere/images.txt is not there; CUB-200-2011 needs it...
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        tell(missing(path, title))
        return []
    except (OSError, UnicodeDecodeError) as error:
        tell(Problem("corrupt", path, f"cannot be read as text: {error}.", "Unpack it again."))
        return []
    lines = [line.split() for line in text.splitlines() if line.strip()]
    if not lines:
        tell(Problem("corrupt", path, "is empty; a list was expected.", "Unpack it again."))
    return lines


def missing(path: Path, title: str) -> Problem:
    """That a file or folder of a data set is not there."""
    return Problem(
        "missing",
        path,
        f"is not there; {title} needs it.",
        "Name the folder that holds the data with --data ROOT, or unpack the data set again.",
    )
