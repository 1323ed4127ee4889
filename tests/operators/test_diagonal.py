"""Powers and means of degrees: exact at 0 with finite gradients, NaN where negative."""

import math

import pytest
import torch

from snl_graph.operators import LinearDiagonal, LogDiagonal
from snl_graph.operators.diagonal import accumulation_dtype
from tests.tolerances import assert_equal


@pytest.mark.parametrize("exponent", [-0.5, -1.0])
def test_a_power_of_zero_is_zero_with_a_zero_gradient(exponent: float) -> None:
    d = torch.tensor([4.0, 0.0, 0.25], requires_grad=True)
    powers = LinearDiagonal(d).power(exponent).values
    assert powers.tolist() == [4.0**exponent, 0.0, 0.25**exponent]
    powers.sum().backward()
    assert d.grad is not None
    assert d.grad[1] == 0
    assert_equal(d.grad[::2], exponent * d.detach()[::2] ** (exponent - 1))


def test_the_root_of_a_negative_number_is_nan() -> None:
    assert LinearDiagonal(torch.tensor([-1.0])).power(-0.5).values.isnan().all()


@pytest.mark.parametrize("exponent", [-0.5, -1.0])
def test_powers_of_logarithms_are_those_of_the_numbers(exponent: float) -> None:
    d = torch.rand(5, dtype=torch.float64) + 0.1
    assert_equal(LogDiagonal(d.log()).power(exponent).values, d**exponent)


def test_the_logarithm_of_zero_stays_neutral_under_powers() -> None:
    logs = torch.tensor([-math.inf, 1.0], requires_grad=True)
    powers = LogDiagonal(logs).power(-0.5).logs
    assert powers.tolist() == [0.0, -0.5]
    powers.sum().backward()
    assert logs.grad is not None
    assert logs.grad.tolist() == [0.0, -0.5]


def test_means_agree_in_both_forms() -> None:
    a, b = torch.rand(2, 5, dtype=torch.float64)
    assert_equal(LinearDiagonal(a).mean(LinearDiagonal(b)).values, (a + b) / 2)
    assert_equal(LogDiagonal(a.log()).mean(LogDiagonal(b.log())).values, (a + b) / 2)


def test_a_mean_of_logarithms_does_not_overflow() -> None:
    mean = LogDiagonal(torch.tensor([1e4])).mean(LogDiagonal(torch.tensor([-1e4])))
    assert_equal(mean.logs, torch.tensor([1e4 - math.log(2)]))


def test_a_mean_with_a_zero_has_first_and_second_derivatives() -> None:
    """torch.logaddexp has none there."""
    d = torch.tensor([1.0, 2.0, 0.0], dtype=torch.float64)
    other = torch.tensor([0.0, 3.0, 0.0], dtype=torch.float64)
    logs = d.log().requires_grad_()
    mean = LogDiagonal(logs).mean(LogDiagonal(other.log()))
    assert_equal(mean.values, (d + other) / 2)
    (first,) = torch.autograd.grad(mean.values[:2].sum(), logs, create_graph=True)
    assert_equal(first, d / 2)  # ∂ ½(e^a + e^b) / ∂a = ½ e^a
    (second,) = torch.autograd.grad(first[:2].sum(), logs)
    assert_equal(second, d / 2)


def test_numbers_and_logarithms_do_not_mix() -> None:
    with pytest.raises(TypeError, match="only be averaged with another LogDiagonal"):
        LogDiagonal(torch.zeros(2)).mean(LinearDiagonal(torch.ones(2)))


def test_degrees_are_summed_in_float32_at_least() -> None:
    assert accumulation_dtype(torch.float16) == torch.float32
    assert accumulation_dtype(torch.bfloat16) == torch.float32
    assert accumulation_dtype(torch.float32) == torch.float32
    assert accumulation_dtype(torch.float64) == torch.float64
