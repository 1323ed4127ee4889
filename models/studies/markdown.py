"""The tables of a study in Markdown, and their place on a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isnan

from models.studies.statistics import Cell, Cells, Difference, paired
from models.studies.study import Study

MINUS = "−"
FEWEST = 3
"""Paired runs below which no sentence is made of an interval."""


def _signed(value: float) -> str:
    return "" if isnan(value) else f"{value:+.2f}".replace("-", MINUS)


def _interval(interval: tuple[float, float]) -> str:
    return "" if isnan(interval[0]) else f"{_signed(interval[0])} … {_signed(interval[1])}"


def _accuracy(cell: Cell) -> str:
    if isnan(cell.mean):
        return ""
    return f"{cell.mean:.2f}" + ("" if isnan(cell.spread) else f" ± {cell.spread:.2f}")


def _count(cell: Cell) -> str:
    return str(len(cell.accuracies)) + (f" ({cell.failed} failed)" if cell.failed else "")


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table whose first column is text and whose others are numbers."""
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *lines)) + "\n"


def progress(study: Study, found: Cells) -> str:
    """How many of the runs there are."""
    runs = study.runs()
    trials = {trial.fingerprint(): key for key, trial in study.items()}
    made = sum(run.seed in found[trials[run.key[0]]].accuracies for run in runs)
    failed = sum(found[key].failed for key in trials.values())
    words = f"{made:,} of {len(runs):,} runs"
    if made < len(runs):
        words = f"**Partial: {words}.** Rows with fewer seeds than others are not final"
    return f"{words}{f'; {failed} failed' if failed else ''}."


def by_row(study: Study, found: Cells) -> str:
    """One line a setting and row: with intervals of the difference, and the paper's number."""
    (reference,) = study.references
    head = [study.setting_label, "row", "runs", "Top-1 %", f"{MINUS} {reference}"]
    head += ["95 % (Student)", "95 % (bootstrap)", "parameters", "seconds"]
    if study.paper:
        head += ["paper", f"paper {MINUS} {reference}"]
    lines = []
    for (setting, row), cell in found.items():
        line = [setting, row, _count(cell), _accuracy(cell)]
        if row == reference:
            line += [""] * 3
        else:
            difference = paired(cell, found[setting, reference])
            line += [_signed(difference.mean), _interval(difference.student)]
            line.append(_interval(difference.bootstrap))
        line.append("" if cell.parameters is None else f"{cell.parameters:,}")
        line.append("" if isnan(cell.seconds) else f"{cell.seconds:.0f}")
        if study.paper:
            number = study.paper.get((setting, row))
            line.append("" if number is None else f"{number:.2f}")
            if number is None or row == reference:
                line.append("")
            else:
                line.append(_signed(number - study.paper[setting, reference]))
        lines.append(line)
    if not study.setting_label:
        head, lines = head[1:], [line[1:] for line in lines]
    note = f"\nThe paper's numbers: {study.paper_label}.\n" if study.paper else ""
    return table(head, lines) + note


def by_setting(study: Study, found: Cells) -> str:
    """A column for each setting: accuracies, then differences to each of the references."""
    settings = list(study.trials)
    rows = list(dict.fromkeys(row for _, row in found))
    parts = [f"Top-1 %, mean ± standard deviation, by {study.setting_label}:\n"]
    lines = [
        [row, *(_accuracy(found[setting, row]) for setting in settings), _runs_of(found, row)]
        for row in rows
    ]
    parts.append(table(["", *settings, "runs"], lines))
    for reference in study.references:
        parts.append(f"Difference to {reference}, mean and 95 % interval (Student):\n")
        lines = []
        for row in rows:
            if row != reference:
                some = [paired(found[s, row], found[s, reference]) for s in settings]
                lines.append([row, *(_with_interval(difference) for difference in some)])
        parts.append(table(["", *settings], lines))
    return "\n".join(parts)


def _runs_of(found: Cells, row: str) -> str:
    counts = {_count(cell) for (_, own), cell in found.items() if own == row}
    return ", ".join(sorted(counts))


def _with_interval(difference: Difference) -> str:
    if isnan(difference.mean):
        return ""
    interval = _interval(difference.student)
    return _signed(difference.mean) + (f" ({interval})" if interval else "")


def _where(study: Study, row: str, settings: list[str]) -> str:
    if len(study.trials) == 1:
        return row
    return f"{row} ({'all' if len(settings) == len(study.trials) else ', '.join(settings)})"


def words(study: Study, found: Cells) -> str:
    """Which differences can be told from zero, in sentences made from the intervals."""
    lines = []
    for reference in study.references:
        sorted_out: dict[int, dict[str, list[str]]] = {1: {}, -1: {}, 0: {}}
        for (setting, row), cell in found.items():
            difference = paired(cell, found[setting, reference])
            if row != reference and len(difference.values) >= FEWEST:
                sorted_out[difference.verdict].setdefault(row, []).append(setting)
        for verdict, phrase in (
            (1, "better than"),
            (-1, "worse than"),
            (0, "not told apart from"),
        ):
            named = (_where(study, row, at) for row, at in sorted_out[verdict].items())
            names = "; ".join(named) or "none"
            lines.append(f"- {phrase} {reference}: {names}.")
    return "\n".join(lines) + "\n"


def section(study: Study, found: Cells) -> str:
    """Everything that is made from the records."""
    if study.paper or len(study.trials) == 1:
        body = by_row(study, found)
    else:
        body = by_setting(study, found)
    return "\n".join(
        [
            progress(study, found) + "\n",
            body,
            f"By Student's 95 % interval of {FEWEST} or more paired differences, each by itself:\n",
            words(study, found),
        ]
    )


def put(page: str, name: str, content: str) -> str:
    """The page with what stands between the two markers of a table replaced.

    Raises:
        ValueError: If the page lacks a marker.
    """
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    if page.count(begin) != 1 or page.count(end) != 1 or page.index(begin) > page.index(end):
        raise ValueError(
            f'the page must hold "{begin}" and "{end}" once, in this order. Put them where the '
            f"table belongs."
        )
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n\n{content.strip()}\n\n{end}{after}"
