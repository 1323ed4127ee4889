"""``return_attention_weights``: the entries A_ij at the caller's edges, in their order."""

import pytest
import torch

from snl_graph import SNLConv
from snl_graph.conv.attention import entries_at_edges
from snl_graph.conv.messages import Messages
from snl_graph.conv.routes import routed
from snl_graph.normalizations import Normalization
from snl_graph.operators import EdgeOperator
from tests import oracles
from tests.conv.formulas import EDGES, NODES, UNDIRECTED, WEIGHTS, kernel_matrix
from tests.tolerances import assert_equal

ONES = torch.ones(EDGES.shape[1], dtype=torch.float64)


@pytest.mark.parametrize("normalization", ["sym", "rw", "none"])
@pytest.mark.parametrize("flow", ["source_to_target", "target_to_source"])
def test_entries_of_given_weights(flow, normalization):
    layer = SNLConv(3, 2, normalization=normalization, flow=flow).double()
    x = torch.randn(NODES, 3, dtype=torch.float64)
    edges = EDGES if flow == "source_to_target" else EDGES.flip(0)
    out, (edge_index, alpha) = layer(x, edges, WEIGHTS, return_attention_weights=True)
    assert edge_index is edges
    assert torch.equal(out, layer(x, edges, WEIGHTS))
    m = oracles.edge_matrix(EDGES, WEIGHTS, (NODES, NODES))
    a = oracles.normalized(m, normalization)
    listed = oracles.edge_matrix(EDGES, ONES, (NODES, NODES)) > 0
    # Copies of an edge add up to the entry.
    assert_equal(oracles.edge_matrix(EDGES, alpha, (NODES, NODES)), a * listed)


@pytest.mark.parametrize("kernel", ["dot", "embedded_gaussian"])
@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("normalization", ["sym", "rw", "none"])
def test_entries_of_learned_weights(normalization, heads, kernel):
    layer = SNLConv(4, 4, kernel=kernel, heads=heads, normalization=normalization).double()
    x = torch.randn(2, NODES, 4, dtype=torch.float64)
    _, (_, alpha) = layer(x, UNDIRECTED, return_attention_weights=True)
    assert alpha.shape == ((2, 9) if heads == 1 else (2, 9, 2))
    ones = torch.ones(9, dtype=torch.float64)
    joined = oracles.edge_matrix(UNDIRECTED, ones, (NODES, NODES))
    for item, found in zip(x, alpha.reshape(2, 9, heads), strict=True):
        for head in range(heads):
            m = kernel_matrix(layer, kernel, item, joined, head)
            a = oracles.normalized(m, normalization)
            assert_equal(found[:, head], a[UNDIRECTED[1], UNDIRECTED[0]])


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr, torch.sparse_csc])
def test_a_sparse_adjacency_comes_back_with_its_entries(layout, heads):
    layer = SNLConv(4, 4, kernel="dot", heads=heads).double()
    x = torch.randn(NODES, 4, dtype=torch.float64)
    weight = torch.rand(9, dtype=torch.float64) + 0.5
    adj_t = torch.sparse_coo_tensor(UNDIRECTED.flip(0), weight, (NODES, NODES)).coalesce()
    adj_t = adj_t if layout == torch.sparse_coo else adj_t.to_sparse(layout=layout)
    _, (found, alpha) = layer(x, adj_t, return_attention_weights=True)
    _, (_, expected) = layer(x, UNDIRECTED, weight, return_attention_weights=True)
    assert found.layout == layout
    assert alpha.shape == expected.shape
    if heads == 1:
        assert_equal(found.to_dense()[UNDIRECTED[1], UNDIRECTED[0]], expected)


@pytest.mark.parametrize("heads", [1, 2])
def test_without_edges_every_pair_is_listed(heads):
    layer = SNLConv(4, 4, kernel="dot", heads=heads).double()
    x = torch.randn(5, 4, dtype=torch.float64)
    batch = torch.tensor([0, 0, 1, 1, 1])
    _, (edge_index, alpha) = layer(x, batch=batch, return_attention_weights=True)
    assert edge_index.shape == (2, 4 + 9)
    alone = [layer(part, return_attention_weights=True)[1] for part in (x[:2], x[2:])]
    assert torch.equal(edge_index, torch.cat([alone[0][0], alone[1][0] + 2], 1))
    assert_equal(alpha, torch.cat([alone[0][1], alone[1][1]]))
    out, _ = layer(x, edge_index, return_attention_weights=True)
    assert_equal(out, layer(x, batch=batch))


def test_entries_have_gradients():
    layer = SNLConv(4, 4, kernel="dot").double()
    x = torch.randn(NODES, 4, dtype=torch.float64, requires_grad=True)

    def entries(x: torch.Tensor) -> torch.Tensor:
        return layer(x, EDGES, return_attention_weights=True)[1][1]

    assert torch.autograd.gradcheck(entries, x)


class RandomWalkBothWays(Normalization):
    """D̂^-1 M̂: an operator on edges that is scaled from one side only."""

    def __call__(self, m):
        m_hat = m.symmetrized()
        degree = m_hat.row_sums()
        return m_hat.scaled(degree.power(-1), None).with_degree(degree)


@pytest.mark.parametrize("kernel", [None, "embedded_gaussian"])
def test_a_normalisation_of_ones_own(kernel):
    layer = SNLConv(4, 4, 3, kernel=kernel, normalization=RandomWalkBothWays()).double()
    x = torch.randn(NODES, 4, dtype=torch.float64)
    ones = torch.ones(9, dtype=torch.float64)
    m = oracles.edge_matrix(UNDIRECTED, ones, (NODES, NODES))
    if kernel is not None:
        m = kernel_matrix(layer, kernel, x, m)
    a = oracles.normalized(oracles.symmetrized(m), "rw")
    out, (_, alpha) = layer(x, UNDIRECTED, return_attention_weights=True)
    expected = sum(
        power @ x @ lin.weight.T
        for power, lin in zip((torch.eye(NODES).double(), a, a @ a), layer.lins, strict=True)
    )
    assert_equal(out, expected + layer.bias)
    assert_equal(alpha, a[UNDIRECTED[1], UNDIRECTED[0]])


def test_what_is_not_made_of_edges_is_refused():
    dense = EdgeOperator(EDGES, WEIGHTS, (NODES, NODES)).to_dense()
    from snl_graph.operators import DenseOperator

    with pytest.raises(TypeError, match="not an operator on edges"):
        entries_at_edges(DenseOperator(dense))
    with pytest.raises(TypeError, match="must be an operator on edges"):
        routed(DenseOperator(dense), Messages(None, EDGES, (NODES, NODES)))


def test_routed_operator_is_the_operator_it_routes():
    layer = SNLConv(3, 2).double()
    edges = EdgeOperator(EDGES, WEIGHTS, (NODES, NODES))
    a = routed(edges, Messages(layer._send, EDGES, (NODES, NODES)))
    z = torch.randn(NODES, 2, dtype=torch.float64)
    assert_equal(a @ z, edges @ z)
    assert_equal(a.T @ z, edges.to_dense().T @ z)
    assert_equal(a.to_dense(), edges.to_dense())
    assert_equal(a.degree(), edges.degree())
    assert torch.equal(a.to_edges()[1], WEIGHTS)
