"""Eigenvalues against numpy.linalg on the matrix, written out."""

import networkx as nx
import numpy as np
import pytest
import scipy.sparse
import torch
from torch_geometric.data import Batch, Data

from snl_graph import affinity, nonlocal_block
from snl_graph.conv import SNLConv
from snl_graph.operators import DenseOperator
from snl_graph.spectral import spectrum
from snl_graph.spectral.sources import as_operators

RNG = np.random.default_rng(0)


def random_weights(n, *, symmetric=False, density=0.6):
    weights = RNG.random((n, n)) * (RNG.random((n, n)) < density)
    return (weights + weights.T) / 2 if symmetric else weights


def naive_sym(weights):
    m = (weights + weights.T) / 2
    degree = m.sum(axis=1)
    root = np.array([0.0 if d == 0 else d**-0.5 for d in degree])
    return root[:, None] * m * root


def edges_of(weights):
    target, source = np.nonzero(weights)
    return torch.tensor(np.stack([source, target])), torch.tensor(weights[target, source])


def close(found, expected, atol=1e-10):
    np.testing.assert_allclose(found.numpy(), np.sort(expected), rtol=0, atol=atol)


@pytest.mark.parametrize("n", [1, 2, 5, 17])
@pytest.mark.parametrize(
    "form",
    [
        torch.tensor,
        lambda w: w,
        scipy.sparse.csr_array,
        scipy.sparse.coo_matrix,
        lambda w: torch.tensor(w).to_sparse(),
        lambda w: nx.from_numpy_array(w.T, create_using=nx.DiGraph),
        lambda w: Data(edge_index=edges_of(w)[0], edge_weight=edges_of(w)[1], num_nodes=len(w)),
        lambda w: Data(edge_index=edges_of(w)[0], edge_attr=edges_of(w)[1], num_nodes=len(w)),
    ],
    ids=["tensor", "array", "scipy", "scipy-matrix", "sparse", "networkx", "pyg", "pyg-attr"],
)
def test_weights_in_any_form_give_the_eigenvalues_of_the_naive_laplacian(form, n):
    weights = random_weights(n)
    found = spectrum(form(weights), vectors=True)
    close(found.eigenvalues, np.linalg.eigvalsh(np.eye(n) - naive_sym(weights)))
    assert found.is_real
    assert found.eigenvalues.dtype == torch.float64
    assert found.residual < 1e-12
    laplacian = torch.tensor(np.eye(n) - naive_sym(weights))
    torch.testing.assert_close(
        laplacian @ found.eigenvectors, found.eigenvectors * found.eigenvalues, rtol=0, atol=1e-10
    )


@pytest.mark.parametrize("name", ["snl", "nl", "a2"])
def test_spectrum_of_a_block_is_that_of_its_dense_affinity(name):
    block = nonlocal_block(name, 6).double()
    x = torch.randn(3, 6, 3, 4, dtype=torch.float64)
    dense = block.affinity_of(x).to_dense().detach().numpy()
    found = spectrum((block, x))
    assert len(found) == 3
    for item, a in zip(found, dense, strict=True):
        expected = np.linalg.eigvals(np.eye(12) - a)
        expected = expected[np.lexsort((expected.imag, expected.real))]
        # As sets: rounding orders equal real parts at will.
        ours = item.eigenvalues.numpy().astype(complex)
        distance = np.abs(ours[:, None] - expected)
        assert distance.min(axis=1).max() < 1e-6
        assert distance.min(axis=0).max() < 1e-6
        assert item.lambda_max == pytest.approx(expected.real.max(), abs=1e-8)


def test_a_complex_spectrum_keeps_every_imaginary_part():
    ring = np.roll(np.eye(5), 1, axis=1)  # a directed cycle: eigenvalues 1 − e^{2πik/5}
    found = spectrum(DenseOperator(torch.tensor(ring)), vectors=True)
    expected = 1 - np.exp(2j * np.pi * np.arange(5) / 5)
    assert not found.is_real
    assert found.eigenvalues.dtype == torch.complex128
    distance = np.abs(found.eigenvalues.numpy()[:, None] - expected)
    assert distance.min(axis=0).max() < 1e-12
    assert np.diff(found.eigenvalues.numpy().real).min() > -1e-12
    assert found.residual < 1e-12
    assert found.method == "general"


