"""A block on PyG graphs."""

import pytest
import torch
from torch import nn
from torch_geometric.data import Batch, Data

from snl_graph import nonlocal_block
from snl_graph.blocks import ROWS
from tests.tolerances import assert_equal


def graphs(with_edges: bool) -> list[Data]:
    made = []
    for nodes in (4, 1, 6):
        x = torch.randn(nodes, 8, dtype=torch.float64)
        edge_index = torch.randint(nodes, (2, 2 * nodes)) if with_edges else None
        made.append(Data(x=x, edge_index=edge_index))
    return made


@pytest.mark.parametrize("name", ["nl", "ns", "a2", "cgnl", "snl", "gsnl"])
def test_graph_without_edges_is_fully_connected(name: str) -> None:
    block = nonlocal_block(name, 8).double().eval()
    data = graphs(with_edges=False)[0]
    expected = block(data.x.T.unsqueeze(0))[0].T
    before = data.x.clone()
    result = block(data)
    assert_equal(result.x, expected)
    assert torch.equal(data.x, before)


@pytest.mark.parametrize("with_edges", [True, False])
@pytest.mark.parametrize("name", ["nl", "ns", "a2", "snl", "gsnl"])
def test_batch_equals_its_graphs_one_by_one(name: str, with_edges: bool) -> None:
    block = nonlocal_block(name, 8).double().eval()
    data = graphs(with_edges)
    batch = block(Batch.from_data_list(data))
    assert_equal(batch.x, torch.cat([block(graph).x for graph in data]))


@pytest.mark.parametrize("with_edges", [True, False])
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("norm", ["group:2", "group:4", "layer", "none"])
def test_batch_mates_do_not_enter_the_norm(norm: str, training: bool, with_edges: bool) -> None:
    block = nonlocal_block("snl", 8, norm=norm).double().train(training)
    data = graphs(with_edges)
    for weight in block.units[0].bn.parameters():
        torch.nn.init.normal_(weight)
    assert_equal(block(Batch.from_data_list(data)).x, torch.cat([block(g).x for g in data]))


def test_a_norm_that_mixes_graphs_is_refused() -> None:
    block = nonlocal_block("snl", 8).double()
    block.units[0].bn = nn.InstanceNorm1d(8).double()
    with pytest.raises(TypeError, match="InstanceNorm1d in the place of the block's norm"):
        block(Batch.from_data_list(graphs(with_edges=True)))


@pytest.mark.parametrize("with_edges", [True, False])
@pytest.mark.parametrize("name", ["a2", "snl"])
def test_a_data_with_a_batch_vector_of_its_own_is_a_batch(name: str, with_edges: bool) -> None:
    block = nonlocal_block(name, 8).double().eval()
    batch = Batch.from_data_list(graphs(with_edges))
    plain = Data(x=batch.x, edge_index=batch.get("edge_index"), batch=batch.batch)
    assert_equal(block(plain).x, block(batch).x)


def test_edges_are_the_mask() -> None:
    block = nonlocal_block("snl", 8).double().eval()
    x = torch.randn(5, 8, dtype=torch.float64)
    edge_index = torch.tensor([[0, 1, 1, 2, 3], [1, 0, 2, 3, 3]])
    mask = torch.zeros(5, 5, dtype=torch.bool)
    mask[edge_index[1], edge_index[0]] = True
    masked = nonlocal_block("snl", 8, mask=mask, representation="dense").double().eval()
    masked.load_state_dict(block.state_dict())
    expected = masked(x.T.unsqueeze(0))[0].T
    assert_equal(block(Data(x=x, edge_index=edge_index)).x, expected)


def test_training_statistics_leave_padding_of_small_graphs_out() -> None:
    block = nonlocal_block("snl", 8).double()
    data = graphs(with_edges=False)
    f = []
    for graph in data:
        a = block.affinity_of(graph.x.T.unsqueeze(0)).to_dense()[0]
        unit = block.units[0]
        z = graph.x @ unit.g.weight.T
        f.append(z @ unit.w["0"].weight.T + a @ z @ unit.w["1"].weight.T)
    f = torch.cat(f)
    scaled = (f - f.mean(0)) / (f.var(0, unbiased=False) + 1e-5).sqrt()
    batch = Batch.from_data_list(data)
    assert_equal(block(batch).x, batch.x + scaled)
    assert_equal(block.units[0].bn.running_var, 0.9 + 0.1 * f.var(0, unbiased=True))


@pytest.mark.parametrize("name", ROWS)
def test_graph_of_a_grid_is_the_map(name: str) -> None:
    block = nonlocal_block(name, 8).double().eval()
    x = torch.randn(2, 8, 3, 4, dtype=torch.float64)
    items = [Data(x=image.flatten(1).T, grid_size=torch.tensor([[3, 4]])) for image in x]
    result = block(Batch.from_data_list(items))
    assert_equal(result.x.view(2, 12, 8).mT.reshape(x.shape), block(x))


def test_empty_graph_stays_empty() -> None:
    block = nonlocal_block("snl", 8)
    assert block(Data(x=torch.empty(0, 8))).x.shape == (0, 8)


def test_wrong_graphs_are_refused() -> None:
    block = nonlocal_block("snl", 8)
    edge_index = torch.tensor([[0], [1]])
    with pytest.raises(ValueError, match=r"node features x of shape \(N, 8\); got shape \(4, 3\)"):
        block(Data(x=torch.randn(4, 3)))
    with pytest.raises(ValueError, match="got none"):
        block(Data(edge_index=edge_index))
    with pytest.raises(ValueError, match="names node 9, but there are only 4"):
        block(Data(x=torch.randn(4, 8), edge_index=torch.tensor([[0], [9]])))
    sparse = edge_index.new_ones(4, 4).float().to_sparse()
    with pytest.raises(ValueError, match="holds its edges as adj_t"):
        block(Data(x=torch.randn(4, 8), adj_t=sparse))
    with pytest.raises(ValueError, match="Remove edge_index"):
        nonlocal_block("cgnl", 8)(Data(x=torch.randn(4, 8), edge_index=edge_index))
    with pytest.raises(ValueError, match="subsample pools a grid"):
        nonlocal_block("nl", 8, subsample=2)(Data(x=torch.randn(4, 8), edge_index=edge_index))
    with pytest.raises(ValueError, match="a graph has no padding"):
        block(Data(x=torch.randn(4, 8)), torch.ones(4, dtype=torch.bool))
