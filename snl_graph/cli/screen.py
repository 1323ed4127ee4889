"""Signs of life on stderr while a command works; stdout holds results alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

T = TypeVar("T")


@contextmanager
def working(what: str) -> Iterator[None]:
    """A spinner and the time that has passed, where stderr is a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        progress.add_task(escape(what), total=None)
        yield


def tracked(items: Sequence[T], what: str) -> Iterable[T]:
    """The items, with a count of those that are done, where stderr is a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield from items
        return
    text = TextColumn("{task.description}")
    columns = (SpinnerColumn(), text, MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        yield from progress.track(items, description=escape(what))
