"""A block before norm and residual is the graph layer on its map's graph: lins[k] = W_k W_g."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from snl_graph import nonlocal_block, to_feature_map, to_graph
from snl_graph.conv import SNLConv
from snl_graph.masks import BooleanMatrix, EdgeList

CHANNELS, HIDDEN = 5, 3
SIZES = {"sequence": (6,), "image": (3, 2), "video": (2, 1, 3)}  # six positions each

# A directed graph on six positions: 5 only sends, 4 is alone.
SOURCE, TARGET = torch.tensor([[0, 1, 1, 3, 2, 5, 3], [1, 0, 1, 0, 3, 2, 3]])
MATRIX = torch.zeros(6, 6, dtype=torch.bool).index_put((TARGET, SOURCE), torch.tensor(True))
MASKS = {
    "full": "full",
    "criss_cross": "criss_cross",
    "window": "window:1",
    "edge_list": EdgeList(torch.stack([SOURCE, TARGET])),
    "boolean_matrix": BooleanMatrix(MATRIX),
}


def layer_like(block: nn.Module, K: int, basis: str = "monomial") -> SNLConv:
    pieces = block.affinity.pieces
    return SNLConv(
        CHANNELS,
        CHANNELS,
        K,
        kernel=pieces.kernel,
        hidden_channels=HIDDEN if pieces.kernel.is_embedded else None,
        basis=basis,
        normalization=pieces.normalization,
        bias=False,
    ).double()


def weights_of_layer(block: nn.Module, taps: list[dict[int, float]]) -> dict[str, Tensor]:
    """The layer's state dict in terms of the block's weights: tap k is Σ_t taps[k][t] W_t W_g."""
    unit = block.units[0]
    w = {int(tap): weight.weight for tap, weight in unit.w.items()}  # (C, C_s)
    if unit.g is not None:
        w = {tap: weight @ unit.g.weight for tap, weight in w.items()}  # (C, C)
    zero = torch.zeros(CHANNELS, CHANNELS, dtype=torch.float64)
    lins = [sum((factor * w[tap] for tap, factor in row.items()), zero) for row in taps]
    weights = {f"lins.{k}.weight": weight for k, weight in enumerate(lins)}
    for name in ("phi", "psi"):
        if getattr(block.affinity, name) is not None:
            weights[f"{name}.weight"] = getattr(block.affinity, name).weight
    kernel = block.affinity.kernel.named_parameters()
    return weights | {f"kernel.{name}": weight for name, weight in kernel}


def assert_equal(
    block: nn.Module, layer: SNLConv, taps: list[dict[int, float]], size: tuple[int, ...], mask: Any
) -> None:
    """Values, and gradients for the map and for every weight of the block."""
    block.double()
    x = torch.randn(2, CHANNELS, *size, dtype=torch.float64, requires_grad=True)
    wanted = [x, *block.parameters()]
    upstream = torch.randn_like(x)

    expected = block(x) - x  # with no norm, Y − X is F
    graph = to_graph(x, mask)
    arguments = (graph.x, graph.edge_index, None, graph.batch)
    out = functional_call(layer, weights_of_layer(block, taps), arguments, strict=True)
    found = to_feature_map(out, size)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(
        torch.autograd.grad(found, wanted, upstream),
        torch.autograd.grad(expected, wanted, upstream),
        rtol=1e-10,
        atol=1e-10,
    )
    assert expected.abs().max() > 1e-3


def make_block(name: str, **overrides: Any) -> nn.Module:
    return nonlocal_block(name, CHANNELS, hidden_channels=HIDDEN, norm="none", **overrides)


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("name", ["snl", "gsnl"])
def test_a_spectral_block_is_the_layer(name: str, mask: Any, size: tuple[int, ...]) -> None:
    block = make_block(name, mask=mask)
    K = len(block.units[0].w)
    assert_equal(block, layer_like(block, K), [{k: 1.0} for k in range(K)], size, mask)


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_a_block_of_chebyshev_polynomials_is_the_layer(mask: Any) -> None:
    block = make_block("gsnl", K=4, mask=mask, basis="chebyshev")
    assert_equal(
        block, layer_like(block, 4, "chebyshev"), [{k: 1.0} for k in range(4)], (3, 2), mask
    )


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize(
    ("name", "taps"),
    [("nl", [{}, {1: 1.0}]), ("ns", [{1: -1.0}, {1: 1.0}]), ("cc", [{}, {1: 1.0}])],
)
def test_rows_of_fixed_taps_are_the_layer(
    name: str, taps: list[dict[int, float]], mask: Any, size: tuple[int, ...]
) -> None:
    block = make_block(name, mask=mask)
    assert_equal(block, layer_like(block, 2), taps, size, mask)


@pytest.mark.parametrize("kernel", ["gaussian", "rbf", "concatenation", "embedded_gaussian"])
@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_other_kernels_are_those_of_the_layer(kernel: str, mask: Any) -> None:
    block = make_block("snl", kernel=kernel, mask=mask)
    assert_equal(block, layer_like(block, 2), [{0: 1.0}, {1: 1.0}], (2, 3), mask)


def test_double_attention_is_the_layer_on_the_full_graph() -> None:
    block = make_block("a2")
    assert_equal(block, layer_like(block, 2), [{}, {1: 1.0}], (2, 3), "full")


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_a_layer_without_edges_is_the_block_with_the_full_mask(size: tuple[int, ...]) -> None:
    block = make_block("snl").double()
    x = torch.randn(2, CHANNELS, *size, dtype=torch.float64)
    graph = to_graph(x)
    weights = weights_of_layer(block, [{0: 1.0}, {1: 1.0}])
    arguments = (graph.x, None, None, graph.batch)
    out = functional_call(layer_like(block, 2), weights, arguments, strict=True)
    torch.testing.assert_close(to_feature_map(out, size), block(x) - x, rtol=1e-10, atol=1e-10)
