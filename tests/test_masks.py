"""A mask joins the pairs that its rule joins, listed as edges and as a matrix."""

import pytest
import torch
from torch import Tensor
from torch_geometric import EdgeIndex

from snl_graph.masks import BooleanMatrix, CrissCross, EdgeList, Full, Mask, Window, as_mask
from tests import oracles
from tests.factories import MASKS

SIZES = [(1,), (5,), (1, 1), (1, 4), (3, 4), (2, 3, 4), (3, 1, 2)]
RULES = {
    "full": (Full(), lambda i, j: True),
    "criss_cross": (CrissCross(), oracles.criss_cross),
    **{f"window:{r}": (Window(r), oracles.window(r)) for r in (0, 1, 2, 7)},
}


def matrix_of_edges(edge_index: Tensor, nodes: int) -> Tensor:
    """How often each pair is listed, [i, j]."""
    count = torch.zeros(nodes, nodes, dtype=torch.long)
    for source, target in edge_index.T.tolist():
        count[target, source] += 1
    return count


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", RULES)
def test_grid_masks_join_the_pairs_of_their_rule(name: str, size: tuple[int, ...]) -> None:
    mask, rule = RULES[name]
    expected = oracles.joined_pairs(size, rule)
    assert torch.equal(mask.matrix(size), expected)
    assert torch.equal(matrix_of_edges(mask.edges(size), len(expected)), expected.long())
    assert mask.num_edges(size) == int(expected.sum())


@pytest.mark.parametrize("name", MASKS)
def test_edges_and_matrix_of_a_mask_are_the_same_pairs(name: str) -> None:
    size = (3, 4)
    mask, expected = MASKS[name].make(size), MASKS[name].joined(size)
    assert torch.equal(mask.matrix(size), expected)
    assert torch.equal(matrix_of_edges(mask.edges(size), 12), expected.long())
    assert mask.num_edges(size) == int(expected.sum())


def test_an_edge_points_from_its_first_row_to_its_second() -> None:
    mask = EdgeList(torch.tensor([[0], [2]]))
    assert mask.matrix((3,)).nonzero().tolist() == [[2, 0]]
    assert BooleanMatrix(mask.matrix((3,))).edges((3,)).tolist() == [[0], [2]]


def test_a_pair_listed_twice_counts_once() -> None:
    mask = EdgeList(torch.tensor([[0, 1, 0], [1, 2, 1]]))
    assert mask.edges((3,)).tolist() == [[0, 1], [1, 2]]


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ("full", "Full()"),
        ("criss_cross", "CrissCross()"),
        ("window:0", "Window(0)"),
        ("window:12", "Window(12)"),
        (Window(3), "Window(3)"),
        (torch.tensor([[0, 1], [1, 0]]), "EdgeList(2 pairs)"),
        (EdgeIndex([[0, 1], [1, 0]]), "EdgeList(2 pairs)"),
        (torch.eye(3).bool(), "BooleanMatrix(3 nodes)"),
        (torch.empty(2, 0, dtype=torch.long), "EdgeList(0 pairs)"),
    ],
    ids=str,
)
def test_as_mask_takes_names_tensors_and_objects(given: Mask | str | Tensor, made: str) -> None:
    assert repr(as_mask(given)) == made


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("crisscross", r'unknown mask "crisscross"\. Did you mean "criss_cross"\?'),
        ("window", r'unknown mask "window".*"window:R"'),
        ("window:-1", 'write a window as "window:R" with a whole R ≥ 0; got "window:-1"'),
        ("window:²", 'write a window as "window:R"'),
        (torch.zeros(3, 3), r"torch.long indices, got torch.float32|shape \(2, E\)"),
        (torch.zeros(2, 3), "torch.long indices, got torch.float32"),
        (torch.zeros(3, 2, dtype=torch.long), r"shape \(2, E\), got \(3, 2\)"),
        (torch.tensor([[0], [-1]]), "indices ≥ 0, got -1"),
        (torch.ones(2, 3, dtype=torch.bool), r"boolean of shape \(N, N\); got .* \(2, 3\)"),
    ],
    ids=str,
)
def test_what_is_no_mask_is_refused(given: str | Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        as_mask(given)


@pytest.mark.parametrize("radius", [-1, 1.0, True, "1"])
def test_a_window_needs_a_whole_radius(radius: object) -> None:
    with pytest.raises(
        ValueError, match="radius of a window, in pixels, is a whole number ≥ 0; got"
    ):
        Window(radius)  # type: ignore[arg-type]


def test_masks_of_a_graph_know_how_many_nodes_they_need() -> None:
    edges = EdgeList(torch.tensor([[0], [5]]))
    matrix = BooleanMatrix(torch.eye(3).bool())
    for view in ("edges", "matrix"):
        with pytest.raises(ValueError, match="names node 5, but there are only 4 nodes"):
            getattr(edges, view)((2, 2))
        with pytest.raises(ValueError, match=r"joins 3 nodes, but there are 4 \(size \(2, 2\)\)"):
            getattr(matrix, view)((2, 2))
