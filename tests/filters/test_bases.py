"""Bernstein and Jacobi polynomials and generalised PageRank against SciPy and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special
import scipy.stats
import torch

from snl_graph.filters import Bernstein, GeneralizedPageRank, Jacobi, approximate_response
from tests.filters.conformance import WEIGHTS, symmetric
from tests.tolerances import assert_equal

LAMBDAS = torch.linspace(0, 2, 101, dtype=torch.float64)


@pytest.mark.parametrize("K", [1, 2, 5, 11, 31])
def test_bernstein_polynomials_are_binomial_probabilities(K: int) -> None:
    t = np.arange(K)
    expected = torch.as_tensor(scipy.stats.binom.pmf(t, K - 1, LAMBDAS[:, None].numpy() / 2))
    bernstein = Bernstein(K)
    assert_equal(bernstein.response(LAMBDAS), expected, 1e-12)
    # The products with A are exact at a high degree too, where powers of A would cancel.
    assert_equal(approximate_response(bernstein, LAMBDAS), expected, 1e-12)
    assert bernstein.coefficients().abs().max() <= 2


def test_bernstein_signals_are_the_published_products() -> None:
    """BernNet, Eq. 4: 2^-n C(n, t) (2I − L)^(n−t) L^t z."""
    a = symmetric(WEIGHTS["complete"]())
    laplacian = torch.eye(8).double() - a.to_dense()
    z = torch.randn(8, 2, dtype=torch.float64)
    n = 4
    for t, signal in enumerate(Bernstein(n + 1).signals(a, z)):
        low = torch.linalg.matrix_power(2 * torch.eye(8).double() - laplacian, n - t)
        high = torch.linalg.matrix_power(laplacian, t)
        assert_equal(signal, scipy.special.comb(n, t) / 2**n * low @ high @ z)


@pytest.mark.parametrize(("a", "b"), [(1, 1), (0, 0), (-0.5, -0.5), (2.5, -0.3), (-0.9, 0.9)])
def test_jacobi_polynomials_are_those_of_scipy(a: float, b: float) -> None:
    jacobi = Jacobi(12, a=a, b=b)
    x = (1 - LAMBDAS).numpy()[:, None]
    expected = torch.as_tensor(scipy.special.eval_jacobi(np.arange(12), a, b, x))
    assert_equal(jacobi.response(LAMBDAS), expected, 1e-12)
    assert_equal(approximate_response(jacobi, LAMBDAS), expected, 1e-12)


@pytest.mark.parametrize(("a", "b"), [(-1, 0), (0, -1.5), (float("nan"), 0)])
def test_jacobi_exponents_are_above_minus_1(a: float, b: float) -> None:
    with pytest.raises(ValueError, match="exponents of Jacobi polynomials are > -1; got"):
        Jacobi(3, a=a, b=b)


def test_pagerank_starts_as_the_personalised_one() -> None:
    """α (I − (1 − α) A)^-1 z, up to the (1 − α)^K that is cut off."""
    a = symmetric(WEIGHTS["complete"]())
    z = torch.randn(8, 2, dtype=torch.float64)
    for alpha in (0.1, 0.5, 1.0):
        (signal,) = GeneralizedPageRank(300, alpha=alpha, learnable=False).signals(a, z)
        inverse = torch.linalg.inv(torch.eye(8).double() - (1 - alpha) * a.to_dense())
        assert_equal(signal, alpha * inverse @ z, 1e-9)
        gamma = GeneralizedPageRank(7, alpha=alpha).gamma
        assert float(gamma.detach().sum()) == pytest.approx(1)


def test_pagerank_weighs_the_powers_by_its_numbers() -> None:
    a = symmetric(WEIGHTS["isolated nodes"]())
    z = torch.randn(7, 2, dtype=torch.float64)
    filter = GeneralizedPageRank(4).double()
    with torch.no_grad():
        filter.gamma.copy_(torch.tensor([1.0, -2.0, 0.0, 3.0]))
    matrix = a.to_dense()
    expected = z - 2 * matrix @ z + 3 * matrix @ matrix @ matrix @ z
    assert_equal(filter.signals(a, z)[0], expected)


@pytest.mark.parametrize("alpha", [0.0, -0.1, 1.1])
def test_alpha_is_a_probability(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha is a probability above 0; got"):
        GeneralizedPageRank(3, alpha=alpha)
