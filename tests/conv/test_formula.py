"""The layer equals its formula written out: values and gradients."""

import itertools

import pytest
import torch

from snl_graph import SNLConv
from snl_graph.filters import Polynomial
from tests import oracles
from tests.conv.formulas import (
    EDGES,
    NODES,
    WEIGHTS,
    filtered,
    gradients,
    kernel_matrix,
)
from tests.factories import KERNELS
from tests.tolerances import assert_equal

IN, OUT = 4, 3
NORMALIZATIONS = ("sym", "rw", "none")
COMPLETE = torch.ones(NODES, NODES, dtype=torch.float64)


def assert_same(layer, actual, expected, inputs):
    inputs = [*inputs, *layer.parameters()]
    assert_equal(actual, expected)
    # Together, for a gradient that is 0 but for rounding has no scale of its own.
    mine, theirs = (
        torch.cat([grad.flatten() for grad in gradients(out, inputs)]) for out in (actual, expected)
    )
    assert_equal(mine, theirs)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("flow", ["source_to_target", "target_to_source"])
@pytest.mark.parametrize("basis", ["monomial", "chebyshev"])
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("K", [1, 2, 4])
def test_given_weights(K, normalization, basis, flow, dtype):
    layer = SNLConv(IN, OUT, K, basis=basis, normalization=normalization, flow=flow).to(dtype)
    x = torch.randn(NODES, IN, dtype=dtype, requires_grad=True)
    weight = WEIGHTS.to(dtype, copy=True).requires_grad_()
    edges = EDGES if flow == "source_to_target" else EDGES.flip(0)
    m = oracles.edge_matrix(EDGES, weight, (NODES, NODES))
    expected = filtered(layer, x, [m], normalization, basis)
    assert_same(layer, layer(x, edges, weight), expected, [x, weight])


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_edges_without_weights_weigh_one(normalization):
    layer = SNLConv(IN, OUT, 3, normalization=normalization).double()
    x = torch.randn(NODES, IN, dtype=torch.float64, requires_grad=True)
    m = oracles.edge_matrix(EDGES, torch.ones(EDGES.shape[1]).double(), (NODES, NODES))
    assert_same(layer, layer(x, EDGES), filtered(layer, x, [m], normalization), [x])


def learned_cases():
    for (name, case), normalization in itertools.product(KERNELS.items(), NORMALIZATIONS):
        if case.is_nonnegative or normalization != "sym":
            yield pytest.param(name, normalization, id=f"{name}-{normalization}")


@pytest.mark.parametrize("has_weights", [False, True], ids=["alone", "weighted"])
@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize(("name", "normalization"), list(learned_cases()))
def test_weights_of_a_kernel_on_edges(name, normalization, heads, has_weights):
    kernel = KERNELS[name].make()
    hidden = 3 * heads if kernel.is_embedded else None
    channels = IN if hidden else 3 * heads  # concatenation needs three channels a head
    layer = SNLConv(
        channels,
        OUT,
        3,
        kernel=kernel,
        hidden_channels=hidden,
        heads=heads,
        normalization=normalization,
    ).double()
    x = torch.randn(NODES, channels, dtype=torch.float64, requires_grad=True)
    weight = (WEIGHTS + 0.5).requires_grad_() if has_weights else None
    ones = torch.ones(EDGES.shape[1], dtype=torch.float64)
    joined = oracles.edge_matrix(EDGES, ones if weight is None else weight, (NODES, NODES))
    matrices = [kernel_matrix(layer, name, x, joined, head) for head in range(heads)]
    expected = filtered(layer, x, matrices, normalization)
    inputs = [x] if weight is None else [x, weight]
    assert_same(layer, layer(x, EDGES, weight), expected, inputs)


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize(("name", "normalization"), list(learned_cases()))
def test_without_edges_every_pair_is_joined(name, normalization, heads):
    kernel = KERNELS[name].make()
    hidden = 3 * heads if kernel.is_embedded else None
    channels = IN if hidden else 3 * heads
    layer = SNLConv(
        channels,
        OUT,
        3,
        kernel=kernel,
        hidden_channels=hidden,
        heads=heads,
        normalization=normalization,
    ).double()
    x = torch.randn(NODES, channels, dtype=torch.float64, requires_grad=True)
    matrices = [kernel_matrix(layer, name, x, COMPLETE, head) for head in range(heads)]
    assert_same(layer, layer(x), filtered(layer, x, matrices, normalization), [x])


@pytest.mark.parametrize(
    "lambda_max", [1.3, torch.tensor(1.3, dtype=torch.float64)], ids=["number", "tensor"]
)
@pytest.mark.parametrize("where", ["constructor", "call"])
def test_lambda_max_scales_the_chebyshev_basis(where, lambda_max):
    given = {"lambda_max": lambda_max}
    at_first, at_call = (given, {}) if where == "constructor" else ({"lambda_max": 3.0}, given)
    layer = SNLConv(IN, OUT, 4, basis="chebyshev", **at_first).double()
    x = torch.randn(NODES, IN, dtype=torch.float64, requires_grad=True)
    m = oracles.edge_matrix(EDGES, WEIGHTS, (NODES, NODES))
    expected = filtered(layer, x, [m], "sym", "chebyshev", 1.3)
    assert_same(layer, layer(x, EDGES, WEIGHTS, **at_call), expected, [x])


