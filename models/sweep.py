"""Make the runs of a study: ``python -m models.sweep TABLE [options]``.

Every run is recorded as it ends, in one CSV file a study; a sweep goes on where the last one
stopped, on another machine too if the file is brought there. Several sweeps may work on one table.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser

from models.data import DATASETS
from models.entry import errors_on_one_line, quiet
from models.studies.catalogue import PLAN, STUDIES
from models.studies.ledger import Ledger, Record
from models.studies.study import Run
from models.studies.workers import Job, make_all
from snl_graph.names import lookup

PROGRAM = "python -m models.sweep"
CHECKOUT = Path(__file__).parents[1]
RESULTS = CHECKOUT / "docs" / "results"


def commit_of(checkout: Path) -> str:
    """Commit of the sources, with a "+" if they were changed since; "unknown" without git."""
    try:
        commit = _git(checkout, "rev-parse", "--short=12", "HEAD")
        changed = _git(checkout, "status", "--porcelain", "--", "models", "snl_graph")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{commit}+" if changed else commit


def _git(checkout: Path, *args: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(checkout), *args], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def jobs_of(table: str, results: Path, seeds: int | None = None) -> list[Job]:
    """Every run of a table, or of the whole plan, once, in the order to make them.

    Raises:
        ValueError: If there is no such table; lists the choices.
    """
    lookup({"all": None, **STUDIES}, table, "table")
    parts = PLAN if table == "all" else [(table, None)]
    ledgers = {name: Ledger(results / name) for name in {STUDIES[t].results for t, _ in parts}}
    found: dict[tuple[str, str, int], Job] = {}
    for name, first in parts:
        study = STUDIES[name]
        wanted = [number for number in (first, seeds) if number is not None]
        for run in study.runs(min(wanted, default=None)):
            found.setdefault((study.results, *run.key), Job(run, ledgers[study.results]))
    return list(found.values())


def require_data(jobs: Sequence[Job], data: Path) -> None:
    """Raise a :class:`DataFileError` before hundreds of runs would fail for want of the same files.

    Args:
        jobs: To make.
        data: Folder of the data sets.
    """
    for name in dict.fromkeys(name for job in jobs for name in job.run.trial.datasets):
        for train in (True, False):
            DATASETS[name].read(data, train, lambda image: image, False)


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"


def _result(run: Run, record: Record) -> str:
    if record.error:
        return f"{run.name}: FAILED, {record.error}"
    return f"{run.name}: {record.accuracy:.2f} % in {record.seconds:.0f} s"


def sweep(
    table: str,
    data: Path = Path("data"),
    results: Path = RESULTS,
    processes: int = 2,
    seeds: int | None = None,
    retry: bool = False,
) -> None:
    """Make what is missing of a table, and record it.

    Args:
        table: Name in :data:`~models.studies.catalogue.STUDIES`, or "all".
        data: Folder of the data sets.
        results: Folder of the CSV files.
        processes: Runs at a time, each on one thread.
        seeds: Only the first so many.
        retry: Make runs again that failed.

    Raises:
        ValueError: If there is no such table, or a number is below 1.
        DataFileError: If a data set is missing or corrupt.
    """
    for name, value in (("processes", processes), ("seeds", seeds)):
        if value is not None and value < 1:
            raise ValueError(f"--{name} must be at least 1; got {value}.")
    jobs = jobs_of(table, results, seeds)
    done = {ledger: ledger.done(retry) for ledger in {job.ledger for job in jobs}}
    missing = [job for job in jobs if job.run.key not in done[job.ledger]]
    print(f"{table}: {len(jobs)} runs, {len(jobs) - len(missing)} recorded.", flush=True)
    require_data(missing, data)
    began, failed = time.monotonic(), 0
    runs = make_all(missing, data, processes=processes, commit=commit_of(CHECKOUT), retry=retry)
    for count, (run, record) in enumerate(runs, start=1):
        failed += bool(record.error)
        words = f"[{count}/{len(missing)}] {_result(run, record)}"
        if len(done) == 1:  # runs of one study take about the same time
            left = (time.monotonic() - began) / count * (len(missing) - count)
            words += f"; about {_duration(left)} left"
        print(words, flush=True)
    if failed:
        print(f"{failed} runs failed; the CSV says why. --retry makes them again.", flush=True)


def main(args: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = ArgumentParser(
        prog=PROGRAM,
        exit_on_error=False,
        allow_abbrev=False,
        description="Make the runs of a study that are not recorded yet.",
    )
    parser.add_argument("table", help=f"One of {', '.join(STUDIES)}, or all.")
    parser.add_argument("--data", type=Path, default="data", help="Folder of the data sets.")
    parser.add_argument("--results", type=Path, default=RESULTS, help="Folder of the CSV files.")
    parser.add_argument("--processes", type=int, default=2, help="Runs at a time, a thread each.")
    parser.add_argument("--seeds", type=int | None, help="Only the first so many.")
    parser.add_argument("--retry", action="store_true", help="Make runs again that failed.")
    # Stopped from outside is as good as Ctrl-C, which shells keep from what runs in the background.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with quiet(), errors_on_one_line(PROGRAM):
        chosen = parser.parse_args(sys.argv[1:] if args is None else list(args))
        sweep(**chosen.as_dict())


if __name__ == "__main__":
    main()
