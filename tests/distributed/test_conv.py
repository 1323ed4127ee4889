"""A layer over all pairs of nodes on several processes is the layer on one."""

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
from torch.utils.checkpoint import checkpoint

import snl_graph
from snl_graph import SNLConv
from tests.distributed.processes import Processes
from tests.tolerances import assert_equal

Group = Callable[[int], Processes]
CHANNELS = 6


def spread(x: Tensor, axis: int = -2) -> DTensor:
    mesh = init_device_mesh("cpu", (dist.get_world_size(),), mesh_dim_names=("nodes",))
    return distribute_tensor(x, mesh, [Shard(axis % x.dim())])


def on_mesh(module: nn.Module) -> nn.Module:
    mesh = init_device_mesh("cpu", (dist.get_world_size(),), mesh_dim_names=("nodes",))
    return distribute_module(copy.deepcopy(module), mesh)


def check_against_one_process(options: dict[str, Any], *shapes: tuple[int, ...]) -> None:
    channels = CHANNELS if len(shapes) == 1 else (CHANNELS, CHANNELS)
    conv = SNLConv(channels, 4, **options).double()
    ends = [torch.randn(*shape, CHANNELS, dtype=torch.float64) for shape in shapes]
    found: list[list[Tensor]] = []
    for module, leaves in (
        (conv, [x.clone().requires_grad_() for x in ends]),
        (on_mesh(conv), [spread(x).requires_grad_() for x in ends]),
    ):
        y = module(leaves[0] if len(leaves) == 1 else tuple(leaves))
        y.sin().sum().backward()
        weights = [weight.grad for weight in module.parameters()]
        found.append([y, *(leaf.grad for leaf in leaves), *weights])
    for expected, ours in zip(*found, strict=True):
        assert isinstance(ours, DTensor)
        assert_equal(ours.full_tensor(), expected)


@pytest.mark.parametrize(
    ("world", "options", "shapes"),
    [
        (2, {"kernel": "dot"}, [(7,)]),
        (4, {"kernel": "dot", "K": 3}, [(5,)]),
        (2, {"kernel": "dot", "K": 3, "basis": "chebyshev", "lambda_max": 1.5}, [(7,)]),
        (2, {"kernel": "dot", "heads": 2, "normalization": "rw"}, [(2, 7)]),
        (2, {"kernel": "double_softmax", "normalization": "none", "bias": False}, [(7,)]),
        (2, {"kernel": "dot", "normalization": "rw"}, [(7,), (4,)]),
    ],
    ids=["dot", "an empty process", "chebyshev", "heads and batch", "double softmax", "bipartite"],
)
def test_values_and_gradients_are_those_of_one_process(
    group: Group, world: int, options: dict[str, Any], shapes: list[tuple[int, ...]]
) -> None:
    group(world).run(check_against_one_process, options, *shapes)


def count_collectives(num_nodes: int) -> dict[object, int]:
    module = on_mesh(SNLConv(CHANNELS, 4, K=3, kernel="dot"))
    x = spread(torch.randn(num_nodes, CHANNELS)).requires_grad_()
    with CommDebugMode() as collectives:
        module(x).to_local().square().sum().backward()
    return {str(name): count for name, count in collectives.get_comm_counts().items()}


def test_collectives_do_not_depend_on_the_number_of_nodes(group: Group) -> None:
    # Degrees and two applications, the same backward; the gradients of Φ, Ψ, three taps, the bias.
    expected = {"c10d.allreduce_": 6, "c10d_functional.all_reduce": 6}
    for num_nodes in (2, 7, 400):
        for counts in group(2).run(count_collectives, num_nodes):
            assert counts == expected


def check_checkpointing() -> None:
    """Activations that are computed again in the backward pass: the same gradients."""
    conv = on_mesh(SNLConv(CHANNELS, 4, K=3, kernel="dot"))
    found = []
    for call in (conv, lambda x: checkpoint(conv, x, use_reentrant=False)):
        torch.manual_seed(0)
        x = spread(torch.randn(7, CHANNELS)).requires_grad_()
        conv.zero_grad()
        call(x).square().sum().backward()
        found.append([x.grad, *(weight.grad for weight in conv.parameters())])
    for ours, theirs in zip(*found, strict=True):
        assert_equal(ours.full_tensor(), theirs.full_tensor())


def test_a_layer_can_be_checkpointed(group: Group) -> None:
    group(2).run(check_checkpointing)


def check_refusals() -> None:
    conv = SNLConv(CHANNELS, 4, kernel="dot")
    x = torch.randn(6, CHANNELS)
    with pytest.raises(ValueError, match=r"x .* placed as Shard\(dim=1\).*axis 0"):
        on_mesh(conv)(spread(x, 1))
    with pytest.raises(ValueError, match=r"bias is a plain tensor.*distribute_module"):
        conv(spread(x))
    with pytest.raises(ValueError, match=r"distribute_tensor\(x, mesh, \[Shard\(0\)\]\)"):
        on_mesh(conv)(x)
    edge_index = torch.tensor([[0, 1], [1, 0]])
    with pytest.raises(ValueError, match="edge_index came as well"):
        on_mesh(conv)(spread(x), edge_index)
    with pytest.raises(ValueError, match="batch came as well"):
        on_mesh(conv)(spread(x), batch=torch.zeros(6, dtype=torch.long))
    with pytest.raises(ValueError, match="return_attention_weights came as well"):
        on_mesh(conv)(spread(x), return_attention_weights=True)
    with pytest.raises(ValueError, match="this layer has none"):
        on_mesh(SNLConv(CHANNELS, 4))(spread(x))
    with pytest.raises(ValueError, match=r"kernel EmbeddedGaussian.* of all nodes"):
        on_mesh(SNLConv(CHANNELS, 4, kernel="embedded_gaussian"))(spread(x))
    estimating = SNLConv(CHANNELS, 4, kernel="dot", basis="chebyshev", lambda_max="estimate")
    with pytest.raises(ValueError, match="estimate"):
        on_mesh(estimating)(spread(x))
    bad = x.clone()
    bad[5] = torch.nan
    with snl_graph.value_checks(), pytest.raises(ValueError, match="x has 6 non-finite"):
        on_mesh(conv)(spread(bad))


def test_what_a_layer_cannot_do_on_shards_says_what_it_can(group: Group) -> None:
    group(2).run(check_refusals)
