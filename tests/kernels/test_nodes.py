"""Sums over "all nodes" are sums over the nodes of one item, real ones only."""

import pytest
import torch

from snl_graph.kernels import NodeSet
from tests.tolerances import assert_equal

BATCH = torch.tensor([0, 2, 0, 2, 2])  # graph 1 has no nodes


def test_a_batch_of_graphs_is_treated_graph_by_graph() -> None:
    values = torch.randn(5, 3, dtype=torch.float64)
    nodes = NodeSet(batch=BATCH, num_graphs=3)
    weights, means, counts = nodes.softmax(values), nodes.mean(values), nodes.count(values)
    for graph in (0, 2):
        own = graph == BATCH
        assert_equal(weights[own], values[own].softmax(0))
        assert_equal(means[own], values[own].mean(0).expand(int(own.sum()), 3))
        assert (torch.as_tensor(counts)[own] == own.sum()).all()


def test_batch_mates_do_not_spoil_each_other() -> None:
    values = torch.randn(5, 3)
    values[1] = torch.nan
    nodes = NodeSet(batch=BATCH, num_graphs=3)
    for result in (nodes.softmax(values), nodes.mean(values)):
        assert result[BATCH == 0].isfinite().all()


def test_padding_does_not_count() -> None:
    values = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    valid = torch.tensor([[1, 0, 1, 1], [0, 0, 0, 0]]).bool()
    nodes = NodeSet(valid=valid)
    weights = nodes.softmax(values)
    real = values[0, valid[0]]
    assert_equal(weights[0, valid[0]], real.softmax(0))
    assert (weights[~valid] == 0).all()
    assert_equal(nodes.mean(values)[0, 0], real.mean(0))
    assert torch.as_tensor(nodes.count(values)).flatten().tolist() == [3, 1]
    (gradient,) = torch.autograd.grad(weights.square().sum(), values)
    assert gradient.isfinite().all()
    assert (gradient[~valid] == 0).all()


def test_without_a_word_all_nodes_belong_together() -> None:
    values = torch.randn(2, 4, 3, dtype=torch.float64)
    assert_equal(NodeSet().softmax(values), values.softmax(-2))
    assert_equal(NodeSet().mean(values), values.mean(-2, keepdim=True))
    assert NodeSet().count(values) == 4


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_softmax_of_a_large_graph_sums_to_1_in_half_precision(dtype: torch.dtype) -> None:
    values = torch.zeros(3000, 1, dtype=dtype)
    weights = NodeSet(batch=torch.zeros(3000, dtype=torch.long)).softmax(values)
    assert weights.dtype == dtype
    assert_equal(weights, torch.full((3000, 1), 1 / 3000), 1e-2)
