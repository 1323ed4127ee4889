"""The table of conventions of ``docs/spectrum.md``: other libraries' Laplacians beside ours."""

import logging

import networkx as nx
import numpy as np
import pytest
import scipy.sparse
import torch
from scipy.sparse.csgraph import laplacian as scipy_laplacian
from torch_geometric.data import Data
from torch_geometric.utils import get_laplacian

from snl_graph import spectrum
from snl_graph.spectral.graph import OneGraph
from snl_graph.spectral.sources import as_operators
from tests.spectral.formulas import naive_laplacian

PATH = np.array([[0, 1, 0, 0], [1, 0, 2, 0], [0, 2, 0, 0], [0, 0, 0, 0.0]])  # the last is isolated


def ours(weights):
    return np.eye(len(weights)) - OneGraph(as_operators(weights)).dense


def of_pyg(weights):
    target, source = np.nonzero(weights)
    edge_index, values = get_laplacian(
        torch.tensor(np.stack([source, target])),
        torch.tensor(weights[target, source]),
        normalization="sym",
        num_nodes=len(weights),
    )
    laplacian = np.zeros_like(weights)
    np.add.at(laplacian, (edge_index[1].numpy(), edge_index[0].numpy()), values.numpy())
    return laplacian


def of_scipy(weights):
    with np.errstate(invalid="ignore"):
        return scipy_laplacian(weights, normed=True)


def of_networkx(weights):
    with np.errstate(invalid="ignore"):
        return nx.normalized_laplacian_matrix(nx.from_numpy_array(weights)).toarray()


def of_pygsp(weights):
    pygsp = pytest.importorskip("pygsp", reason="the comparison needs pip install pygsp")
    logging.getLogger("pygsp").setLevel(logging.ERROR)
    with np.errstate(invalid="ignore"):
        graph = pygsp.graphs.Graph(weights)
        graph.compute_laplacian("normalized")
    return graph.L.toarray()


LIBRARIES = {"pyg": of_pyg, "scipy": of_scipy, "networkx": of_networkx, "pygsp": of_pygsp}
ISOLATED_IS_ONE = {"pyg": True, "scipy": False, "networkx": False, "pygsp": False}
KEEPS_LOOPS = {"pyg": False, "scipy": False, "networkx": True, "pygsp": True}


def random_graph(seed):
    """A connected weighted graph without self-loops, 3 to 52 nodes."""
    rng = np.random.default_rng(seed)
    n = 3 + seed
    weights = rng.random((n, n)) * (rng.random((n, n)) < 0.4) + np.roll(np.eye(n), 1, 1)
    weights = (weights + weights.T) / 2
    np.fill_diagonal(weights, 0)
    return weights


@pytest.mark.parametrize("library", ["numpy", *LIBRARIES])
def test_eigenvalues_of_50_random_graphs_equal_those_of_the_library_to_1e_10(library):
    for seed in range(50):
        weights = random_graph(seed)
        if library == "pygsp":
            pygsp = pytest.importorskip("pygsp")
            graph = pygsp.graphs.Graph(weights)
            graph.compute_laplacian("normalized")
            graph.compute_fourier_basis()
            expected = graph.e
        else:
            laplacian = LIBRARIES.get(library, naive_laplacian)(weights)
            expected = np.linalg.eigvalsh(laplacian)
        source, target = torch.from_numpy(np.stack(np.nonzero(weights)))
        for form in (
            weights,
            scipy.sparse.csr_array(weights),
            nx.from_numpy_array(weights),
            Data(
                edge_index=torch.stack([source, target]),
                edge_weight=torch.from_numpy(weights)[source, target],
                num_nodes=len(weights),
            ),
        ):
            found = spectrum(form).eigenvalues.numpy()
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("library", LIBRARIES)
def test_an_isolated_node_is_1_or_0(library):
    expected = naive_laplacian(PATH)
    np.testing.assert_allclose(ours(PATH), expected, atol=1e-12)
    expected[3, 3] = float(ISOLATED_IS_ONE[library])
    np.testing.assert_allclose(LIBRARIES[library](PATH), expected, atol=1e-12)


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_self_loop_is_kept_or_dropped(library):
    looped = random_graph(6)
    looped[2, 2] = 3.0
    d = looped.sum(1)
    assert ours(looped)[2, 2] == pytest.approx(1 - 3 / d[2])
    without = looped - np.diag(np.diag(looped))
    expected = naive_laplacian(looped if KEEPS_LOOPS[library] else without)
    np.testing.assert_allclose(LIBRARIES[library](looped), expected, atol=1e-12)


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_node_with_a_self_loop_alone_is_0_but_for_pyg(library):
    lone = PATH + np.diag([0, 0, 0, 5.0])
    assert ours(lone)[3, 3] == pytest.approx(0)
    assert LIBRARIES[library](lone)[3, 3] == (library == "pyg")


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_negative_degree_is_refused_here_and_hidden_or_nan_elsewhere(library):
    signed = np.array([[0, 1, -2.0], [1, 0, 1], [-2, 1, 0]])
    with pytest.raises(ValueError, match="least value is -2"):
        spectrum(signed)
    assert np.isnan(LIBRARIES[library](signed)).any()
    # Negative weights that cancel leave a degree of 0 and go unnoticed there.
    cancelling = np.array([[0, 3, -1.0], [3, 0, 1], [-1, 1, 0]])
    with pytest.raises(ValueError, match="least value is -1"):
        spectrum(cancelling)
    assert np.isfinite(LIBRARIES[library](cancelling)).all()


def test_a_directed_graph_is_averaged_here_and_by_pygsp_alone():
    directed = np.array([[0, 1.0, 0], [0, 0, 1], [0, 0, 0]])
    expected = naive_laplacian(directed)
    np.testing.assert_allclose(ours(directed), expected, atol=1e-12)
    for library in ("pyg", "scipy"):
        found = LIBRARIES[library](directed)
        assert not np.allclose(found, found.T)
    np.testing.assert_allclose(of_pygsp(directed), expected, atol=1e-12)
    graph = nx.from_numpy_array(directed, create_using=nx.DiGraph)
    found = nx.normalized_laplacian_matrix(graph).toarray()
    degree = directed.sum(1)  # of the rows, where networkx has the ends that edges leave
    root = np.where(degree > 0, 1 / np.sqrt(np.where(degree > 0, degree, 1)), 0)
    np.testing.assert_allclose(found, np.diag(degree > 0) - root[:, None] * directed * root)


def test_a_directed_networkx_graph_is_averaged():
    graph = nx.gnp_random_graph(12, 0.3, seed=1, directed=True)
    expected = np.linalg.eigvalsh(naive_laplacian(nx.to_numpy_array(graph)))
    np.testing.assert_allclose(spectrum(graph).eigenvalues.numpy(), expected, atol=1e-12)
