"""Blocks along the axes of a grid: every size, no N×N tensor, blocks and compiled programs."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from snl_graph import affinity, nonlocal_block
from snl_graph.masks import CrissCross
from snl_graph.operators import AffinityOperator, GridOperator, LinearDiagonal, LogGridOperator
from tests import oracles
from tests.factories import KERNELS, NORMALIZATIONS, WIDTH
from tests.tolerances import assert_equal

Size = tuple[int, ...]
SIZES: list[Size] = [(1,), (6,), (3, 4), (1, 5), (5, 1), (1, 1), (2, 3, 4), (3, 1, 2)]
sizes = pytest.mark.parametrize("size", SIZES, ids=str)


def random_blocks(size: Size, batch: Size = ()) -> list[Tensor]:
    return [
        torch.randn(*batch, *size[:axis], *size[axis + 1 :], length, length, dtype=torch.float64)
        for axis, length in enumerate(size)
    ]


def matrix_of(blocks: list[Tensor], size: Size) -> Tensor:
    """A_ij is the weight of j on the line it shares with i; self is on a line of every axis."""
    positions = list(itertools.product(*(range(length) for length in size)))
    matrix = torch.zeros(len(positions), len(positions), dtype=torch.float64)
    for (i, here), (j, there) in itertools.product(enumerate(positions), repeat=2):
        for axis, block in enumerate(blocks):
            others = here[:axis] + here[axis + 1 :]
            if others == there[:axis] + there[axis + 1 :]:
                matrix[i, j] += block[(*others, here[axis], there[axis])]
    return matrix


@sizes
class TestBlocks:
    def test_are_lines_of_the_matrix(self, size: Size) -> None:
        blocks = random_blocks(size)
        a, matrix = GridOperator(blocks, size), matrix_of(blocks, size)
        z = torch.randn(matrix.shape[0], 3, dtype=torch.float64)
        assert a.shape == matrix.shape
        assert_equal(a.to_dense(), matrix)
        assert_equal(a.apply(z), matrix @ z)
        assert_equal(a.row_sums().values, matrix.sum(-1))
        assert_equal(a.T.apply(z), matrix.T @ z)
        assert_equal(a.symmetrized().to_dense(), (matrix + matrix.T) / 2)
        left, right = torch.randn(2, len(z), dtype=torch.float64)
        scaled = a.scaled(LinearDiagonal(left), LinearDiagonal(right))
        assert_equal(scaled.to_dense(), left[:, None] * matrix * right)

    def test_have_the_edges_of_the_mask_in_its_order(self, size: Size) -> None:
        blocks = random_blocks(size)
        edge_index, weight = GridOperator(blocks, size).to_edges()
        assert torch.equal(edge_index, CrissCross().edges(size))
        assert_equal(weight, matrix_of(blocks, size)[edge_index[1], edge_index[0]])

    def test_may_be_logarithms(self, size: Size) -> None:
        logits = random_blocks(size)
        for block in logits:
            block[block < -1] = -math.inf
        a = LogGridOperator(logits, size)
        matrix = matrix_of([block.exp() for block in logits], size)
        z = torch.randn(matrix.shape[0], 3, dtype=torch.float64)
        assert_equal(a.to_dense(), matrix)
        assert_equal(a.apply(z), matrix @ z)
        assert_equal(a.T.apply(z), matrix.T @ z)
        assert_equal(a.row_sums().values, matrix.sum(-1))
        edge_index, weight = a.to_edges()
        assert torch.equal(edge_index, CrissCross().edges(size))
        assert_equal(weight, matrix[edge_index[1], edge_index[0]])

    def test_are_not_changed_by_what_is_made_of_them(self, size: Size) -> None:
        logits = random_blocks(size)
        copies = [block.clone() for block in logits]
        z = torch.randn(math.prod(size), 2, dtype=torch.float64)
        for a in (GridOperator(logits, size), LogGridOperator(logits, size)):
            for made in (a, a.T, a.symmetrized(), a.scaled(None, None)):
                made.apply(z)
                made.row_sums()
        assert all(torch.equal(block, copy) for block, copy in zip(logits, copies, strict=True))

    def test_and_signals_broadcast(self, size: Size) -> None:
        """One operator of many signals, and many operators of one signal."""
        nodes = math.prod(size)
        one, many = random_blocks(size), random_blocks(size, (2, 3))
        signals = torch.randn(2, 3, nodes, 2, dtype=torch.float64)
        assert_equal(GridOperator(one, size).apply(signals), matrix_of(one, size) @ signals)
        found = GridOperator(many, size).apply(signals[0, 0])
        for i, j in itertools.product(range(2), range(3)):
            item = matrix_of([block[i, j] for block in many], size)
            assert_equal(found[i, j], item @ signals[0, 0])


def criss_cross(phi: Tensor, psi: Tensor, size: Size, **options: object) -> AffinityOperator:
    made = {"mask": "criss_cross", "representation": "grid", "size": size, **options}
    return affinity(phi, psi, **made)  # type: ignore[arg-type]


@sizes
@pytest.mark.parametrize("kernel", ["dot", "embedded_gaussian", "concatenation"])
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_every_size_with_targets_and_sources_of_their_own_padding(
    size: Size, kernel: str, normalization: str
) -> None:
    nodes = math.prod(size)
    phi, psi = torch.randn(2, nodes, WIDTH, dtype=torch.float64)
    phi, psi = phi.requires_grad_(), psi.requires_grad_()
    valid, source_valid = torch.rand(2, nodes) < 0.7
    made = KERNELS[kernel].make().double()
    z = torch.randn(nodes, 2, dtype=torch.float64, requires_grad=True)
    leaves = [phi, psi, z, *made.parameters()]
    m = KERNELS[kernel].formula(made, phi, psi, None)
    m = m * oracles.joined_pairs(size, oracles.criss_cross) * valid[:, None] * source_valid
    expected = oracles.normalized(m, normalization)
    a = criss_cross(
        phi,
        psi,
        size,
        kernel=made,
        normalization=normalization,
        valid=valid,
        source_valid=source_valid,
    )
    assert_equal(a.apply(z), expected @ z)
    assert_equal(a.degree(), oracles.degrees(m, normalization))
    probe = torch.randn(nodes, 2, dtype=torch.float64)
    found, wanted = (  # of all leaves, for that of Φ is 0 where a row has one weight
        torch.cat([gradient.flatten() for gradient in of_leaves])
        for of_leaves in (
            torch.autograd.grad((y * probe).sum(), leaves, materialize_grads=True)
            for y in (a.apply(z), expected @ z)
        )
    )
    assert_equal(found, wanted)


@pytest.mark.parametrize("is_channels_first", [True, False])
def test_the_result_lies_in_memory_as_the_signal(is_channels_first: bool) -> None:
    z = torch.randn(2, 5, 12).mT if is_channels_first else torch.randn(2, 12, 5)
    phi = torch.randn(2, 12, 3)
    y = criss_cross(phi, phi, (3, 4)).apply(z)
    assert y.stride() == z.stride()


def test_autocast_changes_neither_scores_nor_degrees() -> None:
    phi, psi = torch.randn(2, 1, 600, 16)
    exact = criss_cross(phi.double(), psi.double(), (20, 30), kernel="gaussian")
    with torch.autocast("cpu", torch.bfloat16):
        a = criss_cross(phi, psi, (20, 30), kernel="gaussian")
    assert_equal(a.to_dense(), exact.to_dense(), 1e-4)
    assert_equal(a.degree(), exact.degree())


class LargestTensor(TorchDispatchMode):
    """Number of entries of the largest tensor that any operation made."""

    def __init__(self) -> None:
        super().__init__()
        self.entries = 0

    def __torch_dispatch__(  # type: ignore[no-untyped-def]
        self, func, types, args=(), kwargs=None
    ):
        result = func(*args, **(kwargs or {}))
        made = [leaf.numel() for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        self.entries = max([self.entries, *made])
        return result


@pytest.mark.parametrize(
    ("kernel", "normalization"),
    [
        (kernel, normalization)
        for kernel, made in KERNELS.items()
        for normalization in NORMALIZATIONS
        if normalization != "sym" or made.is_nonnegative
    ],
)
def test_no_tensor_is_larger_than_the_blocks(kernel: str, normalization: str) -> None:
    size = (40, 50)
    phi, psi, z = torch.randn(3, 1, 2000, WIDTH)
    phi, psi, z = (x.requires_grad_() for x in (phi, psi, z))
    made = KERNELS[kernel].make()
    valid = torch.rand(1, 2000) < 0.9
    with LargestTensor() as largest:
        options = {"kernel": made, "normalization": normalization, "valid": valid}
        y = criss_cross(phi, psi, size, **options).apply(z)
        y.sum().backward()
    assert 0 < largest.entries <= 2000 * 50
    with LargestTensor() as largest:
        criss_cross(phi, psi, size, representation="dense", **options)
    assert largest.entries >= 2000**2, "the mode must see what it is there to see"


BLOCKS: dict[str, dict[str, object]] = {
    "cc": {"name": "cc"},
    "recurrent cc": {"name": "cc", "recurrence": 2},
    "snl": {"name": "snl"},
    "gsnl": {"name": "gsnl", "K": 3},
    "gsnl chebyshev": {"name": "gsnl", "K": 4, "basis": "chebyshev"},
    "ns": {"name": "ns"},
    "heads": {"name": "nl", "heads": 2},
    "depth": {"name": "snl", "depth": 2},
    "signed": {"name": "nl", "kernel": "signed_dot", "normalization": "none"},
    "concatenation": {"name": "snl", "kernel": "concatenation"},
    "a2": {"name": "a2"},
}
blocks = pytest.mark.parametrize("name", BLOCKS)


def twins(name: str, representation: str = "grid") -> tuple[nn.Module, nn.Module]:
    """A block on the grid, and the same block on the N×N matrix."""
    made = [
        nonlocal_block(
            **{"channels": 8, "mask": "criss_cross", "representation": r, **BLOCKS[name]}
        )
        for r in (representation, "dense")
    ]
    made[1].load_state_dict(made[0].state_dict())
    return made[0], made[1]


@blocks
@pytest.mark.parametrize("size", [(1, 1), (7,), (4, 5), (1, 3), (2, 3, 4)], ids=str)
def test_blocks_agree_with_those_on_the_matrix(name: str, size: Size) -> None:
    on_grid, on_matrix = (block.double() for block in twins(name))
    x = torch.randn(2, 8, *size, dtype=torch.float64, requires_grad=True)
    valid = torch.rand(2, *size) < 0.8
    for is_valid in (None, valid):
        probe = torch.randn(2, 8, *size, dtype=torch.float64)
        found, wanted = on_grid(x, is_valid), on_matrix(x, is_valid)
        assert_equal(found, wanted)
        # All together: at a single position the affinity is 1, and its gradients are only noise.
        assert_equal(
            gradients(found, probe, [x, *on_grid.parameters()]),
            gradients(wanted, probe, [x, *on_matrix.parameters()]),
            1e-8,
        )


def gradients(y: Tensor, probe: Tensor, inputs: list[Tensor]) -> Tensor:
    return torch.cat([g.flatten() for g in torch.autograd.grad((y * probe).sum(), inputs)])


def test_recurrent_criss_cross_attention_reaches_every_position() -> None:
    """Huang et al.: one pass joins rows and columns, the second pass joins everything."""
    x = torch.randn(1, 8, 4, 5, dtype=torch.float64)
    reached = []
    for recurrence in (1, 2):
        block = nonlocal_block(
            "cc", 8, recurrence=recurrence, norm="none", representation="grid"
        ).double()
        variable = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(block(variable)[0, :, 1, 2].sum(), variable)
        reached.append(gradient[0].abs().sum(0) > 0)
    cross = oracles.joined_pairs((4, 5), oracles.criss_cross)[1 * 5 + 2].view(4, 5)
    assert torch.equal(reached[0], cross)
    assert reached[1].all()


programs = pytest.mark.parametrize("name", ["recurrent cc", "gsnl", "heads", "concatenation"])


@pytest.mark.slow
@programs
def test_blocks_export_with_dynamic_sizes(name: str) -> None:
    on_grid, on_matrix = (block.eval() for block in twins(name, "auto"))
    dims = {index: torch.export.Dim(n, min=2) for index, n in ((2, "h"), (3, "w"))}
    dynamic = {"x": {0: torch.export.Dim("b", min=1), **dims}}
    example = torch.randn(2, 8, 6, 8)
    program = torch.export.export(on_grid, (example,), dynamic_shapes=dynamic)
    called = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert not {name for name in called if "scatter" in name or "index_put" in name}
    for size in [(2, 3), (5, 7), (9, 4), (2, 2), (13, 14)]:
        x = torch.randn(3, 8, *size)
        assert_equal(program.module()(x), on_matrix(x))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "representation"), [("recurrent cc", "auto"), ("gsnl", "grid"), ("heads", "auto")]
)
def test_blocks_compile_without_a_graph_break(name: str, representation: str) -> None:
    torch._dynamo.reset()
    on_grid, on_matrix = twins(name, representation)
    compiled = torch.compile(on_grid, fullgraph=True, dynamic=True, backend="aot_eager")
    for size in [(5, 7), (13, 14)]:
        x = torch.randn(2, 8, *size, requires_grad=True)
        found, wanted = compiled(x), on_matrix(x)
        assert_equal(found, wanted)
        probe = torch.randn_like(found)
        (gradient,) = torch.autograd.grad((found * probe).sum(), x)
        (expected,) = torch.autograd.grad((wanted * probe).sum(), x)
        assert_equal(gradient, expected, 1e-4)


@pytest.mark.parametrize("mask", ["full", "window:1"])
def test_another_mask_is_refused_with_what_it_has(mask: str) -> None:
    phi = torch.randn(6, 2)
    with pytest.raises(ValueError, match=r'has no representation "grid"; it has "dense", "edges"'):
        criss_cross(phi, phi, (2, 3), mask=mask)
