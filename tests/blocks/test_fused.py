"""F as one function equals F of the pieces, and gives way to whoever watches a piece."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from snl_graph import nonlocal_block
from snl_graph.blocks import NonlocalBlock, fused
from snl_graph.blocks.fused import _FusedFilter
from tests.tolerances import assert_equal

SHAPES = [(8, 6, 1, 1), (2, 6, 5, 3), (3, 8, 4), (2, 4, 12, 13), (1, 6, 2, 3, 4)]


def naive(x: Tensor, phi: Tensor, psi: Tensor, g: Tensor, *taps: Tensor) -> Tensor:
    """Eq. 13, written out."""
    left, right = (x @ phi.T).relu(), (x @ psi.T).relu()
    m = left @ right.mT
    m = (m + m.mT) / 2
    degree = m.sum(-1)
    root = torch.where(degree == 0, 0, torch.where(degree == 0, 1, degree) ** -0.5)
    a = root[..., :, None] * m * root[..., None, :]
    z = x @ g.T
    total = z @ taps[0].T
    for weight in taps[1:]:
        z = a @ z
        total = total + z @ weight.T
    return total


def inputs(K: int, shape: tuple[int, ...] = (2, 7, 6)) -> list[Tensor]:
    width, channels = 3, shape[-1]
    weights = [(width, channels)] * 3 + [(channels, width)] * K
    tensors = [torch.randn(*size, dtype=torch.double) for size in (shape, *weights)]
    return [tensor.requires_grad_() for tensor in tensors]


def pieces_of(block: NonlocalBlock) -> NonlocalBlock:
    """The same block, watched: it then asks its pieces."""
    watched = copy.deepcopy(block)
    watched.affinity.register_forward_hook(lambda *_: None)
    return watched


@pytest.mark.parametrize("is_matrix", [True, False])
@pytest.mark.parametrize("K", [2, 3, 4])
@pytest.mark.parametrize("held", [None, 1, 4, 7, 15])
@pytest.mark.parametrize("is_node_minor", [True, False])
def test_values_and_gradients_are_those_of_the_formula(
    is_matrix: bool, K: int, held: int | None, is_node_minor: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = inputs(K, (5, 7, 6))
    with torch.no_grad():
        given[0][1, 2] = 0  # an isolated node
    nodes, *weights = given
    if is_node_minor:  # as the signal of a map is
        nodes = nodes.detach().mT.contiguous().mT.requires_grad_()
        given = [nodes, *weights]
    if held is not None:  # so many nodes lie in the cache
        monkeypatch.setattr(fused, "IN_CACHE", held * 9 * 8)
        monkeypatch.setattr(fused, "LEAST_TILE", 1)
        shares, tile = fused._shares(nodes, 9)
        assert (len(shares), tile) == {1: (5, 1), 4: (5, 4), 7: (5, 7), 15: (3, 7)}[held]
    f = _FusedFilter.apply(is_matrix, *given)
    assert f.stride() == nodes.stride()
    expected = naive(*given)
    grad = torch.randn_like(f)
    assert_equal(f, expected)
    for found, wanted in zip(
        torch.autograd.grad(f, given, grad),
        torch.autograd.grad(expected, given, grad),
        strict=True,
    ):
        assert_equal(found, wanted)


@pytest.mark.parametrize("is_matrix", [True, False])
def test_first_and_second_derivatives(is_matrix: bool) -> None:
    given = inputs(3, (2, 4, 3))
    assert torch.autograd.gradcheck(lambda *x: _FusedFilter.apply(is_matrix, *x), given)
    assert torch.autograd.gradgradcheck(lambda *x: _FusedFilter.apply(is_matrix, *x), given)


@pytest.mark.parametrize("is_matrix", [True, False])
def test_gradients_of_a_second_pass_do_not_count_the_first_twice(is_matrix: bool) -> None:
    nodes, *weights = given = inputs(3, (2, 4, 3))

    def gradients(f: Callable[..., Tensor]) -> tuple[Tensor, ...]:
        twice = f(f(nodes, *weights), *weights)
        return torch.autograd.grad(twice.pow(3).sum(), given, create_graph=True)

    found = gradients(lambda *x: _FusedFilter.apply(is_matrix, *x))
    for gradient, wanted in zip(found, gradients(naive), strict=True):
        assert_equal(gradient, wanted)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("options", [{}, {"hidden_channels": 9}, {"recurrence": 2}])
def test_block_equals_its_pieces(shape: tuple[int, ...], options: dict[str, int]) -> None:
    block = nonlocal_block("snl", shape[1], **options).double()  # type: ignore[arg-type]
    results = []
    for one in (block, pieces_of(block)):
        x = torch.randn(shape, dtype=torch.double, generator=torch.Generator().manual_seed(1))
        x.requires_grad_()
        y = one(x)
        (y**2).sum().backward()
        results.append([y, x.grad, *(weight.grad for weight in one.parameters())])
    for found, wanted in zip(*results, strict=True):
        assert_equal(found, wanted)


def test_channels_last_maps_stay_so_and_give_the_same() -> None:
    block = nonlocal_block("gsnl", 8).double()
    x = torch.randn(2, 8, 5, 6, dtype=torch.double)
    y = block(x.to(memory_format=torch.channels_last))
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert_equal(y, block(x))


@pytest.mark.parametrize("watched", ["affinity", "affinity.phi", "units.0.g", "units.0.w.1"])
def test_hooks_on_any_piece_are_called(watched: str) -> None:
    block = nonlocal_block("snl", 6)
    x = torch.randn(2, 6, 4, 4)
    expected = block(x)
    calls: list[str] = []
    block.get_submodule(watched).register_forward_hook(lambda *_: calls.append(watched))
    assert_equal(block(x), expected, 1e-5)
    assert calls == [watched]


class Twice(nn.Module):
    """What somebody puts in the place of a projection."""

    def __init__(self, inner: nn.Linear) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, nodes: Tensor) -> Tensor:
        return 2 * self.inner(nodes)


def test_replaced_projection_is_called() -> None:
    block = nonlocal_block("snl", 6, norm="none")
    x = torch.randn(2, 6, 4, 4)
    before = block(x) - x
    block.units[0].g = Twice(block.units[0].g)
    assert_equal(block(x) - x, 2 * before, 1e-5)


def test_frozen_weights_and_inputs_get_no_gradient() -> None:
    block = nonlocal_block("snl", 6)
    block.affinity.requires_grad_(False)
    x = torch.randn(2, 6, 4, 4)
    block(x).sum().backward()
    assert all(weight.grad is None for weight in block.affinity.parameters())
    assert all(weight.grad is not None for weight in block.units.parameters())
