"""Policies of λ_max against the spectrum."""

import networkx as nx
import numpy as np
import pytest
import torch
from torch_geometric.data import Batch, Data

from snl_graph import SNLConv, affinity
from snl_graph.conv.lambda_max import estimate_lambda_max
from snl_graph.operators import DenseOperator
from snl_graph.spectral import lambda_max, spectrum
from snl_graph.spectral.lambda_max import Power

GRAPHS = [nx.karate_club_graph(), nx.davis_southern_women_graph(), nx.cycle_graph(9)]


@pytest.mark.parametrize("graph", GRAPHS)
def test_policies_enclose_the_greatest_eigenvalue(graph):
    exact = spectrum(graph).eigenvalues.max()
    assert float(lambda_max(graph, "exact")) == pytest.approx(float(exact), abs=1e-12)
    assert float(lambda_max(graph, "bound")) == 2.0
    below, above = (float(lambda_max(graph, name)) for name in ("power", "lanczos"))
    assert below <= exact + 1e-12
    assert below == pytest.approx(float(exact), abs=1e-2)
    assert above >= exact - 1e-12
    assert above == pytest.approx(float(exact), abs=1e-2)
    assert float(lambda_max(graph, Power(steps=2000))) == pytest.approx(float(exact), abs=1e-6)


@pytest.mark.parametrize("policy", ["bound", "power", "lanczos", "exact"])
def test_each_graph_of_a_batch_has_its_own(policy):
    a = affinity(torch.rand(2, 3, 10, 2, dtype=torch.float64), kernel="rbf")
    found = lambda_max(a, policy)
    assert found.shape == (2, 3)
    for index in np.ndindex(2, 3):
        alone = lambda_max(DenseOperator(a.to_dense()[index], is_nonnegative=True), policy)
        if policy != "bound":
            assert float(found[index]) == pytest.approx(float(alone), abs=1e-6)
    graphs = [
        Data(edge_index=torch.tensor(list(g.edges)).T, num_nodes=len(g))
        for g in (nx.cycle_graph(5), nx.star_graph(4))
    ]
    found = lambda_max(Batch.from_data_list(graphs), policy)
    assert found.shape == (2,)
    assert float(found[1]) == pytest.approx(2, abs=1e-6)


def test_lanczos_is_the_estimate_of_the_layer():
    a = affinity(torch.rand(3, 200, 4), kernel="gaussian")
    torch.testing.assert_close(lambda_max(a).float(), estimate_lambda_max(a).reshape(3))


def test_a_layer_takes_the_numbers():
    graphs = [nx.cycle_graph(5), nx.star_graph(4)]
    data = Batch.from_data_list(
        [Data(edge_index=torch.tensor(list(g.edges)).T, num_nodes=len(g)) for g in graphs]
    )
    conv = SNLConv(2, 2, K=3, basis="chebyshev").double()
    x = torch.randn(10, 2, dtype=torch.float64)
    numbers = lambda_max(data, "exact")
    together = conv(x, data.edge_index, batch=data.batch, lambda_max=numbers)
    for graph, number, nodes in zip(graphs, numbers, (slice(0, 5), slice(5, 10)), strict=True):
        edges = torch.tensor(list(graph.edges)).T
        alone = conv(x[nodes], edges, lambda_max=float(number))
        torch.testing.assert_close(together[nodes], alone)


def test_the_bound_of_an_affinity_that_is_not_normalised_is_its_row_sum():
    a = affinity(torch.rand(9, 2, dtype=torch.float64), normalization="none")
    values = np.linalg.eigvals(np.eye(9) - a.to_dense().numpy()).real
    assert float(lambda_max(a, "bound")) >= values.max()
    assert float(lambda_max(a, "bound")) == pytest.approx(1 + float(a.to_dense().sum(1).max()))


@pytest.mark.parametrize("representation", ["dense", "edges", "factored"])
def test_the_bound_of_a_normalised_affinity_is_2_however_it_is_held(representation):
    phi, psi = (torch.rand(9, 2, dtype=torch.float64) ** 6 for _ in range(2))
    a = affinity(phi, psi, representation=representation)
    assert a.to_dense().sum(-1).max() > 1  # a row sum would say more than 2
    assert float(lambda_max(a, "bound")) == 2


def test_what_does_not_fit_is_refused():
    ring = DenseOperator(torch.roll(torch.eye(4), 1, 1))
    for policy in ("power", "lanczos"):
        with pytest.raises(ValueError, match=r'needs a symmetric A.*"exact"'):
            lambda_max(ring, policy)
    assert float(lambda_max(ring, "exact")) == pytest.approx(2)
    with pytest.raises(ValueError, match=r"may be negative.*exact"):
        lambda_max(DenseOperator(-torch.eye(2)), "bound")
    with pytest.raises(ValueError, match=r"bound.*power.*lanczos.*exact"):
        lambda_max(torch.eye(2), "guess")
    with pytest.raises(TypeError, match=r"policy must be a name or a LambdaMaxPolicy, got int"):
        lambda_max(torch.eye(2), 5)