def test_a_random_walk_on_symmetric_weights_has_a_real_spectrum():
    phi = torch.rand(9, 4, dtype=torch.float64)
    walk = affinity(phi, normalization="rw")
    found = spectrum(walk, vectors=True)
    weights = (phi @ phi.T).numpy()
    close(
        found.eigenvalues,
        np.linalg.eigvals(np.eye(9) - weights / weights.sum(1, keepdims=True)).real,
    )
    assert found.is_real
    assert found.method == "similar"
    assert found.residual < 1e-12


def test_float32_rounding_makes_no_spectrum_complex():
    phi = torch.rand(40, 3)
    for normalization in ("sym", "rw"):
        assert spectrum(affinity(phi, normalization=normalization)).is_real


def test_nilpotent_rounding_noise_is_not_reported_as_a_complex_spectrum():
    jordan = np.diag(np.ones(2), 1)  # triple eigenvalue, defective: computed ones scatter by ε^⅓
    q, _ = np.linalg.qr(RNG.standard_normal((3, 3)))
    found = spectrum(DenseOperator(torch.tensor(q @ jordan @ q.T)))
    np.testing.assert_allclose(found.eigenvalues.numpy(), 1, atol=1e-4)


def test_an_isolated_node_has_eigenvalue_one():
    weights = np.zeros((3, 3))
    weights[0, 1] = weights[1, 0] = 2.0
    close(spectrum(weights).eigenvalues, [0.0, 1.0, 2.0])


def test_k_takes_the_first_of_the_ascending_eigenvalues():
    weights = random_weights(8, symmetric=True)
    everything, first = spectrum(weights), spectrum(weights, 3, vectors=True)
    torch.testing.assert_close(first.eigenvalues, everything.eigenvalues[:3])
    assert first.eigenvectors.shape == (8, 3)
    assert first.lambda_max == everything.lambda_max
    assert everything.eigenvectors is None


def test_batches_give_one_spectrum_an_item():
    weights = np.stack([random_weights(5), random_weights(5)])
    for item, one in zip(spectrum(torch.tensor(weights)), weights, strict=True):
        close(item.eigenvalues, np.linalg.eigvalsh(np.eye(5) - naive_sym(one)))
    graphs = [random_weights(4), random_weights(7)]
    batch = Batch.from_data_list(
        [
            Data(edge_index=edges_of(w)[0], edge_weight=edges_of(w)[1], num_nodes=len(w))
            for w in graphs
        ]
    )
    for item, one in zip(spectrum(batch), graphs, strict=True):
        close(item.eigenvalues, np.linalg.eigvalsh(np.eye(len(one)) - naive_sym(one)))


@pytest.mark.parametrize("flow", ["source_to_target", "target_to_source"])
@pytest.mark.parametrize("normalization", ["sym", "rw"])
def test_spectrum_of_a_layer_is_that_of_its_graph(flow, normalization):
    weights = random_weights(6)
    edge_index, edge_weight = edges_of(weights)
    conv = SNLConv(3, 4, normalization=normalization, flow=flow).double()
    found = spectrum((conv, torch.randn(6, 3, dtype=torch.float64), edge_index, edge_weight))
    m = weights if flow == "source_to_target" else weights.T
    a = naive_sym(m) if normalization == "sym" else m / m.sum(1, keepdims=True)
    expected = np.linalg.eigvals(np.eye(6) - a)
    distance = np.abs(found.eigenvalues.numpy()[:, None] - expected)
    assert max(distance.min(axis=0).max(), distance.min(axis=1).max()) < 1e-8
    # A and its transpose have the same eigenvalues, so the entries are looked at too.
    operator = as_operators((conv, torch.randn(6, 3).double(), edge_index, edge_weight))
    np.testing.assert_allclose(operator.to_dense().numpy(), a, atol=1e-12)


