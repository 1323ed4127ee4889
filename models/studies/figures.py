"""Pictures of studies."""

from __future__ import annotations

from collections.abc import Callable
from math import isnan
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from models.studies.statistics import Cells, paired
from models.studies.study import Study

ZERO_INIT = ", zero-init"
COLOURS = ("0.3", "C0", "C1", "C2", "C4", "C5", "C9", "C3", "C8")
"""Of the rows in their order; grey is the baseline."""
FIELD = 24
"""Empty columns from which on no unit of the network without a block touches both digits."""


def against_distance(study: Study, found: Cells) -> Figure:
    """Accuracy against the distance, blocks as they are and zero-initialised side by side."""
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    _lines(axes[0], study, found, "")
    _lines(axes[1], study, found, ZERO_INIT)
    axes[0].set_title("blocks as initialised")
    axes[1].set_title("blocks that start as the identity")
    axes[0].set_ylabel("accuracy, % (mean ± standard deviation)")
    axes[1].legend(
        *axes[0].get_legend_handles_labels(),
        fontsize="small",
        loc="center left",
        bbox_to_anchor=(1, 0.5),
    )
    return figure


def _lines(axes: Axes, study: Study, found: Cells, suffix: str) -> None:
    settings = list(study.trials)
    plain = [row for row in study.trials[settings[0]] if not row.endswith(ZERO_INIT)]
    for row, colour in zip(plain, COLOURS, strict=True):
        own = row + suffix if row + suffix in study.trials[settings[0]] else row
        some = [(float(s), found[s, own]) for s in settings if found[s, own].accuracies]
        axes.errorbar(
            [distance for distance, _ in some],
            [cell.mean for _, cell in some],
            [0 if isnan(cell.spread) else cell.spread for _, cell in some],
            marker="o",
            markersize=4,
            capsize=2,
            color=colour,
            linestyle="--" if own == row and suffix else "-",
            label=row,
        )
    axes.axhline(50, color="0.7", linewidth=0.8)
    axes.axvline(FIELD, color="0.7", linewidth=0.8, linestyle=":")
    axes.set_xlabel("empty columns between the digits")


def differences(study: Study, found: Cells) -> Figure:
    """Every paired difference to the reference, their mean and its 95 % interval (Student)."""
    (setting,) = study.trials
    (reference,) = study.references
    rows = [row for row in study.trials[setting] if row != reference]
    figure = Figure(figsize=(7, 0.4 * len(rows) + 1), layout="constrained")
    axes = figure.subplots()
    for height, row in enumerate(reversed(rows)):
        difference = paired(found[setting, row], found[setting, reference])
        axes.plot(difference.values, [height] * len(difference.values), "o", color="0.7", zorder=1)
        if not isnan(difference.student[0]):
            axes.plot(difference.student, [height, height], color="C0", linewidth=2)
            axes.plot([difference.mean], [height], "D", color="C0")
    axes.axvline(0, color="0.3", linewidth=0.8)
    axes.set_yticks(range(len(rows)), list(reversed(rows)))
    axes.set_xlabel(f"accuracy minus that of {reference} with the same seed, points")
    return figure


FIGURES: dict[str, Callable[[Study, Cells], Figure]] = {
    "fashion": differences,
    "far_pair": against_distance,
}
"""Studies that have a picture."""


def save(name: str, study: Study, found: Cells, folder: Path) -> Path:
    """Draw the picture of a study into ``folder``; equal records give equal bytes."""
    path = folder / f"{name}.svg"
    figure = FIGURES[name](study, found)
    FigureCanvasAgg(figure)
    with matplotlib.rc_context({"svg.hashsalt": name}):
        figure.savefig(path, metadata={"Date": None})
    return path
