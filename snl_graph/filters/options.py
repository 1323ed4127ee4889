"""What the options of a filter must be."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor


def require_length(values: Sequence[float], count: int, name: str) -> tuple[float, ...]:
    """The values as a tuple, if there are ``count`` of them; else a ``ValueError``."""
    numbers = tuple(float(value) for value in values)
    if len(numbers) != count:
        raise ValueError(f"this filter has {count} {name}; got {len(numbers)}: {numbers}.")
    return numbers


def require_positive(values: Sequence[float], name: str) -> tuple[float, ...]:
    """The values as a tuple, if all are positive and finite; else a ``ValueError``."""
    numbers = tuple(float(value) for value in values)
    if not all(0 < number < math.inf for number in numbers):
        raise ValueError(f"{name} must be positive and finite; got {numbers}.")
    return numbers


def require_powers(order: int, source: Tensor | None) -> None:
    """Raise a ``ValueError`` if powers of a rectangular A were needed."""
    if source is not None and order > 1:
        raise ValueError(
            "a rectangular affinity has no powers, so a filter applies it once at most; this one "
            f"has order {order}."
        )
