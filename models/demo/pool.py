"""Many runs at once, one process of one thread each, with a progress bar."""

from __future__ import annotations

import multiprocessing
import os
import queue
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import replace
from typing import Any

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from models.demo.tasks import TASKS, VARIANTS, Result, Run, train

_METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
"""How processes begin: where it can be, as forks of one that has imported everything."""

_epochs: Any = None  # the queue to the parent, in a child process


def _start_child(epochs: Any) -> None:
    global _epochs
    _epochs = epochs
    torch.set_num_threads(1)


def _train(run: Run) -> Result:
    return train(run, lambda: _epochs.put(run.task))


def plan(seeds: Sequence[int], *, short: bool) -> list[Run]:
    """Every task, variant and seed."""
    return [
        Run(name, variant, seed, task.short_epochs if short else task.recipe.epochs)
        for name, task in TASKS.items()
        for variant in VARIANTS
        for seed in seeds
    ]


def train_all(
    runs: Sequence[Run], progress: Progress, processes: int | None = None
) -> list[Result]:
    """Results of the runs, in their order.

    Runs that start from the digits network of their seed wait for it.

    Args:
        runs: As :func:`plan` made them.
        progress: Bar to fill, one step an epoch.
        processes: How many at a time; by default as many as there are processors, at most 8.
    """
    bars = {
        task: progress.add_task(task, total=sum(run.epochs for run in runs if run.task == task))
        for task in dict.fromkeys(run.task for run in runs)
    }
    context: Any = multiprocessing.get_context(_METHOD)
    context.set_forkserver_preload(["__main__", "models.demo.tasks"])  # of no effect on spawn
    epochs = context.Queue()
    workers = min(processes or os.cpu_count() or 1, 8, len(runs))
    with ProcessPoolExecutor(workers, context, _start_child, (epochs,)) as pool:
        futures: dict[int, Future[Result]] = {}
        while len(futures) < len(runs) or not all(f.done() for f in futures.values()):
            for index, run in enumerate(runs):
                if index in futures:
                    continue
                start = None
                if TASKS[run.task].from_digits:
                    first = _digits_network(runs, run.seed)
                    if first not in futures or not futures[first].done():
                        continue
                    start = futures[first].result().state
                futures[index] = pool.submit(_train, replace(run, start=start))
            for future in futures.values():
                if future.done():
                    future.result()  # an error ends the demo at once, not at its end
            try:
                progress.advance(bars[epochs.get(timeout=0.2)])
            except queue.Empty:
                continue
        for task, bar in bars.items():
            progress.update(bar, completed=progress.tasks[bar].total, description=task)
        return [futures[index].result() for index in range(len(runs))]


def _digits_network(runs: Sequence[Run], seed: int) -> int:
    return next(
        index
        for index, run in enumerate(runs)
        if (run.task, run.variant, run.seed) == ("digits", "none", seed)
    )


def progress_bar() -> Progress:
    """Epochs done of each task."""
    return Progress(
        TextColumn("{task.description:10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("epochs"),
        TimeElapsedColumn(),
    )
