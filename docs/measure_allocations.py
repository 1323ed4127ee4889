"""How often a block asks the system for memory, and what it costs: page faults, times of calls.

Run `python docs/measure_allocations.py`, several times: the numbers differ from process to process.
The snl block at (32, 64, 32×32), forward and backward, one thread. Linux and macOS.
"""

from __future__ import annotations

import resource
import statistics
import time

import torch

from snl_graph import nonlocal_block

SHAPE = (32, 64, 32, 32)
CALLS = 25


def faults() -> int:
    """Pages that this process has asked for so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def main() -> None:
    """Print the medians and the extremes."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    block = nonlocal_block("snl", SHAPE[1])
    x, grad = torch.randn(SHAPE, requires_grad=True), torch.randn(SHAPE)
    times, asked = [], []
    for _ in range(CALLS):
        block.zero_grad()
        x.grad = None
        pages, start = faults(), time.perf_counter()
        block(x).backward(grad)
        times.append(1e3 * (time.perf_counter() - start))
        asked.append(faults() - pages)
    del times[:3], asked[:3]  # the first calls fill caches
    print(f"milliseconds: median {statistics.median(times):.1f}, least {min(times):.1f}")
    print(f"page faults: median {statistics.median(asked):.0f}, most {max(asked)}")


if __name__ == "__main__":
    main()
