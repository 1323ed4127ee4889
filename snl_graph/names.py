"""The one place where a string from a caller becomes an object."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")


def lookup(table: Mapping[str, T], name: str, what: str) -> T:
    """Entry of ``table`` called ``name``.

    Args:
        table: Choices by name.
        name: What the caller wrote.
        what: What is being chosen, for the error ("kernel", "mask", ...).

    Returns:
        ``table[name]``.

    Raises:
        ValueError: If there is no such name; lists the choices and the nearest one.
        TypeError: If ``name`` is not a string.

    Example:
        >>> lookup({"dot": 1, "rbf": 2}, "rbf", "kernel")
        2
    """
    if isinstance(name, str) and name in table:
        return table[name]
    choices = ", ".join(f'"{choice}"' for choice in table)
    if isinstance(name, type):
        raise TypeError(
            f"{what} must be a name or an object, got the class {name.__name__}. Make an object of "
            f"it, or take a name: {choices}."
        )
    if not isinstance(name, str):
        raise TypeError(
            f"{what} must be a name or an object, got {type(name).__name__}. Names: {choices}."
        )
    near = difflib.get_close_matches(name, table, n=1)
    hint = f' Did you mean "{near[0]}"?' if near else ""
    raise ValueError(f'unknown {what} "{name}".{hint} Choices: {choices}.')
