"""Processes of a gloo group that run a test's function, and fail it when they hang."""

from __future__ import annotations

import multiprocessing
import os
import traceback
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

PATIENCE = 60
"""Seconds after which a collective that some process never joined fails the test."""

START = 300
"""Seconds in which the library must have been imported, on a machine busy with other tests."""

# A server that has imported the library forks every process: one import for all of them, and no
# thread of the test's own process in any.
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(
    ["snl_graph", "torch.distributed.tensor.debug", "torch_geometric.loader", "models.training"]
)


class Processes:
    """``world`` processes of one group; each runs the same function, as a program would.

    Args:
        world: How many.
        store: A file that does not exist yet, by which they find each other: no port is taken.
    """

    def __init__(self, world: int, store: Path) -> None:
        self.world, self.patience = world, PATIENCE
        pipes = [_SERVER.Pipe() for _ in range(world)]
        self._pipes = [ours for ours, _ in pipes]
        self._processes = [
            _SERVER.Process(target=_serve, args=(theirs, rank, world, str(store)), daemon=True)
            for rank, (_, theirs) in enumerate(pipes)
        ]
        for process in self._processes:
            process.start()
        for _, theirs in pipes:
            theirs.close()  # so that the death of a process is seen here as the end of its pipe
        self._answers(START)

    def run(self, function: Callable[..., Any], *args: Any) -> list[Any]:
        """What the function, of a module of the tests, returned in each process.

        Raises:
            AssertionError: If it failed in one, with its traceback, or did not come back in time.
        """
        for pipe in self._pipes:
            pipe.send((function, args))
        return self._answers(self.patience)

    def _answers(self, patience: float) -> list[Any]:
        answers: dict[int, Any] = {}
        while len(answers) < self.world:
            waiting = {pipe: rank for rank, pipe in enumerate(self._pipes) if rank not in answers}
            ready = wait(list(waiting), timeout=patience)
            # The first to fail leaves the others waiting for it: what it says is what matters.
            for pipe in ready:
                answers[waiting[pipe]] = self._answer(pipe, waiting[pipe])
            if not ready:
                self.stop()
                raise AssertionError(f"processes {sorted(waiting.values())} hang")
        return [answers[rank] for rank in range(self.world)]

    def _answer(self, pipe: Connection, rank: int) -> Any:
        try:
            is_error, answer = pipe.recv()
        except EOFError:
            is_error, answer = True, "it died"
        if is_error:
            self.stop()
            raise AssertionError(f"process {rank} of {self.world} failed: {answer}")
        return answer

    @property
    def is_running(self) -> bool:
        """Whether all of them can run something more."""
        return all(process.is_alive() for process in self._processes)

    def stop(self) -> None:
        """End them, whatever they are doing."""
        for process in self._processes:
            process.kill()
            process.join()


def _serve(pipe: Connection, rank: int, world: int, store: str) -> None:
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world)}
    dist.init_process_group(
        "gloo",
        store=dist.FileStore(store, world),
        rank=rank,
        world_size=world,
        timeout=timedelta(seconds=PATIENCE),
    )
    pipe.send((False, None))
    while True:
        try:
            function, args = pipe.recv()
        except EOFError:
            return
        try:
            torch.manual_seed(0)
            pipe.send((False, function(*args)))
        except Exception:
            pipe.send((True, traceback.format_exc()))
