"""Axes to draw on, and the few colours all pictures share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's palette, told apart by colour-blind readers; in grey they differ in lightness, and
# every picture tells its series apart by marker or line style as well.
BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "#595959"
SEQUENTIAL = "cividis"  # lightness grows with the value: readable in grey, and colour-blind-safe
DIVERGING = "PuOr"


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


def plain(ax: Any) -> None:
    """Take away the frame lines that carry nothing."""
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
