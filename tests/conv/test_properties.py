"""Hypothesis drives shapes, dtypes, options and degenerate graphs through the layer."""

import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from snl_graph import SNLConv
from tests import oracles
from tests.conv.formulas import filtered, kernel_matrix
from tests.factories import KERNELS
from tests.tolerances import assert_equal


@st.composite
def graphs(draw) -> tuple[int, torch.Tensor, torch.Tensor]:
    """Any directed multigraph with self-loops, isolated nodes and weights of 0."""
    nodes = draw(st.integers(1, 6))
    index = st.integers(0, nodes - 1)
    pairs = draw(st.lists(st.tuples(index, index), max_size=10))
    weights = st.sampled_from([0.0, 0.25, 1.0, 3.0])
    values = draw(st.lists(weights, min_size=len(pairs), max_size=len(pairs)))
    edges = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).T
    return nodes, edges, torch.tensor(values, dtype=torch.float64)


@given(
    graph=graphs(),
    K=st.integers(1, 4),
    basis=st.sampled_from(["monomial", "chebyshev"]),
    normalization=st.sampled_from(["sym", "rw", "none"]),
    kernel=st.sampled_from([None, "dot", "embedded_gaussian", "rbf"]),
    seed=st.integers(0, 100),
)
@settings(max_examples=150)
def test_any_graph_agrees_with_the_formula(graph, K, basis, normalization, kernel, seed):
    nodes, edges, weight = graph
    torch.manual_seed(seed)
    made = None if kernel is None else KERNELS[kernel].make()
    layer = SNLConv(3, 2, K, basis=basis, normalization=normalization, kernel=made).double()
    x = torch.randn(nodes, 3, dtype=torch.float64)
    m = torch.zeros(nodes, nodes, dtype=torch.float64)
    for (source, target), value in zip(edges.T.tolist(), weight, strict=True):
        m[target, source] += value
    if kernel is not None:
        m = kernel_matrix(layer, kernel, x, m)
    expected = filtered(layer, x, [m], normalization, basis)
    assert_equal(layer(x, edges, weight), expected)


@given(
    graph=graphs(),
    dtype=st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64]),
    normalization=st.sampled_from(["sym", "rw", "none"]),
    kernel=st.sampled_from([None, "dot", "embedded_gaussian", "double_softmax"]),
    leading=st.sampled_from([(), (0,), (1,), (3,)]),
    scale=st.sampled_from([0.0, 1.0, 100.0]),
    seed=st.integers(0, 100),
)
@settings(max_examples=150)
def test_no_graph_and_no_dtype_gives_nan(graph, dtype, normalization, kernel, leading, scale, seed):
    # Weights of features of 100 leave the range of half precision if nothing normalises them; and
    # a product of two softmaxes of them the range of float32, at its lower end.
    assume(scale <= 1 or (normalization != "none" and kernel != "double_softmax"))
    nodes, edges, weight = graph
    torch.manual_seed(seed)
    layer = SNLConv(4, 2, normalization=normalization, kernel=kernel).to(dtype)
    x = (torch.randn(*leading, nodes, 4) * scale).to(dtype).requires_grad_()
    out = layer(x, edges, weight.to(dtype))
    assert out.shape == (*leading, nodes, 2)
    assert out.dtype == dtype
    assert not out.isnan().any()
    (grad,) = torch.autograd.grad(out.float().sum(), x)
    assert torch.isfinite(grad).all()


@given(graph=graphs(), seed=st.integers(0, 100))
def test_edges_may_come_in_any_order(graph, seed):
    nodes, edges, weight = graph
    torch.manual_seed(seed)
    layer = SNLConv(3, 2, 3).double()
    x = torch.randn(nodes, 3, dtype=torch.float64)
    order = torch.randperm(edges.shape[1])
    expected = layer(x, edges, weight)
    assert_equal(layer(x, edges[:, order], weight[order]), expected, 1e-12)
    assert_equal(layer(x, edges.flip(0), weight), expected, 1e-12)  # symmetrised: M̂ᵀ = M̂


@given(graph=graphs())
def test_symmetric_operator_has_its_spectrum_in_minus_one_to_one(graph):
    nodes, edges, weight = graph
    layer = SNLConv(nodes, nodes, 2, bias=False).double()
    with torch.no_grad():  # the layer becomes A itself
        layer.lins[0].weight.zero_()
        layer.lins[1].weight.copy_(torch.eye(nodes))
    a = layer(torch.eye(nodes, dtype=torch.float64), edges, weight)
    assert_equal(a, a.T, 1e-12)
    values = torch.linalg.eigvalsh(a)
    assert values.min() >= -1 - 1e-12
    assert values.max() <= 1 + 1e-12
    m = oracles.edge_matrix(edges, weight, (nodes, nodes))
    assert_equal(a, oracles.normalized(m, "sym"), 1e-12)
