"""Every way to hand over a graph gives the eigenvalues that numpy finds of its weights."""

from __future__ import annotations

from pathlib import Path

import networkx as nx
import numpy as np
import pytest
import scipy.sparse
import torch
from scipy.sparse.linalg import eigsh
from torch_geometric.data import Batch, Data, HeteroData

from tests.cli.runner import by_hand, eigenvalues, error, facts

TOLERANCE = 1e-10
# A triangle with a tail, of weights 1, 2, 3, 4.
EDGES = [("a", "b", 1.0), ("b", "c", 2.0), ("c", "a", 3.0), ("c", "d", 4.0)]
WEIGHTS = np.array([[0, 1, 3, 0], [1, 0, 2, 0], [3, 2, 0, 4], [0, 0, 4, 0.0]])


def assert_spectrum(found: np.ndarray, weights: np.ndarray) -> None:
    np.testing.assert_allclose(found, by_hand(weights), rtol=0, atol=TOLERANCE)


@pytest.fixture(autouse=True)
def in_a_new_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("name", "graph"),
    [
        ("karate", nx.karate_club_graph()),
        ("les_miserables", nx.les_miserables_graph()),
        ("davis", nx.davis_southern_women_graph()),
        ("florentine", nx.florentine_families_graph()),
        ("petersen", nx.petersen_graph()),
        ("path:10", nx.path_graph(10)),
        ("cycle:7", nx.cycle_graph(7)),
        ("star:4", nx.star_graph(4)),
        ("complete:5", nx.complete_graph(5)),
        ("bipartite:2x3", nx.complete_bipartite_graph(2, 3)),
        ("grid:3x4", nx.grid_2d_graph(3, 4)),
        ("torus:3x4", nx.grid_2d_graph(3, 4, periodic=True)),
        ("regular:8x3", nx.random_regular_graph(3, 8, seed=0)),
        ("barabasi_albert:20x2", nx.barabasi_albert_graph(20, 2, seed=0)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_graph_by_name_has_networkxs_eigenvalues(name: str, graph: nx.Graph) -> None:
    # No self-loop and no isolated node, where the conventions differ.
    expected = nx.normalized_laplacian_spectrum(graph)
    np.testing.assert_allclose(eigenvalues(name), np.sort(expected), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("name", ["Les Misérables", "les-miserables", "LES_MISERABLES"])
def test_a_name_may_be_written_as_in_a_text(name: str) -> None:
    np.testing.assert_array_equal(eigenvalues(name), eigenvalues("les_miserables"))


def test_davis_attains_the_bound_and_karate_does_not() -> None:
    assert eigenvalues("davis")[-1] == pytest.approx(2, abs=TOLERANCE)
    assert eigenvalues("karate")[-1] < 1.7


@pytest.mark.parametrize(
    "text",
    [
        "a b 1\nb c 2\nc a 3\nc d 4\n",
        "# nodes are letters\n\na,b,1\nb,c,2  % a remark\nc,a,3\nc,d,4",
        "source\ttarget\tweight\na\tb\t1\nb\tc\t2.0\nc\ta\t3e0\nc\td\t4\n",
        "a b 9\nb a 1\nb c {'weight': 2.0}\nc a {'weight': 3, 'kind': 'x'}\nd c 4\n",
    ],
    ids=["blanks", "commas", "head of a table", "networkx's, an edge twice"],
)
def test_an_edge_list(text: str) -> None:
    Path("edges.txt").write_text(text)
    assert_spectrum(eigenvalues("edges.txt"), WEIGHTS)


@pytest.mark.parametrize("head", ["", "source,target\n", "From,To\n"])
def test_an_edge_list_without_weights_and_with_a_self_loop(head: str) -> None:
    Path("edges.csv").write_text(f"{head}0,1\n1,1\n")
    assert_spectrum(eigenvalues("edges.csv"), np.array([[0, 1], [1, 1]]))


def test_a_directed_edge_list_is_averaged_with_its_reverse() -> None:
    Path("edges.txt").write_text("0 1 1\n1 0 5\n1 2 2\n")
    weights = np.array([[0, 5, 0], [1, 0, 0], [0, 2, 0]])
    assert_spectrum(eigenvalues("edges.txt", "--directed"), weights)


def test_what_networkx_writes_is_read_back() -> None:
    graph = nx.Graph()
    graph.add_weighted_edges_from(EDGES)
    nx.write_graphml(graph, "graph.graphml")
    nx.write_edgelist(graph, "graph.edgelist")
    nx.write_weighted_edgelist(graph, "graph.edges")
    for name in ("graph.graphml", "graph.edgelist", "graph.edges"):
        assert_spectrum(eigenvalues(name), WEIGHTS)


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "bsr", "dia"])
def test_a_sparse_matrix_of_scipy(kind: str) -> None:
    scipy.sparse.save_npz("graph.npz", scipy.sparse.csr_matrix(WEIGHTS).asformat(kind))
    assert_spectrum(eigenvalues("graph.npz"), WEIGHTS)


def test_plain_arrays() -> None:
    np.save("graph.npy", WEIGHTS)
    np.savez("one.npz", WEIGHTS)
    np.savez("named.npz", labels=np.arange(4), adjacency=WEIGHTS.astype(np.float32))
    target, source = WEIGHTS.nonzero()
    np.savez(
        "edges.npz",
        edge_index=np.stack([source, target]),
        edge_weight=WEIGHTS[target, source],
        num_nodes=5,
    )
    for name in ("graph.npy", "one.npz", "named.npz"):
        assert_spectrum(eigenvalues(name), WEIGHTS)
    assert_spectrum(eigenvalues("edges.npz"), np.pad(WEIGHTS, (0, 1)))  # an isolated node


def pyg(weights: np.ndarray = WEIGHTS) -> Data:
    target, source = torch.from_numpy(weights).nonzero().T
    weight = torch.from_numpy(weights)[target, source]
    x = torch.zeros(len(weights), 2)
    return Data(edge_index=torch.stack([source, target]), edge_weight=weight, x=x)


def test_objects_of_pyg() -> None:
    data = pyg()
    as_attribute = Data(edge_index=data.edge_index, edge_attr=data.edge_weight, num_nodes=4)
    for content in (data, as_attribute, data.to_dict(), [data], torch.from_numpy(WEIGHTS)):
        torch.save(content, "graph.pt")
        assert_spectrum(eigenvalues("graph.pt"), WEIGHTS)


@pytest.mark.parametrize("pack", [list, Batch.from_data_list], ids=["list", "Batch"])
def test_several_graphs_are_told_apart(pack) -> None:
    others = [WEIGHTS, np.array([[0, 1.0], [1, 0]]), np.zeros((1, 1))]
    torch.save(pack([pyg(weights) for weights in others]), "graphs.pt")
    graphs = facts("spectrum", "graphs.pt")["graphs"]
    assert [one["name"] for one in graphs] == [f"graphs.pt, graph {i}" for i in range(3)]
    for one, weights in zip(graphs, others, strict=True):
        assert_spectrum(np.array(one["eigenvalues"]), weights)
    assert_spectrum(eigenvalues("graphs.pt", "--item", 1), others[1])
    assert "--item counts from 0 to 2 here; got 3" in error("spectrum", "graphs.pt", "--item", 3)


def test_a_graph_of_several_kinds_of_nodes_says_what_to_save() -> None:
    hetero = HeteroData()
    hetero["a"].x = torch.zeros(2, 1)
    torch.save(hetero, "graph.pt")
    assert "Save data.to_homogeneous()" in error("spectrum", "graph.pt")


def test_a_few_eigenvalues_of_a_large_graph_are_those_of_scipys_shift_and_invert() -> None:
    graph = nx.barabasi_albert_graph(2500, 2, seed=0)
    laplacian = nx.normalized_laplacian_matrix(graph).tocsc()
    expected = eigsh(laplacian, k=3, sigma=-0.01, return_eigenvectors=False)
    found = eigenvalues("barabasi_albert:2500x2", "-k", 3)
    np.testing.assert_allclose(found, np.sort(expected), rtol=0, atol=1e-9)


def test_the_density_of_a_large_graph_is_that_of_its_closed_form() -> None:
    n = 3000
    expected = 1 - np.cos(2 * np.pi * np.arange(n) / n)
    (graph,) = facts("density", f"cycle:{n}", "--bins", 20)["graphs"]
    assert graph["method"] == "lanczos"
    shares, _ = np.histogram(expected, bins=20, range=(0, 2), density=True)
    assert np.abs(np.cumsum(graph["density"]) - np.cumsum(shares)).max() * 0.1 < 0.02
