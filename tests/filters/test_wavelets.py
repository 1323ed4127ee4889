"""Graph wavelets against PyGSP, and the theory of tight frames."""

from __future__ import annotations

import math

import pytest
import torch

from snl_graph.filters import MexicanHat, Meyer, approximation_error
from tests.filters.conformance import WEIGHTS, symmetric
from tests.tolerances import assert_equal

LAMBDAS = torch.linspace(0, 2, 401, dtype=torch.float64)


def ring_with_spectrum_up_to_2():  # type: ignore[no-untyped-def]
    """An even cycle is bipartite: λ_max of its normalised Laplacian is 2."""
    graph = pytest.importorskip("pygsp").graphs.Ring(16)
    graph.compute_laplacian("normalized")
    graph.compute_fourier_basis()
    assert graph.lmax == pytest.approx(2)
    return graph


@pytest.mark.parametrize("K", [2, 3, 5])
@pytest.mark.parametrize("lowest", [0.1, 0.5])
def test_mexican_hat_is_that_of_pygsp(K: int, lowest: float) -> None:
    graph = ring_with_spectrum_up_to_2()
    theirs = pytest.importorskip("pygsp").filters.MexicanHat(graph, Nf=K, lpfactor=2 / lowest)
    ours = MexicanHat(K, lowest=lowest, order=4).response(LAMBDAS)
    assert_equal(ours, torch.as_tensor(theirs.evaluate(LAMBDAS.numpy()).T))


@pytest.mark.parametrize("K", [2, 3, 5])
def test_meyer_is_that_of_pygsp(K: int) -> None:
    graph = ring_with_spectrum_up_to_2()
    theirs = pytest.importorskip("pygsp").filters.Meyer(graph, Nf=K)
    ours = Meyer(K, order=4).response(LAMBDAS)
    assert_equal(ours, torch.as_tensor(theirs.evaluate(LAMBDAS.numpy()).T))


@pytest.mark.parametrize("K", [1, 2, 3, 4, 6])
def test_meyer_is_a_tight_frame(K: int) -> None:
    """Σ_t g_t(λ)² = 1 on the whole spectrum, its ends included."""
    squares = Meyer(K, order=1).response(LAMBDAS).square().sum(1)
    assert_equal(squares, torch.ones_like(squares), 1e-14)


@pytest.mark.parametrize("K", [2, 3])
def test_the_taps_of_a_tight_frame_keep_the_energy(K: int) -> None:
    """Σ_t ‖g_t(L) z‖² = ‖z‖², up to the error of the series."""
    a = symmetric(WEIGHTS["bipartite"]())
    z = torch.randn(6, 1, dtype=torch.float64)
    meyer = Meyer(K, order=60)
    error = float(approximation_error(meyer).max())
    energy = sum(signal.square().sum() for signal in meyer.signals(a, z))
    assert abs(energy / z.square().sum() - 1) <= K * (2 * error + error**2)
    assert error < 3e-4


def test_wavelets_pass_nothing_of_the_constant() -> None:
    """g_t(0) = 0 for t ≥ 1: wavelets are band-pass."""
    zero = torch.zeros(1, dtype=torch.float64)
    for filter in (MexicanHat(4, order=1), Meyer(4, order=1)):
        g = filter.response(zero)[0]
        assert g[0] > 0
        assert (g[1:] == 0).all()


def test_a_mexican_hat_has_its_peak_at_one_over_its_scale() -> None:
    for scale in (0.7, 2.0, 5.0):
        g = MexicanHat(2, scales=(scale,), order=1).response(LAMBDAS)[:, 1]
        assert abs(float(LAMBDAS[g.argmax()]) - 1 / scale) <= 0.005
        assert float(g.max()) == pytest.approx(math.exp(-1), abs=1e-4)


def test_meyer_refuses_complex_eigenvalues_and_takes_real_ones_in_a_complex_tensor() -> None:
    meyer = Meyer(3)
    with pytest.raises(ValueError, match="defined at real eigenvalues; some of these are complex"):
        meyer.response(torch.tensor([0.1 + 0.2j]))
    assert_equal(meyer.response(LAMBDAS + 0j).real, meyer.response(LAMBDAS))


@pytest.mark.parametrize("lowest", [0.0, -1.0, 2.0, float("nan")])
def test_the_lowest_frequency_lies_in_the_spectrum(lowest: float) -> None:
    with pytest.raises(ValueError, match="lowest"):
        MexicanHat(3, lowest=lowest)


def test_a_response_too_steep_for_the_tolerance_says_so() -> None:
    with pytest.raises(ValueError, match=r"256 steps leave an error of .*order=\.\.\. yourself"):
        MexicanHat(2, lowest=0.001)
    assert MexicanHat(2, lowest=0.001, order=3).order == 3
