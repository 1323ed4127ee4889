"""The operator inside compiled, fake and exported programs: no graph break, no look at the data."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from snl_graph import affinity
from snl_graph.kernels import DoubleSoftmax, Kernel, SignedDot
from snl_graph.masks import BooleanMatrix, CrissCross, EdgeList, Full, Mask, Window
from tests.factories import KERNELS, MASKS, WIDTH
from tests.tolerances import assert_equal

# One of each representation with each kind of kernel and mask, as the compiler sees them.
TRACED = [
    ("dot", "full", "sym", "factored"),
    ("double_softmax", "full", "none", "factored"),
    ("signed_dot 1/n", "full", "none", "factored"),
    ("embedded_gaussian", "full", "sym", "dense"),
    ("rbf", "window", "sym", "dense"),
    ("embedded_gaussian", "window", "sym", "edges"),
    ("embedded_gaussian", "criss_cross", "sym", "grid"),
    ("dot", "criss_cross", "rw", "grid"),
    ("concatenation", "edge_list", "sym", "edges"),
    ("dot", "boolean_matrix", "rw", "edges"),
    ("embedded_gaussian", "criss_cross", "rw", "auto"),
]
PIECES = [
    *TRACED,
    ("signed_dot 1/sqrt(n)", "full", "none", "dense"),
    ("dot", "full", "sym", "dense"),
    ("embedded_gaussian 1/sqrt(r)", "full", "rw", "dense"),
    ("gaussian", "criss_cross", "rw", "edges"),
    ("dot", "full", "rw", "auto"),
]
SIZE = (4, 6)


class Block(nn.Module):
    """A filter of two taps over one operator, as a network would hold it."""

    def __init__(self, kernel: Kernel, mask: Mask, normalization: str, representation: str) -> None:
        super().__init__()
        self.kernel, self.mask = kernel, mask
        self.normalization, self.representation = normalization, representation

    def forward(self, phi: Tensor, psi: Tensor, z: Tensor) -> Tensor:
        a = affinity(
            phi.flatten(1, -2),
            psi.flatten(1, -2),
            kernel=self.kernel,
            mask=self.mask,
            normalization=self.normalization,
            representation=self.representation,
            size=tuple(phi.shape[1:-1]),
        )
        z = z.flatten(1, -2)
        return a.apply(a.apply(z)) + z


def block(kernel: str, mask: str, normalization: str, representation: str) -> Block:
    made = KERNELS[kernel].make()
    return Block(made, MASKS[mask].make(SIZE), normalization, representation)


def inputs(size: tuple[int, ...] = SIZE, batch: int = 2) -> list[Tensor]:
    return [torch.randn(batch, *size, WIDTH) for _ in range(3)]


@pytest.mark.parametrize("pieces", TRACED, ids="-".join)
def test_traces_at_any_size_without_a_graph_break(pieces: tuple[str, ...]) -> None:
    torch.compiler.reset()
    eager = block(*pieces)
    compiled = torch.compile(eager, fullgraph=True, backend="eager", dynamic=True)
    given = inputs()
    assert_equal(compiled(*given), eager(*given))


@pytest.mark.parametrize("pieces", TRACED[:1] + TRACED[3:6], ids="-".join)
def test_compiled_gradients_are_those_of_the_eager_program(pieces: tuple[str, ...]) -> None:
    torch.compiler.reset()
    eager = block(*pieces)
    compiled = torch.compile(eager, fullgraph=True, backend="aot_eager")
    given = [x.requires_grad_() for x in inputs()]
    expected, found = eager(*given), compiled(*given)
    weight = torch.randn_like(expected)
    for ours, theirs in zip(
        torch.autograd.grad((found * weight).sum(), given),
        torch.autograd.grad((expected * weight).sum(), given),
        strict=True,
    ):
        assert_equal(ours, theirs)


@pytest.mark.parametrize("pieces", PIECES, ids="-".join)
def test_the_forward_pass_never_looks_at_the_data(pieces: tuple[str, ...]) -> None:
    """Fake tensors have no data: whatever would synchronise a device raises here."""
    made = block(*pieces)
    with FakeTensorMode(allow_non_fake_inputs=True) as fake:
        given = [fake.from_tensor(x) for x in inputs()]
        assert made(*given).shape == (2, 24, WIDTH)


@pytest.mark.parametrize(
    ("kernel", "mask", "normalization"),
    [
        ("dot", Full(), "sym"),
        ("dot", Full(), "rw"),
        ("double_softmax", Full(), "none"),
        ("signed_dot 1/n", Full(), "none"),
        ("embedded_gaussian", Full(), "rw"),
        ("embedded_gaussian", CrissCross(), "rw"),
        ("rbf", Window(1), "sym"),
    ],
    ids=str,
)
def test_an_exported_program_is_right_at_every_size(
    kernel: str, mask: Mask, normalization: str
) -> None:
    made = Block(KERNELS[kernel].make(), mask, normalization, "auto")
    b, h, w = (torch.export.Dim.AUTO for _ in range(3))
    dynamic = {0: b, 1: h, 2: w}
    program = torch.export.export(
        made, tuple(inputs((16, 16))), dynamic_shapes=(dynamic, dynamic, dynamic)
    ).module()
    for size, batch in (((16, 16), 2), ((2, 3), 3), ((9, 4), 2)):
        given = inputs(size, batch)
        assert_equal(program(*given), made(*given))


@pytest.mark.parametrize("kernel", [SignedDot("1/n"), DoubleSoftmax()], ids=str)
def test_padding_compiles_too(kernel: Kernel) -> None:
    torch.compiler.reset()

    def padded(phi: Tensor, valid: Tensor) -> Tensor:
        a = affinity(phi, kernel=kernel, normalization="none", valid=valid)
        return a.apply(phi)

    phi, valid = torch.randn(2, 5, 3), torch.rand(2, 5) < 0.7
    compiled = torch.compile(padded, fullgraph=True, backend="eager", dynamic=True)
    assert_equal(compiled(phi, valid), padded(phi, valid))


def test_masks_of_tensors_can_be_prepared_once() -> None:
    """Made inside a compiled program they would have to look at the data."""
    torch.compiler.reset()
    edges = torch.tensor([[0, 1, 2], [1, 2, 0]])
    for mask in (EdgeList(edges), BooleanMatrix(EdgeList(edges).matrix((3,)))):

        @torch.compile(fullgraph=True, backend="eager")
        def prepared(phi: Tensor, mask: Mask = mask) -> Tensor:
            return affinity(phi, mask=mask, representation="edges").apply(phi)

        phi = torch.rand(3, 2)
        assert_equal(prepared(phi), affinity(phi, mask=edges).apply(phi))
