"""Blocks and layers whose weights are shared out by ``fully_shard`` are those of one process."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    set_model_state_dict,
)
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, init_device_mesh

from snl_graph import SNLConv, insert_block, nonlocal_block
from snl_graph.blocks import ROWS
from snl_graph.monitor.weights import gradient_norm
from tests.distributed.processes import Processes
from tests.tolerances import assert_equal

Group = Callable[[int], Processes]
CHANNELS = 8


def steps(network: nn.Module, inputs: tuple[Tensor, ...]) -> Iterator[Tensor]:
    """Outputs of the network in three steps of gradient descent, and the whole gradient's norm."""
    optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9)
    for _ in range(3):
        optimizer.zero_grad()
        y = network(*inputs)
        yield y
        y.square().mean().backward()
        yield torch.tensor(gradient_norm(network))
        optimizer.step()


def check_row(name: str) -> None:
    """A block beside other layers, a unit of its own, and one inserted behind a layer."""
    rank, world = dist.get_rank(), dist.get_world_size()
    network = nn.Sequential(
        nn.Conv2d(3, CHANNELS, 3, padding=1),
        nonlocal_block(name, CHANNELS, norm="group"),
        nn.Conv2d(CHANNELS, CHANNELS, 1),
    )
    x = torch.randn(2 * world, 3, 5, 4, dtype=torch.float64)
    insert_block(network, "2", name, example=x.float(), zero_init=False, norm="group")
    network = network.double()
    shared = copy.deepcopy(network)
    mesh = init_device_mesh("cpu", (world,))
    fully_shard(shared[1], mesh=mesh)
    fully_shard(shared, mesh=mesh)
    before = {key: value.clone() for key, value in network.state_dict().items()}

    pairs = zip(steps(network, (x,)), steps(shared, (x[2 * rank : 2 * rank + 2],)), strict=True)
    for expected, found in pairs:
        own = expected[2 * rank : 2 * rank + 2] if expected.dim() else expected
        assert_equal(found, own)
    assert all(isinstance(weight, DTensor) for weight in shared.parameters())

    whole = get_model_state_dict(shared, options=StateDictOptions(full_state_dict=True))
    assert list(whole) == list(network.state_dict())
    for key, value in network.state_dict().items():
        assert_equal(whole[key], value)
        assert not torch.equal(before[key], value), key  # it has learned something
    set_model_state_dict(shared, dict(before), options=StateDictOptions(full_state_dict=True))
    for key, value in get_model_state_dict(
        shared, options=StateDictOptions(full_state_dict=True)
    ).items():
        assert torch.equal(value, before[key]), key


@pytest.mark.parametrize("name", ROWS)
def test_a_block_has_the_values_steps_and_keys_of_one_process(group: Group, name: str) -> None:
    group(2).run(check_row, name)


def check_layer() -> None:
    ring = torch.arange(5)
    edges = torch.stack([ring, ring.roll(1)])
    layer = SNLConv(3, 4, K=3, kernel="dot").double()
    shared = copy.deepcopy(layer)
    fully_shard(shared, mesh=init_device_mesh("cpu", (dist.get_world_size(),)))
    x = torch.randn(5, 3, dtype=torch.float64)  # of each process, so that the mean is of one
    for expected, found in zip(steps(layer, (x, edges)), steps(shared, (x, edges)), strict=True):
        assert_equal(found, expected)


def test_a_graph_layer_has_the_values_and_steps_of_one_process(group: Group) -> None:
    group(2).run(check_layer)
