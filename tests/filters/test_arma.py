"""Autoregressive filters against their recursion and the inverse of a matrix."""

from __future__ import annotations

import pytest
import torch

from snl_graph.filters import ARMA, approximation_error
from snl_graph.operators import DenseOperator
from tests.filters.conformance import WEIGHTS, random_walk, symmetric
from tests.tolerances import assert_equal

POLES = (0.9, -0.4, 0.0)


def test_signals_are_those_of_the_recursion() -> None:
    """x ← a A x + z, from x = z, each branch by itself."""
    a = symmetric(WEIGHTS["complete"]())
    z = torch.randn(8, 2, dtype=torch.float64)
    for iterations in (0, 1, 5):
        filter = ARMA(3, poles=POLES, iterations=iterations, learnable=False)
        for pole, signal in zip(POLES, filter.signals(a, z), strict=True):
            x = z
            for _ in range(iterations):
                x = pole * a.apply(x) + z
            assert_equal(signal, x)


@pytest.mark.parametrize("form", [symmetric, random_walk])
def test_the_recursion_converges_to_the_inverse(form) -> None:  # type: ignore[no-untyped-def]
    a = form(WEIGHTS["bipartite"]())
    z = torch.randn(6, 2, dtype=torch.float64)
    signals = ARMA(3, poles=POLES, iterations=400, learnable=False).signals(a, z)
    for pole, signal in zip(POLES, signals, strict=True):
        inverse = torch.linalg.inv(torch.eye(6).double() - pole * a.to_dense())
        assert_equal(signal, inverse @ z)


@pytest.mark.parametrize("iterations", [0, 3, 10])
def test_the_error_is_within_the_stated_bound_and_attains_it(iterations: int) -> None:
    """|a|^(n+1) / (1 − |a|), where 1 − λ = sign a."""
    error = approximation_error(ARMA(2, poles=(0.8, -0.6), iterations=iterations, learnable=False))
    for pole, found in zip((0.8, 0.6), error.tolist(), strict=True):
        assert found == pytest.approx(pole ** (iterations + 1) / (1 - pole), rel=1e-9)


def test_the_recursion_diverges_where_its_condition_fails() -> None:
    a = DenseOperator(3 * torch.eye(1).double())
    z = torch.ones(1, 1).double()
    sizes = [float(ARMA(1, iterations=n, learnable=False).signals(a, z)[0]) for n in (5, 10, 20)]
    assert sizes[2] > 5 * sizes[1] > 25 * sizes[0] > 0


def test_learned_poles_stay_inside_the_unit_interval() -> None:
    filter = ARMA(2)
    with torch.no_grad():
        filter.raw_poles.add_(torch.tensor([3.0, -3.0]))
    low, high = filter.poles(torch.ones(1)).tolist()
    assert -1 < high < low < 1


@pytest.mark.parametrize("poles", [(1.0, 0.0), (0.0, -1.2), (float("nan"), 0.0)])
def test_poles_outside_the_unit_interval_are_refused(poles: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="diverges unless every pole lies between -1 and 1; got"):
        ARMA(2, poles=poles)


def test_there_are_as_many_poles_as_taps() -> None:
    with pytest.raises(ValueError, match="has 2 poles; got 1"):
        ARMA(2, poles=(0.5,))
