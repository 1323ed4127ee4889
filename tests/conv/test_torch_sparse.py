"""The package torch-sparse: PyG's sampler that is compiled in it, and the matrix it brings.

It is built from source, so most of this is skipped where it was not (docs/torch-scatter.md).
"""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch_geometric import typing
from torch_geometric.data import Data
from torch_geometric.loader import NeighborLoader
from torch_geometric.transforms import ToSparseTensor
from torch_geometric.utils import stochastic_blockmodel_graph, to_undirected

from snl_graph import SNLConv, SNLNet, spectrum
from snl_graph.conv import sparse_tensor
from tests.conv.formulas import EDGES, NODES, UNDIRECTED, WEIGHTS, circle, gradients
from tests.tolerances import assert_equal

pytestmark = [
    pytest.mark.filterwarnings("ignore:Sparse"),
    pytest.mark.filterwarnings("ignore:Using 'NeighborSampler' without a 'pyg-lib'"),
]
samples = pytest.mark.skipif(
    not (typing.WITH_PYG_LIB or typing.WITH_TORCH_SPARSE),
    reason="NeighborLoader's own sampler needs pyg-lib or torch-sparse: neither is here",
)
needs_torch_sparse = pytest.mark.skipif(
    not typing.WITH_TORCH_SPARSE, reason="torch-sparse is not here"
)


# The sampler -------------------------------------------------------------------------------------


def communities() -> Data:
    """Three communities of 80 nodes; the features of a node hardly tell which, its place does."""
    torch.manual_seed(0)
    within, between = 0.12, 0.01
    probabilities = torch.full((3, 3), between) + (within - between) * torch.eye(3)
    y = torch.arange(3).repeat_interleave(80)
    edge_index = stochastic_blockmodel_graph([80, 80, 80], probabilities)
    x = F.one_hot(y).float() + 1.5 * torch.randn(240, 3)
    is_train = torch.rand(240) < 0.4
    return Data(x=x, edge_index=edge_index, y=y, is_train=is_train)


@samples
@pytest.mark.parametrize(
    ("normalization", "subgraph_type"), [("sym", "bidirectional"), ("rw", "directional")]
)
def test_a_network_learns_from_sampled_neighbours_what_features_alone_do_not_tell(
    normalization: str, subgraph_type: str
) -> None:
    data = communities()
    net = SNLNet(3, 16, 2, 3, K=2, normalization=normalization, dropout=0.2)
    assert net.num_hops == 2
    seeds = torch.Generator().manual_seed(0)
    loader = NeighborLoader(
        data,
        [8, 8],
        input_nodes=data.is_train,
        subgraph_type=subgraph_type,
        batch_size=32,
        shuffle=True,
        generator=seeds,
    )
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    for _ in range(15):
        for batch in loader:
            assert batch.num_nodes < data.num_nodes or batch.num_edges < data.num_edges
            optimizer.zero_grad()
            out = net(batch.x, batch.edge_index)[: batch.batch_size]
            F.cross_entropy(out, batch.y[: batch.batch_size]).backward()
            optimizer.step()

    net.eval()
    whole = NeighborLoader(data, [-1, -1], subgraph_type=subgraph_type, batch_size=50)
    out = net.inference(whole)
    assert_equal(out, net(data.x, data.edge_index))
    held_out = ~data.is_train
    by_features = (data.x.argmax(1) == data.y)[held_out].float().mean()
    found = (out.argmax(1) == data.y)[held_out].float().mean()
    assert by_features < 0.7
    assert found > 0.85


@samples
def test_directed_samples_are_refused_under_sym_and_every_remedy_works() -> None:
    data = circle(weighted=True)
    net = SNLNet(4, 5, 2, 2).double()
    batch = next(iter(NeighborLoader(data, [-1, -1], batch_size=3)))
    with pytest.raises(ValueError, match=r"2 of 12 edges.*one direction.*bidirectional.*rw"):
        net(batch.x, batch.edge_index, batch.edge_weight)
    with pytest.raises(ValueError, match='subgraph_type="bidirectional"'):
        net.eval().inference(NeighborLoader(data, [-1, -1], batch_size=3))

    for subgraph_type in ("bidirectional", "induced"):
        loader = NeighborLoader(data, [-1, -1], subgraph_type=subgraph_type, batch_size=3)
        both = next(iter(loader))
        net(both.x, both.edge_index, both.edge_weight)
        expected = net(data.x, data.edge_index, data.edge_weight)
        assert_equal(net.inference(loader), expected)  # of weighted edges
    net(batch.x, *to_undirected(batch.edge_index, batch.edge_weight, reduce="max"))
    by_rows = SNLNet(4, 5, 2, 2, normalization="rw").double()
    by_rows(batch.x, batch.edge_index, batch.edge_weight)


