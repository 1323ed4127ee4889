"""SNLConv as a PyTorch and PyG module: keys, lazy widths, copies, caching, precision."""

import copy
import pickle

import pytest
import torch
from torch_geometric.nn import MessagePassing

from snl_graph import SNLConv
from snl_graph.filters import Chebyshev, Polynomial
from snl_graph.kernels import Concatenation
from tests.conv.formulas import EDGES, NODES, WEIGHTS
from tests.tolerances import RELATIVE, assert_equal


def test_is_a_message_passing_layer():
    layer = SNLConv(4, 2)
    assert isinstance(layer, MessagePassing)
    assert (layer.aggr, layer.node_dim, layer.flow) == ("add", -2, "source_to_target")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "SNLConv(16, 32, K=2)"),
        ({"K": 3, "basis": "chebyshev"}, "SNLConv(16, 32, K=3, basis=chebyshev)"),
        (
            {"kernel": "dot", "heads": 2, "normalization": "rw"},
            "SNLConv(16, 32, K=2, kernel=Dot(), heads=2, normalization=RandomWalk())",
        ),
    ],
)
def test_repr(options, text):
    assert repr(SNLConv(16, 32, **options)) == text


@pytest.mark.parametrize(
    ("options", "keys"),
    [
        ({"K": 3}, {"lins.0.weight", "lins.1.weight", "lins.2.weight", "bias"}),
        ({"K": 1, "bias": False}, {"lins.0.weight"}),
        (
            {"K": 1, "kernel": "dot", "heads": 2},
            {"lins.0.weight", "bias", "phi.weight", "psi.weight"},
        ),
        ({"K": 1, "kernel": "gaussian"}, {"lins.0.weight", "bias"}),
        (
            {"K": 1, "kernel": "concatenation", "hidden_channels": 6, "heads": 2},
            {"lins.0.weight", "bias", "phi.weight", "psi.weight", "kernel.weight"},
        ),
        (
            {"K": 1, "basis": "chebyshev", "lambda_max": torch.tensor(1.5)},
            {"lins.0.weight", "bias"},
        ),
    ],
)
def test_state_dict_keys(options, keys):
    layer = SNLConv(4, 8, **options)
    assert set(layer.state_dict()) == keys
    for k in range(layer.filter.K):
        assert layer.lins[k].weight.shape == (8, 4)


