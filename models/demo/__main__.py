"""Run the demo: ``python -m models.demo [--short] [--seeds N] [--out DIR]``."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser
from rich.console import Console
from rich.table import Table

from models.demo.graphs import about_spectrum, first_seed_graphs, weight_shares
from models.demo.pictures import save_all
from models.demo.pool import plan, progress_bar, train_all
from models.demo.report import accuracy, claim_folder, write_page, write_results
from models.demo.summary import LABELS, rows, words
from models.demo.tasks import TASKS, Result
from models.entry import errors_on_one_line, quiet

PROGRAM = "python -m models.demo"
INTRO = (
    "A small PreResNet without a block, with a nonlocal block (nl) and with a spectral nonlocal "
    "block (snl), on scikit-learn's 1,797 handwritten digits. Accuracy is on digits no network was "
    "trained on: mean ± standard deviation over {seeds}; runs of one seed share their "
    "first weights and the order of their images. In the far pair two digits stand at the ends of "
    "a canvas, farther apart than any unit of the network without a block sees; its training "
    "starts from the network that learned the digits with the same seed."
)


def print_table(console: Console, results: Sequence[Result]) -> None:
    """Accuracy with its spread, parameters added and time, then the same in words."""
    table = rows(results)
    for task, lines in words(results).items():
        shown = Table(title=TASKS[task].title, title_justify="left")
        shown.add_column("block")
        for column in ("accuracy %", "parameters added", "seconds a run"):
            shown.add_column(column, justify="right")
        for row in (row for row in table if row.task == task):
            shown.add_row(
                LABELS[row.variant], accuracy(row), f"{row.added:,}", f"{row.seconds:.1f}"
            )
        console.print(shown)
        for line in lines:
            console.print(f"  {line}", highlight=False)
        console.print()


def _plain(task: str) -> str:
    return task.replace("_", " ")


def demo(
    short: bool = False,
    seeds: int | None = None,
    out: Path = Path("runs/demo"),
    processes: int | None = None,
) -> Path:
    """Train both tasks, print the table and write the report.

    Args:
        short: A minute's form that only shows that everything runs: few epochs, two seeds.
        seeds: How many seeds; 5, or 2 in the short form.
        out: Folder of the report; one that holds anything else is refused.
        processes: Runs at a time; by default one a processor, at most 8.

    Returns:
        Path of ``report.html``.

    Raises:
        FileExistsError: If ``out`` holds other files.
        ValueError: If a number is below 1.
    """
    seeds = (2 if short else 5) if seeds is None else seeds
    for name, value in (("seeds", seeds), ("processes", processes)):
        if value is not None and value < 1:
            raise ValueError(f"--{name} must be at least 1; got {value}.")
    console = Console()
    if claim_folder(out):
        console.print(f"Replacing the earlier demo in {out}.", highlight=False)
    began = time.perf_counter()
    with progress_bar() as progress:
        results = train_all(plan(range(seeds), short=short), progress, processes)
    graphs = first_seed_graphs(results)
    captions = save_all(graphs, out)
    graph_words = [
        about_spectrum(f"{_plain(task)}, {name}", graph)
        for task, blocks in graphs.items()
        for name, graph in blocks.items()
    ]
    shares = {name: weight_shares(graph) for name, graph in graphs["far_pair"].items()}
    graph_words += [
        f"far pair, {name}: the left digit's positions give "
        + ", ".join(f"{100 * share:.0f} % to {place}" for place, share in found.items())
        + f" (mean over {len(graphs['far_pair'][name].images)} test pairs)."
        for name, found in shares.items()
    ]
    seconds = time.perf_counter() - began
    facts = {"program": PROGRAM, "short": short, "seeds": seeds, "seconds": round(seconds, 1)}
    write_results(out, results, facts, {**words(results), "graphs": graph_words})
    print_table(console, results)
    for line in graph_words:
        console.print(f"  {line}", highlight=False)
    number = "1 seed" if seeds == 1 else f"{seeds} seeds"
    intro = INTRO.format(seeds=number)
    if short:
        intro = f"Short form: too few epochs and seeds to conclude anything. {intro}"
    footer = f"{PROGRAM}, {number}, {seconds:.0f} seconds. Graphs: those of the first seed."
    page = write_page(out, results, captions, graph_words, intro, footer)
    console.print(f"\n{seconds:.0f} seconds. Report: {page}", highlight=False)
    return page


def main(args: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = ArgumentParser(
        prog=PROGRAM,
        exit_on_error=False,
        allow_abbrev=False,
        description="Two tasks on real digits, offline.",
    )
    parser.add_argument("--short", action="store_true", help="Only show that everything runs.")
    parser.add_argument("--seeds", type=int | None, help="How many; 5, or 2 with --short.")
    parser.add_argument("--out", type=Path, default="runs/demo", help="Folder of the report.")
    parser.add_argument("--processes", type=int | None, help="Runs at a time; one a processor.")
    with quiet(), errors_on_one_line(PROGRAM):
        chosen = parser.parse_args(sys.argv[1:] if args is None else list(args))
        demo(chosen.short, chosen.seeds, chosen.out, chosen.processes)


if __name__ == "__main__":
    main()
