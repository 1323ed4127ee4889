"""A graph gives the same numbers in every form: edge list, EdgeIndex, COO, CSR, CSC."""

import gc
import weakref

import pytest
import torch
from torch import Tensor
from torch_geometric import EdgeIndex

from snl_graph import SNLConv
from snl_graph.conv import compressed
from snl_graph.conv.compressed import Compressed, csr_product, csr_sampled_product
from snl_graph.conv.fused import FusedOperator, Structure
from snl_graph.conv.sparse import sparse_adjacency
from snl_graph.operators import EdgeOperator
from tests import oracles
from tests.conv.formulas import EDGES, NODES, UNDIRECTED, WEIGHTS, filtered, gradients
from tests.tolerances import assert_equal

LAYOUTS = {"coo": torch.sparse_coo, "csr": torch.sparse_csr, "csc": torch.sparse_csc}
SYMMETRIC = torch.tensor([1.0, 1, 2, 2, 3, 3, 4, 5, 5], dtype=torch.float64)  # of UNDIRECTED

pytestmark = pytest.mark.filterwarnings("ignore:Sparse")


def matrix(edges: Tensor, weight: Tensor, layout: str) -> Tensor:
    """PyG's adj_t: row = target, column = source; edges listed twice are added up."""
    coo = torch.sparse_coo_tensor(edges.flip(0), weight, (NODES, NODES)).coalesce()
    return coo if layout == "coo" else coo.to_sparse(layout=LAYOUTS[layout])


