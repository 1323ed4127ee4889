"""A graph that is odd gets its right answer, and one that is wrong gets one line that says so."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
import scipy.sparse
import torch
from torch_geometric.data import Data

from tests.cli.runner import by_hand, eigenvalues, error, facts, run

COMMANDS = ("spectrum", "check", "density")


@pytest.fixture(autouse=True)
def in_a_new_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class Payload:
    """Unpickled the careless way, it writes a file."""

    def __reduce__(self):
        return os.system, ("touch executed",)


def assert_nothing_ran() -> None:
    assert not Path("executed").exists()


# Odd graphs that have an answer


def test_a_disconnected_graph_with_an_isolated_node() -> None:
    weights = np.zeros((6, 6))
    weights[0, 1] = weights[1, 0] = 2
    weights[2:5, 2:5] = 1 - np.eye(3)
    np.save("graph.npy", weights)
    np.testing.assert_allclose(eigenvalues("graph.npy"), by_hand(weights), rtol=0, atol=1e-10)
    (report,) = facts("check", "graph.npy")["graphs"]
    assert (report["components"], report["isolated_nodes"], report["null_space"]) == (3, 1, 2)
    (density,) = facts("density", "graph.npy", "--bins", 3)["graphs"]
    shares, _ = np.histogram(by_hand(weights), bins=3, range=(-1e-9, 2 + 1e-9), density=True)
    np.testing.assert_allclose(density["density"], shares, atol=1e-6)


@pytest.mark.parametrize("weight", [0.0, 3.0], ids=["isolated", "with a self-loop"])
def test_one_node(weight: float) -> None:
    np.save("graph.npy", np.array([[weight]]))
    np.testing.assert_allclose(eigenvalues("graph.npy"), [0.0 if weight else 1.0], atol=1e-12)
    (report,) = facts("check", "graph.npy")["graphs"]
    assert report["nodes"] == 1
    assert report["isolated_nodes"] == (0 if weight else 1)
    (density,) = facts("density", "graph.npy", "--bins", 2)["graphs"]
    assert sum(density["density"]) == pytest.approx(1)


def test_no_node() -> None:
    Path("empty.txt").write_text("# nothing\n")
    nx.write_graphml(nx.Graph(), "empty.graphml")
    for source in ("empty.txt", "empty.graphml", "empty:0"):
        (graph,) = facts("spectrum", source)["graphs"]
        assert (graph["eigenvalues"], graph["lambda_max"]) == ([], None)
        assert facts("check", source)["graphs"][0]["nodes"] == 0
        assert "no nodes" in run("spectrum", source)
        assert "without nodes has no eigenvalues" in error("density", source)
        run("spectrum", source, "-o", f"{source[:5]}.png", "--force")


def test_no_edge() -> None:
    np.testing.assert_allclose(eigenvalues("empty:4"), np.ones(4))


def test_more_eigenvalues_than_nodes() -> None:
    assert "k is how many of the 34 eigenvalues" in error("spectrum", "karate", "-k", 35)


# Weights that are wrong


@pytest.mark.parametrize("command", COMMANDS)
def test_signed_weights_are_refused(command: str) -> None:
    Path("edges.txt").write_text("a b 1\nb c -0.5\n")
    assert "least value is -0.5" in error(command, "edges.txt")


@pytest.mark.parametrize("value", [np.nan, np.inf], ids=["nan", "inf"])
@pytest.mark.parametrize("command", COMMANDS)
def test_weights_that_are_not_finite_are_refused(command: str, value: float) -> None:
    weights = np.ones((3, 3))
    weights[0, 1] = weights[1, 0] = value
    np.save("graph.npy", weights)
    assert "non-finite" in error(command, "graph.npy")


@pytest.mark.parametrize("value", ["nan", "inf", "-Infinity", "1e999"])
def test_a_weight_in_a_list_that_is_not_finite_is_refused_with_its_line(value: str) -> None:
    Path("edges.txt").write_text(f"a b 1\nb c {value}\n")
    assert f"edges.txt, line 2: the weight {value} is not finite" in error("check", "edges.txt")


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.ones((2, 3)), "are square"),
        (np.ones(4), "are square"),
        (np.array(["a", "b"]), "real numbers"),
        (np.ones((2, 2), dtype=complex), "real numbers"),
    ],
    ids=["not square", "a vector", "words", "complex"],
)
def test_an_array_that_is_no_graph_is_refused(array: np.ndarray, words: str) -> None:
    np.save("graph.npy", array)
    assert words in error("spectrum", "graph.npy")
    np.savez("graph.npz", array)
    assert words in error("spectrum", "graph.npz")


# Too large


def test_a_graph_too_large_for_all_of_its_eigenvalues_says_what_to_ask_for() -> None:
    line = error("spectrum", "path:20000")
    assert "20000 nodes" in line
    assert "`-k 16`" in line
    assert "`snl-graph density`" in line


@pytest.mark.parametrize("name", ["path:1000000000000", "complete:10000000", "grid:999999x999999"])
def test_a_graph_too_large_for_the_memory_is_refused_before_it_is_made(name: str) -> None:
    assert "Take a smaller graph" in error("spectrum", name)
    assert "has 10,000,000 nodes and 49,999,995,000,000 edges" in error(
        "check", "complete:10000000"
    )


def test_a_file_that_claims_more_nodes_than_fit_is_refused() -> None:
    edge_index = np.array([[0], [1]])
    np.savez("graph.npz", edge_index=edge_index, num_nodes=10**13)
    assert "Take a smaller graph" in error("spectrum", "graph.npz")
    torch.save(Data(edge_index=torch.from_numpy(edge_index), num_nodes=10**13), "graph.pt")
    assert "Take a smaller graph" in error("spectrum", "graph.pt")
    matrix = scipy.sparse.coo_array(([1.0], ([0], [1])), shape=(10**13, 10**13))
    scipy.sparse.save_npz("sparse.npz", matrix)
    assert "Take a smaller graph" in error("spectrum", "sparse.npz")


def test_an_array_that_unpacks_to_more_than_the_memory_is_refused() -> None:
    header = io.BytesIO()
    side = 10**7
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (side, side)}
    )
    Path("graph.npy").write_bytes(header.getvalue())
    error("spectrum", "graph.npy")
    with zipfile.ZipFile("graph.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("arr_0.npy", header.getvalue() + bytes(1000))
    error("spectrum", "graph.npz")
    # A few stored numbers, repeated by a stride of 0.
    torch.save(torch.ones(1, 1).expand(side, side), "graph.pt")
    assert "unpacks to" in error("spectrum", "graph.pt")


# Files


def test_a_file_that_is_not_there() -> None:
    for name in ("nope.graphml", "nope.npz", "nope.pt", "nope.txt", "nope.npy"):
        assert f"there is no file {name}" in error("spectrum", name)
    line = error("spectrum", "karat")
    assert "neither a file nor a graph by name" in line
    assert 'Did you mean "karate"? Names: karate,' in line
    assert "Did you mean" not in error("spectrum", "xyzzy")


def test_a_folder_an_unknown_kind_and_an_image_say_what_is_read() -> None:
    Path("graph.npz").mkdir()
    assert "a folder" in error("spectrum", "graph.npz")
    Path("graph.docx").write_text("x")
    assert ".graphml" in error("spectrum", "graph.docx")
    assert "add --model" in error("spectrum", "photo.png")


def test_a_file_that_may_not_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("edges.txt").write_text("a b\n")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "edges.txt")

    monkeypatch.setattr(Path, "open", refuse)
    assert "edges.txt: Permission denied" in error("spectrum", "edges.txt")


@pytest.mark.parametrize("name", ["g.graphml", "g.npz", "g.npy", "g.pt", "g.txt"])
@pytest.mark.parametrize(
    "content",
    [b"\x93NUMPY", b"PK\x03\x04 half an archive", b"\x80\x02}q\x00(X", bytes(range(256)), b"{}"],
    ids=["numpy", "zip", "pickle", "bytes", "text"],
)
def test_content_of_another_kind_is_refused(name: str, content: bytes) -> None:
    Path(name).write_bytes(content)
    assert name in error("spectrum", name)


@pytest.mark.parametrize("name", ["g.graphml", "g.npz", "g.npy", "g.pt"])
def test_an_empty_and_every_truncated_file_is_refused(name: str) -> None:
    graph = nx.karate_club_graph()
    weights = nx.to_numpy_array(graph)
    nx.write_graphml(graph, "g.graphml")
    np.savez_compressed("g.npz", adjacency=weights)
    np.save("g.npy", weights)
    torch.save(Data(edge_index=torch.tensor(list(graph.edges)).T), "g.pt")
    whole = Path(name).read_bytes()
    for share in (0, 0.01, 0.5, 0.9):
        Path(name).write_bytes(whole[: int(share * len(whole))])
        assert name in error("spectrum", name)


@pytest.mark.parametrize(
    ("text", "line"),
    [("a b 1\nc\n", 2), ("a b\nb c d e\n", 2), ("a b 1\nb c two\n", 2), ("a b {weight}\n", 1)],
    ids=["one node", "four words", "weight in letters", "no attributes"],
)
def test_a_line_that_is_no_edge_is_named(text: str, line: int) -> None:
    Path("edges.txt").write_text(text)
    assert f"edges.txt, line {line}: expected" in error("spectrum", "edges.txt")


def test_steering_characters_of_a_file_do_not_reach_the_terminal() -> None:
    Path("edges.txt").write_text("a \x1b[31mb c d e f\n")
    assert "\x1b" not in error("spectrum", "edges.txt")


# Hostile files


def test_a_hostile_pickle_is_refused_and_not_run() -> None:
    pickle.loads(pickle.dumps(Payload()))
    Path("executed").unlink()  # so the payload works, where it is run
    torch.save(Payload(), "graph.pt")
    line = error("spectrum", "graph.pt")
    assert "system" in line
    assert "Nothing of it was run" in line
    torch.save(Payload(), "old.pt", _use_new_zipfile_serialization=False)
    assert "Nothing of it was run" in error("spectrum", "old.pt")
    Path("bare.pt").write_bytes(pickle.dumps(Payload()))
    error("spectrum", "bare.pt")
    assert_nothing_ran()


def test_a_payload_inside_an_object_of_pyg_is_refused_and_not_run() -> None:
    data = Data(edge_index=torch.tensor([[0], [1]]), num_nodes=2)
    data.note = Payload()
    for content in (data, [data], data.to_dict()):
        torch.save(content, "graph.pt")
        assert "Nothing of it was run" in error("spectrum", "graph.pt")
    assert_nothing_ran()


def test_pickled_objects_in_numpys_files_are_refused_and_not_run() -> None:
    np.save("graph.npy", np.array([Payload()], dtype=object))
    np.savez("graph.npz", adjacency=np.array([Payload()], dtype=object))
    for name in ("graph.npy", "graph.npz"):
        assert "could run code; not read" in error("spectrum", name)
    Path("graph.npy").write_bytes(pickle.dumps(Payload()))
    error("spectrum", "graph.npy")
    assert_nothing_ran()


def test_a_compressed_row_that_points_outside_its_matrix_is_refused() -> None:
    np.savez(
        "graph.npz",
        format=b"csr",
        shape=[2, 2],
        data=np.ones(2),
        indices=[0, 10**6],
        indptr=[0, 1, 2],
    )
    assert "graph.npz cannot be read" in error("spectrum", "graph.npz")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"edge_index": torch.tensor([[0], [5]])}, "reaches from 0 to 5"),
        ({"edge_index": torch.tensor([[0], [-1]])}, "reaches from -1 to 0"),
        ({"edge_index": torch.tensor([[0.0], [1.0]])}, "whole numbers"),
        ({"edge_index": torch.tensor([0, 1])}, "shape (2, E)"),
        ({"edge_index": "0 1"}, "must be a tensor"),
        ({"edge_index": torch.tensor([[0], [1]]), "edge_weight": torch.ones(3)}, "3 weights"),
        ({"edge_index": torch.tensor([[0], [1]]), "edge_attr": torch.ones(1, 2)}, "one weight"),
        ({"edge_index": torch.tensor([[0], [1]]), "edge_weight": ["a"]}, "must be a tensor"),
        ({"x": torch.ones(2, 1)}, "edge_index"),
    ],
    ids=["outside", "negative", "real", "one axis", "text", "too many", "vectors", "list", "none"],
)
def test_a_broken_object_of_pyg_is_refused(fields: dict[str, object], words: str) -> None:
    torch.save(Data(num_nodes=2, **fields), "graph.pt")
    assert words in error("spectrum", "graph.pt")


@pytest.mark.parametrize("content", [{"a": torch.ones(2)}, "text", 3, [], [1], None], ids=repr)
def test_a_saved_object_that_is_no_graph_says_what_it_is(content: object) -> None:
    torch.save(content, "graph.pt")
    assert "graph.pt holds" in error("spectrum", "graph.pt")


def test_entities_that_grow_without_bound_are_not_expanded() -> None:
    bomb = '<?xml version="1.0"?>\n<!DOCTYPE g [<!ENTITY a "aaaaaaaaaa">'
    for name, before in zip("bcdefghij", "abcdefghi", strict=True):
        bomb += f'<!ENTITY {name} "{f"&{before};" * 10}">'
    bomb += "]>\n<graphml><graph>&j;</graph></graphml>"
    Path("graph.graphml").write_text(bomb)
    assert "XML entities" in error("spectrum", "graph.graphml")
    Path("graph.graphml").write_text(bomb.replace("1.0", "1.0").encode("utf-16").hex())
    error("spectrum", "graph.graphml")
    Path("graph.graphml").write_bytes(bomb.encode("utf-16"))
    assert "XML entities" in error("spectrum", "graph.graphml")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_batch_of_no_graphs_is_none(command: str) -> None:
    np.save("none.npy", np.zeros((0, 3, 3)))
    assert "none.npy has no graph" in error(command, "none.npy")
