"""What went wrong, on one line: status 2 and no traceback, unless it is asked for."""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import typer

Command = TypeVar("Command", bound=Callable[..., None])

TRACEBACK = "SNL_GRAPH_TRACEBACK"
"""Environment variable: set to anything, errors keep their traceback."""

# What the library advises in Python, in the words of the command line.
_IN_OPTIONS = {
    "spectrum(obj, k=16)": "`-k 16`",
    "spectrum(obj, k=...)": "`snl-graph spectrum -k`",
    "spectrum(obj).eigenvalues": "`snl-graph spectrum`",
    "spectral_density(obj)": "`snl-graph density`",
    "(k=...)": "(`-k`)",
    "stride=": "--stride ",
    "max_bytes=": "--max-bytes ",
    "to return, or None; got": "to return (`-k`); got",
}


class CommandError(ValueError):
    """Something that whoever called the command can put right."""


def reported(command: Command) -> Command:
    """The command with its errors on one line of stderr and status 2; warnings a line each.

    Set the environment variable ``SNL_GRAPH_TRACEBACK`` to see where an error comes from.
    """

    @functools.wraps(command)
    def run(*args: Any, **options: Any) -> None:
        name = f"snl-graph {command.__module__.rpartition('.')[2]}"
        failure: Exception | None = None
        with warnings.catch_warnings(record=True) as caught:
            try:
                command(*args, **options)
            except (BrokenPipeError, typer.Exit, typer.Abort):
                raise
            except (
                ArithmeticError,
                ImportError,
                LookupError,
                MemoryError,
                OSError,
                RuntimeError,  # PyTorch's own
                TypeError,
                ValueError,
            ) as error:
                if TRACEBACK in os.environ:
                    raise
                failure = error
        if failure is not None:  # of what went before, warnings would only distract
            typer.echo(f"{name}: {described(failure)}", err=True)
            raise typer.Exit(2)
        for message in dict.fromkeys(
            one_line(str(one.message))
            for one in caught
            if not issubclass(one.category, DeprecationWarning | FutureWarning)
        ):
            typer.echo(f"{name}: warning: {message}", err=True)

    return run  # type: ignore[return-value]


def described(error: BaseException) -> str:
    """An error in one printable line, its advice in the words of the command line."""
    if isinstance(error, MemoryError):
        detail = f" ({one_line(str(error))})" if str(error) else ""
        return f"this takes more memory than there is{detail}. Take a smaller graph or image."
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return one_line(f"{error.filename}: {error.strerror}.")
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    for python, option in _IN_OPTIONS.items():
        text = text.replace(python, option)
    return one_line(text) or type(error).__name__


def one_line(text: str, most: int = 1000) -> str:
    """The text without line breaks and without characters that would steer a terminal."""
    flat = " ".join(text.split())
    shown = "".join(char if char.isprintable() else "�" for char in flat)
    return shown if len(shown) <= most else shown[:most] + " …"
