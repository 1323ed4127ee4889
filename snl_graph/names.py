"""The one place where a string from a caller becomes an object."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")


def lookup(table: Mapping[str, T], name: str, what: str, kind: type | None = None) -> T:
    """Entry of ``table`` called ``name``.

    Args:
        table: Choices by name.
        name: What the caller wrote.
        what: What is being chosen, for the error ("kernel", "mask", ...).
        kind: What the caller takes in place of a name, for the error; None if nothing.

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
    if not isinstance(name, str):
        wanted = "a name" if kind is None else f"a name or a {kind.__name__}"
        is_class = isinstance(name, type)
        came = f"the class {name.__name__}" if is_class else type(name).__name__
        is_ours = is_class and kind is not None and issubclass(name, kind)
        remedy = f"Make an object of it: {name.__name__}(...). " if is_ours else ""
        raise TypeError(f"{what} must be {wanted}, got {came}. {remedy}Names: {choices}.")
    near = difflib.get_close_matches(name, table, n=1)
    hint = f' Did you mean "{near[0]}"?' if near else ""
    raise ValueError(f'unknown {what} "{name}".{hint} Choices: {choices}.')
