"""Pictures of what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snl_graph.bench.cases import Outcome
from snl_graph.bench.question import Answer
from snl_graph.plotting.canvas import BLUE, GREY, VERMILION, new_axes, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Colour, marker and dash together: any one of them tells the lines apart.
_STYLES: list[dict[str, Any]] = [
    {"color": color, "marker": marker, "linestyle": dash}
    for color, marker, dash in zip(
        (BLUE, VERMILION, GREY, "#009E73", "#CC79A7", "#56B4E9", "#000000", "#E69F00"),
        "osD^vPX*",
        ("-", "--", "-.", ":", "-", "--", "-.", ":"),
        strict=True,
    )
]


def draw_bars(outcomes: Sequence[Outcome], path: Path) -> None:
    """Growth of the time with N, and beside it the margin of every bar; written to ``path``."""
    growth, margins = new_axes(2, width=6.0, height=5.0)
    curves = {name: points for outcome in outcomes for name, points in outcome.curves.items()}
    _draw_growth(growth, curves)
    _draw_margins(margins, outcomes)
    _write(growth, path)


def draw_answer(answer: Answer, path: Path) -> None:
    """Time and kept memory of every contender against N; written to ``path``."""
    time, memory = new_axes(2, width=5.0, height=4.5)
    mode = answer.modes[-1]
    names = [name for name in answer.problem.names if name in answer.comparisons[0].timings[mode]]
    _draw_growth(time, {name: _times(answer, mode, name) for name in names})
    kept = {name: _kept(answer, name) for name in names}
    _draw_growth(memory, {name: points for name, points in kept.items() if points})
    memory.set_ylabel("kept for backward, bytes")
    time.set_title(mode, fontsize="medium")
    _write(time, path)


def _times(answer: Answer, mode: str, name: str) -> list[tuple[int, float]]:
    return [
        (one.problem.nodes, one.median(mode, name))
        for one in answer.comparisons
        if name in one.timings[mode]
    ]


def _kept(answer: Answer, name: str) -> list[tuple[int, float]]:
    return [
        (one.problem.nodes, float(one.saved[name]))
        for one in answer.comparisons
        if name in one.saved
    ]


def _draw_growth(ax: Axes, curves: Mapping[str, Sequence[tuple[int, float]]]) -> None:
    for number, (name, points) in enumerate(curves.items()):
        nodes, costs = zip(*points, strict=True)
        ax.plot(nodes, costs, label=name, markersize=5, **_STYLES[number % len(_STYLES)])
    if curves:
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.legend(frameon=False, fontsize="small")
    ax.set_xlabel("N, number of nodes")
    ax.set_ylabel("time, s")
    plain(ax)


def _draw_margins(ax: Axes, outcomes: Sequence[Outcome]) -> None:
    rows = [
        (f"{outcome.case}: {finding.claim}", finding.margin, finding.is_met)
        for outcome in outcomes
        for finding in outcome.findings
        if finding.margin is not None
    ]
    for place, (_, margin, is_met) in enumerate(rows):
        ax.plot([1, margin], [place, place], "-", color=GREY, linewidth=1)
        ax.plot(
            margin,
            place,
            "o" if is_met else "X",
            color=BLUE if is_met else VERMILION,
            markerfacecolor=BLUE if is_met else "white",
        )
    ax.axvline(1, color=GREY, linewidth=1)
    ax.set_yticks(range(len(rows)), [label for label, _, _ in rows], fontsize="x-small")
    ax.invert_yaxis()
    if rows:
        ax.set_xscale("log")
    ax.set_xlabel("margin: 1 is the bar\n(dots: met, crosses: not met)")
    plain(ax)


def _write(ax: Axes, path: Path) -> None:
    import matplotlib.pyplot as plt

    figure = ax.get_figure()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)  # type: ignore[union-attr]
    plt.close(figure)  # type: ignore[arg-type]
