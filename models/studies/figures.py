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
    (reference,) = study.references
    rows = [row for row in _rows(study) if row != reference]
    figure, panels = _panels(study, rows, columns=len(study.trials))
    for setting, axes in panels.items():
        for height, row in enumerate(rows):
            difference = paired(found[setting, row], found[setting, reference])
            _seeds(axes, difference.values, height)
            if not isnan(difference.student[0]):
                axes.plot(difference.student, [height, height], color="C0", linewidth=2)
                axes.plot([difference.mean], [height], "D", color="C0")
        axes.axvline(0, color="0.3", linewidth=0.8)
    figure.supxlabel(f"accuracy minus that of {reference} with the same seed, points")
    return figure


def accuracies(study: Study, found: Cells) -> Figure:
    """The accuracy of every run, with mean and standard deviation, a panel for each setting."""
    rows = _rows(study)
    figure, panels = _panels(study, rows, columns=3)
    for setting, axes in panels.items():
        for height, row in enumerate(rows):
            cell = found[setting, row]
            _seeds(axes, tuple(cell.accuracies.values()), height)
            if not isnan(cell.spread):
                axes.errorbar([cell.mean], [height], xerr=[cell.spread], fmt="D", color="C0")
    figure.supxlabel("accuracy, % (each seed; mean ± standard deviation)")
    return figure


def _rows(study: Study) -> list[str]:
    (rows,) = {tuple(rows) for rows in study.trials.values()}
    return list(rows)


def _panels(study: Study, rows: list[str], columns: int) -> tuple[Figure, dict[str, Axes]]:
    """Axes of every setting, with a line for each row; the first row is at the top."""
    lines = -(-len(study.trials) // columns)
    size = (max(7, 3 * columns), lines * (0.3 * len(rows) + 0.8) + 0.3)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True).flat
    panels = dict(zip(study.trials, grid, strict=True))
    for setting, axes in panels.items():
        axes.set_title(setting)
        axes.set_yticks(range(len(rows)), rows)
        axes.set_ylim(len(rows) - 0.5, -0.5)
    return figure, panels


def _seeds(axes: Axes, values: tuple[float, ...], height: int) -> None:
    axes.plot(values, [height] * len(values), "o", color="0.7", markersize=4, zorder=1)


FIGURES: dict[str, Callable[[Study, Cells], Figure]] = {
    "fashion": differences,
    "channels": differences,
    "stage": differences,
    "blocks": differences,
    "far_pair": against_distance,
    "graphs": accuracies,
}
"""The picture of each study; one that is not named has none."""


def save(name: str, study: Study, found: Cells, folder: Path) -> Path:
    """Draw the picture of a study into ``folder``; equal records give equal bytes."""
    path = folder / f"{name}.svg"
    figure = FIGURES[name](study, found)
    FigureCanvasAgg(figure)
    with matplotlib.rc_context({"svg.hashsalt": name}):
        figure.savefig(path, metadata={"Date": None})
    return path
