"""A block on a map whose positions are on several processes is the block on one."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import (
    DTensor,
    Shard,
    distribute_module,
    distribute_tensor,
    init_device_mesh,
)
from torch.distributed.tensor.debug import CommDebugMode

import snl_graph
from snl_graph import nonlocal_block
from snl_graph.filters import Heat
from tests.distributed.processes import Processes
from tests.tolerances import assert_equal

Group = Callable[[int], Processes]
CHANNELS = 8


def spread(x: Tensor, axis: int) -> DTensor:
    mesh = init_device_mesh("cpu", (dist.get_world_size(),), mesh_dim_names=("nodes",))
    return distribute_tensor(x, mesh, [Shard(axis)])


def on_mesh(module: nn.Module) -> nn.Module:
    mesh = init_device_mesh("cpu", (dist.get_world_size(),), mesh_dim_names=("nodes",))
    return distribute_module(copy.deepcopy(module), mesh)


def whole(x: Tensor) -> Tensor:
    return x.full_tensor() if isinstance(x, DTensor) else x


def check_against_one_process(
    options: dict[str, Any], size: tuple[int, ...], axis: int, is_padded: bool, is_training: bool
) -> None:
    block = nonlocal_block(channels=CHANNELS, **options).double().train(is_training)
    x = torch.randn(2, CHANNELS, *size, dtype=torch.float64)
    valid = torch.rand(2, *size) < 0.7 if is_padded else None
    found: list[list[Tensor]] = []
    for module, leaf, marks in (
        (block, x.clone(), valid),
        (on_mesh(block), spread(x, axis), None if valid is None else spread(valid, axis - 1)),
    ):
        leaf.requires_grad_()
        y = module(leaf, marks)
        y.sin().sum().backward()
        assert y.shape == x.shape
        found.append(
            [y, leaf.grad, *(weight.grad for weight in module.parameters()), *module.buffers()]
        )
    for expected, ours in zip(*found, strict=True):
        assert isinstance(ours, DTensor)
        assert_equal(whole(ours).double(), expected.double())


@pytest.mark.parametrize(
    ("options", "size", "axis"),
    [
        ({"name": "snl"}, (5, 3), 2),  # rows 3, 2 on two processes: not the nodes 8, 7
        ({"name": "snl", "heads": 2, "norm": "group"}, (4, 3), 3),
        ({"name": "gsnl", "K": 4, "basis": "chebyshev", "norm": "layer"}, (7,), 2),
        ({"name": "a2", "norm": "none", "activation": "relu", "depth": 2}, (3, 2, 2), 2),
        ({"name": "cgnl", "groups": 2}, (5, 3), 2),
        ({"name": "nl", "kernel": "signed_dot", "normalization": "none"}, (5, 3), 2),
        ({"name": "gsnl", "filter": "cayley", "depth": 2}, (5, 3), 2),
        ({"name": "gsnl", "filter": Heat(2, learnable=True)}, (5, 3), 2),
    ],
    ids=lambda value: value["name"] if isinstance(value, dict) else None,
)
def test_values_gradients_and_statistics_are_those_of_one_process(
    group: Group, options: dict[str, Any], size: tuple[int, ...], axis: int
) -> None:
    group(2).run(check_against_one_process, options, size, axis, False, True)


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_padded_positions_count_on_no_process(group: Group, norm: str) -> None:
    options = {"name": "snl", "norm": norm, "recurrence": 2}
    group(2).run(check_against_one_process, options, (5, 3), 2, True, True)


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_a_process_may_have_no_row(group: Group, norm: str) -> None:
    for is_training in (True, False):
        options = {"name": "snl", "norm": norm}
        group(4).run(check_against_one_process, options, (2, 3), 2, False, is_training)


def count_collectives(height: int) -> dict[object, int]:
    module = on_mesh(nonlocal_block("snl", CHANNELS))
    x = spread(torch.randn(1, CHANNELS, height, 3), 2).requires_grad_()
    with CommDebugMode() as collectives:
        module(x).to_local().square().sum().backward()
    return {str(name): count for name, count in collectives.get_comm_counts().items()}


def test_collectives_do_not_depend_on_the_size_of_the_map(group: Group) -> None:
    # Degrees and one application, two moments of the norm, and the same backward; then the
    # gradients of Φ, Ψ, Z, two taps and the weight and bias of the norm.
    expected = {"c10d.allreduce_": 8, "c10d_functional.all_reduce": 7}
    for height in (2, 7, 64):
        for counts in group(2).run(count_collectives, height):
            assert counts == expected


def check_refusals() -> None:
    block = nonlocal_block("snl", CHANNELS)
    x = torch.randn(2, CHANNELS, 4, 4)
    for axis in (0, 1):
        with pytest.raises(ValueError, match=rf"Shard\(dim={axis}\).*one of the axes 2, 3"):
            on_mesh(block)(spread(x, axis))
    with pytest.raises(ValueError, match=r"affinity.phi.weight is a plain tensor.*distribute_mod"):
        block(spread(x, 2))
    with pytest.raises(ValueError, match=r"valid .* placed as Shard\(dim=2\)"):
        on_mesh(block)(spread(x, 2), spread(torch.ones(2, 4, 4, dtype=torch.bool), 2))
    with pytest.raises(ValueError, match="distribute_tensor"):
        on_mesh(block)(x)
    with pytest.raises(ValueError, match="subsample pools positions"):
        on_mesh(nonlocal_block("a2", CHANNELS, subsample=2))(spread(x, 2))
    with pytest.raises(ValueError, match=r"kernel EmbeddedGaussian.* of all nodes"):
        on_mesh(nonlocal_block("nl", CHANNELS))(spread(x, 2))
    with pytest.raises(ValueError, match="full_tensor"):
        on_mesh(block).affinity_of(spread(x, 2))
    bad = x.clone()
    bad[0, 0, 3, 3] = torch.inf
    with snl_graph.value_checks(), pytest.raises(ValueError, match="x has 1 non-finite"):
        on_mesh(block)(spread(bad, 2))


def test_what_a_block_cannot_do_on_shards_says_what_it_can(group: Group) -> None:
    group(2).run(check_refusals)


def check_hooks() -> None:
    """The functions of ``distribute_module`` see the whole, once each."""
    seen: list[type] = []

    def spread_input(module: nn.Module, inputs: tuple[Tensor, ...], mesh: object) -> Tensor:
        seen.append(type(inputs[0]))
        return spread(inputs[0], 2)

    def gather_output(module: nn.Module, y: DTensor, mesh: object) -> Tensor:
        seen.append(type(y))
        return y.full_tensor()

    block = nonlocal_block("snl", CHANNELS).eval()
    mesh = init_device_mesh("cpu", (dist.get_world_size(),), mesh_dim_names=("nodes",))
    x = torch.randn(2, CHANNELS, 5, 3)
    expected = block(x)
    module = distribute_module(block, mesh, input_fn=spread_input, output_fn=gather_output)
    assert_equal(module(x), expected.detach())
    assert seen == [Tensor, DTensor]


def test_inputs_are_spread_and_outputs_gathered_by_functions_of_the_module(group: Group) -> None:
    group(2).run(check_hooks)
