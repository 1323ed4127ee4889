"""How large a graph may be before anything is allocated for it."""

from __future__ import annotations

import torch

from snl_graph.cli.errors import CommandError
from snl_graph.memory import free_bytes

BYTES_A_NODE, BYTES_AN_EDGE = 200, 100
"""What the operator and a few signals on it take, roughly."""


def require_room(what: str, nodes: int, edges: int, *, times: int = 1) -> None:
    """Raise a :class:`CommandError` if a graph of that size cannot fit into memory.

    Args:
        what: Its name.
        nodes: How many.
        edges: How many.
        times: How often the memory of arrays is taken to make it.
    """
    needed = times * (BYTES_A_NODE * nodes + BYTES_AN_EDGE * edges)
    free = free_bytes(torch.device("cpu"))
    if free is not None and needed > free:
        raise CommandError(
            f"{what} has {nodes:,} nodes and {edges:,} edges, which take some {needed / 1e9:,.1f} "
            f"GB; there are {free / 1e9:,.1f} GB. Take a smaller graph."
        )


def require_room_for_bytes(what: str, needed: int) -> None:
    """Raise a :class:`CommandError` if so many bytes, four times over, cannot fit into memory."""
    free = free_bytes(torch.device("cpu"))
    if free is not None and 4 * needed > free:
        raise CommandError(
            f"{what} unpacks to {needed / 1e9:,.1f} GB; there are {free / 1e9:,.1f} GB of memory "
            f"to work in. Take a smaller one."
        )
