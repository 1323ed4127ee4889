"""Graphs of a batch do not see each other, and nothing depends on the order of nodes or edges."""

import pytest
import torch
from torch_geometric.data import Batch, Data

from snl_graph import SNLConv
from snl_graph.kernels import SignedDot
from tests.conv.formulas import EDGES, NODES, WEIGHTS
from tests.tolerances import assert_equal

LAYERS = {
    "given": {"K": 3},
    "chebyshev": {"K": 3, "basis": "chebyshev", "lambda_max": 1.5},
    "estimate": {"K": 3, "basis": "chebyshev", "lambda_max": "estimate"},
    "dot": {"K": 3, "kernel": "dot"},
    "heads": {"K": 3, "kernel": "dot", "heads": 2},
    "embedded_gaussian": {"K": 3, "kernel": "embedded_gaussian"},
    "double_softmax": {"K": 3, "kernel": "double_softmax", "normalization": "none"},
    "1/n": {"K": 3, "kernel": SignedDot("1/n"), "normalization": "none"},
    "learned estimate": {
        "K": 3,
        "kernel": "dot",
        "heads": 2,
        "basis": "chebyshev",
        "lambda_max": "estimate",
    },
}
SIZES = (4, 1, 2, 6)


def graphs() -> list[Data]:
    """Graphs of unequal size: one of a single node, one without edges."""
    made = []
    for size in SIZES:
        edge_index = torch.randint(size, (2, 0 if size == 2 else 3 * size))
        weight = torch.rand(edge_index.shape[1], dtype=torch.float64)
        x = torch.randn(size, 4, dtype=torch.float64)
        made.append(Data(x=x, edge_index=edge_index, edge_weight=weight))
    return made


@pytest.mark.parametrize("batch_size", [None, len(SIZES)])
@pytest.mark.parametrize("options", LAYERS.values(), ids=LAYERS.keys())
def test_a_batch_gives_each_graph_what_it_gets_alone(options, batch_size):
    layer = SNLConv(4, 6, **options).double()
    items = graphs()
    batch = Batch.from_data_list(items)
    together = layer(
        batch.x, batch.edge_index, batch.edge_weight, batch.batch, batch_size=batch_size
    )
    alone = [layer(item.x, item.edge_index, item.edge_weight) for item in items]
    assert_equal(together, torch.cat(alone), 1e-13)


@pytest.mark.parametrize("name", [name for name, options in LAYERS.items() if "kernel" in options])
def test_a_batch_of_complete_graphs_gives_each_graph_what_it_gets_alone(name):
    layer = SNLConv(4, 6, **LAYERS[name]).double()
    items = graphs()
    batch = Batch.from_data_list(items)
    together = layer(batch.x, batch=batch.batch)
    assert_equal(together, torch.cat([layer(item.x) for item in items]), 1e-13)


@pytest.mark.parametrize("options", LAYERS.values(), ids=LAYERS.keys())
def test_a_change_in_one_graph_leaves_the_others_bit_for_bit(options):
    layer = SNLConv(4, 6, **options).double()
    batch = Batch.from_data_list(graphs())
    forms = [(batch.edge_index, batch.edge_weight)]
    if layer.kernel is not None:
        forms.append((None, None))
    changed = batch.x.clone()
    changed[:4] *= -3.0  # the first graph
    for edge_index, weight in forms:
        before = layer(batch.x, edge_index, weight, batch.batch)
        after = layer(changed, edge_index, weight, batch.batch)
        assert torch.equal(before[4:], after[4:])


@pytest.mark.parametrize("options", LAYERS.values(), ids=LAYERS.keys())
def test_a_permutation_of_the_nodes_permutes_the_output(options):
    layer = SNLConv(4, 6, **options).double()
    x = torch.randn(NODES, 4, dtype=torch.float64)
    order = torch.randperm(NODES)
    place = order.argsort()
    expected = layer(x, EDGES, WEIGHTS)[order]
    # An estimate starts from the positions of the nodes; 20 steps resolve so small a graph.
    assert_equal(layer(x[order], place[EDGES], WEIGHTS), expected, 1e-9)
    if layer.kernel is not None:
        assert_equal(layer(x[order]), layer(x)[order], 1e-9)


@pytest.mark.parametrize("options", LAYERS.values(), ids=LAYERS.keys())
def test_static_features_are_so_many_signals_on_one_graph(options):
    layer = SNLConv(4, 6, **options).double()
    x = torch.randn(3, NODES, 4, dtype=torch.float64)
    expected = torch.stack([layer(item, EDGES, WEIGHTS) for item in x])
    assert_equal(layer(x, EDGES, WEIGHTS), expected, 1e-13)
    if layer.kernel is not None:
        assert_equal(layer(x), torch.stack([layer(item) for item in x]), 1e-13)


