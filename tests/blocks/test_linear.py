"""Several 1×1 convolutions at once equal the convolutions one by one."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from snl_graph.blocks.linear import NodeLinear, combined, projected
from snl_graph.blocks.products import FanIn, FanOut
from tests.tolerances import assert_equal

SHAPES = [(1, 5, 1), (2, 5, 7), (4, 40, 300), (40, 64, 9)]


def nodes(shape: tuple[int, ...], *, is_channels_last: bool) -> Tensor:
    batch, channels, count = shape
    if is_channels_last:
        return torch.randn(batch, count, channels, dtype=torch.double)
    return torch.randn(batch, channels, count, dtype=torch.double).mT


def convolved(signal: Tensor, weight: Tensor) -> Tensor:
    return F.conv1d(signal.mT, weight.unsqueeze(-1)).mT


def compare(found: Tensor, expected: Tensor, inputs: list[Tensor]) -> None:
    grad = torch.randn_like(found)
    assert_equal(found, expected)
    for one, other in zip(
        torch.autograd.grad(found, inputs, grad),
        torch.autograd.grad(expected, inputs, grad),
        strict=True,
    ):
        assert_equal(one, other)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("is_channels_last", [True, False])
def test_projected_equals_convolutions(shape: tuple[int, ...], is_channels_last: bool) -> None:
    signal = nodes(shape, is_channels_last=is_channels_last).requires_grad_()
    maps = [NodeLinear(shape[1], width).double() for width in (3, 64)]
    found = torch.cat(tuple(projected(signal, maps)), dim=-1)
    expected = torch.cat([convolved(signal, map.weight) for map in maps], dim=-1)
    compare(found, expected, [signal, *(map.weight for map in maps)])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("is_channels_last", [True, False])
def test_combined_equals_a_sum_of_convolutions(
    shape: tuple[int, ...], is_channels_last: bool
) -> None:
    signals = [nodes(shape, is_channels_last=is_channels_last).requires_grad_() for _ in range(2)]
    maps = [NodeLinear(shape[1], 6).double() for _ in range(2)]
    expected = sum(
        (convolved(signal, map.weight) for map, signal in zip(maps, signals, strict=True)),
        start=torch.zeros(()),
    )
    compare(combined(signals, maps), expected, [*signals, *(map.weight for map in maps)])


def test_one_of_several_results_is_enough() -> None:
    signal = torch.randn(2, 7, 5, dtype=torch.double, requires_grad=True)
    maps = [NodeLinear(5, 3).double(), NodeLinear(5, 3).double()]
    projected(signal, maps)[1].sum().backward()
    assert maps[0].weight.grad is None
    assert_equal(signal.grad, maps[1].weight.sum(0).expand_as(signal))


@pytest.mark.parametrize("is_channels_last", [True, False])
def test_first_and_second_derivatives(is_channels_last: bool) -> None:
    signal = nodes((2, 3, 4), is_channels_last=is_channels_last).requires_grad_()
    other = nodes((2, 3, 4), is_channels_last=is_channels_last).requires_grad_()
    weights = [torch.randn(2, 3, dtype=torch.double, requires_grad=True) for _ in range(2)]
    fan_out = (FanOut.apply, (signal, *weights))
    fan_in = (lambda *parts: FanIn.apply(2, *parts), (signal, other, *weights))
    for function, given in (fan_out, fan_in):
        assert torch.autograd.gradcheck(function, given)
        assert torch.autograd.gradgradcheck(function, given)
