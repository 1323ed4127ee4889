"""Spectra of graphs too large for a matrix, against the matrix."""

import math

import networkx as nx
import numpy as np
import pytest
import scipy.sparse
import torch

from snl_graph import affinity
from snl_graph.operators import DenseOperator, EdgeOperator
from snl_graph.spectral import banded, spectrum
from snl_graph.spectral.graph import OneGraph
from snl_graph.spectral.krylov import krylov_ends, symmetry_defect
from tests.spectral.formulas import naive_laplacian, set_distance

pytestmark = pytest.mark.usefixtures("few_dense_nodes")

GRAPHS = {
    "random": nx.gnm_random_graph(60, 150, seed=1),
    "double eigenvalues": nx.cycle_graph(40),
    "many copies": nx.hypercube_graph(6),
    "all copies": nx.complete_graph(40),
    "tree": nx.balanced_tree(3, 3),
    "star": nx.star_graph(50),
    "components": nx.disjoint_union_all(
        [nx.cycle_graph(40), nx.complete_graph(9), nx.path_graph(2), nx.empty_graph(3)]
    ),
    "equal components": nx.disjoint_union_all([nx.petersen_graph()] * 4),
}


@pytest.mark.parametrize("k", [1, 4, 9])
@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("solver", ["lanczos", "inverse"])
def test_the_least_eigenvalues_come_with_their_copies(solver, name, k, monkeypatch):
    if solver == "lanczos":
        monkeypatch.setattr(banded, "MOST_ENTRIES", 0)
    weights = nx.to_numpy_array(GRAPHS[name])
    laplacian = naive_laplacian(weights)
    expected = np.linalg.eigvalsh(laplacian)
    found = spectrum(GRAPHS[name], k, vectors=True)
    assert found.solver in (solver, "components")
    np.testing.assert_allclose(found.eigenvalues.numpy(), expected[:k], rtol=0, atol=1e-9)
    vectors = found.eigenvectors.numpy()
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(k), atol=1e-8)
    assert np.abs(laplacian @ vectors - vectors * found.eigenvalues.numpy()).max() < 1e-7
    assert found.residual < 1e-7
    assert found.lambda_max <= expected[-1] + 1e-9
    assert expected[-1] - found.lambda_max <= found.lambda_max_error + 1e-9


def test_hypercube_of_1024_nodes_has_its_binomial_spectrum():
    found = spectrum(nx.hypercube_graph(10), 11)
    expected = np.repeat([0, 2 / 10], [1, math.comb(10, 1)])
    np.testing.assert_allclose(found.eigenvalues.numpy(), expected, atol=1e-9)
    assert found.lambda_max == pytest.approx(2, abs=1e-9)


@pytest.mark.parametrize("normalization", ["sym", "rw"])
@pytest.mark.parametrize("kernel", ["gaussian", "rbf"])
def test_a_streaming_affinity_is_solved_without_its_matrix(kernel, normalization):
    torch.manual_seed(0)
    phi = torch.randn(80, 3, dtype=torch.float64)
    made = {
        name: affinity(phi, kernel=kernel, normalization=normalization, representation=name)
        for name in ("streaming", "dense")
    }
    expected = np.linalg.eigvals(np.eye(80) - made["dense"].to_dense().numpy())
    found = spectrum(made["streaming"], 4, vectors=True)
    assert found.method == ("symmetric" if normalization == "sym" else "similar")
    assert found.solver == "lanczos"
    np.testing.assert_allclose(
        found.eigenvalues.numpy(), np.sort(expected.real)[:4], rtol=0, atol=1e-9
    )
    assert found.residual < 1e-8


def test_a_directed_graph_keeps_its_imaginary_parts():
    rng = np.random.default_rng(0)
    weights = scipy.sparse.random_array((60, 60), density=0.1, rng=rng).toarray()
    weights += np.roll(np.eye(60), 1, axis=1)
    walk = weights / weights.sum(1, keepdims=True)
    expected = np.linalg.eigvals(np.eye(60) - walk)
    expected = expected[np.argsort(expected.real)]
    operator = DenseOperator(torch.tensor(walk))
    found = spectrum(operator, 6, vectors=True)
    assert (found.method, found.solver) == ("general", "arnoldi")
    assert found.eigenvalues.is_complex()
    distances = np.abs(found.eigenvalues.numpy()[:, None] - expected[None]).min(axis=1)
    assert distances.max() < 1e-9
    assert found.eigenvalues.real.max() <= expected[7].real
    assert found.residual < 1e-9
    assert found.lambda_max == pytest.approx(expected.real.max(), abs=1e-9)


