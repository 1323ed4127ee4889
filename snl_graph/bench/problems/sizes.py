"""What a contender would need: counted before anything is made."""

from __future__ import annotations

from snl_graph.bench.contenders import TRAINING
from snl_graph.kernels import Kernel
from snl_graph.masks import Mask
from snl_graph.representations import REPRESENTATIONS

NAIVE, MESSAGES = "naive dense", "messages (PyG)"


def representations_of(kernel: Kernel, mask: Mask) -> tuple[str, ...]:
    """Names of all representations that a kernel and a mask have."""
    return tuple(
        name
        for name in REPRESENTATIONS
        if name in kernel.representations and REPRESENTATIONS[name].serves(mask)
    )


def dense_bytes(batch: int, nodes: int, mode: str, itemsize: int = 4) -> int:
    """Matrices at once: M, its symmetric part and two scales; as many gradients in training."""
    return (8 if mode == TRAINING else 4) * batch * nodes**2 * itemsize


def edge_bytes(
    batch: int, edges: int, width: int, channels: int, mode: str, itemsize: int = 4
) -> int:
    """Gathered Φ, Ψ and their product, gathered Z and its messages; as much again in training."""
    floats = 3 * width + 2 * channels
    return batch * edges * ((2 if mode == TRAINING else 1) * floats * itemsize + 16)
