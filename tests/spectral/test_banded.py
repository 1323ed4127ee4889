"""(L + σ I)⁻¹ by a band against the inverse of the matrix, and long graphs against closed forms."""

import networkx as nx
import numpy as np
import pytest
import scipy.sparse
import torch

from snl_graph import SNLConv
from snl_graph.spectral import banded, spectrum
from snl_graph.spectral.banded import banded_inverse
from tests.spectral.formulas import naive_sym


@pytest.mark.parametrize(
    "graph",
    [
        nx.path_graph(30),
        nx.grid_2d_graph(5, 7),
        nx.gnp_random_graph(25, 0.3, seed=3),
        nx.disjoint_union(nx.cycle_graph(9), nx.empty_graph(2)),
        nx.empty_graph(1),
    ],
)
def test_the_product_is_that_of_the_inverse(graph):
    rng = np.random.default_rng(0)
    graph = nx.relabel_nodes(graph, dict(zip(graph, rng.permutation(len(graph)), strict=True)))
    a = naive_sym(nx.to_numpy_array(graph) + np.diag(rng.random(len(graph)) < 0.2))
    product = banded_inverse(scipy.sparse.csr_array(a), 0.01)
    expected = np.linalg.inv(1.01 * np.eye(len(a)) - a)
    z = rng.standard_normal((len(a), 3))
    np.testing.assert_allclose(product(z), expected @ z, rtol=0, atol=1e-10)
    np.testing.assert_allclose(product(z[:, 0]), expected @ z[:, 0], rtol=0, atol=1e-10)


def test_a_wide_band_or_a_negative_eigenvalue_has_no_product(monkeypatch):
    path = scipy.sparse.csr_array(naive_sym(nx.to_numpy_array(nx.path_graph(20))))
    assert banded_inverse(path) is not None
    assert banded_inverse(1.5 * path) is None  # λ_min = −½
    for limit in ("MOST_ENTRIES", "MOST_WORK"):
        with monkeypatch.context() as patched:
            patched.setattr(banded, limit, 39)
            assert banded_inverse(path) is None


def test_eigenvalues_1e_7_apart_on_a_ring_of_20_000_nodes_are_found():
    """λ = 1 − cos(2πj/N), each twice: products with A alone would take minutes, and give up."""
    n = 20_000
    found = spectrum(nx.cycle_graph(n), 5)
    exact = 1 - np.cos(2 * np.pi * np.array([0, 1, 1, 2, 2]) / n)
    assert found.solver == "inverse"
    np.testing.assert_allclose(found.eigenvalues.numpy(), exact, rtol=0, atol=1e-13)
    assert found.residual < 1e-10
    assert 0 <= 2 - found.lambda_max <= found.lambda_max_error


def test_a_random_walk_along_a_path_is_solved_by_its_symmetric_twin():
    n = 3000
    ends = torch.stack([torch.arange(n - 1), torch.arange(1, n)])
    edge_index = torch.cat([ends, ends.flip(0)], dim=1)
    conv = SNLConv(1, 1, normalization="rw").double()
    found = spectrum((conv, torch.ones(n, 1, dtype=torch.float64), edge_index), 4, vectors=True)
    assert (found.method, found.solver) == ("similar", "inverse")
    exact = 1 - np.cos(np.pi * np.arange(4) / (n - 1))
    np.testing.assert_allclose(found.eigenvalues.numpy(), exact, rtol=0, atol=1e-12)
    assert found.residual < 1e-9
    assert found.eigenvectors[:, 0].abs().std() < 1e-9  # constant: a right eigenvector of the walk
