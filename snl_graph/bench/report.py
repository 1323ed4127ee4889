"""Results as tables for a terminal, as markdown, and as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from snl_graph.bench.cases import MIB, Finding, Outcome
from snl_graph.bench.compare import EXACT, ROUNDED
from snl_graph.bench.machine import Machine
from snl_graph.bench.question import Answer

BEGIN, END = "<!-- measured -->", "<!-- /measured -->"
"""What a page holds around the part that a run replaces."""


def number(value: float | None, unit: str = "") -> str:
    """A measured number for people."""
    if value is None:
        return "–"
    text = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"
    return f"{text}{unit}" if unit == "×" else f"{text} {unit}".rstrip()


def milliseconds(seconds: float) -> str:
    """A time for people."""
    return f"{1e3 * seconds:,.0f} ms" if seconds >= 0.1 else f"{1e3 * seconds:.2f} ms"


def bar_of(finding: Finding) -> str:
    """The bar for people."""
    return f"{'≥' if finding.is_at_least else '≤'} {number(finding.bar, finding.unit)}"


def verdict(finding: Finding) -> str:
    """Whether it is reached, in a word."""
    return {True: "met", False: "not met", None: "not measured"}[finding.is_met]


def print_outcome(console: Console, outcome: Outcome) -> None:
    """One case, as soon as it is done."""
    table = _table(outcome.work, "claim", "measured", "bar", "")
    for finding in outcome.findings:
        measured = number(finding.measured, finding.unit)
        table.add_row(finding.claim, measured, bar_of(finding), verdict(finding))
    if outcome.missing is not None:
        table.add_row(outcome.missing, "–", "–", "not measured")
    console.print(table)
    console.print(f"[dim]{outcome.case}, {outcome.seconds:.0f} s[/dim]\n")


def print_answer(console: Console, answer: Answer) -> None:
    """Tables of the times and of the memory, and the answer."""
    problem, asked = answer.problem, answer.asked
    size = "×".join(map(str, problem.size))
    title = f'block "{problem.block}" on ({problem.batch}, {problem.channels}, {size})'
    for mode in answer.modes:
        console.print(_times(answer, mode, f"{title}, {mode}"), "")
    console.print(_memory(answer), "")
    for name, reason in asked.skipped.items():
        console.print(f"left out: {name} {reason}", markup=False)
    for mode in answer.modes:
        console.print(f'{mode}: "{answer.fastest(mode)}" is the fastest representation here')
    console.print(f'"auto" takes "{answer.auto}"')
    console.print(equality())


def _times(answer: Answer, mode: str, title: str) -> Table:
    asked, laws = answer.asked, answer.growth(mode)
    table = _table(title, "contender", "median", "× fastest", "grows as")
    for name in asked.timings[mode]:
        law = laws.get(name)
        table.add_row(
            name,
            milliseconds(asked.median(mode, name)),
            number(asked.ratio(mode, name, answer.fastest(mode) or name)),
            "–" if law is None else f"N^{law.exponent:.2f} ± {law.standard_error:.2f}",
        )
    return table


def _memory(answer: Answer) -> Table:
    asked = answer.asked
    columns = ("contender", "kept for backward", "peak above inputs", "difference")
    table = _table("memory, and the largest difference from the reference", *columns)
    for name in asked.timings[answer.modes[-1]]:
        saved, peak = asked.saved.get(name), answer.peaks.get(name)
        table.add_row(
            name,
            "–" if saved is None else number(saved / MIB, "MiB"),
            "–" if peak is None else number(peak.above_inputs / MIB, "MiB"),
            f"{max(found[name] for found in asked.errors.values() if name in found):.0e}",
        )
    return table


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left", show_edge=False)
    table.add_column(first)
    for column in others:
        table.add_column(column, justify="right")
    return table


def equality() -> str:
    """What the contenders were proven to agree in."""
    return (
        f"All contenders gave the same numbers: to {EXACT:.0e} in float64 at a toy size, to "
        f"{ROUNDED:.0e} in float32 at this one, of the largest number of each output and gradient."
    )


def header(machine: Machine) -> str:
    """One line about the machine."""
    threads = "1 thread" if machine.threads == 1 else f"{machine.threads} threads"
    load = "" if machine.load is None else f", load average {machine.load:.2f} at the start"
    return (
        f"{machine.processor}, {threads}, PyTorch {machine.torch}, PyTorch Geometric "
        f"{machine.torch_geometric}, snl-graph {machine.snl_graph}{load}"
    )


def markdown(machine: Machine, outcomes: Sequence[Outcome], picture: str | None) -> str:
    """The table of bars as markdown."""
    lines = [
        f"{header(machine)}.",
        "",
        "| work | claim | measured | bar | |",
        "|---|---|---|---|---|",
    ]
    for outcome in outcomes:
        work = outcome.work
        for finding in outcome.findings:
            measured, bar = number(finding.measured, finding.unit), bar_of(finding)
            lines.append(f"| {work} | {finding.claim} | {measured} | {bar} | {verdict(finding)} |")
            work = ""
        if outcome.missing is not None:
            lines.append(f"| {work} | {outcome.missing} | – | – | not measured |")
    if picture is not None:
        lines += ["", f"![Growth of the time with N, and every bar with its margin]({picture})"]
    return "\n".join(lines) + "\n"


def write_markdown(
    path: Path, machine: Machine, outcomes: Sequence[Outcome], picture: Path | None
) -> None:
    """Write the table into a file; into a page with marks, between them, and nothing else there."""
    shown = None if picture is None else Path(os.path.relpath(picture, path.parent)).as_posix()
    table = markdown(machine, outcomes, shown)
    if path.exists():
        page = path.read_text(encoding="utf-8")
        if BEGIN in page and END in page:
            before, _, rest = page.partition(BEGIN)
            _, _, after = rest.partition(END)
            table = f"{before}{BEGIN}\n\n{table}\n{END}{after}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(table, encoding="utf-8")


def as_json(machine: Machine, key: str, results: object) -> str:
    """One JSON object: the machine, and the results under ``key``."""
    return json.dumps({"machine": machine.to_dict(), key: results}, indent=2, ensure_ascii=False)
