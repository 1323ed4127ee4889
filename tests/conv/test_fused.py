"""The fused product on an edge list, and A at the width of the output: the numbers stay the same.

Everything is compared with the layer written out by matrices, values and gradients.
"""

import pytest
import torch
from torch_geometric import EdgeIndex

from snl_graph import SNLConv
from snl_graph.conv import compressed
from snl_graph.conv.compressed import Compressed
from tests import oracles
from tests.conv.formulas import (
    EDGES,
    NODES,
    UNDIRECTED,
    WEIGHTS,
    filtered,
    gradients,
    kernel_matrix,
)
from tests.tolerances import assert_equal

pytestmark = pytest.mark.usefixtures("always_fused")


def assert_layer(layer, call, x, matrices, normalization, basis="monomial", extra=()):
    """Values and gradients of ``call(x)`` are those of the formula."""
    inputs = [x, *layer.parameters(), *extra]
    actual = call(x)
    items = x if x.dim() == 3 else [x]
    outs = [
        filtered(layer, item, matrices(item, index), normalization, basis)
        for index, item in enumerate(items)
    ]
    expected = torch.stack(outs) if x.dim() == 3 else outs[0]
    assert_equal(actual, expected)
    for mine, theirs in zip(gradients(actual, inputs), gradients(expected, inputs), strict=True):
        assert_equal(mine, theirs)


@pytest.mark.parametrize("width", [2, 5], ids=["narrower", "wider"])
@pytest.mark.parametrize("K", [1, 2, 3, 4])
@pytest.mark.parametrize("basis", ["monomial", "chebyshev"])
@pytest.mark.parametrize("normalization", ["sym", "rw", "none"])
@pytest.mark.parametrize("flow", ["source_to_target", "target_to_source"])
def test_given_weights(flow, normalization, basis, K, width):
    layer = SNLConv(3, width, K, basis=basis, normalization=normalization, flow=flow).double()
    x = torch.randn(NODES, 3, dtype=torch.float64, requires_grad=True)
    edges = EDGES if flow == "source_to_target" else EDGES.flip(0)
    m = oracles.edge_matrix(EDGES, WEIGHTS, (NODES, NODES))
    assert_layer(layer, lambda x: layer(x, edges, WEIGHTS), x, lambda *_: [m], normalization, basis)


@pytest.mark.parametrize("width", [2, 5], ids=["narrower", "wider"])
@pytest.mark.parametrize("normalization", ["sym", "rw", "none"])
@pytest.mark.parametrize("shared", [True, False], ids=["E", "BE"])
def test_weights_that_are_learned(shared, normalization, width):
    layer = SNLConv(3, width, 3, normalization=normalization).double()
    x = torch.randn(2, NODES, 3, dtype=torch.float64, requires_grad=True)
    weight = WEIGHTS + torch.rand(*(() if shared else (2,)), 9, dtype=torch.float64)
    weight.requires_grad_()

    def matrices(_, index):
        w = weight if shared else weight[index]
        return [oracles.edge_matrix(EDGES, w, (NODES, NODES))]

    def call(x):
        return layer(x, EDGES, weight)

    assert_layer(layer, call, x, matrices, normalization, extra=[weight])


@pytest.mark.parametrize("kernel", ["dot", "embedded_gaussian"])
@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("normalization", ["sym", "rw"])
def test_weights_of_a_kernel(normalization, heads, kernel):
    options = {"hidden_channels": 8, "heads": heads, "normalization": normalization}
    layer = SNLConv(4, 2, 3, kernel=kernel, **options).double()
    x = torch.randn(2, NODES, 4, dtype=torch.float64, requires_grad=True)
    joined = oracles.edge_matrix(UNDIRECTED, torch.ones(9).double(), (NODES, NODES))

    def matrices(item, _):
        return [kernel_matrix(layer, kernel, item, joined, head) for head in range(heads)]

    assert_layer(layer, lambda x: layer(x, UNDIRECTED), x, matrices, normalization)


