"""Properties 1 and 2 as they are measured, against the definitions written out."""

import json

import networkx as nx
import numpy as np
import pytest
import torch
from torch_geometric.data import Batch, Data

from snl_graph import SNLConv, affinity, check_laplacian, nonlocal_block
from snl_graph.operators import DenseOperator, EdgeOperator, FactoredOperator
from snl_graph.spectral import LaplacianError

PROMISED = {
    "min_weight",
    "symmetry_residual",
    "max_imag",
    "real_spectrum",
    "lambda_min",
    "lambda_max",
    "bound",
    "bound_holds",
    "attains_bound",
    "bipartite",
    "positive_semidefinite",
    "components",
    "null_space",
    "isolated_nodes",
    "non_normality",
}

looped = nx.path_graph(4)
looped.add_edge(1, 1)
mixed = nx.disjoint_union_all([nx.cycle_graph(5), nx.star_graph(3), nx.empty_graph(2)])
mixed.add_edge(9, 9)  # one of the two lone nodes has a self-loop

# bipartite, attains 2, components, isolated nodes
GRAPHS = {
    "karate": (nx.karate_club_graph(), False, False, 1, 0),
    "les miserables": (nx.les_miserables_graph(), False, False, 1, 0),
    "davis": (nx.davis_southern_women_graph(), True, True, 1, 0),
    "even cycle": (nx.cycle_graph(6), True, True, 1, 0),
    "odd cycle": (nx.cycle_graph(7), False, False, 1, 0),
    "looped path": (looped, False, False, 1, 0),
    "one bipartite component of four": (mixed, False, True, 4, 1),
    "isolated nodes": (nx.empty_graph(4), True, False, 4, 4),
    "one node": (nx.empty_graph(1), True, False, 1, 1),
    "lone self-loop": (nx.Graph([(0, 0)]), False, False, 1, 0),
}


def assert_facts(report, graph, bipartite, attains, components, isolated):
    assert report.ok, report.failures
    assert report.raise_if_failed() is report
    assert report.nodes == len(graph)
    assert report.bipartite == bipartite
    assert report.attains_bound == attains
    assert (report.components, report.isolated_nodes) == (components, isolated)
    assert report.null_space == components - isolated
    assert report.bound == 2.0
    assert report.bound_holds
    assert report.real_spectrum
    assert report.positive_semidefinite
    assert report.min_weight >= 0
    assert report.max_imag == 0
    # Where Property 2 is met with equality, and nowhere else:
    assert report.attains_bound == (report.bipartite_components > 0)


@pytest.mark.parametrize("name", GRAPHS)
def test_facts_of_well_known_graphs(name):
    graph, *facts = GRAPHS[name]
    report = check_laplacian(graph)
    assert_facts(report, graph, *facts)
    assert report.notes == ()
    m = nx.to_numpy_array(graph)
    d = m.sum(1)
    root = np.where(d > 0, 1 / np.sqrt(np.where(d > 0, d, 1)), 0)
    values = np.linalg.eigvalsh(np.eye(len(m)) - root[:, None] * m * root)
    assert report.lambda_min == pytest.approx(values[0], abs=1e-12)
    assert report.lambda_max == pytest.approx(values[-1], abs=1e-12)


@pytest.mark.parametrize("name", ["karate", "davis", "looped path", "odd cycle", "even cycle"])
def test_a_large_graph_has_the_same_facts(name, few_dense_nodes):
    graph, bipartite, attains, _, _ = GRAPHS[name]
    copies = nx.disjoint_union_all([graph, graph, nx.empty_graph(3), nx.cycle_graph(15)])
    report = check_laplacian(copies)
    assert_facts(report, copies, False, attains, 6, 3)
    assert report.bipartite_components == 2 * bipartite
    assert report.notes
    # With weights, as a matrix and as factors of it.
    weights = torch.from_numpy(nx.to_numpy_array(copies))
    report = check_laplacian(weights)
    assert_facts(report, copies, False, attains, 6, 3)


def test_the_ends_of_a_long_path_are_measured_along_their_known_vectors():
    report = check_laplacian(nx.path_graph(3000))
    assert (report.ok, report.bipartite, report.attains_bound) == (True, True, True)
    assert report.lambda_max == pytest.approx(2, abs=1e-12)
    assert report.lambda_min == pytest.approx(0, abs=1e-12)
    assert report.eigenvalue_error < 1e-12
    closed = nx.path_graph(3000)
    closed.add_edge(0, 0)
    report = check_laplacian(closed)
    assert (report.ok, report.bipartite, report.attains_bound) == (True, False, False)
    assert 1.99 < report.lambda_max < 2


def test_large_matrix_free_affinities_have_the_facts_of_their_matrix(few_dense_nodes):
    torch.manual_seed(0)
    phi, psi = torch.randn(2, 40, 2, dtype=torch.float64)
    for normalization in ("sym", "rw", "none"):
        large = affinity(
            phi, psi, kernel="rbf", normalization=normalization, representation="streaming"
        )
        a = large.to_dense().numpy()
        report = check_laplacian(large)
        values = np.linalg.eigvals(np.eye(40) - a)
        assert report.lambda_min == pytest.approx(values.real.min(), abs=1e-6)
        assert report.lambda_max == pytest.approx(values.real.max(), abs=1e-3)
        assert report.max_imag == pytest.approx(np.abs(values.imag).max(), abs=1e-9)
        assert report.min_weight == pytest.approx(a.min(), rel=1e-9)
        relative = np.linalg.norm(a - a.T) / np.linalg.norm(a)
        assert report.symmetry_residual == pytest.approx(relative, rel=0.5, abs=1e-12)
        assert report.ok == (normalization == "sym")
        assert report.components == 1
        assert not report.bipartite


