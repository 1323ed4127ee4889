"""The documented rule of "auto", and the cost of what it takes."""

from __future__ import annotations

import math

import pytest
import torch

from snl_graph import affinity
from snl_graph.choice import LINES_COST, MATRIX_CREDIT, choose, edge_cost, streaming_cost
from snl_graph.kernels import Concatenation, Dot, EmbeddedGaussian, Kernel, SignedDot
from snl_graph.masks import CrissCross, EdgeList, Full, Mask, Window


@pytest.mark.parametrize("width", [4, 16, 64])
@pytest.mark.parametrize("applications", [1, 2, 5])
@pytest.mark.parametrize("is_symmetric", [False, True])
def test_inner_products_are_factored_from_the_documented_size_on(
    width: int, applications: int, is_symmetric: bool
) -> None:
    p = applications
    by_work = (4 if is_symmetric else 2) * p * width / (p + 1)
    # Where N² (p + 1) exceeds the factored work by the credit of the dense form.
    threshold = (by_work + math.sqrt(by_work**2 + 4 * MATRIX_CREDIT / (p + 1))) / 2
    for nodes in range(1, 400):
        chosen = choose(
            Dot(),
            Full(),
            (nodes,),
            (nodes, nodes),
            width,
            is_symmetric=is_symmetric,
            applications=p,
        )
        assert chosen == ("factored" if nodes >= threshold else "dense"), nodes


@pytest.mark.parametrize("width", [16, 64, 512])
@pytest.mark.parametrize("applications", [1, 3])
@pytest.mark.parametrize("is_symmetric", [False, True])
def test_exponential_kernels_are_streamed_where_that_is_cheaper_or_leaner(
    width: int, applications: int, is_symmetric: bool
) -> None:
    streaming, dense = streaming_cost(width, applications, is_symmetric=is_symmetric)
    for nodes in (2, 127, 128, 500, 2047, 2048, 10_000):
        chosen = choose(
            EmbeddedGaussian(),
            Full(),
            (nodes,),
            (nodes, nodes),
            width,
            is_symmetric=is_symmetric,
            applications=applications,
        )
        is_streamed = nodes >= 2048 or (nodes >= 128 and streaming <= dense)
        assert chosen == ("streaming" if is_streamed else "dense"), nodes


@pytest.mark.parametrize("nodes", [2, 100, 10_000])
def test_other_kernels_are_dense_under_the_full_mask(nodes: int) -> None:
    shape = (nodes, nodes)
    assert choose(Concatenation(8), Full(), (nodes,), shape, 8, is_symmetric=True) == "dense"


@pytest.mark.parametrize("mask", [Window(1), Window(3)], ids=str)
@pytest.mark.parametrize("kernel", [Dot(), SignedDot(), EmbeddedGaussian()], ids=str)
@pytest.mark.parametrize("width", [8, 64])
def test_sparse_masks_are_edges_where_they_are_sparse_enough(
    mask: Mask, kernel: Dot, width: int
) -> None:
    taken = set()
    for side in (1, 2, 3, 8, 16, 32, 64, 128):
        nodes = side * (side + 1)
        size, shape = (side, side + 1), (nodes, nodes)
        chosen = choose(kernel, mask, size, shape, width, is_symmetric=True)
        pays = mask.num_edges(size) * edge_cost(width, is_symmetric=True) <= nodes**2
        assert chosen == ("edges" if pays else "dense")
        taken.add(chosen)
    assert taken == {"edges", "dense"}


@pytest.mark.parametrize("kernel", [Dot(), SignedDot(), EmbeddedGaussian()], ids=str)
def test_criss_cross_masks_are_grids_where_the_lines_are_short_enough(kernel: Kernel) -> None:
    def chosen(*size: int) -> str:
        nodes = math.prod(size)
        return choose(kernel, CrissCross(), size, (nodes, nodes), 16, is_symmetric=True)

    for size in [(12, 12), (97, 97), (3, 60), (1, 251), (250,), (6, 6, 6)]:
        assert chosen(*size) == "grid"
        assert 2 * math.prod(size) >= sum(size) + LINES_COST
    for size in [(1, 1), (11, 11), (1, 250), (249,), (4, 4, 4), (2, 2)]:
        assert chosen(*size) == "dense"
        assert 2 * math.prod(size) < sum(size) + LINES_COST


@pytest.mark.parametrize("nodes", [2, 6, 800])
def test_while_exporting_the_choice_holds_at_every_size(
    nodes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    shape = (nodes, nodes)
    assert choose(Dot(), Full(), (nodes,), shape, 64, is_symmetric=True) == "factored"
    assert choose(EmbeddedGaussian(), Full(), (nodes,), shape, 64, is_symmetric=True) == "dense"
    grid = (2, nodes // 2)
    assert choose(Dot(), CrissCross(), grid, shape, 64, is_symmetric=True) == "grid"
    edges = EdgeList(torch.tensor([[0], [1]]))
    assert choose(Dot(), edges, (nodes,), shape, 64, is_symmetric=True) == "dense"


def test_auto_takes_what_the_rule_says() -> None:
    def taken(nodes: int, **arguments: object) -> str:
        phi = torch.rand(nodes, 32)
        return affinity(phi, **arguments).representation  # type: ignore[arg-type]

    assert taken(8) == "dense"
    assert taken(800) == "factored"
    assert taken(87) == "dense"  # N (N − 64) = 4096 / 2 at 87.4 for one application,
    assert taken(88) == "factored"
    assert taken(109, applications=4) == "dense"  # N (N − 102.4) = 4096 / 5 at 109.9 for four
    assert taken(110, applications=4) == "factored"
    assert taken(800, kernel="gaussian") == "streaming"
    assert taken(80, kernel="gaussian") == "dense"
    assert taken(900, kernel="gaussian", mask="window:1", size=(30, 30)) == "edges"
    assert taken(9, kernel="gaussian", mask="window:1", size=(3, 3)) == "dense"


@pytest.mark.parametrize("name", ["dense", "edges", "factored"])
def test_an_operator_knows_how_it_is_held(name: str) -> None:
    for normalization in ("sym", "rw", "none"):
        a = affinity(torch.rand(5, 2), normalization=normalization, representation=name)
        assert a.representation == a.T.representation == name


def test_the_factored_form_never_holds_the_matrix() -> None:
    """Bytes kept for the backward pass grow with N, not with N²."""

    def kept(nodes: int) -> int:
        held: dict[int, int] = {}

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            held[storage.data_ptr()] = storage.nbytes()
            return tensor

        phi, psi = torch.rand(2, nodes, 4, requires_grad=True)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            a = affinity(phi, psi, representation="factored")
            a.apply(torch.rand(nodes, 4))
        return sum(held.values())

    assert kept(400) < 5 * kept(100)
    assert kept(1000) < 1000 * 1000 * 4