@pytest.mark.parametrize("form", ["edge_index", "undirected"])
def test_an_edge_list_takes_one_product_a_power_and_sends_no_messages(monkeypatch, form):
    layer = SNLConv(3, 2, 4)
    taken, product = [], compressed.csr_product
    monkeypatch.setattr(compressed, "csr_product", lambda *a: taken.append(1) or product(*a))
    monkeypatch.setattr(layer, "propagate", None)
    edges = UNDIRECTED
    if form == "undirected":
        edges = EdgeIndex(edges, is_undirected=True, sparse_size=(NODES, NODES))
    layer(torch.randn(NODES, 3), edges)
    assert len(taken) == 3


def test_a_subclass_with_messages_of_its_own_sends_them():
    class Doubled(SNLConv):
        def message(self, x_j, alpha):
            return 2 * super().message(x_j, alpha)

    layer = Doubled(3, 2, 2, normalization="rw", bias=False)
    plain = SNLConv(3, 2, 2, normalization="rw", bias=False)
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(NODES, 3)
    with torch.no_grad():
        plain.lins[1].weight.mul_(2)
    assert_equal(layer(x, EDGES), plain(x, EDGES))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_sums_in_float32(dtype):
    """4,096 neighbours of weight 1: a sum in half precision would stop growing long before."""
    count = 4096
    edges = torch.stack([torch.arange(count), torch.full((count,), count)])
    layer = SNLConv(1, 1, normalization="none", bias=False).to(dtype)
    with torch.no_grad():
        layer.lins[0].weight.zero_()
        layer.lins[1].weight.fill_(0.25)
    out = layer(torch.ones(count + 1, 1, dtype=dtype), edges)
    assert out.dtype == dtype
    assert out[-1].item() == 1024


@pytest.mark.parametrize("width", [4, 16], ids=["narrower", "wider"])
def test_autocast(width):
    layer = SNLConv(8, width, 3)
    x = torch.randn(NODES, 8)
    with torch.autocast("cpu", torch.bfloat16):
        out = layer(x, EDGES)
    assert_equal(out.float(), layer(x, EDGES), 3e-2)


def test_derivatives_of_torch_func_and_forward_mode():
    layer = SNLConv(3, 2, 3).double()
    x = torch.randn(NODES, 3, dtype=torch.float64)

    def call(x):
        return layer(x, EDGES)

    expected = torch.autograd.functional.jacobian(call, x)
    assert_equal(torch.func.jacrev(call)(x), expected)
    assert_equal(torch.func.jacfwd(call)(x), expected)
    assert_equal(torch.func.vmap(call)(torch.stack([x, 2 * x]))[1], call(2 * x))


def test_numbers_do_not_depend_on_the_autograd_mode():
    x = torch.randn(NODES, 4)
    for options in ({}, {"kernel": "dot"}, {"basis": "chebyshev", "normalization": "rw"}):
        layer = SNLConv(4, 2, 3, **options)
        expected = layer(x.clone().requires_grad_(), EDGES)
        with torch.inference_mode():
            assert torch.equal(layer(x, EDGES), expected)


def test_what_inference_saw_of_an_adjacency_serves_a_kernel_in_training():
    coo = torch.sparse_coo_tensor(EDGES.flip(0), WEIGHTS.float(), (NODES, NODES)).coalesce()
    layer = SNLConv(4, 6, 3, kernel="dot")
    x = torch.randn(NODES, 4, requires_grad=True)
    with torch.inference_mode():
        expected = layer(x, coo).clone()
    actual = layer(x, coo)
    actual.sum().backward()
    assert_equal(actual, expected)
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("count", [1, 3])
def test_copies_of_a_matrix_stand_on_the_diagonal(count):
    shape = (NODES + 1, NODES)
    matrix = Compressed.of(EDGES[1], EDGES[0], shape).repeated(count, NODES)
    weight = torch.rand(count, 9)
    ordered = matrix.listed(weight.flatten())
    rows = torch.arange(count * shape[0]).repeat_interleave(matrix.pointer.diff())
    actual = torch.zeros(count * shape[0], count * shape[1])
    actual.index_put_((rows, matrix.index.long()), ordered, accumulate=True)
    blocks = [oracles.edge_matrix(EDGES, one, shape) for one in weight]
    assert_equal(actual, torch.block_diag(*blocks))
