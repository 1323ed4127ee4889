"""The command ``snl-graph bench``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console

from snl_graph.bench.bars import CASES
from snl_graph.bench.cases import Outcome
from snl_graph.bench.machine import Machine, machine
from snl_graph.bench.picture import draw_answer, draw_bars
from snl_graph.bench.problems import BlockProblem
from snl_graph.bench.question import Answer, ask
from snl_graph.bench.report import (
    as_json,
    header,
    print_answer,
    print_outcome,
    write_markdown,
)
from snl_graph.bench.timing import Effort
from snl_graph.names import lookup

EXAMPLES = (
    "snl-graph bench --channels 256 --size 56 56",
    "snl-graph bench --block nl --forward",
    "snl-graph bench --bars --save bars.json",
    "snl-graph bench --case growth",
)


def bench(
    channels: Annotated[int, typer.Option(min=1, help="Channels C of the feature map.")] = 64,
    size: Annotated[tuple[int, int], typer.Option(min=1, help="Height and width.")] = (32, 32),
    batch: Annotated[int, typer.Option(min=1, help="Items B.")] = 1,
    block: Annotated[str, typer.Option(help="Row of Table 1: snl, gsnl, nl, ns, a2, cgnl, cc.")] = (
        "snl"
    ),
    backward: Annotated[
        bool, typer.Option("--backward/--forward", help="Time training too, or inference alone.")
    ] = True,
    points: Annotated[
        int,
        typer.Option(min=1, help="Number of sizes from N/16 to N that the growth is fitted to."),
    ] = 3,
    peaks: Annotated[
        bool,
        typer.Option("--peaks/--no-peaks", help="Peak memory, in a new process a contender."),
    ] = True,
    rounds: Annotated[int, typer.Option(min=1, help="Most rounds of each comparison.")] = 15,
    seconds: Annotated[
        float, typer.Option(min=0, help="Start no round after so long (but take three).")
    ] = 3.0,
    threads: Annotated[int, typer.Option(min=1, help="Threads of one operation.")] = 1,
    bars: Annotated[
        bool, typer.Option("--bars", help="Run every named case, and hold it against its bar.")
    ] = False,
    case: Annotated[
        list[str] | None, typer.Option(help="Run one named case; may be given again.")
    ] = None,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="Cases at toy sizes: that they run, not how fast.")
    ] = False,
    json_asked: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    save: Annotated[Path | None, typer.Option(help="Write the JSON object to a file.")] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Write the table of bars to a file, or into a page.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw a picture (needs matplotlib).")] = None,
) -> None:
    """Measure every representation, and what it replaces, on this machine.

    Contenders are proven equal, then timed in turns. Without `--bars` or `--case` this answers
    which representation of a block suits the size given.
    """
    console = Console(stderr=json_asked)
    with _threads(threads):
        facts = machine()
        console.print(header(facts), markup=False, highlight=False)
        if facts.warning() is not None:
            console.print(f"[bold]warning:[/bold] {facts.warning()}")
        if bars or case:
            names = case or [one.name for one in CASES]
            outcomes = _run_cases(console, names, smoke=smoke)
            text = as_json(facts, "cases", [outcome.to_dict() for outcome in outcomes])
            _write_bars(facts, outcomes, markdown, plot)
        else:
            _refuse(markdown is not None, "--markdown", "--bars or --case")
            _refuse(smoke, "--smoke", "--bars or --case")
            answer = _ask(block, batch, channels, size, backward, points, rounds, seconds, peaks)
            print_answer(console, answer)
            text = as_json(facts, "answer", answer.to_dict())
            if plot is not None:
                draw_answer(answer, plot)
    if save is not None:
        save.parent.mkdir(parents=True, exist_ok=True)
        save.write_text(text + "\n", encoding="utf-8")
    if json_asked:
        typer.echo(text)


def _run_cases(console: Console, names: list[str], *, smoke: bool) -> list[Outcome]:
    table = {one.name: one for one in CASES}
    try:
        chosen = [lookup(table, name, "case") for name in names]
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    outcomes = []
    for one in chosen:
        outcomes.append((one.small() if smoke else one).run())
        print_outcome(console, outcomes[-1])
    return outcomes


def _write_bars(
    facts: Machine, outcomes: list[Outcome], markdown: Path | None, plot: Path | None
) -> None:
    if plot is not None:
        draw_bars(outcomes, plot)
    if markdown is not None:
        write_markdown(markdown, facts, outcomes, plot)


def _ask(
    block: str,
    batch: int,
    channels: int,
    size: tuple[int, int],
    backward: bool,
    points: int,
    rounds: int,
    seconds: float,
    peaks: bool,
) -> Answer:
    try:
        problem = BlockProblem(block, batch, channels, size)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    effort = Effort(rounds, seconds)
    return ask(problem, has_backward=backward, points=points, effort=effort, with_peaks=peaks)


def _refuse(is_given: bool, option: str, other: str) -> None:
    if is_given:
        raise typer.BadParameter(f"{option} goes with {other}.")


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
