"""Time of one observation of a block beside that of one training step of its network.

Run `python docs/measure_monitor.py` from the checkout. One row a block and a place in a CIFAR
network, with batches of 64 images of 32×32: the last column is what watching the block adds to the
time of training with `every=100`. Processor time of one thread, the median of several.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

from models.networks import build_network
from snl_graph import NonlocalBlock, insert_block, inserted_blocks
from snl_graph.monitor import observe

PLACES = {"layer1.0": 32, "layer2.0": 16, "layer3.0": 8}
BLOCKS = ("snl", "nl", "cc")


def milliseconds(work: Callable[[], object], repeats: int) -> float:
    """Median processor time after one call to warm up."""
    work()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return 1e3 * statistics.median(times)


def measure(block: str, place: str) -> tuple[float, float, str | None]:
    """A training step, an observation, and how the eigenvalues were found."""
    torch.manual_seed(0)
    network = build_network("preresnet20", in_channels=3, num_classes=10)
    insert_block(network, place, block, example=torch.zeros(2, 3, 32, 32))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    images, classes = torch.randn(64, 3, 32, 32), torch.arange(64) % 10

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(images), classes).backward()
        optimizer.step()

    module = inserted_blocks(network)[place]
    assert isinstance(module, NonlocalBlock)
    side = PLACES[place]
    features = torch.randn(64, module.channels, side, side).relu()
    solver = observe(module, features).solver
    return milliseconds(step, 3), milliseconds(lambda: observe(module, features), 5), solver


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    print("| block | map | eigenvalues | training step | observation | ratio | every=100 |")
    print("|---|---|---|---|---|---|---|")
    for place, side in PLACES.items():
        for block in BLOCKS:
            step, look, solver = measure(block, place)
            print(
                f"| `{block}` | {side}×{side} | {solver} | {step:.0f} ms | {look:.0f} ms | "
                f"{look / step:.2f} | {look / step:.2g} % |"
            )


if __name__ == "__main__":
    main()
