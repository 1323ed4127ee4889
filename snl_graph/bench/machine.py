"""The machine that the numbers are of."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from snl_graph.bench.memory import load_average
from snl_graph.environment import environment
from snl_graph.memory import free_bytes

_PROCESSOR_FACTS = Path("/proc/cpuinfo")
_IDLE = 0.5


@dataclass(frozen=True)
class Machine:
    """Facts about the machine when the measuring began.

    Attributes:
        processor: Its name.
        threads: Threads of one operation.
        torch: Version of PyTorch.
        torch_geometric: Version of PyTorch Geometric.
        snl_graph: Version of this library.
        platform: Operating system.
        load: Load average of the last minute, or None.
        free_bytes: Memory that could be had, or None.
    """

    processor: str
    threads: int
    torch: str
    torch_geometric: str | None
    snl_graph: str
    platform: str
    load: float | None
    free_bytes: int | None

    def to_dict(self) -> dict[str, object]:
        """Plain values."""
        return asdict(self)

    def warning(self) -> str | None:
        """What to say if other programs were at work; None if the machine was idle."""
        if self.load is None or self.load <= _IDLE:
            return None
        return (
            f"the load average is {self.load:.1f}: other programs are at work, so times are longer "
            "than they need be. Ratios are of interleaved rounds and bear some of it."
        )


def machine() -> Machine:
    """Facts about this machine, now."""
    facts = environment()
    return Machine(
        processor=_processor(),
        threads=torch.get_num_threads(),
        torch=facts.torch,
        torch_geometric=facts.torch_geometric,
        snl_graph=facts.snl_graph,
        platform=facts.platform,
        load=load_average(),
        free_bytes=free_bytes(torch.device("cpu")),
    )


def _processor() -> str:
    if _PROCESSOR_FACTS.exists():
        for line in _PROCESSOR_FACTS.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