def test_each_head_of_a_layer_has_its_spectrum():
    conv = SNLConv(4, 4, kernel="dot", heads=2).double()
    x = torch.randn(5, 4, dtype=torch.float64)
    found = spectrum((conv, x))
    phi, psi = conv.phi(x).relu(), conv.psi(x).relu()
    for head, item in enumerate(found):
        columns = slice(2 * head, 2 * head + 2)
        m = (phi[:, columns] @ psi[:, columns].T).detach().numpy()
        close(item.eigenvalues, np.linalg.eigvalsh(np.eye(5) - naive_sym(m)))


def test_an_empty_graph_has_no_eigenvalues():
    found = spectrum(torch.zeros(0, 0), vectors=True)
    assert found.eigenvalues.shape == (0,)
    assert found.is_real


@pytest.mark.parametrize(
    ("obj", "error", "words"),
    [
        ("graph", TypeError, "no graph in str; expected an operator"),
        ((1, 2), TypeError, r"tuple \(int, int\); expected \(block, feature map\)"),
        (torch.zeros(2, 3), ValueError, r"square.*\(2, 3\)"),
        (-torch.eye(2), ValueError, "non-negative; its least value is -1"),
        (torch.eye(2) * float("nan"), ValueError, "non-finite"),
        (Data(x=torch.zeros(2, 1)), ValueError, "no edge_index"),
        (
            Data(edge_index=torch.tensor([[0], [1]]), edge_attr=torch.ones(1, 2), num_nodes=2),
            ValueError,
            "one weight each",
        ),
        (affinity(torch.rand(2, 3), torch.rand(4, 3), normalization="rw"), ValueError, "square"),
    ],
)
def test_what_holds_no_graph_is_refused(obj, error, words):
    with pytest.raises(error, match=words):
        spectrum(obj)