def test_all_eigenvalues_of_small_components_are_found_at_any_size():
    rng = np.random.default_rng(1)
    parts = [rng.random((n, n)) for n in (5, 9, 1, 12, 7)]
    found = spectrum(scipy.sparse.block_diag(parts).tocsr())
    assert found.solver == "components"
    expected = np.linalg.eigvalsh(naive_laplacian(scipy.sparse.block_diag(parts).toarray()))
    np.testing.assert_allclose(found.eigenvalues.numpy(), expected, atol=1e-12)


def test_iterations_repeat_themselves():
    first, second = (spectrum(GRAPHS["random"], 5, vectors=True) for _ in range(2))
    assert torch.equal(first.eigenvalues, second.eigenvalues)
    assert torch.equal(first.eigenvectors, second.eigenvectors)


@pytest.mark.parametrize("graph", [nx.cycle_graph(40), affinity(torch.randn(40, 2), kernel="rbf")])
def test_a_matrix_that_is_too_large_is_refused_with_what_to_do(graph):
    with pytest.raises(ValueError, match=r"40 nodes|components of up to 40.*spectral_density"):
        spectrum(graph)
    with pytest.raises(ValueError, match=r"30 eigenvalues of 40 nodes.*k=16"):
        spectrum(graph, 30)


def test_iterations_that_do_not_converge_say_so(monkeypatch):
    import snl_graph.spectral.krylov as krylov

    monkeypatch.setattr(krylov, "RESTARTS", 1)
    monkeypatch.setattr(banded, "MOST_ENTRIES", 0)
    with pytest.raises(ValueError, match=r"of 9 eigenvalues of 3000 nodes converged.*density"):
        spectrum(nx.path_graph(3000), 9)


def test_non_finite_products_are_refused():
    phi = torch.randn(40, 2)
    phi[0] = float("nan")
    with pytest.raises(ValueError, match="non-finite"):
        spectrum(affinity(phi, kernel="gaussian", representation="streaming"), 3)
    edges = EdgeOperator(torch.tensor([[0], [1]]), torch.tensor([torch.inf]), (40, 40))
    with pytest.raises(ValueError, match="non-finite"):
        spectrum(edges, 3)


def test_the_defect_of_symmetry_is_zero_for_symmetric_matrices_alone():
    a = np.random.default_rng(0).random((30, 30))
    assert symmetry_defect(lambda z: (a + a.T) @ z, 30) < 1e-14
    assert symmetry_defect(lambda z: a @ z, 30) > 1e-3


def test_pairs_of_one_graph_agree_with_all_of_them():
    a = DenseOperator(torch.tensor(np.random.default_rng(0).random((30, 30))))
    ends = krylov_ends(OneGraph(a), 3)
    expected = np.linalg.eigvals(np.eye(30) - a.matrix.numpy())
    nearest = np.abs(ends.pairs.values[:, None] - expected[None]).min(axis=1)
    assert nearest.max() < 1e-9
    assert ends.solver == "arnoldi"
    assert ends.lambda_max == pytest.approx(expected.real.max(), abs=1e-9)
    assert ends.lambda_max_error < 1e-9
    assert set_distance([ends.pairs.values.real.min()], [expected.real.min()]) < 1e-9


@pytest.mark.parametrize("solver", ["lanczos", "inverse"])
def test_copies_among_thousands_of_close_eigenvalues_are_not_missed(solver, monkeypatch):
    """λ = 1 − (cos(2πa/50) + cos(2πb/60)) / 2 of a torus: copies that one start vector misses."""
    if solver == "lanczos":
        monkeypatch.setattr(banded, "MOST_ENTRIES", 0)
    a, b = np.meshgrid(np.arange(50), np.arange(60))
    exact = np.sort(1 - (np.cos(2 * np.pi * a / 50) + np.cos(2 * np.pi * b / 60)).ravel() / 2)
    found = spectrum(nx.grid_2d_graph(50, 60, periodic=True), 5)
    assert found.solver == solver
    assert np.abs(found.eigenvalues.numpy() - exact[:5]).max() < 1e-8
