"""Groups of processes, started once for all tests that need them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.distributed.processes import Processes


@pytest.fixture(scope="session")
def group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[int], Processes]]:
    """A group of so many processes; a new one where the last was stopped by a failure."""
    running: dict[int, Processes] = {}

    def group_of(world: int) -> Processes:
        if world not in running or not running[world].is_running:
            store = tmp_path_factory.mktemp("store") / "file"
            running[world] = Processes(world, store)
        return running[world]

    yield group_of
    for processes in running.values():
        processes.stop()