@pytest.mark.parametrize("normalization", ["sym", "rw", "none"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("graph", ["directed", "symmetric"])
@pytest.mark.parametrize("leading", [(), (2,)], ids=["N", "BN"])
def test_sparse_adjacency(graph, layout, normalization, leading):
    edges, weight = (EDGES, WEIGHTS) if graph == "directed" else (UNDIRECTED, SYMMETRIC)
    layer = SNLConv(3, 2, 3, normalization=normalization).double()
    x = torch.randn(*leading, NODES, 3, dtype=torch.float64, requires_grad=True)
    inputs = [x, *layer.parameters()]
    m = oracles.edge_matrix(edges, weight, (NODES, NODES))
    items = x if leading else [x]
    expected = torch.stack([filtered(layer, item, [m], normalization) for item in items])
    expected = expected if leading else expected[0]
    actual = layer(x, matrix(edges, weight, layout))
    assert_equal(actual, expected)
    for mine, theirs in zip(gradients(actual, inputs), gradients(expected, inputs), strict=True):
        assert_equal(mine, theirs)


@pytest.mark.parametrize("kernel", ["dot", "embedded_gaussian"])
@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_sparse_adjacency_is_the_mask_of_a_kernel(layout, heads, kernel):
    layer = SNLConv(4, 4, 3, kernel=kernel, heads=heads).double()
    x = torch.randn(2, NODES, 4, dtype=torch.float64, requires_grad=True)
    inputs = [x, *layer.parameters()]
    actual, expected = layer(x, matrix(EDGES, WEIGHTS, layout)), layer(x, EDGES, WEIGHTS)
    # An edge listed twice has one entry of both weights: M is linear in them.
    assert_equal(actual, expected)
    for mine, theirs in zip(gradients(actual, inputs), gradients(expected, inputs), strict=True):
        assert_equal(mine, theirs)


@pytest.mark.parametrize("normalization", ["sym", "rw", "none"])
@pytest.mark.parametrize("graph", ["directed", "symmetric"])
@pytest.mark.parametrize("layout", ["coo", "csr"])
def test_values_of_a_sparse_adjacency_get_their_gradient(layout, graph, normalization):
    edges, weight = (EDGES, WEIGHTS) if graph == "directed" else (UNDIRECTED, SYMMETRIC)
    layer = SNLConv(3, 2, 3, normalization=normalization).double()
    x = torch.randn(NODES, 3, dtype=torch.float64)
    adj_t = matrix(edges, weight, layout).requires_grad_()
    (mine,) = torch.autograd.grad(layer(x, adj_t).square().sum(), adj_t)
    weight = weight.clone().requires_grad_()
    (theirs,) = torch.autograd.grad(layer(x, edges, weight).square().sum(), weight)
    dense = mine.to_dense()
    assert_equal(dense[edges[1], edges[0]], theirs)


@pytest.mark.parametrize("is_mirrored", [True, False])
@pytest.mark.parametrize("batch", [(), (2,)], ids=["E", "BE"])
def test_second_derivatives_of_the_fused_product(batch, is_mirrored):
    structure = Structure(EDGES, (NODES, NODES))
    weight = (WEIGHTS + torch.rand(*batch, 9, dtype=torch.float64)).requires_grad_()
    z = torch.randn(2, NODES, 2, dtype=torch.float64, requires_grad=True)

    def product(weight, z):
        edges = EdgeOperator(EDGES, weight, (NODES, NODES), is_mirrored=is_mirrored)
        fused = FusedOperator(edges, structure)
        return fused.apply(z) + 2 * fused.T.apply(z)

    assert torch.autograd.gradcheck(product, (weight, z))
    assert torch.autograd.gradgradcheck(product, (weight, z))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("is_listed", [True, False])
def test_the_fused_products_are_well_behaved_operators(is_listed, dtype):
    shape = (NODES + 1, NODES)
    rows = Compressed.of(EDGES[1], EDGES[0], shape)
    columns = Compressed.of(EDGES[0], EDGES[1], shape[::-1])
    if is_listed:  # weights in row order
        columns = Compressed(columns.pointer, columns.index, rows.place.argsort()[columns.place])
        rows = Compressed(rows.pointer, rows.index)
    structure = (rows.pointer, rows.index, rows.place)
    structure += (columns.pointer, columns.index, columns.place)
    weight = WEIGHTS.to(dtype, copy=True).requires_grad_()
    y, z = (torch.randn(size, 2, dtype=dtype, requires_grad=True) for size in shape)
    torch.library.opcheck(csr_product, (*structure, weight, z))
    torch.library.opcheck(csr_sampled_product, (*structure, y, z))


def test_a_sparse_adjacency_takes_the_fused_product_and_sends_no_messages(monkeypatch):
    layer = SNLConv(3, 2, 3)
    monkeypatch.setattr(layer, "propagate", None)
    adj_t = matrix(EDGES, WEIGHTS.float(), "csr")
    assert layer(torch.randn(NODES, 3), adj_t).shape == (NODES, 2)


def test_a_symmetric_adjacency_takes_one_product_a_power(monkeypatch):
    taken = []
    product = compressed.csr_product
    monkeypatch.setattr(compressed, "csr_product", lambda *a: taken.append(1) or product(*a))
    layer, x = SNLConv(3, 2, 3).double(), torch.randn(NODES, 3, dtype=torch.float64)
    layer(x, matrix(UNDIRECTED, SYMMETRIC, "csr"))
    assert len(taken) == 2
    layer(x, matrix(EDGES, WEIGHTS, "csr"))  # both directions are one matrix
    assert len(taken) == 2 + 2


class TestRemembering:
    def test_structure_is_found_once(self):
        adj_t = matrix(EDGES, WEIGHTS, "csr")
        assert sparse_adjacency(adj_t) is sparse_adjacency(adj_t)

    def test_normalised_weights_are_found_once_a_layer(self):
        adj_t, layer = matrix(EDGES, WEIGHTS, "csr"), SNLConv(3, 2).double()
        known = sparse_adjacency(adj_t)
        layer(torch.randn(NODES, 3).double(), adj_t)
        held = known.normalized[layer.normalization][torch.float64]
        layer(torch.randn(NODES, 3).double(), adj_t)
        assert known.normalized[layer.normalization][torch.float64] is held

    @pytest.mark.parametrize("layout", LAYOUTS)
    def test_a_change_in_place_is_noticed(self, layout):
        adj_t, layer = matrix(EDGES, WEIGHTS, layout), SNLConv(3, 2).double()
        x = torch.randn(NODES, 3, dtype=torch.float64)
        layer(x, adj_t)
        adj_t.values().mul_(torch.linspace(1, 9, adj_t.values().numel()))
        fresh = adj_t.clone()
        assert_equal(layer(x, adj_t), layer(x, fresh))

    @pytest.mark.parametrize("normalization", ["sym", "rw", "none"])
    @pytest.mark.parametrize("layout", LAYOUTS)
    def test_nothing_outlives_the_tensor(self, layout, normalization):
        adj_t = matrix(EDGES, WEIGHTS, layout)
        layer = SNLConv(3, 2, normalization=normalization).double()
        layer(torch.randn(NODES, 3).double(), adj_t).sum().backward()
        known = weakref.ref(sparse_adjacency(adj_t))
        reference = weakref.ref(adj_t)
        del adj_t
        gc.collect()
        assert reference() is None
        assert known() is None

    def test_what_inference_prepared_serves_training(self):
        adj_t, layer = matrix(EDGES, WEIGHTS, "csr"), SNLConv(3, 2).double()
        x = torch.randn(NODES, 3, dtype=torch.float64, requires_grad=True)
        with torch.inference_mode():
            expected = layer(x, adj_t)
        actual = layer(x, adj_t)
        actual.sum().backward()
        assert_equal(actual, expected.clone())

    def test_an_adjacency_of_inference_mode_is_read_anew(self):
        layer = SNLConv(3, 2).double()
        x = torch.randn(NODES, 3, dtype=torch.float64)
        with torch.inference_mode():
            adj_t = matrix(EDGES, WEIGHTS, "csr")
            first = layer(x, adj_t)
            adj_t.values().mul_(torch.linspace(1, 2, adj_t.values().numel()))
            assert not torch.equal(layer(x, adj_t), first)


class TestEdgeIndex:
    @pytest.mark.parametrize("flow", ["source_to_target", "target_to_source"])
    @pytest.mark.parametrize("order", [None, "row", "col"])
    @pytest.mark.parametrize("dtype", [torch.int64, torch.int32])
    def test_gives_the_numbers_of_its_edges(self, dtype, order, flow):
        edge_index = EdgeIndex(EDGES.to(dtype), sparse_size=(NODES, NODES))
        if order is not None:
            edge_index = edge_index.sort_by(order).values
        layer = SNLConv(3, 2, 3, flow=flow).double()
        x = torch.randn(NODES, 3, dtype=torch.float64)
        assert_equal(layer(x, edge_index), layer(x, EDGES))
        assert edge_index.sort_order == order  # its metadata stays
        assert edge_index.sparse_size() == (NODES, NODES)

    @pytest.mark.parametrize("flow", ["source_to_target", "target_to_source"])
    def test_undirected_and_without_weights_sends_one_round_a_power(self, flow):
        layer = SNLConv(3, 2, 3, flow=flow).double()
        rounds = []
        layer.register_propagate_forward_hook(lambda *_: rounds.append(1))
        x = torch.randn(NODES, 3, dtype=torch.float64, requires_grad=True)
        known = layer(x, EdgeIndex(UNDIRECTED, is_undirected=True, sparse_size=(NODES, NODES)))
        assert len(rounds) == 2
        unknown = layer(x, UNDIRECTED)
        assert len(rounds) == 2 + 4
        assert_equal(known, unknown)
        for mine, theirs in zip(gradients(known, [x]), gradients(unknown, [x]), strict=True):
            assert_equal(mine, theirs)

    def test_undirected_edges_of_unequal_weights_are_symmetrised(self):
        layer = SNLConv(3, 2, 3).double()
        x = torch.randn(NODES, 3, dtype=torch.float64)
        edge_index = EdgeIndex(UNDIRECTED, is_undirected=True, sparse_size=(NODES, NODES))
        assert_equal(layer(x, edge_index, WEIGHTS), layer(x, UNDIRECTED, WEIGHTS))
