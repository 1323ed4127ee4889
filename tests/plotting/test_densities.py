"""Histograms and densities, read back from the axes."""

import networkx as nx
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from snl_graph.operators import DenseOperator
from snl_graph.plotting import plot_eigenvalue_histogram, plot_spectral_density
from snl_graph.spectral import Density, spectral_density, spectrum


@pytest.fixture
def ax():
    return Figure().subplots()


def test_bars_count_the_eigenvalues(ax):
    found = spectrum(nx.karate_club_graph())
    plot_eigenvalue_histogram(found, ax, bins=10)
    expected, edges = np.histogram(found.eigenvalues, bins=10, range=(0, 2))
    assert [bar.get_height() for bar in ax.patches] == expected.tolist()
    np.testing.assert_allclose([bar.get_x() for bar in ax.patches], edges[:-1], atol=1e-12)
    (ticks,) = (line for line in ax.lines if line.get_marker() == "|")
    np.testing.assert_allclose(ticks.get_xdata(), found.eigenvalues)
    assert f"λ_max = {found.lambda_max:.3f}" in ax.get_title()


def test_bins_cover_a_spectrum_beyond_the_bound(ax):
    found = spectrum(DenseOperator(torch.diag(torch.tensor([-2.0, 0.5, 3.0]))))  # λ = 3, ½, −2
    plot_eigenvalue_histogram(found, ax, bins=5)
    assert sum(bar.get_height() for bar in ax.patches) == 3
    plot_eigenvalue_histogram(found, ax, log=True)
    assert ax.get_yscale() == "log"


def test_a_histogram_refuses_to_hide_imaginary_parts(ax):
    found = spectrum(DenseOperator(torch.tensor(np.roll(np.eye(3), 1, axis=1))))
    with pytest.raises(ValueError, match=r"2 of 3 eigenvalues are not real.*plot_eigenvalues"):
        plot_eigenvalue_histogram(found, ax)
    density = spectral_density(nx.path_graph(3))
    with pytest.raises(ValueError, match="real eigenvalues"):
        plot_spectral_density(density, ax, spectrum=found)


def test_the_density_is_drawn_bin_by_bin_beside_the_exact_one(ax):
    graph = nx.karate_club_graph()
    density, found = spectral_density(graph, bins=20), spectrum(graph)
    plot_spectral_density(density, ax, spectrum=found)
    steps = {patch.get_label(): patch.get_data() for patch in ax.patches}
    values, edges, _ = steps["all eigenvalues"]
    np.testing.assert_allclose(values, density.density)
    np.testing.assert_allclose((edges[:-1] + edges[1:]) / 2, density.lambdas)
    exact, _, _ = steps["exact"]
    np.testing.assert_allclose(exact, values, atol=1e-9)  # of so small a graph it is exact
    styles = {patch.get_linestyle() for patch in ax.patches if patch.get_label() in steps}
    assert {"--", "solid"} <= styles


def test_an_estimate_says_how_far_off_it_is(ax):
    half = torch.full((2,), 0.5, dtype=torch.float64)
    lambdas = torch.tensor([0.5, 1.5], dtype=torch.float64)
    plot_spectral_density(Density(lambdas, half, 0.004, lambdas, half, "lanczos"), ax)
    assert "error 0.004" in ax.get_title()
    assert any("estimate, lanczos" in patch.get_label() for patch in ax.patches)


@pytest.mark.parametrize(("nodes", "ticks"), [(300, 300), (301, 0)])
def test_each_of_a_few_eigenvalues_has_a_tick(nodes, ticks, ax):
    plot_eigenvalue_histogram(spectrum(nx.cycle_graph(nodes)), ax)
    assert len(ax.lines[0].get_xdata()) == ticks