@pytest.mark.parametrize("options", LAYERS.values(), ids=LAYERS.keys())
def test_weights_of_every_sample_on_one_edge_list(options):
    layer = SNLConv(4, 6, **options).double()
    x = torch.randn(3, NODES, 4, dtype=torch.float64)
    weight = torch.rand(3, EDGES.shape[1], dtype=torch.float64)
    expected = [layer(item, EDGES, w) for item, w in zip(x, weight, strict=True)]
    assert_equal(layer(x, EDGES, weight), torch.stack(expected), 1e-13)


@pytest.mark.parametrize("name", ["heads", "learned estimate", "1/n", "double_softmax"])
def test_static_features_on_a_batch_of_graphs(name):
    layer = SNLConv(4, 6, **LAYERS[name]).double()
    batch = Batch.from_data_list(graphs())
    x = torch.randn(3, sum(SIZES), 4, dtype=torch.float64)
    for edges in (batch.edge_index, None):
        expected = torch.stack([layer(item, edges, batch=batch.batch) for item in x])
        assert_equal(layer(x, edges, batch=batch.batch), expected, 1e-13)


@pytest.mark.parametrize("heads", [1, 2])
def test_one_lambda_max_a_graph(heads):
    options = {"K": 3, "kernel": "dot", "heads": heads, "basis": "chebyshev"}
    layer = SNLConv(4, 6, **options).double()
    items = graphs()
    batch = Batch.from_data_list(items)
    lambda_max = torch.tensor([1.1, 1.2, 1.3, 1.4], dtype=torch.float64)
    for edges in (True, False):
        alone = [
            layer(item.x, item.edge_index if edges else None, lambda_max=float(value))
            for item, value in zip(items, lambda_max, strict=True)
        ]
        edge_index = batch.edge_index if edges else None
        together = layer(batch.x, edge_index, batch=batch.batch, lambda_max=lambda_max)
        assert_equal(together, torch.cat(alone), 1e-13)


@pytest.mark.parametrize("heads", [1, 2])
def test_one_lambda_max_a_sample(heads):
    layer = SNLConv(4, 6, 3, kernel="dot", heads=heads, basis="chebyshev").double()
    x = torch.randn(2, NODES, 4, dtype=torch.float64)
    lambda_max = torch.tensor([1.2, 1.7], dtype=torch.float64)
    for edges in (EDGES, None):
        alone = [
            layer(item, edges, lambda_max=float(v)) for item, v in zip(x, lambda_max, strict=True)
        ]
        assert_equal(layer(x, edges, lambda_max=lambda_max), torch.stack(alone), 1e-13)


@pytest.mark.parametrize("options", LAYERS.values(), ids=LAYERS.keys())
@pytest.mark.parametrize("shape", [(0,), (1,), (2,), (0, 3), (2, 0)])
def test_graphs_of_hardly_any_nodes(options, shape):
    layer = SNLConv(4, 6, **options).double()
    x = torch.randn(*shape, 4, dtype=torch.float64, requires_grad=True)
    nodes = shape[-1]
    loops = torch.arange(nodes).expand(2, nodes)
    forms = [torch.empty(2, 0, dtype=torch.long), loops, loops.flip(1)]
    if layer.kernel is not None:
        forms.append(None)
    for edge_index in forms:
        for batch in (None, torch.zeros(nodes, dtype=torch.long)):
            out = layer(x, edge_index, batch=batch)
            assert out.shape == (*shape, 6)
            assert torch.isfinite(out).all()
            (grad,) = torch.autograd.grad(out.sum(), x)
            assert torch.isfinite(grad).all()


@pytest.mark.parametrize("options", LAYERS.values(), ids=LAYERS.keys())
def test_graphs_without_nodes_in_a_batch(options):
    layer = SNLConv(4, 6, **options).double()
    x = torch.randn(3, 4, dtype=torch.float64)
    edges = torch.tensor([[0, 1, 2], [1, 0, 2]])
    batch = torch.tensor([1, 1, 3])  # graphs 0, 2 and 4 are empty
    expected = torch.cat([layer(x[:2], edges[:, :2]), layer(x[2:], edges[:, 2:] - 2)])
    assert_equal(layer(x, edges, batch=batch, batch_size=5), expected, 1e-13)
    if layer.kernel is not None:
        expected = torch.cat([layer(x[:2]), layer(x[2:])])
        assert_equal(layer(x, batch=batch, batch_size=5), expected, 1e-13)


def test_an_isolated_node_keeps_its_own_signal_alone():
    layer = SNLConv(4, 6, 3).double()
    x = torch.randn(NODES, 4, dtype=torch.float64)
    expected = x[6] @ layer.lins[0].weight.T + layer.bias
    assert_equal(layer(x, EDGES, WEIGHTS)[6], expected)