def test_heads_change_no_key_and_no_shape_of_lins():
    one, four = (SNLConv(8, 4, 3, kernel="dot", heads=heads) for heads in (1, 4))
    shapes = [{key: value.shape for key, value in m.state_dict().items()} for m in (one, four)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("kernel", [None, "dot"])
@pytest.mark.parametrize("K", [1, 2, 5])
def test_lazy_channels_at_every_K(K, kernel):
    layer = SNLConv(-1, 8, K, kernel=kernel)
    assert "-1" in repr(layer)
    layer(torch.randn(NODES, 5), EDGES)
    assert all(lin.weight.shape == (8, 5) for lin in layer.lins)
    if kernel is not None:
        assert layer.phi.weight.shape == layer.psi.weight.shape == (8, 5)
    assert all(torch.isfinite(parameter).all() for parameter in layer.parameters())


def test_a_lazy_layer_takes_its_widths_from_a_state_dict():
    made, lazy = SNLConv(5, 8, 3, kernel="dot"), SNLConv(-1, 8, 3, kernel="dot")
    lazy.load_state_dict(made.state_dict())
    x = torch.randn(NODES, 5)
    assert torch.equal(lazy(x, EDGES), made(x, EDGES))


def test_lazy_bipartite_channels():
    layer = SNLConv((-1, -1), 8, normalization="rw", kernel="dot")
    out = layer((torch.randn(5, 3), torch.randn(4, 2)), torch.tensor([[4], [3]]))
    assert out.shape == (4, 8)
    assert [lin.weight.shape[1] for lin in layer.lins] == [2, 3]


def test_reset_parameters_draws_every_weight_anew():
    layer = SNLConv(4, 6, 2, kernel="concatenation")
    torch.nn.init.ones_(layer.bias)
    before = copy.deepcopy(layer.state_dict())
    layer.reset_parameters()
    for key, value in layer.state_dict().items():
        assert not torch.equal(value, before[key]), key
    assert torch.equal(layer.bias, torch.zeros(6))


def test_making_a_layer_leaves_the_weights_of_a_kernel_alone():
    kernel = Concatenation(6)
    before = kernel.weight.clone()
    SNLConv(4, 6, kernel=kernel)
    assert torch.equal(kernel.weight, before)


@pytest.mark.parametrize("options", [{}, {"kernel": "dot"}, {"cached": True}], ids=str)
def test_copies_and_pickles(options):
    layer = SNLConv(4, 6, 3, **options)
    x = torch.randn(NODES, 4)
    expected = layer(x, EDGES)
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(twin(x, EDGES), expected)


def test_filter_by_name_and_by_object_equal_the_basis():
    layers = [
        SNLConv(4, 6, 3, basis="chebyshev"),
        SNLConv(4, 6, 3, filter="chebyshev"),
        SNLConv(4, 6, filter=Polynomial(3, Chebyshev())),
        SNLConv(4, 6, 3, basis=Chebyshev()),
    ]
    x = torch.randn(NODES, 4)
    for layer in layers[1:]:
        layer.load_state_dict(layers[0].state_dict())
        assert torch.equal(layer(x, EDGES), layers[0](x, EDGES))


@pytest.mark.parametrize("parts", [2, 4])
def test_decomposed_layers_give_the_same_numbers(parts):
    layer = SNLConv(8, 6, 3, kernel="dot").double()
    split = copy.deepcopy(layer)
    split.decomposed_layers = parts
    x = torch.randn(NODES, 8, dtype=torch.float64)
    assert_equal(split(x, EDGES), layer(x, EDGES))


class TestCached:
    def test_keeps_the_first_graph(self):
        layer = SNLConv(4, 6, 3, cached=True).double()
        x = torch.randn(NODES, 4, dtype=torch.float64)
        expected = layer(x, EDGES, WEIGHTS)
        assert torch.equal(layer(x, EDGES, WEIGHTS.clone()), expected)

    @pytest.mark.parametrize("other", [(EDGES.flip(0), WEIGHTS), (EDGES, 2 * WEIGHTS), (EDGES,)])
    def test_refuses_another_graph_of_as_many_edges(self, other):
        layer = SNLConv(4, 6, 3, cached=True)
        x = torch.randn(NODES, 4)
        layer(x, EDGES, WEIGHTS)
        with pytest.raises(ValueError, match="keeps the"):
            layer(x, *other)

    def test_takes_ones_for_no_weights(self):
        layer = SNLConv(4, 6, 3, cached=True)
        x = torch.randn(NODES, 4)
        assert torch.equal(layer(x, EDGES), layer(x, EDGES, torch.ones(9)))

    def test_forgets_it_on_reset_and_when_it_is_moved(self):
        layer = SNLConv(4, 6, 3, cached=True).double()
        x = torch.randn(NODES, 4, dtype=torch.float64)
        other = WEIGHTS * torch.linspace(1, 2, 9)
        plain = SNLConv(4, 6, 3).double()
        for forget in (layer.reset_parameters, layer.float, layer.double):
            layer(x.to(layer.bias.dtype), EDGES, WEIGHTS)
            forget()
        plain.load_state_dict(layer.state_dict())
        assert torch.equal(layer(x, EDGES, other), plain(x, EDGES, other))

    def test_what_inference_kept_serves_training(self):
        layer = SNLConv(4, 6, 3, cached=True)
        x = torch.randn(NODES, 4, requires_grad=True)
        with torch.inference_mode():
            layer(x, EDGES)
        layer(x, EDGES).sum().backward()
        assert torch.isfinite(x.grad).all()

    def test_another_size_is_refused(self):
        layer = SNLConv(4, 6, cached=True)
        layer(torch.randn(NODES, 4), EDGES)
        with pytest.raises(ValueError, match=r"of 7 nodes and 9 edges; this one has 7 and 8"):
            layer(torch.randn(NODES, 4), EDGES[:, 1:])

    def test_weights_with_a_gradient_are_refused(self):
        layer = SNLConv(4, 6, cached=True)
        with pytest.raises(ValueError, match="requires a gradient"):
            layer(torch.randn(NODES, 4), EDGES, torch.rand(9, requires_grad=True))


LAYERS = {
    "given": {"K": 3},
    "chebyshev": {"K": 3, "basis": "chebyshev", "lambda_max": "estimate"},
    "dot": {"K": 3, "kernel": "dot", "heads": 2},
    "embedded_gaussian": {"K": 3, "kernel": "embedded_gaussian"},
    "double_softmax": {"K": 3, "kernel": "double_softmax"},
    "rw": {"K": 3, "kernel": "rbf", "normalization": "rw"},
}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("options", LAYERS.values(), ids=LAYERS.keys())
def test_half_precision(options, dtype):
    layer = SNLConv(4, 6, **options).double()
    x = torch.randn(NODES, 4, dtype=torch.float64)
    half = copy.deepcopy(layer).to(dtype)
    weight = WEIGHTS.to(dtype)
    forms = [(EDGES, weight)] if layer.kernel is None else [(EDGES, weight), (None, None)]
    for edges, w in forms:
        x_half = x.to(dtype).requires_grad_()
        out = half(x_half, edges, w)
        assert out.dtype == dtype
        tolerance = 4 * RELATIVE[dtype]  # a polynomial of degree 2
        assert_equal(out, layer(x, edges, None if w is None else WEIGHTS), tolerance)
        out.float().square().sum().backward()
        assert torch.isfinite(x_half.grad).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("options", LAYERS.values(), ids=LAYERS.keys())
def test_autocast(options, dtype):
    layer = SNLConv(4, 6, **options)
    x = torch.randn(NODES, 4, requires_grad=True)
    forms = [EDGES] if layer.kernel is None else [EDGES, None]
    for edges in forms:
        expected = layer(x, edges)
        with torch.autocast("cpu", dtype=dtype):
            out = layer(x, edges)
            again = SNLConv(6, 6, **options)(out.to(dtype), edges)  # as the next layer gets it
        assert_equal(out.float(), expected, 4 * RELATIVE[dtype])
        assert torch.isfinite(again).all()
        (grad,) = torch.autograd.grad(out.float().sum(), x)
        assert torch.isfinite(grad).all()


def test_a_degree_beyond_float16_is_summed_in_float32():
    """A star of 70 000 leaves: a float16 degree is infinite, and so was every weight."""
    leaves = 70_000
    edges = torch.stack([torch.arange(1, leaves + 1), torch.zeros(leaves, dtype=torch.long)])
    layer = SNLConv(1, 1, bias=False, normalization="rw").to(torch.float16)
    torch.nn.init.ones_(layer.lins[1].weight)
    torch.nn.init.zeros_(layer.lins[0].weight)
    out = layer(torch.ones(leaves + 1, 1, dtype=torch.float16), edges).detach()
    assert float(out[0]) == pytest.approx(1, abs=0.05)  # the mean of ones


def test_numbers_do_not_depend_on_the_autograd_mode():
    layer = SNLConv(4, 6, 3, kernel="dot")
    x = torch.randn(NODES, 4)
    expected = layer(x, EDGES)
    with torch.no_grad():
        assert torch.equal(layer(x, EDGES), expected)
    with torch.inference_mode():
        assert torch.equal(layer(x, EDGES), expected)
