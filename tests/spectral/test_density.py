"""Densities against the true distribution of eigenvalues."""

import networkx as nx
import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance

from snl_graph import affinity, spectral_density
from snl_graph.operators import DenseOperator
from snl_graph.spectral import density
from snl_graph.spectral.density import lanczos_density
from snl_graph.spectral.graph import OneGraph
from snl_graph.spectral.sources import as_operators

GRAPHS = {
    "random": nx.gnm_random_graph(900, 3000, seed=1),
    "scale-free": nx.barabasi_albert_graph(900, 3, seed=1),
    "grid": nx.grid_2d_graph(28, 30),
    "cycle": nx.cycle_graph(900),
    "star": nx.star_graph(900),
    "small world": nx.watts_strogatz_graph(900, 6, 0.1, seed=2),
    "tree": nx.balanced_tree(2, 8),
    "communities": nx.planted_partition_graph(9, 100, 0.06, 0.001, seed=4),
    "disconnected": nx.disjoint_union(nx.empty_graph(200), nx.random_regular_graph(4, 600, 3)),
}


def distance(eigenvalues, found):
    """∫ |F − F̂| dλ on a fine grid, F counted and F̂ summed up."""
    at = np.linspace(-0.001, 2.001, 40001)
    true = np.searchsorted(np.sort(eigenvalues) - 1e-9, at, side="right") / len(eigenvalues)
    ours = found.cumulative(at + 1e-9).numpy()
    return np.trapezoid(np.abs(true - ours), at)


@pytest.mark.parametrize("name", GRAPHS)
def test_lanczos_density_is_within_a_hundredth_of_the_true_spectrum(name):
    graph = OneGraph(as_operators(GRAPHS[name]))
    true = np.linalg.eigvalsh(np.eye(graph.n) - graph.dense)
    found = lanczos_density(graph, 100)
    error = distance(true, found)
    assert error <= 0.01
    assert error <= found.error
    assert found.error <= 0.02
    assert found.method == "lanczos"
    width = 2 / 100
    assert float(found.density.sum()) * width == pytest.approx(1, abs=1e-12)
    # The bins alone: their sums are the cumulative distribution at their ends, but for the mass
    # that rounding moves across an end.
    sums = np.concatenate([[0], found.density.numpy().cumsum() * width])
    ends = np.linspace(0, 2, 101)
    low, high = (found.cumulative(ends + shift).numpy() for shift in (-1e-6, 1e-6))
    assert np.all(sums >= low - 1e-9) or np.all(sums[1:] >= low[1:] - 1e-9)
    assert np.all(sums <= high + 1e-9)


def test_the_estimated_error_is_no_idle_number():
    graph = OneGraph(as_operators(GRAPHS["grid"]))
    true = np.linalg.eigvalsh(np.eye(graph.n) - graph.dense)
    coarse = lanczos_density(graph, 100, steps=6, probes=4)
    fine = lanczos_density(graph, 100)
    assert distance(true, coarse) > 5 * distance(true, fine)
    assert coarse.error > 2 * fine.error
    assert distance(true, coarse) <= coarse.error


def test_the_distance_of_distributions_is_that_of_scipy():
    rng = np.random.default_rng(0)
    for sizes in ((1, 1), (1, 7), (20, 13)):
        points = [rng.integers(0, 9, size) / 4 for size in sizes]  # some fall together
        weights = [rng.dirichlet(np.ones(size)) for size in sizes]
        found = density.distance(*zip(points, weights, strict=True))
        expected = wasserstein_distance(*points, *weights)
        assert found == pytest.approx(expected, abs=1e-13)


def test_a_small_graph_and_factors_are_counted_exactly():
    weights = nx.to_numpy_array(nx.karate_club_graph())
    found = spectral_density(weights, bins=7)
    true = np.linalg.eigvalsh(np.eye(34) - OneGraph(as_operators(weights)).dense)
    np.testing.assert_allclose(found.points.numpy(), true, atol=1e-12)
    counts, _ = np.histogram(true.clip(0, 2), 7, (0, 2))
    np.testing.assert_allclose(found.density.numpy() * 34 * 2 / 7, counts, atol=1e-9)
    assert (found.error, found.method) == (0.0, "exact")
    np.testing.assert_allclose(found.lambdas.numpy(), (np.arange(7) + 0.5) * 2 / 7)
    phi = torch.rand(5000, 2, dtype=torch.float64)
    factored = spectral_density(affinity(phi))
    assert factored.method == "exact"
    assert float(factored.cumulative(1 + 1e-9) - factored.cumulative(1 - 1e-9)) > 0.999


def test_a_random_walk_has_the_density_of_its_symmetric_twin(few_dense_nodes):
    phi = torch.randn(300, 2, dtype=torch.float64)
    walk, sym = (affinity(phi, kernel="rbf", normalization=n) for n in ("rw", "sym"))
    first, second = spectral_density(walk), spectral_density(sym)
    assert first.method == "lanczos"
    torch.testing.assert_close(first.density, second.density, rtol=0, atol=1e-6)


def test_a_spectrum_beyond_two_widens_the_bins():
    found = spectral_density(DenseOperator(-2 * torch.eye(3, dtype=torch.float64)), bins=6)
    assert found.lambdas[-1] == pytest.approx(2.75)
    assert float(found.density.sum() * 0.5) == pytest.approx(1)
    assert float(found.density[-1]) == pytest.approx(2)


def test_densities_repeat_themselves_and_come_one_an_item(few_dense_nodes):
    first, second = (spectral_density(GRAPHS["random"]) for _ in range(2))
    assert torch.equal(first.density, second.density)
    batch = spectral_density(affinity(torch.rand(2, 50, 3, dtype=torch.float64), kernel="rbf"))
    assert len(batch) == 2
    assert not torch.equal(batch[0].density, batch[1].density)


def test_a_complex_spectrum_has_no_density(few_dense_nodes):
    for n in (5, 30):
        ring = DenseOperator(torch.roll(torch.eye(n, dtype=torch.float64), 1, 1))
        with pytest.raises(ValueError, match=r"complex.*spectrum\(obj\)\.eigenvalues"):
            spectral_density(ring)


@pytest.mark.parametrize("bins", [0, -1, 2.5, True])
def test_bins_are_counted(bins):
    with pytest.raises(ValueError, match="whole number ≥ 1"):
        spectral_density(torch.eye(2), bins=bins)


def test_no_nodes_have_no_density_and_one_has_its_own():
    with pytest.raises(ValueError, match="without nodes"):
        spectral_density(torch.zeros(0, 0))
    found = spectral_density(torch.ones(1, 1), bins=2)
    assert found.density.tolist() == [1.0, 0.0]
