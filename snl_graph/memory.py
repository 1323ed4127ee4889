"""How much memory there is, and a refusal before more than that is asked for."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import Parameter

_MEMORY_FACTS = Path("/proc/meminfo")
_MEMORY_LIMIT = Path("/sys/fs/cgroup/memory.max")
_WORTH_ASKING = 256 * 2**20  # below this, asking the system costs more than it can save


def free_bytes(device: torch.device) -> int | None:
    """Bytes that could be had on a device, without waiting for it; None where nobody knows.

    On the processor what the system calls available, within the limit of a container. On a GPU all
    the memory it has: asking how much of it is free would make the device wait.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    if device.type != "cpu":
        return None
    known = [_available_bytes(), _limit_of_container()]
    return min((count for count in known if count is not None), default=None)


def _available_bytes() -> int | None:
    if _MEMORY_FACTS.exists():
        for line in _MEMORY_FACTS.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # no such question on this system
        return None


def _limit_of_container() -> int | None:
    try:
        limit = _MEMORY_LIMIT.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(limit) if limit.isdecimal() else None


def require_room_for_matrices(
    features: Tensor, shape: Sequence[int], matrices: int, instead: Callable[[], str]
) -> None:
    """Raise a ``ValueError`` if dense matrices of that shape cannot fit into memory.

    Looks at shapes only. Says nothing while a program is traced, and of tensors that hold no
    numbers or are spread over several machines.

    Args:
        features: What the matrices are computed from.
        shape: Shape of one matrix, (*batch, N, N').
        matrices: How many of them there are at once, at least.
        instead: Says what the caller can do.
    """
    if torch.compiler.is_compiling() or type(features) not in (Tensor, Parameter):
        return
    itemsize = max(features.element_size(), 4)  # written down in float32 at least
    one = "×".join(str(length) for length in shape)
    require_room(
        matrices * math.prod(shape) * itemsize,
        features.device,
        'representation "dense"',
        f"{matrices} {'matrix' if matrices == 1 else 'matrices'} of {one}",
        instead,
    )


def require_room(
    needed: int, device: torch.device, who: str, what: str, instead: Callable[[], str]
) -> None:
    """Raise a ``ValueError`` if so many bytes cannot be had on a device.

    Args:
        needed: How many bytes, at least.
        device: Where.
        who: Subject of the error.
        what: What the bytes hold.
        instead: Says what the caller can do.
    """
    if needed < _WORTH_ASKING:
        return
    free = free_bytes(device)
    if free is not None and needed > free:
        raise ValueError(
            f"{who} needs at least {gibibytes(needed)} for {what}, but {device} has "
            f"{gibibytes(free)}. {instead()}"
        )


def apply_instead() -> str:
    """What to do with an operator too large to be written down."""
    return "Apply it without writing it down: A @ z."


def gibibytes(count: int) -> str:
    """A number of bytes for people: ``"3.2 GiB"``."""
    return f"{count / 2**30:.1f} GiB"
