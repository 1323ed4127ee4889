"""A monitor in several processes: the first one looks, and none is kept waiting."""

from collections.abc import Callable

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from snl_graph import insert_block
from snl_graph.monitor import BlockMonitor
from tests.distributed.processes import Processes

Group = Callable[[int], Processes]


def watched_steps() -> tuple[list[str], list[float]]:
    """Names that this process logged, and the sum of its weights after three steps."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 2))
    insert_block(network, "1", "nl", example=torch.zeros(2, 1, 8, 8), zero_init=False)
    parallel = DistributedDataParallel(network)
    optimizer = torch.optim.SGD(parallel.parameters(), 0.1)
    logged: list[str] = []
    with BlockMonitor(network, every=2, log=lambda numbers, step: logged.append(str(step))):
        for step in range(3):
            images = torch.randn(2, 1, 8, 8, generator=_of_process(step))
            optimizer.zero_grad()
            parallel(images).square().mean().backward()
            optimizer.step()
    return logged, [float(weight.sum()) for weight in network.parameters()]


def _of_process(step: int) -> torch.Generator:
    return torch.Generator().manual_seed(10 * step + dist.get_rank())


def test_the_first_process_logs_and_all_train_alike(group: Group) -> None:
    (first, weights), (second, others) = group(2).run(watched_steps)
    assert (first, second) == (["0", "2"], [])
    assert weights == others
