"""Parity with ``ChebConv`` on undirected graphs without self-loops, key for key."""

import pytest
import torch
from torch_geometric.nn import ChebConv
from torch_geometric.utils import erdos_renyi_graph, to_undirected

from snl_graph import SNLConv


def weighted_graph(seed: int, nodes: int = 20) -> tuple[torch.Tensor, torch.Tensor]:
    """An undirected weighted graph without self-loops; some of its nodes may be alone."""
    torch.manual_seed(seed)
    edge_index = erdos_renyi_graph(nodes, 0.15, directed=True)
    weight = torch.rand(edge_index.shape[1], dtype=torch.float64) + 0.1
    return to_undirected(edge_index, weight, nodes, reduce="mean")


def pair(K: int, dtype: torch.dtype, **options) -> tuple[ChebConv, SNLConv]:
    theirs = ChebConv(6, 5, K).to(dtype)
    torch.nn.init.normal_(theirs.bias)
    mine = SNLConv(6, 5, K, basis="chebyshev", **options).to(dtype)
    assert list(mine.state_dict().keys() ^ theirs.state_dict().keys()) == []
    mine.load_state_dict(theirs.state_dict())
    return theirs, mine


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("K", [1, 2, 3, 5])
@pytest.mark.parametrize("seed", range(10))
def test_equals_cheb_conv(seed, K, dtype, tolerance):
    edge_index, weight = weighted_graph(seed)
    theirs, mine = pair(K, dtype)
    x = torch.randn(20, 6, dtype=dtype)
    expected = theirs(x, edge_index, weight.to(dtype), lambda_max=2.0)
    actual = mine(x, edge_index, weight.to(dtype))
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("lambda_max", [1.5, 1.9, 3.0])
def test_equals_cheb_conv_with_another_lambda_max(lambda_max):
    edge_index, weight = weighted_graph(3)
    theirs, mine = pair(4, torch.float64, lambda_max=lambda_max)
    x = torch.randn(20, 6, dtype=torch.float64)
    expected = theirs(x, edge_index, weight, lambda_max=lambda_max)
    torch.testing.assert_close(mine(x, edge_index, weight), expected, rtol=0, atol=1e-12)


def test_equals_cheb_conv_with_one_lambda_max_a_graph():
    batch = torch.tensor([0, 0, 1, 1, 1])
    edge_index = torch.tensor([[0, 1, 2, 3, 3, 4], [1, 0, 3, 2, 4, 3]])
    weight = torch.tensor([0.5, 0.5, 1, 1, 2, 2], dtype=torch.float64)
    lambda_max = torch.tensor([2.0, 3.0], dtype=torch.float64)
    theirs, mine = pair(3, torch.float64)
    x = torch.randn(5, 6, dtype=torch.float64)
    expected = theirs(x, edge_index, weight, batch, lambda_max)
    actual = mine(x, edge_index, weight, batch, lambda_max)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12)


def test_gives_cheb_conv_its_weights_back():
    theirs, mine = pair(3, torch.float32)
    theirs.load_state_dict(mine.state_dict())


def test_random_walk_equals_cheb_conv_where_both_read_the_graph_alike():
    """On an undirected graph D^-1 M of PyG's column reading is the transpose of D^-1 M here."""
    edge_index, weight = weighted_graph(5)
    theirs = ChebConv(6, 5, 3, normalization="rw").double()
    mine = SNLConv(6, 5, 3, basis="chebyshev", normalization="rw").double()
    mine.load_state_dict(theirs.state_dict())
    x = torch.randn(20, 6, dtype=torch.float64)
    degree = torch.zeros(20).double().index_add(0, edge_index[1], weight).clamp(min=1e-300)
    # D A_theirs D^-1 = A_mine: filter in the other coordinates and come back.
    through = theirs(x * degree[:, None], edge_index, weight, lambda_max=2.0) - theirs.bias
    mine_out = mine(x, edge_index, weight) - mine.bias
    is_joined = degree > 1e-200
    torch.testing.assert_close(
        mine_out[is_joined], (through / degree[:, None])[is_joined], rtol=0, atol=1e-11
    )
