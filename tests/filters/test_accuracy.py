"""What is said about errors is true of filters whose error is known by other means."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from snl_graph.filters import (
    ChebyshevSeries,
    Heat,
    Meyer,
    Polynomial,
    approximate_response,
    approximation_error,
    error_by_steps,
    exact_signals,
)
from snl_graph.operators import DenseOperator
from tests.tolerances import assert_equal


class Step(ChebyshevSeries):
    """1 above λ = 1, which no series follows; the one class a new filter takes."""

    taps = (0,)

    def __init__(self, order: int | None = None) -> None:
        super().__init__()
        self.settle_steps(order, tolerance=0.1)

    def response(self, lambdas: torch.Tensor) -> torch.Tensor:
        return (lambdas > 1).to(lambdas.dtype).unsqueeze(-1)


def test_the_series_is_the_interpolation_of_the_response_cut_at_its_order() -> None:
    """numpy's Chebyshev interpolation at 2 (order + 1) points, its first coefficients."""
    for filter in (Heat(3, order=5), Meyer(3, order=9)):
        n = 2 * (filter.order + 1)
        for t in filter.taps:
            expected = np.polynomial.chebyshev.chebinterpolate(
                lambda x, f=filter, t=t: f.response(1 + torch.as_tensor(x))[:, t].numpy(), n - 1
            )[: filter.order + 1]
            assert_equal(filter.coefficients()[:, t], torch.as_tensor(expected))
        lambdas = torch.linspace(0, 2, 33, dtype=torch.float64)
        values = np.polynomial.chebyshev.chebval(lambdas.numpy() - 1, filter.coefficients().numpy())
        assert_equal(approximate_response(filter, lambdas), torch.as_tensor(values.T))


def test_the_error_is_the_largest_difference_on_the_spectrum() -> None:
    filter = Heat(2, order=3)
    lambdas = torch.linspace(0, 2, 20001, dtype=torch.float64)
    values = np.polynomial.chebyshev.chebval(lambdas.numpy() - 1, filter.coefficients().numpy())
    times = np.array([[1.0], [2.0]])
    expected = np.abs(np.exp(-times * lambdas.numpy()) - values).max(1)
    assert_equal(approximation_error(filter), torch.as_tensor(expected), 1e-4)


def test_a_polynomial_has_no_error() -> None:
    assert approximation_error(Polynomial(6)).max() < 1e-14


def test_the_error_falls_with_the_steps_and_the_filter_stays_as_it_was() -> None:
    filter = Heat(2)
    order, state = filter.order, filter.coefficients()
    errors = [error for _, _, error in error_by_steps(filter, [1, 2, 4, 8, 16])]
    assert all(after < before / 2 for before, after in itertools.pairwise(errors))
    assert filter.order == order
    assert torch.equal(filter.coefficients(), state)


def test_a_jump_has_no_order_that_meets_a_tolerance() -> None:
    with pytest.raises(ValueError, match="256 steps leave an error of"):
        Step()
    assert Step(order=4).order == 4
    with pytest.raises(ValueError, match="order is a whole number ≥ 0; got"):
        Step(order=4).with_steps(2.5)  # type: ignore[arg-type]


@pytest.mark.parametrize("tolerance", [0.0, -1.0, float("nan")])
def test_the_tolerance_is_positive(tolerance: float) -> None:
    with pytest.raises(ValueError, match="tolerance must be positive, got"):
        Heat(2, tolerance=tolerance)


def test_exact_signals_need_a_square() -> None:
    with pytest.raises(ValueError, match=r"square operator; this one has shape \(4, 3\)"):
        exact_signals(Heat(1), DenseOperator(torch.rand(4, 3)), torch.rand(4, 1))