def test_an_asymmetric_affinity_fails_with_its_numbers():
    torch.manual_seed(0)
    (report,) = check_laplacian(
        (nonlocal_block("nl", 8).double(), torch.randn(1, 8, 4, 4).double())
    )
    assert not report.ok
    assert not report.real_spectrum
    assert not report.positive_semidefinite
    assert report.max_imag > 1e-3
    assert report.bound_holds
    assert [failure.split(" (")[0] for failure in report.failures] == [
        "Property 1: A is not symmetric",
        "Property 1: the spectrum is complex",
    ]
    with pytest.raises(LaplacianError, match=r'not symmetric.*normalization="sym"'):
        report.raise_if_failed()


def test_residual_and_non_normality_are_the_norms_they_are_named_for():
    a = np.random.default_rng(0).standard_normal((30, 30))
    expected = (
        np.linalg.norm(a - a.T) / np.linalg.norm(a),
        np.linalg.norm(a @ a.T - a.T @ a) / np.linalg.norm(a) ** 2,
    )
    report = check_laplacian(DenseOperator(torch.tensor(a)))
    assert (report.symmetry_residual, report.non_normality) == pytest.approx(expected)
    assert report.min_weight == a.min()
    u, v = torch.randn(2, 30, 3, dtype=torch.float64)
    factored = check_laplacian(FactoredOperator(u, v))
    written = check_laplacian(DenseOperator(u @ v.mT))
    for name in ("symmetry_residual", "non_normality", "lambda_min", "lambda_max", "max_imag"):
        assert getattr(factored, name) == pytest.approx(getattr(written, name), abs=1e-9)


def test_estimated_norms_are_near_the_true_ones(few_dense_nodes):
    a = np.random.default_rng(0).random((200, 200))
    a /= a.sum(1, keepdims=True)
    edges = DenseOperator(torch.tensor(a)).to_edges()
    report = check_laplacian(EdgeOperator(*edges, (200, 200), is_nonnegative=True))
    normality = np.linalg.norm(a @ a.T - a.T @ a) / np.linalg.norm(a) ** 2
    assert report.non_normality == pytest.approx(normality, rel=0.5)
    assert report.symmetry_residual == pytest.approx(
        np.linalg.norm(a - a.T) / np.linalg.norm(a), rel=1e-9
    )


def test_an_affinity_that_is_not_normalised_is_told_apart():
    report = check_laplacian(affinity(torch.rand(9, 2), normalization="none"))
    assert not report.ok
    assert any("not normalised by its degrees" in failure for failure in report.failures)
    assert any("negative" in failure for failure in report.failures)  # λ = 1 − a with a > 1
    report = check_laplacian(DenseOperator(-3 * torch.eye(4)))
    assert not report.bound_holds
    assert any("beyond the bound 2" in failure for failure in report.failures)
    assert any("weight of A is negative (-3)" in failure for failure in report.failures)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_tolerance_follows_the_dtype(dtype):
    torch.manual_seed(0)
    phi = torch.rand(50, 6).to(dtype)
    for representation in ("dense", "factored"):
        report = check_laplacian(affinity(phi, representation=representation))
        assert report.ok, (representation, report.failures)
        assert report.dtype == str(dtype).removeprefix("torch.")
        assert report.tolerance == pytest.approx(16 * torch.finfo(dtype).eps, abs=1e-11)
        assert report.null_space == 1


def test_reports_are_plain_data_and_readable():
    report = check_laplacian(nx.davis_southern_women_graph())
    facts = report.to_dict()
    assert facts.keys() >= PROMISED
    assert json.loads(report.to_json()) == facts
    assert facts["ok"] is True
    text = str(report)
    assert "\x1b" not in text
    assert "32 nodes, float64: ok" in text
    assert "attains it" in text
    assert "does not attain it" in str(check_laplacian(nx.karate_club_graph()))
    bad = check_laplacian(DenseOperator(torch.roll(torch.eye(3), 1, 1)))
    assert "NOT OK" in str(bad)
    assert "FAILED  Property 1" in str(bad)


def test_batches_give_one_report_an_item():
    graphs = [Data(edge_index=torch.tensor([[0, 1], [1, 0]]), num_nodes=n) for n in (2, 4)]
    reports = check_laplacian(Batch.from_data_list(graphs))
    assert [report.isolated_nodes for report in reports] == [0, 2]
    reports = check_laplacian(affinity(torch.rand(2, 3, 5, 2)))
    assert [len(row) for row in reports] == [3, 3]


def test_a_batch_on_a_layer_is_checked_graph_by_graph():
    conv = SNLConv(2, 2, kernel="gaussian").double()
    x = torch.rand(7, 2, dtype=torch.float64)
    batch = torch.tensor([0, 0, 0, 1, 1, 1, 1])
    edges = torch.tensor([[0, 1, 3, 4, 5], [1, 2, 4, 5, 6]])
    for edge_index in (None, edges):
        reports = check_laplacian((conv, x, edge_index, None, batch))
        assert [report.nodes for report in reports] == [3, 4]
        assert all(report.ok for report in reports)
        assert [report.bipartite for report in reports] == [edge_index is not None] * 2


def test_no_nodes_are_no_failure():
    for empty in (torch.zeros(0, 0), nx.Graph(), Data(edge_index=torch.zeros(2, 0), num_nodes=0)):
        report = check_laplacian(empty)
        assert report.ok
        assert report.nodes == 0
        assert report.lambda_max is None
        assert not report.attains_bound
        assert json.loads(report.to_json())["lambda_max"] is None
        assert "0 nodes" in str(report)
