"""torch.compile without graph breaks, torch.export with dynamic sizes."""

import logging

import pytest
import torch
from torch_geometric import EdgeIndex

from snl_graph import SNLConv
from snl_graph.conv import lambda_max
from tests.tolerances import assert_equal

LAYERS = {
    "given": {"K": 3},
    "reversed": {"K": 3, "flow": "target_to_source"},
    "chebyshev": {"K": 3, "basis": "chebyshev", "lambda_max": 1.5},
    "dot": {"K": 3, "kernel": "dot", "heads": 2},
    "embedded_gaussian": {"K": 3, "kernel": "embedded_gaussian"},
    "double_softmax": {"K": 2, "kernel": "double_softmax", "normalization": "rw"},
}


def graph(nodes: int, form: str) -> torch.Tensor:
    edges = torch.randint(nodes, (2, 3 * nodes))
    if form == "edge_index":
        return edges
    if form == "EdgeIndex":
        return EdgeIndex(edges, sparse_size=(nodes, nodes)).sort_by("col").values
    both = torch.cat([edges, edges.flip(0)], 1)
    return EdgeIndex(both, is_undirected=True, sparse_size=(nodes, nodes))


@pytest.fixture(autouse=True)
def no_programs_of_other_tests(monkeypatch):
    torch._dynamo.reset()
    # pytest attaches itself to every log that does not propagate, so to the compiler's trace; and
    # to trace an EdgeIndex is to print values that a compiler does not have, which fails.
    trace = logging.getLogger("torch.__trace")
    monkeypatch.setattr(trace, "propagate", True)
    monkeypatch.setattr(trace, "handlers", [])


def assert_same(compiled, layer, x, *arguments, **options):
    """Values and gradients of the compiled layer are those of the layer."""
    results = []
    for call in (compiled, layer):
        leaf = x.clone().requires_grad_()
        out = call(leaf, *arguments, **options)
        out = out[0] if isinstance(out, tuple) else out
        parameters = list(layer.parameters())
        results.append([out, *torch.autograd.grad(out.square().sum(), [leaf, *parameters])])
    for mine, theirs in zip(*results, strict=True):
        assert_equal(mine, theirs)


# Every layer on plain edges; the other forms of a graph differ in how they are made ready, which is
# one path for given weights and one for learned ones.
TRACED = [
    *((name, "edge_index", None) for name in LAYERS),
    *((name, form, True) for name in ("given", "dot") for form in ("EdgeIndex", "undirected")),
    ("reversed", "EdgeIndex", True),
    ("chebyshev", "undirected", True),
]


@pytest.mark.parametrize(("name", "form", "dynamic"), TRACED)
def test_traces_without_graph_breaks(name, form, dynamic):
    """The whole layer, forward and backward, is one graph; the next test runs the C++ of some."""
    layer = SNLConv(4, 4, **LAYERS[name]).double()
    compiled = torch.compile(layer, fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for nodes in (6, 9):
        x = torch.randn(nodes, 4, dtype=torch.float64)
        assert_same(compiled, layer, x, graph(nodes, form))


@pytest.mark.parametrize("options", LAYERS.values(), ids=LAYERS.keys())
def test_traces_batches_and_weights(options):
    layer = SNLConv(4, 4, **options).double()
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    edges = torch.tensor([[0, 1, 2, 3, 4], [1, 0, 3, 4, 2]])
    weight = torch.rand(5, dtype=torch.float64) + 0.1
    batch = torch.tensor([0, 0, 1, 1, 1])
    x = torch.randn(3, 5, 4, dtype=torch.float64)
    options = {"batch_size": 2, "return_attention_weights": True}
    assert_same(compiled, layer, x, edges, weight, batch, **options)


def test_traces_an_estimate(monkeypatch):
    monkeypatch.setattr(lambda_max, "STEPS", 3)  # all steps are alike, and take their time to trace
    layer = SNLConv(4, 4, 3, basis="chebyshev", lambda_max="estimate").double()
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    edges = torch.tensor([[0, 1, 2, 3, 4], [1, 0, 3, 4, 2]])
    x, batch = torch.randn(5, 4, dtype=torch.float64), torch.tensor([0, 0, 1, 1, 1])
    assert_same(compiled, layer, x, edges, None, batch, batch_size=2)


def test_traces_a_layer_that_caches():
    layer = SNLConv(4, 4, 3, cached=True).double()
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    edges, x = graph(6, "edge_index"), torch.randn(6, 4, dtype=torch.float64)
    for _ in range(2):
        assert_same(compiled, layer, x, edges)


@pytest.mark.parametrize("kernel", ["dot", "embedded_gaussian"])
def test_traces_complete_graphs(kernel):
    layer = SNLConv(4, 4, 3, kernel=kernel).double()
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    assert_same(compiled, layer, torch.randn(2, 6, 4, dtype=torch.float64))


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("name", "form"), [("given", "EdgeIndex"), ("embedded_gaussian", "edge_index")]
)
def test_compiles(name, form):
    layer = SNLConv(4, 4, **LAYERS[name]).double()
    compiled = torch.compile(layer, fullgraph=True, dynamic=True)
    assert_same(compiled, layer, torch.randn(6, 4, dtype=torch.float64), graph(6, form))


@pytest.mark.parametrize("options", LAYERS.values(), ids=LAYERS.keys())
def test_exports_with_any_number_of_nodes_and_edges(options):
    layer = SNLConv(4, 4, **options).eval()
    nodes, edges = torch.export.Dim("nodes"), torch.export.Dim("edges")
    program = torch.export.export(
        layer,
        (torch.randn(6, 4), graph(6, "edge_index")),
        dynamic_shapes={"x": {0: nodes}, "edge_index": {1: edges}},
    ).module()
    for size in (6, 11, 3):
        x, edge_index = torch.randn(size, 4), graph(size, "edge_index")
        assert_equal(program(x, edge_index), layer(x, edge_index))
