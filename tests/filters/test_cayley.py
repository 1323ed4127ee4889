"""Cayley filters against complex linear algebra, and the convergence of their iterations."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from snl_graph.filters import Cayley, ChebyshevApproximation, approximation_error, error_by_steps
from snl_graph.operators import DenseOperator
from tests.filters.conformance import WEIGHTS, random_walk, symmetric
from tests.tolerances import assert_equal

ZOOMS = [0.3, 1.0, 2.5]


def transformed(a: Tensor, zoom: float, power: int) -> Tensor:
    """((hL − i) (hL + i)^-1)^power, complex."""
    eye = torch.eye(len(a), dtype=torch.complex128)
    laplacian = zoom * (eye - a)
    c = torch.linalg.solve(laplacian + 1j * eye, laplacian - 1j * eye)
    return torch.linalg.matrix_power(c, power)


@pytest.mark.parametrize("zoom", ZOOMS)
@pytest.mark.parametrize("form", [symmetric, random_walk])
def test_signals_are_those_of_the_cayley_transform_of_the_matrix(form, zoom: float) -> None:  # type: ignore[no-untyped-def]
    a = form(WEIGHTS["isolated nodes"]())
    z = torch.randn(7, 2, dtype=torch.float64)
    signals = Cayley(3, zoom=zoom, learnable=False, iterations=300).signals(a, z)
    assert_equal(signals[0], z)
    for power in (1, 2):
        product = transformed(a.to_dense(), zoom, power) @ z.to(torch.complex128)
        assert_equal(signals[2 * power - 1], 2 * product.real, 1e-9)
        assert_equal(signals[2 * power], -2 * product.imag, 1e-9)


def test_weights_are_real_and_imaginary_parts_of_the_published_coefficients() -> None:
    """Σ_t g_t w_t = c_0 + 2 Re Σ_j c_j C(hλ)^j, Eq. 7 of Levie et al."""
    lambdas = torch.linspace(0, 2, 50, dtype=torch.float64)
    c = torch.tensor([0.3, 1.0 - 2.0j, -0.5 + 0.1j], dtype=torch.complex128)
    x = 0.7 * lambdas.to(torch.complex128)
    powers = ((x - 1j) / (x + 1j)).unsqueeze(1) ** torch.arange(1, 3)
    expected = c[0].real + 2 * (powers @ c[1:]).real
    w = torch.tensor([0.3, 1.0, -2.0, -0.5, 0.1], dtype=torch.float64)
    assert_equal(Cayley(3, zoom=0.7, learnable=False, iterations=1).response(lambdas) @ w, expected)


@pytest.mark.parametrize("zoom", ZOOMS)
def test_the_residual_falls_as_stated(zoom: float) -> None:
    """(hA / (h + i))^(n+1) z, at most κ^(n+1) of z."""
    a = symmetric(WEIGHTS["bipartite"]())
    z = torch.randn(6, 2, dtype=torch.float64)
    residuals = Cayley(zoom=zoom, learnable=False, iterations=12).residuals(a, z)
    assert len(residuals) == 13
    step = a.to_dense().to(torch.complex128) * zoom / (zoom + 1j)
    kappa = zoom / math.sqrt(1 + zoom**2)
    for n, residual in enumerate(residuals):
        left = torch.linalg.matrix_power(step, n + 1) @ z.to(torch.complex128)
        assert residual == pytest.approx(float(left.norm() / z.norm()), rel=1e-9)
        assert residual <= kappa ** (n + 1) + 1e-12


@pytest.mark.parametrize("zoom", ZOOMS)
@pytest.mark.parametrize("iterations", [1, 4, 16])
def test_the_error_is_within_the_stated_bound(zoom: float, iterations: int) -> None:
    """Of C^j: 2 j κ^(n+1) (1 + 2 κ^(n+1))^(j−1); a tap is twice a part of it."""
    error = approximation_error(Cayley(4, zoom=zoom, learnable=False, iterations=iterations))
    rest = 2 * (zoom / math.sqrt(1 + zoom**2)) ** (iterations + 1)
    assert error[0] == 0
    for j in (1, 2, 3):
        bound = 2 * j * rest * (1 + rest) ** (j - 1)
        assert error[2 * j - 1] <= bound + 1e-12
        assert error[2 * j] <= bound + 1e-12


def test_without_self_loops_the_iteration_is_the_published_one() -> None:
    """Theirs: y ← J y + b from y = b, b = Diag^-1 (hL − i) z, J = −Diag^-1 Off, of hL + i.

    They iterate for y = C z and start from b, which takes a product of its own; ours iterates for
    (y − z) / −2i and starts without one. What is left after n iterations falls as J^(n+1) for both.
    """
    weights = WEIGHTS["complete"]()
    a = symmetric(weights - torch.diag(weights.diagonal()))
    matrix, zoom = a.to_dense().to(torch.complex128), 0.8
    z = torch.randn(8, 1, dtype=torch.complex128).real.to(torch.complex128)
    eye = torch.eye(8, dtype=torch.complex128)
    system = zoom * (eye - matrix) + 1j * eye
    diagonal = system.diagonal()[:, None]
    b = (zoom * (eye - matrix) - 1j * eye) @ z / diagonal
    theirs = b
    exact = torch.linalg.solve(system, (zoom * (eye - matrix) - 1j * eye) @ z)
    for n in range(1, 20):
        theirs = b - (system @ theirs - diagonal * theirs) / diagonal
        signals = Cayley(2, zoom=zoom, learnable=False, iterations=n).signals(a, z.real)
        ours = torch.complex(signals[1], -signals[2]) / 2
        # J^(n+1) z solved for y = C z directly, and J^(n+1) (−2i) (hL + i)^-1 z by ours.
        j = matrix * zoom / (zoom + 1j)
        rest = torch.linalg.matrix_power(j, n + 1)
        assert_equal((exact - theirs).abs(), (rest @ exact).abs(), 1e-8)
        assert_equal((exact - ours).abs(), (rest @ (2 * torch.linalg.solve(system, z))).abs(), 1e-8)


def test_the_iteration_diverges_where_its_condition_fails() -> None:
    """h |μ| ≥ √(1 + h²): an affinity that is not normalised."""
    a = DenseOperator(3 * torch.eye(2).double())
    residuals = Cayley(zoom=1.0, learnable=False, iterations=10).residuals(
        a, torch.ones(2, 1).double()
    )
    assert all(after > 2 * before for before, after in itertools.pairwise(residuals))


def test_a_chebyshev_series_takes_fewer_products_than_the_iterations() -> None:
    for K in (2, 3):
        cayley = Cayley(K, tolerance=1e-3)
        series = ChebyshevApproximation(cayley, tolerance=1e-3)
        assert series.order < cayley.order / 2
        lambdas = torch.linspace(0, 2, 9, dtype=torch.float64)
        assert_equal(series.response(lambdas), cayley.response(lambdas))


def test_the_table_counts_products() -> None:
    rows = error_by_steps(Cayley(3), [2, 4, 8])
    assert [(steps, products) for steps, products, _ in rows] == [(2, 4), (4, 8), (8, 16)]
    assert rows[0][2] > rows[1][2] > rows[2][2] > 0


def test_the_transform_maps_the_spectrum_onto_the_unit_circle() -> None:
    lambdas = torch.linspace(0, 2, 50, dtype=torch.float64)
    g = Cayley(2, zoom=1.7, learnable=False).response(lambdas)
    assert_equal((g[:, 1] / 2) ** 2 + (g[:, 2] / 2) ** 2, torch.ones(50).double())


@pytest.mark.parametrize("zoom", [0.0, -1.0, float("inf")])
def test_the_zoom_is_positive(zoom: float) -> None:
    with pytest.raises(ValueError, match="zoom must be positive and finite; got"):
        Cayley(zoom=zoom)


@pytest.mark.parametrize("iterations", [-1, 1.5])
def test_iterations_are_a_whole_number(iterations: object) -> None:
    with pytest.raises(ValueError, match="iterations is a whole number ≥ 0; got"):
        Cayley(iterations=iterations)  # type: ignore[arg-type]
