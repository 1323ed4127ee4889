"""Axes to draw on, and the few colours, lines and marks that all pictures share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's palette, told apart by colour-blind readers; in grey they differ in lightness, and
# every picture tells its series apart by marker or line style as well.
BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "#595959"
BLACK, ORANGE, SKY, GREEN, PURPLE = "#000000", "#E69F00", "#56B4E9", "#009E73", "#CC79A7"
SEQUENTIAL = "cividis"  # lightness grows with the value: readable in grey, and colour-blind-safe
DIVERGING = "PuOr"

SERIES: list[dict[str, Any]] = [
    {"color": BLUE, "linestyle": "-", "marker": "o"},
    {"color": VERMILION, "linestyle": "--", "marker": "^"},
    {"color": GREEN, "linestyle": "-.", "marker": "s"},
    {"color": BLACK, "linestyle": ":", "marker": "D"},
    {"color": PURPLE, "linestyle": (0, (5, 1, 1, 1, 1, 1)), "marker": "v"},
    {"color": ORANGE, "linestyle": (0, (8, 2)), "marker": "P"},
    {"color": SKY, "linestyle": (0, (3, 1, 1, 1)), "marker": "X"},
]
"""Colour, line style and marker of the first, second, ... series of a picture."""


def require(value: object, kind: type, made_by: str) -> None:
    """Raise a ``TypeError`` unless a picture gets what it draws; ``made_by`` says where from."""
    if not isinstance(value, kind):
        raise TypeError(
            f"this picture is of a {kind.__name__}; got {type(value).__name__}. {made_by}"
        )


def series(number: int, *, markers: bool = True) -> dict[str, Any]:
    """Style of one series; after seven they begin anew."""
    style = dict(SERIES[number % len(SERIES)])
    if not markers:
        del style["marker"]
    return style


def new_axes(columns: int = 1, *, width: float = 4.2, height: float = 3.2) -> list[Axes]:
    """Axes side by side in a new figure of pyplot; sizes in inches an axis.

    Raises:
        ImportError: If matplotlib is not installed; names the extra that brings it.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError('pictures need matplotlib: pip install "snl-graph[plot]"') from error
    _, axes = plt.subplots(
        1, columns, figsize=(width * columns, height), squeeze=False, layout="constrained"
    )
    return list(axes[0])


def panels(
    ax: Axes | Sequence[Axes] | None, wanted: int, *, width: float = 1.9, height: float = 2.1
) -> list[Axes]:
    """As many axes as a picture has panels: those given, or new ones.

    Raises:
        ValueError: If another number is given.
    """
    if ax is None:
        return new_axes(wanted, width=width, height=height)
    given: Any = ax
    axes: list[Axes] = list(given) if hasattr(given, "__len__") else [given]
    if len(axes) != wanted:
        raise ValueError(f"these maps need {wanted} axes, one for each panel; got {len(axes)}.")
    return axes


def signed_power(limits: tuple[float, float], gamma: float) -> Any:
    """Scale of colours on which a value v lies at sign(v) |v|^gamma between the limits."""
    from matplotlib.colors import FuncNorm, Normalize

    if gamma == 1:
        return Normalize(*limits)

    def power(values: Any) -> Any:
        return np.sign(values) * np.abs(values) ** gamma

    def root(values: Any) -> Any:
        return np.sign(values) * np.abs(values) ** (1 / gamma)

    return FuncNorm((power, root), *limits)


def plain(ax: Any) -> None:
    """Take away the frame lines that carry nothing."""
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def without_ticks(axes: Sequence[Any]) -> None:
    """Take away the ticks of panels whose axes are positions."""
    for ax in axes:
        ax.set_xticks([])
        ax.set_yticks([])