@pytest.mark.parametrize("k", [0, 4, 2.5, True, "3"])
def test_k_out_of_range_is_refused(k):
    with pytest.raises(ValueError, match="of the 3 eigenvalues"):
        spectrum(torch.eye(3), k)


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("has_edges", [True, False])
def test_spectrum_of_a_block_on_graphs_is_that_of_each_graph(has_edges, heads):
    block = nonlocal_block(
        "snl", 4, heads=heads, kernel="embedded_gaussian", hidden_channels=4
    ).double()
    edges = torch.tensor([[0, 1, 2], [1, 2, 2]])
    graphs = [
        Data(x=torch.randn(n, 4, dtype=torch.float64), edge_index=edges if has_edges else None)
        for n in (3, 5)
    ]
    found = spectrum((block, Batch.from_data_list(graphs)))
    for graph, items in zip(graphs, found, strict=True):
        phi, psi = (f(graph.x).detach().numpy() for f in (block.affinity.phi, block.affinity.psi))
        n = len(phi)
        joined = np.zeros((n, n))
        joined[edges[1], edges[0]] = 1
        for head in range(heads):
            columns = slice(head * 4 // heads, (head + 1) * 4 // heads)
            m = np.exp(phi[:, columns] @ psi[:, columns].T) * (joined if has_edges else 1)
            item = items if heads == 1 else items[head]
            close(item.eigenvalues, np.linalg.eigvalsh(np.eye(n) - naive_sym(m)))


def test_copies_of_an_edge_add_up_in_the_spectrum_of_a_layer():
    conv = SNLConv(2, 2).double()
    x = torch.randn(4, 2, dtype=torch.float64)
    listed = torch.tensor([[0, 0, 1, 2, 3], [1, 1, 2, 1, 1]])
    m = np.zeros((4, 4))
    np.add.at(m, (listed[1].numpy(), listed[0].numpy()), 1)
    found = spectrum((conv, x, listed))
    close(found.eigenvalues, np.linalg.eigvalsh(np.eye(4) - naive_sym(m)))
    a = as_operators((conv, x, listed)).to_dense()
    np.testing.assert_allclose(a.numpy(), naive_sym(m), atol=1e-12)
    adjacency = torch.tensor(m).to_sparse_coo()
    close(spectrum((conv, x, adjacency)).eigenvalues, found.eigenvalues.numpy())


def test_networkx_weights_of_multigraphs_and_self_loops_are_counted_once():
    graph = nx.MultiGraph([(0, 1, {"weight": 2.0}), (0, 1, {"weight": 3.0}), (1, 2), (2, 2)])
    m = np.array([[0, 5.0, 0], [5, 0, 1], [0, 1, 1]])
    close(spectrum(graph).eigenvalues, np.linalg.eigvalsh(np.eye(3) - naive_sym(m)))
    simple = nx.Graph([(0, 0, {"weight": 4.0}), (0, 1)])
    m = np.array([[4.0, 1], [1, 0]])
    close(spectrum(simple).eigenvalues, np.linalg.eigvalsh(np.eye(2) - naive_sym(m)))


def test_weights_of_any_size_have_the_same_spectrum():
    weights = random_weights(6, symmetric=True)
    expected = spectrum(weights).eigenvalues
    for scale in (1e-300, 1e300):
        torch.testing.assert_close(spectrum(weights * scale).eigenvalues, expected)
    with pytest.raises(ValueError, match="non-finite"):
        spectrum(np.full((3, 3), 1e308))  # the degrees overflow


def test_numbers_that_are_no_weights_are_refused():
    graph = nx.path_graph(3)
    graph[0][1]["weight"] = "heavy"
    with pytest.raises(TypeError, match=r'"weight" of an edge is no number'):
        spectrum(graph)
    graph[0][1]["weight"] = None
    with pytest.raises(ValueError, match="non-finite"):
        spectrum(graph)
    for weights in (np.eye(2) * 1j, torch.eye(2) * 1j, scipy.sparse.eye_array(2) * 1j):
        with pytest.raises(TypeError, match=r"real numbers.*complex"):
            spectrum(weights)
    with pytest.raises(TypeError, match="array holds object"):
        spectrum(np.array([[None, 1], [1, 0]], dtype=object))


def test_a_layer_between_two_sets_of_nodes_has_no_spectrum():
    conv = SNLConv((2, 2), 2, normalization="rw")
    with pytest.raises(ValueError, match="two sets of nodes"):
        spectrum((conv, (torch.ones(2, 2), torch.ones(3, 2)), torch.tensor([[0], [1]])))


def test_vectors_say_which_eigenvalue_they_belong_to():
    found = spectrum(random_weights(5), 3, vectors=True)
    assert found.indices.tolist() == [0, 1, 2]
    assert (found.solver, found.lambda_max_error) == ("dense", 0.0)
    assert spectrum(random_weights(5)).indices is None


@pytest.mark.parametrize("kernel", [None, "rbf"])
@pytest.mark.parametrize("normalization", ["sym", "rw"])
def test_a_layer_brings_the_degrees_that_normalised_it(normalization, kernel):
    graph = nx.karate_club_graph()
    edges = torch.tensor(list(graph.edges)).T
    edges = torch.cat([edges, edges.flip(0)], 1)
    x = torch.randn(34, 3, dtype=torch.float64)
    conv = SNLConv(3, 4, normalization=normalization, kernel=kernel).double()
    if kernel is not None:
        conv.psi.weight.data = conv.phi.weight.data  # a symmetric M
    weights = np.ones(edges.shape[1])
    if kernel is not None:
        phi = conv.phi(x).detach().numpy()
        weights = np.exp(-((phi[edges[0]] - phi[edges[1]]) ** 2).sum(1))
    m = np.zeros((34, 34))
    m[edges[1], edges[0]] = weights
    a = as_operators((conv, x, edges))
    np.testing.assert_allclose(a.degree().numpy(), m.sum(1), rtol=1e-10)
    found = spectrum((conv, x, edges))
    assert found.method == ("symmetric" if normalization == "sym" else "similar")
    close(found.eigenvalues, np.linalg.eigvalsh(np.eye(34) - naive_sym(m)))
    batch = torch.zeros(34, dtype=torch.long)
    (alone,) = spectrum((conv, x, edges, None, batch))
    assert alone.method == found.method
