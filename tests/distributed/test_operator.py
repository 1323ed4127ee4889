"""The factored operator over nodes on several processes is the one over nodes on one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.tensor import (
    DeviceMesh,
    DTensor,
    Replicate,
    Shard,
    distribute_tensor,
    init_device_mesh,
)
from torch.distributed.tensor.debug import CommDebugMode

import snl_graph
from snl_graph import affinity
from snl_graph.filters import Chebyshev, Polynomial
from snl_graph.kernels import Dot, DoubleSoftmax, Kernel, NodeSet, SignedDot
from tests.distributed.processes import Processes
from tests.tolerances import assert_equal

Group = Callable[[int], Processes]
WIDTH, CHANNELS = 3, 2

CASES: dict[str, tuple[Kernel, str]] = {
    "dot sym": (Dot(), "sym"),
    "dot rw": (Dot(), "rw"),
    "dot none": (Dot(), "none"),
    "signed_dot": (SignedDot(), "none"),
    "signed_dot 1/n": (SignedDot("1/n"), "none"),
    "signed_dot 1/sqrt(n) rw": (SignedDot("1/sqrt(n)"), "rw"),
    "double_softmax": (DoubleSoftmax(), "none"),
    "double_softmax sym": (DoubleSoftmax(), "sym"),
}


def features(*shape: int) -> tuple[Tensor, Tensor, Tensor]:
    """Φ, Ψ, Z and an isolated node in the middle."""
    phi, psi = (torch.randn(*shape, WIDTH, dtype=torch.float64) for _ in range(2))
    if shape[-1] > 3:
        phi[..., 2, :] = psi[..., 2, :] = -1  # rectified, it joins nothing
    return phi, psi, torch.randn(*shape, CHANNELS, dtype=torch.float64)


def everything(
    phi: Tensor, psi: Tensor, z: Tensor, marks: Tensor | None, case: str, K: int
) -> list[Tensor]:
    """F of a filter, the degrees, and the gradients of Φ, Ψ and Z, on whatever tensors come."""
    kernel, normalization = CASES[case]
    leaves = [x.detach().requires_grad_() for x in (phi, psi, z)]
    a = affinity(
        *leaves[:2], kernel=kernel, normalization=normalization, valid=marks, representation="auto"
    )
    basis = Chebyshev() if K == 3 else None
    signals = Polynomial(K, basis).signals(a, leaves[2])
    f = sum(signal * weight for signal, weight in zip(signals, (0.5, -1.0, 2.0), strict=False))
    degree = a.degree()
    transposed = a.T.apply(leaves[2])
    for part in (f.square(), degree.sin(), transposed.cos()):
        part.sum().backward(retain_graph=True)
    return [f, degree, transposed, *(leaf.grad for leaf in leaves)]


def nodes_mesh() -> DeviceMesh:
    return init_device_mesh("cpu", (dist.get_world_size(),), mesh_dim_names=("nodes",))


def spread(x: Tensor, axis: int = -2) -> DTensor:
    return distribute_tensor(x, nodes_mesh(), [Shard(axis % x.dim())])


def check_against_one_process(shape: tuple[int, ...], case: str, K: int, is_padded: bool) -> None:
    tensors = features(*shape)
    marks = torch.rand(shape) < 0.6 if is_padded else None
    found = everything(*map(spread, tensors), None if marks is None else spread(marks, -1), case, K)
    expected = everything(*tensors, marks, case, K)
    nodes = len(shape) - 1
    for ours, theirs in zip(found, expected, strict=True):
        assert isinstance(ours, DTensor)
        if shape[-1] >= dist.get_world_size():  # PyTorch replicates what has fewer nodes
            assert ours.placements == (Shard(nodes),)
        assert_equal(ours.full_tensor(), theirs)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("world", [2, 4])
def test_values_and_gradients_are_those_of_one_process(group: Group, world: int, case: str) -> None:
    # 9 nodes on 4 processes lie as 3, 3, 3, 0.
    group(world).run(check_against_one_process, (2, 9), case, 3, False)


@pytest.mark.parametrize("case", ["dot sym", "double_softmax", "signed_dot 1/n"])
def test_marked_nodes_alone_give_and_get_weight(group: Group, case: str) -> None:
    group(2).run(check_against_one_process, (2, 9), case, 2, True)


@pytest.mark.parametrize(
    ("world", "shape"), [(2, (9,)), (2, (2, 2, 5)), (4, (2,))], ids=["no batch", "heads", "few"]
)
def test_any_batch_and_any_number_of_nodes(
    group: Group, world: int, shape: tuple[int, ...]
) -> None:
    group(world).run(check_against_one_process, shape, "dot sym", 2, False)


def check_targets_and_sources() -> None:
    """Two sets of nodes, of 5 and 8: A is rectangular."""
    phi, psi, z = features(5)[0], features(8)[1], features(8)[2]
    for normalization in ("rw", "none"):
        found = affinity(spread(phi), spread(psi), normalization=normalization)
        expected = affinity(phi, psi, normalization=normalization)
        assert found.shape == expected.shape
        assert_equal(found.apply(spread(z)).full_tensor(), expected.apply(z))
        assert_equal(found.T.apply(spread(phi)).full_tensor(), expected.T.apply(phi))
    with pytest.raises(ValueError, match="only a square affinity can be symmetrised"):
        affinity(spread(phi), spread(psi))


def test_two_sets_of_nodes(group: Group) -> None:
    group(2).run(check_targets_and_sources)


def check_half_precision(dtype: torch.dtype) -> None:
    phi, psi, z = (x.to(dtype) for x in features(600))
    for normalization in ("sym", "rw"):
        found = affinity(spread(phi), spread(psi), normalization=normalization)
        expected = affinity(phi.double(), psi.double(), normalization=normalization)
        y = found.apply(spread(z))
        assert y.dtype == dtype
        assert found.degree().dtype == torch.float32
        assert_equal(y.full_tensor(), expected.apply(z.double()))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_sums_in_float32(group: Group, dtype: torch.dtype) -> None:
    group(2).run(check_half_precision, dtype)


def second_derivative(*leaves: Tensor) -> list[Tensor]:
    phi, psi, z = (x.detach().requires_grad_() for x in leaves)
    y = affinity(phi, psi).apply(z)
    local = y.to_local() if isinstance(y, DTensor) else y
    found = torch.autograd.grad(local.square().sum(), (phi, psi, z), create_graph=True)
    locals_ = [g.to_local() if isinstance(g, DTensor) else g for g in found]
    return list(torch.autograd.grad(sum(g.square().sum() for g in locals_), (phi, psi, z)))


def check_second_derivative() -> None:
    tensors = features(6)
    found, expected = second_derivative(*map(spread, tensors)), second_derivative(*tensors)
    for ours, theirs in zip(found, expected, strict=True):
        assert_equal(ours.full_tensor(), theirs)


def test_second_derivatives_are_those_of_one_process(group: Group) -> None:
    group(2).run(check_second_derivative)


# What is communicated -------------------------------------------------------------------------


def communication(num_nodes: int, case: str, K: int) -> dict[str, list[int]]:
    """Numbers that each collective exchanges, forward and backward."""
    kernel, normalization = CASES[case]
    phi, psi, z = (spread(x).requires_grad_() for x in features(num_nodes))
    sent: dict[str, list[int]] = {"forward": [], "backward": []}
    all_reduce = dist.all_reduce

    def counted(x: Tensor, *args: object, **kwargs: object) -> object:
        sent["forward" if is_forward else "backward"].append(x.numel())
        return all_reduce(x, *args, **kwargs)

    dist.all_reduce = counted
    try:
        with CommDebugMode() as collectives:
            is_forward = True
            a = affinity(phi, psi, kernel=kernel, normalization=normalization)
            signals = Polynomial(K).signals(a, z)
            loss = sum(signal.to_local().square().sum() for signal in signals)
            is_forward = False
            loss.backward()
    finally:
        dist.all_reduce = all_reduce
    # There was no other collective than these all-reduces: nothing was gathered.
    assert dict(collectives.get_comm_counts()) == {
        torch.ops.c10d.allreduce_: len(sent["forward"]) + len(sent["backward"])
    }
    return sent


@pytest.mark.parametrize(
    ("case", "K", "forward", "backward"),
    [
        # The column sums of Φ and Ψ, then Ψ^⊤ Z and Φ^⊤ Z of each application; back the same.
        ("dot sym", 2, [2 * WIDTH, 2 * WIDTH * CHANNELS], [2 * WIDTH * CHANNELS, 2 * WIDTH]),
        ("dot sym", 3, [6, 12, 12], [12, 12, 6]),
        ("dot rw", 3, [3, 6, 6], [6, 6, 3]),
        ("dot none", 2, [6], [6]),
        # The largest of each column and the sum of its exponentials; the first is a constant.
        ("double_softmax", 2, [3, 3, 6], [6, 3]),
        ("signed_dot 1/n", 2, [1, 6], [6]),
    ],
)
def test_communication_does_not_depend_on_the_number_of_nodes(
    group: Group, case: str, K: int, forward: list[int], backward: list[int]
) -> None:
    for num_nodes in (4, 9, 500):
        for sent in group(2).run(communication, num_nodes, case, K):
            assert sent == {"forward": forward, "backward": backward}


# What is refused ------------------------------------------------------------------------------


def check_refusals() -> None:
    world = dist.get_world_size()
    mesh = nodes_mesh()
    plain = torch.rand(4, 4)
    good = spread(plain)
    pairs = init_device_mesh("cpu", (world // 2, 2), mesh_dim_names=("data", "nodes"))
    other = DeviceMesh("cpu", list(reversed(range(world))))
    bad_features = {
        r"phi of shape \(4, 4\) is placed as Shard\(dim=1\).*redistribute": (
            distribute_tensor(plain, mesh, [Shard(1)]),
            good,
        ),
        r"psi .* is placed as Replicate\(\)": (good, distribute_tensor(plain, mesh, [Replicate()])),
        r"psi is a plain tensor.*distribute_tensor\(psi, mesh, \[Shard\(0\)\]\)": (good, plain),
        r"phi is a plain tensor": (plain, good),
        r"different device meshes": (good, distribute_tensor(plain, other, [Shard(0)])),
        r"mesh of shape \(2, 2\)": (distribute_tensor(plain, pairs, [Shard(0), Shard(0)]),) * 2,
    }
    for message, (phi, psi) in bad_features.items():
        with pytest.raises(ValueError, match=message):
            affinity(phi, psi)
    with pytest.raises(ValueError, match=r"kernel EmbeddedGaussian.*would need.*factored"):
        affinity(good, kernel="embedded_gaussian")
    with pytest.raises(ValueError, match=r"mask .*would need the features of all nodes"):
        affinity(good, mask="window:1", size=(2, 2))
    with pytest.raises(ValueError, match='representation "dense" would need'):
        affinity(good, representation="dense")
    with pytest.raises(ValueError, match="node_set came as well"):
        affinity(good, node_set=NodeSet())
    a = affinity(good)
    assert a.representation == affinity(good, representation="factored").representation
    for message, z in {
        "z is a plain tensor": plain,
        r"z is placed|z of shape .* is placed as Shard\(dim=1\)": distribute_tensor(
            plain, mesh, [Shard(1)]
        ),
        "z is on": distribute_tensor(plain, other, [Shard(0)]),
        r"takes signals \(\*batch, 4, C\); got \(5, 4\)": spread(torch.rand(5, 4)),
    }.items():
        with pytest.raises(ValueError, match=message):
            a.apply(z)
    for write_down in (a.to_dense, a.to_edges, a.T.to_dense):
        with pytest.raises(ValueError, match="is applied, not written down"):
            write_down()
    with snl_graph.value_checks(), pytest.raises(ValueError, match="phi has 1 non-finite"):
        affinity(spread(torch.tensor([[1.0], [torch.nan]])))


def test_what_cannot_be_done_on_shards_says_what_can(group: Group) -> None:
    group(4).run(check_refusals)
