"""The graph Fourier transform, and Theorem 1."""

import networkx as nx
import numpy as np
import pytest
import torch
from torch_geometric.data import Batch, Data

from snl_graph import SNLConv, affinity, filter_response, gft, igft, nonlocal_block
from snl_graph.operators import DenseOperator
from snl_graph.spectral import energy, fourier_basis, spectrum, total_variation


def filtered(basis, responses, z):
    """U g(Λ) Uᵀ Z: each frequency by its own matrix, (N, out, in)."""
    z_hat = basis.vectors.mT @ z
    return basis.vectors @ torch.einsum("noi,ni->no", responses, z_hat)


@pytest.mark.parametrize("basis", ["monomial", "chebyshev"])
@pytest.mark.parametrize("K", [1, 2, 5])
def test_theorem_1_for_a_layer_on_edges(basis, K):
    torch.manual_seed(0)
    graph = nx.karate_club_graph()
    edge_index = torch.tensor(list(graph.edges)).T
    conv = SNLConv(3, 4, K=K, basis=basis, bias=False).double()
    x = torch.randn(34, 3, dtype=torch.float64)
    found = fourier_basis((conv, x, edge_index))
    expected = filtered(found, filter_response(conv, found.eigenvalues), x)
    torch.testing.assert_close(conv(x, edge_index), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kernel", ["dot", "gaussian"])
def test_theorem_1_for_a_layer_without_edges(kernel):
    torch.manual_seed(0)
    conv = SNLConv(3, 4, K=3, kernel=kernel, bias=False).double()
    x = torch.randn(25, 3, dtype=torch.float64)
    found = fourier_basis((conv, x))
    expected = filtered(found, filter_response(conv, found.eigenvalues), x)
    torch.testing.assert_close(conv(x), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("representation", ["dense", "factored"])
@pytest.mark.parametrize(("name", "K"), [("snl", None), ("gsnl", 4)])
def test_theorem_1_for_a_block_before_its_norm(name, K, representation):
    torch.manual_seed(0)
    block = nonlocal_block(name, 6, K=K, norm="none", representation=representation).double()
    x = torch.randn(2, 6, 3, 5, dtype=torch.float64)
    f = (block(x) - x).flatten(2).mT
    for found, nodes, ours in zip(fourier_basis((block, x)), x.flatten(2).mT, f, strict=True):
        z = block.units[0].g(nodes)
        expected = filtered(found, filter_response(block, found.eigenvalues), z)
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-10)


def test_the_transform_is_that_of_the_eigenvectors_and_orthogonal():
    graph = nx.les_miserables_graph()
    x = torch.randn(77, 3, dtype=torch.float64)
    found, x_hat = fourier_basis(graph), gft(graph, x)
    vectors = spectrum(graph, vectors=True).eigenvectors
    torch.testing.assert_close(x_hat.abs(), (vectors.mT @ x).abs(), rtol=0, atol=1e-10)
    torch.testing.assert_close(igft(graph, x_hat), x, rtol=0, atol=1e-12)
    torch.testing.assert_close(gft(graph, x[:, 0]), x_hat[:, 0], rtol=0, atol=1e-12)
    assert found.is_orthogonal
    assert found.condition_number == 1
    torch.testing.assert_close(energy(graph, x), x_hat.square())
    torch.testing.assert_close(energy(found, x).sum(0), x.square().sum(0))


def test_a_complex_signal_is_transformed_part_by_part_and_back():
    torch.manual_seed(0)
    graph = nx.karate_club_graph()
    x = torch.randn(34, 2, dtype=torch.complex128)
    x_hat = gft(graph, x)
    torch.testing.assert_close(x_hat, torch.complex(gft(graph, x.real), gft(graph, x.imag)))
    torch.testing.assert_close(igft(graph, x_hat), x)


def test_a_signal_along_an_eigenvector_has_one_frequency():
    found = fourier_basis(nx.karate_club_graph())
    x_hat = gft(found, found.vectors[:, 5])
    torch.testing.assert_close(x_hat, torch.eye(34, dtype=torch.float64)[5], rtol=0, atol=1e-12)


def test_an_asymmetric_affinity_is_inverted_and_reports_its_condition():
    torch.manual_seed(0)
    phi, psi, x = torch.randn(3, 12, 3, dtype=torch.float64)
    walk = affinity(phi, psi, kernel="gaussian", normalization="rw")
    found = fourier_basis(walk)
    assert not found.is_orthogonal
    expected = np.linalg.cond(found.vectors.numpy())
    assert found.condition_number == pytest.approx(expected)
    assert found.condition_number > 1
    x_hat = gft(walk, x)
    np.testing.assert_allclose(
        x_hat.numpy(), np.linalg.inv(found.vectors.numpy()) @ x.numpy(), atol=1e-10
    )
    back = igft(walk, x_hat)
    assert back.is_complex() == found.vectors.is_complex() == True  # noqa: E712
    torch.testing.assert_close(back, x.to(back.dtype), rtol=0, atol=1e-10)
    # A x is λ_l x̂_l in the basis, whatever its symmetry.
    torch.testing.assert_close(
        gft(found, x - walk.apply(x)), found.eigenvalues[:, None] * x_hat, rtol=0, atol=1e-9
    )


def test_a_basis_that_keeps_few_digits_warns_and_a_defective_one_is_refused():
    near = torch.tensor([[0.5, 1.0], [0.0, 0.5 + 1e-9]], dtype=torch.float64)
    with pytest.warns(UserWarning, match="condition number"):
        fourier_basis(DenseOperator(near))
    jordan = torch.tensor([[0.5, 1.0], [0.0, 0.5]], dtype=torch.float64)
    with pytest.raises(ValueError, match="no 2 independent eigenvectors"):
        gft(DenseOperator(jordan), torch.ones(2))


def test_total_variation_is_the_sum_of_differences_along_edges():
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    m = rng.random((9, 9)) * (rng.random((9, 9)) < 0.5)
    m = (m + m.T) / 2
    m[4] = m[:, 4] = 0
    d = m.sum(1)
    x = torch.randn(9, 2, dtype=torch.float64)
    expected = torch.zeros(2, dtype=torch.float64)
    for i in range(9):
        if d[i] == 0:
            expected += x[i] ** 2
            continue
        for j in range(9):
            if m[i, j]:
                expected += m[i, j] / 2 * (x[i] / d[i] ** 0.5 - x[j] / d[j] ** 0.5) ** 2
    torch.testing.assert_close(total_variation(m, x), expected)
    basis = fourier_basis(m)
    torch.testing.assert_close(
        total_variation(m, x), (basis.eigenvalues[:, None] * energy(basis, x)).sum(0)
    )
    assert float(total_variation(m, x[:, 0])) == pytest.approx(float(expected[0]))


def test_batches_are_transformed_item_by_item():
    a = affinity(torch.rand(2, 3, 6, 2, dtype=torch.float64))
    x = torch.randn(2, 3, 6, 4, dtype=torch.float64)
    x_hat = gft(a, x)
    assert x_hat.shape == x.shape
    torch.testing.assert_close(igft(a, x_hat), x)
    assert total_variation(a, x).shape == (2, 3, 4)
    torch.testing.assert_close(total_variation(a, x), (x * (x - a.apply(x))).sum(-2))
    graphs = [Data(edge_index=torch.tensor([[0], [1]]), num_nodes=n) for n in (2, 3)]
    signals = [torch.randn(2, 1), torch.randn(3, 1)]
    batch = Batch.from_data_list(graphs)
    for back, signal in zip(igft(batch, gft(batch, signals)), signals, strict=True):
        torch.testing.assert_close(back, signal.double())
    with pytest.raises(ValueError, match="signals for 2 graphs are wanted"):
        gft(batch, signals[:1])


def test_signals_that_do_not_fit_and_graphs_too_large_are_refused(few_dense_nodes):
    for function in (gft, igft, energy, total_variation):
        with pytest.raises(ValueError, match=r"on 3 nodes has shape \(3,\) or \(3, C\); got \(2,"):
            function(torch.ones(3, 3), torch.ones(2))
    with pytest.raises(ValueError, match="all 40 eigenvectors"):
        gft(nx.cycle_graph(40), torch.ones(40))
    assert float(total_variation(nx.cycle_graph(40), torch.ones(40))) == pytest.approx(0, abs=1e-9)


def test_no_nodes_and_one_node():
    assert gft(torch.zeros(0, 0), torch.zeros(0, 2)).shape == (0, 2)
    assert gft(torch.ones(1, 1), torch.tensor([3.0])).abs().tolist() == [3.0]