@samples
@pytest.mark.parametrize("subgraph_type", ["bidirectional", "directional"])
def test_inference_on_samples_equals_the_full_graph(subgraph_type: str) -> None:
    data = circle()
    normalization, hops = ("rw", 2) if subgraph_type == "directional" else ("sym", 3)
    net = SNLNet(4, 5, 2, 2, K=3, normalization=normalization).double().eval()
    loader = NeighborLoader(data, [-1] * hops, subgraph_type=subgraph_type, batch_size=3)
    assert_equal(net.inference(loader), net(data.x, data.edge_index))


# The matrix --------------------------------------------------------------------------------------


class PlainSparseTensor:
    """What of ``torch_sparse.SparseTensor`` is used, for where the package is not installed."""

    def __init__(self, row: Tensor, col: Tensor, value: Tensor, sparse_sizes: tuple[int, int]):
        self.coo = torch.sparse_coo_tensor(torch.stack([row, col]), value, sparse_sizes)

    def to_torch_sparse_coo_tensor(self) -> Tensor:
        return self.coo


@pytest.fixture(params=["plain", "torch_sparse"])
def matrix_class(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> type:
    if request.param == "torch_sparse":
        return pytest.importorskip("torch_sparse").SparseTensor
    monkeypatch.setattr(sparse_tensor, "SparseTensor", PlainSparseTensor)
    return PlainSparseTensor


@pytest.mark.parametrize("kernel", [None, "dot"])
@pytest.mark.parametrize("normalization", ["sym", "rw", "none"])
def test_a_sparse_tensor_gives_what_its_edges_give(
    matrix_class: type, normalization: str, kernel: str | None
) -> None:
    layer = SNLConv(3, 2, 3, normalization=normalization, kernel=kernel).double()
    x = torch.randn(NODES, 3, dtype=torch.float64, requires_grad=True)
    weight = WEIGHTS.clone().requires_grad_()
    inputs = [x, weight, *layer.parameters()]
    source, target = EDGES
    adj_t = matrix_class(row=target, col=source, value=weight, sparse_sizes=(NODES, NODES))
    actual, expected = layer(x, adj_t), layer(x, EDGES, weight)
    assert_equal(actual, expected)
    for mine, theirs in zip(gradients(actual, inputs), gradients(expected, inputs), strict=True):
        assert_equal(mine, theirs)


def test_a_network_takes_a_sparse_tensor_and_refuses_one_of_directed_edges(
    matrix_class: type,
) -> None:
    net, x = SNLNet(4, 5, 2), torch.randn(NODES, 4)
    for edges in (UNDIRECTED, UNDIRECTED[:, 1:]):
        ones = torch.ones(edges.shape[1])
        adj_t = matrix_class(row=edges[1], col=edges[0], value=ones, sparse_sizes=(NODES, NODES))
        if edges is UNDIRECTED:
            assert_equal(net(x, adj_t), net(x, edges))
        else:
            with pytest.raises(ValueError, match="1 of 8 edges are listed in one direction only"):
                net(x, adj_t)


@needs_torch_sparse
@pytest.mark.parametrize("is_weighted", [False, True])
def test_the_transform_of_pyg_and_its_loader_work(is_weighted: bool) -> None:
    data = circle(weighted=is_weighted)
    net = SNLNet(4, 5, 2, 2).double().eval()
    expected = net(data.x, data.edge_index, data.edge_weight if is_weighted else None)
    sparse = ToSparseTensor(attr="edge_weight")(data.clone())
    assert "edge_index" not in sparse
    assert type(sparse.adj_t).__module__.startswith("torch_sparse")
    assert_equal(net(sparse.x, sparse.adj_t), expected)

    loader = NeighborLoader(sparse, [-1, -1], subgraph_type="bidirectional", batch_size=3)
    batch = next(iter(loader))
    out = net(batch.x, batch.adj_t)
    listed = torch.stack(batch.adj_t.coo()[1::-1])
    assert_equal(out, net(batch.x, listed, batch.adj_t.storage.value()))
    assert_equal(net.inference(loader), expected)
    assert_equal(net.inference(loader, device="cpu", cache=True), expected)


@needs_torch_sparse
def test_its_spectrum_is_that_of_its_edges() -> None:
    data = circle(weighted=True)
    sparse = ToSparseTensor(attr="edge_weight")(data.clone())
    layer = SNLConv(4, 2, kernel="gaussian").double()
    expected = spectrum(data)
    of_layer = spectrum((layer, data.x, data.edge_index, data.edge_weight))
    for graph in (sparse, sparse.adj_t):
        assert_equal(spectrum(graph).eigenvalues, expected.eigenvalues)
    assert_equal(spectrum((layer, sparse.x, sparse.adj_t)).eigenvalues, of_layer.eigenvalues)
