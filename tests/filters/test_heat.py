"""The heat kernel against the matrix exponential, Bessel functions and PyGSP."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import scipy.special
import torch

from snl_graph.filters import Heat, approximation_error
from tests.filters.conformance import WEIGHTS, symmetric
from tests.tolerances import assert_equal

LAMBDAS = torch.linspace(0, 2, 101, dtype=torch.float64)


def test_signals_are_those_of_the_matrix_exponential() -> None:
    a = symmetric(WEIGHTS["isolated nodes"]())
    laplacian = np.eye(7) - a.to_dense().numpy()
    z = torch.randn(7, 3, dtype=torch.float64)
    times = (0.0, 0.5, 4.0)
    for time, signal in zip(times[1:], Heat(2, times[1:], order=25).signals(a, z), strict=True):
        assert_equal(signal, torch.as_tensor(scipy.linalg.expm(-time * laplacian)) @ z)


def test_coefficients_are_bessel_functions() -> None:
    """exp(−τ (1 + x)) = Σ_k (2 − δ_k) (−1)^k e^-τ I_k(τ) T_k(x)."""
    heat = Heat(2, times=(1.5, 6.0), order=25)
    k = np.arange(26)[:, None]
    expected = (2 - (k == 0)) * (-1.0) ** k * scipy.special.ive(k, np.array([1.5, 6.0]))
    assert_equal(heat.coefficients(), torch.as_tensor(expected))


def test_response_is_that_of_pygsp() -> None:
    filters = pytest.importorskip("pygsp").filters
    graphs = pytest.importorskip("pygsp").graphs
    graph = graphs.Ring(16, k=2)
    graph.compute_laplacian("normalized")
    graph.estimate_lmax()
    theirs = filters.Heat(graph, scale=[3 * graph.lmax, graph.lmax])  # they divide λ by λ_max
    ours = Heat(2, times=(3, 1)).response(LAMBDAS)
    assert_equal(ours, torch.as_tensor(theirs.evaluate(LAMBDAS.numpy()).T))


@pytest.mark.parametrize("tolerance", [1e-1, 1e-3, 1e-6])
def test_the_order_meets_the_tolerance(tolerance: float) -> None:
    heat = Heat(3, tolerance=tolerance)
    assert approximation_error(heat).max() <= 1.01 * tolerance
    assert approximation_error(heat.with_steps(heat.order - 1)).max() > tolerance


def test_learned_times_stay_positive_and_move() -> None:
    heat = Heat(2, learnable=True)
    assert_equal(heat.times.log.exp().detach(), torch.tensor([1.0, 2.0]))
    with torch.no_grad():
        heat.times.log.sub_(100)
    assert (heat.response(torch.ones(1)) > 0.99).all()
    heat.reset_parameters()
    assert_equal(heat.times.log.exp().detach(), torch.tensor([1.0, 2.0]))


@pytest.mark.parametrize("times", [(0.0, 1.0), (-1.0, 1.0), (float("nan"), 1.0)])
def test_times_are_positive(times: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="times of heat must be positive and finite; got"):
        Heat(2, times)


def test_there_are_as_many_times_as_taps() -> None:
    with pytest.raises(ValueError, match=r"has 2 times; got 3"):
        Heat(2, times=(1, 2, 3))