def test_a_learned_lambda_max_gets_its_gradient():
    layer = SNLConv(IN, OUT, 3, basis="chebyshev").double()
    x, lambda_max = (
        torch.randn(NODES, IN).double(),
        torch.tensor(1.7, dtype=torch.float64, requires_grad=True),
    )
    m = oracles.edge_matrix(EDGES, WEIGHTS, (NODES, NODES))
    expected = filtered(layer, x, [m], "sym", "chebyshev", lambda_max)
    assert_same(layer, layer(x, EDGES, WEIGHTS, lambda_max=lambda_max), expected, [lambda_max])


@pytest.mark.parametrize("flow", ["source_to_target", "target_to_source"])
@pytest.mark.parametrize("normalization", ["rw", "none"])
@pytest.mark.parametrize("kernel", [None, "dot"])
def test_bipartite_input(kernel, normalization, flow):
    """W_0 acts on the targets, W_1 on A x_src."""
    x_src = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    x_dst = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    edges = torch.tensor([[0, 1, 4, 4, 2], [0, 0, 2, 0, 2]])  # target 1 has no source
    is_reversed = flow == "target_to_source"
    layer = SNLConv((4, 2), OUT, kernel=kernel, normalization=normalization, flow=flow).double()
    if kernel is None:
        m = torch.ones(3, 5, dtype=torch.float64)
    else:
        phi, psi = x_dst @ layer.phi.weight.T, x_src @ layer.psi.weight.T
        m = oracles.pairs_of(phi, psi, oracles.dot)
    m = m * oracles.edge_matrix(edges, torch.ones(5).double(), (3, 5))
    a = oracles.normalized(m, normalization)
    expected = x_dst @ layer.lins[0].weight.T + a @ x_src @ layer.lins[1].weight.T + layer.bias
    ends, edges = ((x_dst, x_src), edges.flip(0)) if is_reversed else ((x_src, x_dst), edges)
    assert_same(layer, layer(ends, edges), expected, [x_src, x_dst])


def test_bipartite_input_without_edges_joins_every_source_to_every_target():
    x_src, x_dst = torch.randn(5, 4).double(), torch.randn(3, 2).double()
    layer = SNLConv((4, 2), OUT, kernel="embedded_gaussian", normalization="rw").double()
    m = oracles.pairs_of(x_dst @ layer.phi.weight.T, x_src @ layer.psi.weight.T, oracles.gaussian)
    a = oracles.normalized(m, "rw")
    expected = x_dst @ layer.lins[0].weight.T + a @ x_src @ layer.lins[1].weight.T + layer.bias
    assert_same(layer, layer((x_src, x_dst)), expected, [])


def test_a_filter_with_tied_taps_names_its_maps_by_tap():
    layer = SNLConv(IN, OUT, filter=Polynomial(2, taps={1: (-1.0, 1.0)})).double()
    assert set(layer.state_dict()) == {"lins.1.weight", "bias"}
    x = torch.randn(NODES, IN, dtype=torch.float64)
    a = oracles.normalized(oracles.edge_matrix(EDGES, WEIGHTS, (NODES, NODES)), "sym")
    expected = (a @ x - x) @ layer.lins["1"].weight.T + layer.bias
    assert_equal(layer(x, EDGES, WEIGHTS), expected)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("kernel", [None, "dot", "embedded_gaussian"])
def test_derivatives_of_first_and_second_order(kernel, normalization):
    options = {} if kernel is None else {"kernel": kernel, "hidden_channels": 2}
    layer = SNLConv(2, 2, 3, normalization=normalization, **options).double()
    x = torch.randn(NODES, 2, dtype=torch.float64, requires_grad=True)
    weight = (WEIGHTS + 0.5).requires_grad_()
    call = lambda x, weight: layer(x, EDGES, weight)  # noqa: E731
    assert torch.autograd.gradcheck(call, (x, weight))
    assert torch.autograd.gradgradcheck(call, (x, weight))


def test_an_isolated_node_has_finite_gradients_of_zero_weights():
    layer = SNLConv(IN, OUT, 3).double()
    weight = torch.zeros(EDGES.shape[1], dtype=torch.float64, requires_grad=True)
    x = torch.randn(NODES, IN, dtype=torch.float64, requires_grad=True)
    for grad in gradients(layer(x, EDGES, weight), [x, weight]):
        assert torch.isfinite(grad).all()


@pytest.mark.parametrize("normalization", ["sym", "rw"])
def test_logits_of_ten_thousand_are_no_nan(normalization):
    layer = SNLConv(2, 2, 3, kernel="gaussian", normalization=normalization).double()
    x = torch.tensor([[100.0, 0], [-100, 0], [0, 100], [1, 1], [0, 0], [60, 60], [3, 4]]).double()
    joined = oracles.edge_matrix(EDGES, torch.ones(9).double(), (NODES, NODES)) > 0
    logits = (x @ x.T).masked_fill(~joined, -torch.inf)
    simple = EDGES[:, [0, 1, 2, 3, 4, 6, 7, 8]]  # each edge once: the mask above is boolean
    a = oracles.normalized_logits(logits, normalization)
    p = [torch.eye(NODES).double(), a, a @ a]
    expected = sum(t @ x @ lin.weight.T for t, lin in zip(p, layer.lins, strict=True)) + layer.bias
    assert_equal(layer(x, simple), expected)
