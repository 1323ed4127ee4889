"""The estimate of λ_max bounds the spectrum from above, closely, for each graph by itself."""

import pytest
import torch
from torch import Tensor
from torch_geometric.utils import barabasi_albert_graph, erdos_renyi_graph

from snl_graph import SNLConv, affinity
from snl_graph.conv.lambda_max import STEPS, RescaledOperator, estimate_lambda_max
from snl_graph.normalizations import Symmetric
from snl_graph.operators import EdgeOperator
from tests.tolerances import assert_equal


def sparse_graph(nodes: int) -> Tensor:
    return torch.randint(nodes, (2, 3 * nodes))


def path(nodes: int) -> Tensor:
    return torch.stack([torch.arange(nodes - 1), torch.arange(1, nodes)])


def cycle(nodes: int) -> Tensor:
    return torch.stack([torch.arange(nodes), (torch.arange(nodes) + 1) % nodes])


def scale_free(nodes: int) -> Tensor:
    return barabasi_albert_graph(max(nodes, 5), 2)


def random_with_loops(nodes: int) -> Tensor:
    loops = torch.arange(nodes).expand(2, nodes)
    return torch.cat([erdos_renyi_graph(nodes, 0.1), loops], 1)


GRAPHS = [sparse_graph, path, cycle, scale_free, random_with_loops]


def operator(edge_index: Tensor, nodes: int, dtype: torch.dtype) -> EdgeOperator:
    weight = torch.rand(edge_index.shape[1], dtype=dtype) + 0.1
    made = Symmetric()(EdgeOperator(edge_index, weight, (nodes, nodes), is_nonnegative=True))
    assert isinstance(made, EdgeOperator)
    return made


def exact(a: EdgeOperator) -> float:
    return float(1 - torch.linalg.eigvalsh(a.to_dense().double()).min())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("graph", GRAPHS, ids=lambda graph: graph.__name__)
def test_estimate_is_an_upper_bound_within_eight_hundredths(graph, dtype):
    """40 random graphs a family, up to 300 nodes: never below by more than rounding."""
    for nodes in torch.randint(5, 300, (40,)).tolist():
        a = operator(graph(nodes), nodes, dtype)
        excess = float(estimate_lambda_max(a)) - exact(a)
        assert -1e-5 <= excess <= 0.08


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_graph_of_few_nodes_is_solved_to_three_digits(dtype):
    for nodes in range(2, STEPS):
        a = operator(random_with_loops(nodes), nodes, dtype)
        expected = max(exact(a), 0.01)  # the least estimate
        assert float(estimate_lambda_max(a)) == pytest.approx(expected, abs=5e-3)


def test_half_precision_estimates_within_its_resolution():
    a = operator(random_with_loops(50), 50, torch.float32)
    for dtype in (torch.float16, torch.bfloat16):
        estimate = float(estimate_lambda_max(a.to(dtype)))
        assert estimate == pytest.approx(exact(a), abs=0.1)


def test_complete_graph_of_a_kernel_has_lambda_max_of_at_most_one():
    """A positive semi-definite kernel: A ≥ 0, so L ≤ I, and the estimate finds it."""
    phi = torch.rand(2, 40, 5, dtype=torch.float64)
    a = affinity(phi)
    expected = 1 - torch.linalg.eigvalsh(a.to_dense()).amin(-1)
    assert_equal(estimate_lambda_max(a).flatten(), expected, 1e-6)


def test_known_spectra():
    eye = torch.arange(5).expand(2, 5)
    loops = operator(eye, 5, torch.float64)  # L = 0
    assert float(estimate_lambda_max(loops)) == pytest.approx(0.01, abs=1e-12)
    alone = operator(torch.empty(2, 0, dtype=torch.long), 5, torch.float64)  # L = I
    assert float(estimate_lambda_max(alone)) == pytest.approx(1, abs=1e-12)
    pair = operator(torch.tensor([[0], [1]]), 2, torch.float64)  # bipartite
    assert float(estimate_lambda_max(pair)) == pytest.approx(2, abs=1e-12)


def test_graphs_of_a_batch_have_the_estimates_they_have_alone():
    sizes = [30, 1, 50, 2]
    parts = [operator(sparse_graph(nodes), nodes, torch.float64) for nodes in sizes]
    offsets = torch.tensor([0, *sizes[:-1]]).cumsum(0)
    edge_index = torch.cat([a.edge_index + o for a, o in zip(parts, offsets, strict=True)], 1)
    weight = torch.cat([a.weight for a in parts])
    a = EdgeOperator(edge_index, weight, (sum(sizes), sum(sizes)), is_mirrored=True)
    batch = torch.repeat_interleave(torch.arange(4), torch.tensor(sizes))
    together = estimate_lambda_max(a, batch, 4).flatten()
    for part, values in zip(parts, together.split(sizes), strict=True):
        assert_equal(values, estimate_lambda_max(part).flatten().expand_as(values), 1e-12)


def test_padding_does_not_change_an_estimate():
    phi = torch.rand(2, 9, 3, dtype=torch.float64)
    valid = torch.arange(9) < torch.tensor([[9], [4]])
    padded = estimate_lambda_max(affinity(phi, valid=valid), valid=valid)
    assert_equal(padded[1], estimate_lambda_max(affinity(phi[1, :4])), 1e-12)


def test_estimate_has_no_gradient_and_is_what_the_layer_uses():
    layer = SNLConv(3, 2, 4, basis="chebyshev", lambda_max="estimate").double()
    x = torch.randn(30, 3, dtype=torch.float64)
    edge_index = sparse_graph(30)
    weight = torch.rand(edge_index.shape[1], dtype=torch.float64, requires_grad=True)
    m = EdgeOperator(edge_index, weight, (30, 30), is_nonnegative=True)
    estimate = estimate_lambda_max(Symmetric()(m))
    assert not estimate.requires_grad
    expected = layer(x, edge_index, weight, lambda_max=float(estimate))
    actual = layer(x, edge_index, weight)
    assert_equal(actual, expected)
    grads = [torch.autograd.grad(out.square().sum(), weight)[0] for out in (actual, expected)]
    assert_equal(*grads)


def test_rescaled_operator_has_the_laplacian_scaled():
    a = operator(sparse_graph(6), 6, torch.float64)
    dense = a.to_dense()
    scaled = RescaledOperator(a, 1.6)
    eye = torch.eye(6, dtype=torch.float64)
    assert_equal(eye - scaled.to_dense(), 1.6 * (eye - dense))
    assert_equal(scaled.T.to_dense(), scaled.to_dense().T)
