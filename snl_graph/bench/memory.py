"""Memory of a piece of work: kept for backward, the largest tensor, and the peak of a process."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from snl_graph.bench.contenders import FORWARD, Contender, Problem


def saved_bytes(work: Callable[[], object]) -> int:
    """Bytes that autograd keeps for the backward pass of ``work``: every storage once.

    Inputs and parameters count too, as far as the backward pass needs them.
    """
    storages: dict[int, int] = {}
    alive: list[Tensor] = []  # an address must not be used again while we count

    def pack(tensor: Tensor) -> Tensor:
        alive.append(tensor)
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = work()
    del result
    return sum(storages.values())


class _LargestTensor(TorchDispatchMode):
    """Remembers the greatest number of entries that any operation returned."""

    def __init__(self) -> None:
        super().__init__()
        self.entries = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self.entries = max(self.entries, leaf.untyped_storage().nbytes() // leaf.itemsize)
        return result


def largest_tensor(work: Callable[[], object]) -> int:
    """Entries of the largest tensor that any operation of ``work`` makes."""
    with _LargestTensor() as seen:
        work()
    return seen.entries


@dataclass(frozen=True)
class Peak:
    """Peak memory of a process that does one piece of work once.

    Attributes:
        total: Largest resident set of the process in bytes, libraries and inputs included.
        above_inputs: What it grew by when the inputs, and one small run, were there already.
    """

    total: int
    above_inputs: int

    def to_dict(self) -> dict[str, int]:
        """Plain values."""
        return asdict(self)


def peak(problem: Problem, name: str, mode: str, threads: int) -> Peak | None:
    """Peak memory of a contender, in a new process; None on a system that does not tell it."""
    if sys.platform == "win32":
        return None
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(_peak_here, problem, name, mode, threads).result()


def _peak_here(problem: Problem, name: str, mode: str, threads: int) -> Peak:
    torch.set_num_threads(threads)
    # Libraries load their parts, and threads their buffers, when they are first used.
    problem.small("float32").contender(name).run(mode)
    contender = problem.contender(name)
    before = largest_resident_set()
    contender.run(mode)
    after = largest_resident_set()
    return Peak(after, after - before)


def largest_resident_set() -> int:
    """Peak of the resident set of this process in bytes.

    Raises:
        OSError: On Windows, which does not tell.
    """
    if sys.platform == "win32":
        raise OSError("the resident set of a process is not told on Windows")
    # On Linux a new process starts with the getrusage peak of its parent: the kernel knows better.
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = [row for row in status.read_text().splitlines() if row.startswith("VmHWM")]
        return int(line.split()[1]) * 1024
    import resource  # of POSIX systems only

    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else largest * 1024


def saved_by(contender: Contender) -> int | None:
    """Bytes kept for backward; None where autograd takes no part."""
    if type(contender) is not Contender:
        return None
    with torch.enable_grad():
        return saved_bytes(contender.output)


def load_average() -> float | None:
    """Processes that wanted to run in the last minute; None on a system that does not tell."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def largest_tensor_of(contender: Contender, mode: str = FORWARD) -> int:
    """Entries of the largest tensor of a contender's work."""
    return largest_tensor(lambda: contender.run(mode))
