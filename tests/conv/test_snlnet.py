"""``SNLNet`` against its formula, and in PyG's own loops: training, sampling, explaining."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric import EdgeIndex
from torch_geometric.data import Batch, Data
from torch_geometric.datasets import ExplainerDataset, KarateClub
from torch_geometric.explain import CaptumExplainer, Explainer, GNNExplainer
from torch_geometric.loader import DataLoader, NeighborLoader, RandomNodeLoader
from torch_geometric.nn import PairNorm, global_add_pool, to_hetero
from torch_geometric.nn.models.basic_gnn import BasicGNN
from torch_geometric.sampler import NeighborSampler, SamplerOutput
from torch_geometric.utils import to_undirected

from snl_graph import SNLNet, value_checks
from snl_graph.filters import Cayley
from tests import oracles
from tests.conv.formulas import EDGES, NODES, UNDIRECTED, circle, polynomials
from tests.tolerances import assert_equal

HEAVY = torch.tensor([0.5, 0.5, 2.0, 2.0, 1.5, 1.5, 3.0, 0.6, 0.6], dtype=torch.float64)
"""Weights of ``UNDIRECTED``, the same both ways."""


def adjacency(edge_index: Tensor, weight: Tensor, count: int = NODES) -> Tensor:
    m = torch.zeros(count, count, dtype=torch.float64)
    return m.index_put((edge_index[1], edge_index[0]), weight, accumulate=True)


def written_out(net: SNLNet, x: Tensor, m: Tensor, normalization: str) -> Tensor:
    """The network in evaluation mode, of matrices: ReLU between layers, ``jk`` by hand."""
    a, hidden = oracles.normalized(m, normalization), []
    for layer, conv in enumerate(net.convs):
        taps = zip(polynomials(a, len(conv.lins), "monomial"), conv.lins, strict=True)
        x = sum(term @ x @ lin.weight.T for term, lin in taps) + conv.bias
        if layer < len(net.convs) - 1 or net.jk_mode is not None:
            x = x.relu()
        hidden.append(x)
    match net.jk_mode:
        case None:
            return x
        case "cat":
            x = torch.cat(hidden, -1)
        case "max":
            x = torch.stack(hidden).amax(0)
    return x @ net.lin.weight.T + net.lin.bias


@pytest.mark.parametrize("jk", [None, "last", "cat", "max"])
@pytest.mark.parametrize("normalization", ["sym", "rw", "none"])
def test_values_and_gradients_are_those_of_the_formula(normalization: str, jk: str | None) -> None:
    net = SNLNet(4, 5, 3, 2, K=3, normalization=normalization, dropout=0.5, jk=jk).double().eval()
    x = torch.randn(NODES, 4, dtype=torch.float64, requires_grad=True)
    m = adjacency(UNDIRECTED, HEAVY)
    out, expected = net(x, UNDIRECTED, HEAVY), written_out(net, x, m, normalization)
    assert_equal(out, expected)
    leaves = [x, *net.parameters()]
    found = torch.autograd.grad(out.square().sum(), leaves)
    for grad, wanted in zip(
        found, torch.autograd.grad(expected.square().sum(), leaves), strict=True
    ):
        assert_equal(grad, wanted, 1e-9)


def test_it_is_a_model_of_pyg_with_its_options() -> None:
    net = SNLNet(4, 8, 2, 3, dropout=0.5, act="elu", act_first=True, norm="graph_norm", jk="lstm")
    assert isinstance(net, BasicGNN)
    assert str(net) == "SNLNet(4, 3, num_layers=2)"
    batch = torch.tensor([0, 0, 0, 1, 1, 1, 1])
    out = net(torch.randn(NODES, 4), UNDIRECTED, batch=batch)
    assert out.shape == (NODES, 3)
    before = net.convs[0].lins[0].weight.clone()
    net.reset_parameters()
    assert not torch.equal(before, net.convs[0].lins[0].weight)


@pytest.mark.parametrize(
    "options",
    [{"kernel": "double_softmax"}, {"basis": "chebyshev", "lambda_max": "estimate"}],
    ids=["kernel", "lambda_max"],
)
def test_graphs_of_a_batch_do_not_mix(options: dict[str, str]) -> None:
    net = SNLNet(4, 6, 2, **options).double()
    graphs = [
        Data(x=torch.randn(n, 4).double(), edge_index=to_undirected(edges))
        for n, edges in ((7, UNDIRECTED), (3, torch.tensor([[0, 1], [1, 2]])))
    ]
    together = Batch.from_data_list(graphs)
    alone = torch.cat([net(graph.x, graph.edge_index) for graph in graphs])
    assert_equal(net(together.x, together.edge_index, batch=together.batch), alone, 1e-6)


def test_layers_have_weights_of_their_own_also_where_a_filter_object_came() -> None:
    net = SNLNet(4, 8, 3, filter=Cayley(2), kernel="dot", kernel_channels=6, heads=2)
    filters = [conv.filter for conv in net.convs]
    assert len({id(filter) for filter in filters}) == 3
    assert [conv.phi.weight.shape for conv in net.convs] == [(6, 4), (6, 8), (6, 8)]
    assert net.num_hops == sum(filter.order for filter in filters)


def test_features_of_edges_are_refused_and_not_ignored() -> None:
    with pytest.raises(ValueError, match="Pass edge_weight"):
        SNLNet(4, 8, 2)(torch.randn(NODES, 4), UNDIRECTED, edge_attr=torch.randn(9, 2))


@pytest.mark.parametrize("norm", ["PairNorm", "pair_norm", "GraphSizeNorm", "MeanSubtraction"])
def test_a_norm_without_channels_comes_as_an_object(norm: str) -> None:
    with pytest.raises(ValueError, match="has no number of channels"):
        SNLNet(4, 8, 3, norm=norm)
    net = SNLNet(4, 8, 3, norm=PairNorm())
    assert [layer.scale for layer in net.norms[:2]] == [1, 1]


def test_to_hetero_gives_each_kind_of_edge_layers_of_its_own() -> None:
    kinds = [("author", "writes", "paper"), ("paper", "written by", "author")]
    net = SNLNet((-1, -1), 8, 1, 3, normalization="rw")
    net = to_hetero(net, (["author", "paper"], kinds)).double()
    x = {"author": torch.randn(4, 5).double(), "paper": torch.randn(3, 2).double()}
    writes = torch.tensor([[0, 1, 2, 2], [0, 0, 1, 2]])
    out = net(x, {kinds[0]: writes, kinds[1]: writes.flip(0)})
    conv = net.convs[0]["author__writes__paper"]
    m = torch.zeros(3, 4, dtype=torch.float64)
    m[writes[1], writes[0]] = 1
    means = m @ x["author"] / m.sum(1, keepdim=True)
    first, second = conv.lins
    assert_equal(out["paper"], x["paper"] @ first.weight.T + means @ second.weight.T + conv.bias)


@pytest.mark.compiled
def test_it_compiles_without_a_graph_break_and_exports() -> None:
    net = SNLNet(4, 8, 2, 3, K=3, norm="batch", jk="cat").double().eval()
    x = torch.randn(NODES, 4, dtype=torch.float64)
    expected = net(x, UNDIRECTED)
    assert_equal(torch.compile(net, backend="eager", fullgraph=True)(x, UNDIRECTED), expected)
    assert_equal(torch.export.export(net, (x, UNDIRECTED)).module()(x, UNDIRECTED), expected)


# PyG's training loops ----------------------------------------------------------------------------


def test_it_learns_the_karate_club_in_the_loop_of_pygs_example() -> None:
    data = KarateClub()[0]
    net = SNLNet(data.num_features, 16, 2, 4, filter="heat", K=1, dropout=0.5)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01, weight_decay=5e-4)
    for _ in range(80):
        net.train()
        optimizer.zero_grad()
        out = net(data.x, data.edge_index)
        F.cross_entropy(out[data.train_mask], data.y[data.train_mask]).backward()
        optimizer.step()
    net.eval()
    predicted = net(data.x, data.edge_index).argmax(-1)
    unseen = ~data.train_mask  # one member of each of the four groups is labelled
    assert (predicted == data.y)[unseen].float().mean() > 0.7


def test_it_classifies_graphs_in_mini_batches() -> None:
    def ring(n: int, label: int) -> Data:
        nodes = torch.arange(n)
        edges = torch.stack([nodes, (nodes + 1) % n])[:, : n - label]  # label 1: cut open
        return Data(x=torch.ones(n, 1), edge_index=to_undirected(edges, num_nodes=n), y=label)

    loader = DataLoader([ring(n, n % 2) for n in range(4, 24)], batch_size=10)
    net = SNLNet(1, 8, 2, 8, K=3, normalization="none", jk="cat")
    head = nn.Linear(8, 2)
    optimizer = torch.optim.Adam([*net.parameters(), *head.parameters()], lr=0.02)
    losses = []
    for _ in range(30):
        for data in loader:
            hidden = net(data.x, data.edge_index, batch=data.batch, batch_size=data.num_graphs)
            pooled = global_add_pool(hidden, data.batch) / data.ptr.diff().unsqueeze(-1)
            loss = F.cross_entropy(head(pooled), data.y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert sum(losses[-4:]) < 0.7 * sum(losses[:4])


# Sampled subgraphs -------------------------------------------------------------------------------


class PlainSampler(NeighborSampler):
    """PyG's sampler of whole neighbourhoods without its compiled extension, a node at a time."""

    def _sample(self, seed: Tensor, seed_time: Tensor | None = None, **kwargs) -> SamplerOutput:
        nodes, rows, columns, edges = seed.tolist(), [], [], []
        counts, lengths, start = [len(nodes)], [], 0
        for _ in range(self.num_neighbors.num_hops):
            frontier, start, known = range(start, len(nodes)), len(nodes), len(edges)
            for local in frontier:
                first, last = self.colptr[nodes[local]], self.colptr[nodes[local] + 1]
                for edge in range(int(first), int(last)):
                    source = int(self.row[edge])
                    if source not in nodes:
                        nodes.append(source)
                    rows.append(nodes.index(source))
                    columns.append(local)
                    edges.append(edge)
            counts.append(len(nodes) - start)
            lengths.append(len(edges) - known)
        found = (torch.tensor(list(numbers)) for numbers in (nodes, rows, columns, edges))
        return SamplerOutput(
            *found, batch=None, num_sampled_nodes=counts, num_sampled_edges=lengths
        )


def sampled(data: Data, hops: int, subgraph_type: str = "directional", **options) -> NeighborLoader:
    sampler = PlainSampler(data, [-1] * hops, subgraph_type=subgraph_type)
    options = {"batch_size": 3, **options}
    return NeighborLoader(data, [-1] * hops, neighbor_sampler=sampler, **options)


sampling = pytest.mark.filterwarnings("ignore:Using 'PlainSampler' without a 'pyg-lib'")


@sampling
def test_a_sampled_graph_is_refused_under_sym_and_every_remedy_works() -> None:
    data = circle()
    net = SNLNet(4, 5, 2, 2).double()
    batch = next(iter(sampled(data, 2)))
    with pytest.raises(ValueError, match=r"edges are listed in one direction.*bidirectional.*rw"):
        net(batch.x, batch.edge_index)
    adj_t = torch.sparse_coo_tensor(
        batch.edge_index.flip(0),
        torch.ones(batch.num_edges).double(),
        (batch.num_nodes,) * 2,
        check_invariants=True,
    )
    with pytest.raises(ValueError, match="edges are listed in one direction"):
        net(batch.x, adj_t)

    both = next(iter(sampled(data, 2, "bidirectional")))
    net(both.x, both.edge_index)
    for part in RandomNodeLoader(data, num_parts=3):
        net(part.x, part.edge_index)
    net(batch.x, to_undirected(batch.edge_index))
    SNLNet(4, 5, 2, 2, normalization="rw").double()(batch.x, batch.edge_index)


def test_a_graph_is_looked_at_once_until_it_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    from snl_graph.nets import undirected

    seen = []
    count = undirected.one_way_edges
    monkeypatch.setattr(
        undirected, "one_way_edges", lambda *graph: seen.append(graph) or count(*graph)
    )
    net, edges, x = SNLNet(4, 5, 2), UNDIRECTED.clone(), torch.randn(NODES, 4)
    for _ in range(3):
        net(x, edges)
    assert len(seen) == 1
    edges[0, 0] = 3
    with pytest.raises(ValueError, match="2 of 9 edges"):
        net(x, edges)
    net(x, EdgeIndex(UNDIRECTED, is_undirected=True, sparse_size=(NODES, NODES)))
    assert len(seen) == 2  # an EdgeIndex that is declared undirected says so itself


def test_on_other_devices_the_graph_is_looked_at_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    from snl_graph import checks

    monkeypatch.setattr(checks, "are_free", lambda tensor: checks.are_requested())
    net, x = SNLNet(4, 5, 2), torch.randn(NODES, 4)
    net(x, EDGES)
    with value_checks(), pytest.raises(ValueError, match="one direction only"):
        net(x, EDGES)


@sampling
@pytest.mark.parametrize("jk", [None, "cat"])
@pytest.mark.parametrize(
    ("options", "hops", "subgraph_type"),
    [
        ({"K": 3}, 3, "bidirectional"),
        ({"K": 2, "kernel": "embedded_gaussian"}, 2, "bidirectional"),
        ({"K": 3, "normalization": "rw"}, 2, "directional"),
        ({"K": 2, "normalization": "rw", "kernel": "dot"}, 1, "directional"),
        ({"filter": "heat", "normalization": "none", "K": 2}, None, "directional"),
    ],
    ids=["sym", "sym kernel", "rw", "rw kernel", "heat"],
)
def test_inference_layer_by_layer_equals_the_full_graph(
    options: dict[str, object], hops: int | None, subgraph_type: str, jk: str | None
) -> None:
    data = circle(weighted=True)
    net = SNLNet(4, 5, 2, 3, norm="batch_norm", dropout=0.5, jk=jk, **options).double()
    net(data.x, data.edge_index, data.edge_weight)  # running statistics
    net.eval()
    loader = sampled(data, hops or net.num_hops // 2, subgraph_type, shuffle=True)
    expected = net(data.x, data.edge_index, data.edge_weight)
    assert_equal(net.inference(loader), expected)
    assert_equal(net.inference(loader, device="cpu", cache=True, progress_bar=True), expected)


@sampling
@pytest.mark.parametrize(
    ("options", "loader", "remedy"),
    [
        ({}, {"hops": 1, "subgraph_type": "bidirectional"}, r"\[-1\] \* 2, subgraph_type="),
        ({}, {"hops": 2}, 'subgraph_type="bidirectional"'),
        ({"K": 4, "normalization": "rw"}, {"hops": 2}, r"\[-1\] \* 3, \.\.\."),
        ({"normalization": "rw"}, {"hops": 1, "input_nodes": torch.arange(4)}, "visits 4 of them"),
        ({"normalization": "rw"}, {"hops": 1, "drop_last": True}, "drop_last out"),
    ],
    ids=["too few hops", "directed", "too few hops for K", "some nodes", "drops some"],
)
def test_inference_refuses_a_loader_that_gives_other_numbers(
    options: dict[str, object], loader: dict[str, object], remedy: str
) -> None:
    net = SNLNet(4, 5, 2, **options).double().eval()
    with pytest.raises(ValueError, match=remedy):
        net.inference(sampled(circle(), **loader))


@sampling
def test_inference_refuses_what_is_not_for_it() -> None:
    net = SNLNet(4, 5, 2, normalization="rw").double()
    with pytest.raises(ValueError, match=r"net\.eval\(\)"):
        net.inference(sampled(circle(), 1))
    with pytest.raises(TypeError, match="got list"):
        net.eval().inference([])
    estimating = SNLNet(4, 5, 2, basis="chebyshev", lambda_max="estimate").double().eval()
    with pytest.raises(ValueError, match="Pass a number"):
        estimating.inference(sampled(circle(), 2, "bidirectional"))


@sampling
def test_trimming_leaves_the_seeds_as_they_are() -> None:
    net = SNLNet(4, 5, 3, 2, normalization="rw").double()
    data = next(iter(sampled(circle(weighted=True), 3)))
    whole = net(data.x, data.edge_index, data.edge_weight)
    counts = {
        "num_sampled_nodes_per_hop": data.num_sampled_nodes,
        "num_sampled_edges_per_hop": data.num_sampled_edges,
    }
    trimmed = net(data.x, data.edge_index, data.edge_weight, **counts)
    assert len(trimmed) < len(whole)
    assert_equal(trimmed[: data.batch_size], whole[: data.batch_size])
    for options in ({}, {"K": 3, "normalization": "rw"}):
        with pytest.raises(ValueError, match=r"Leave num_sampled_\* out"):
            SNLNet(4, 5, 3, **options).double()(data.x, data.edge_index, **counts)


# Explanations ------------------------------------------------------------------------------------


def trained_on_houses() -> tuple[SNLNet, Data]:
    """PyG's data set for explainers: houses hung on a random graph, roles in them to be told."""
    from torch_geometric.datasets.graph_generator import BAGraph

    data = ExplainerDataset(BAGraph(20, 2), motif_generator="house", num_motifs=4)[0]
    data.x = torch.ones(data.num_nodes, 1)
    net = SNLNet(1, 16, 2, 4, K=3, normalization="none", act="tanh")
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    degrees = data.edge_index[1].bincount(minlength=data.num_nodes)
    data.edge_weight = (degrees[data.edge_index[0]] * degrees[data.edge_index[1]]).float() ** -0.5
    for _ in range(150):
        optimizer.zero_grad()
        F.cross_entropy(net(data.x, data.edge_index, data.edge_weight), data.y).backward()
        optimizer.step()
    return net.eval(), data


def houses(data: Data) -> list[int]:
    """The nodes of all houses, the first house first."""
    return (data.y > 0).nonzero().flatten().tolist()


def explain(net: SNLNet, algorithm: object, data: Data, node_mask: str | None, node: int) -> object:
    explainer = Explainer(
        net,
        algorithm,
        explanation_type="model",
        node_mask_type=node_mask,
        edge_mask_type="object",
        model_config={
            "mode": "multiclass_classification",
            "task_level": "node",
            "return_type": "raw",
        },
    )
    return explainer(data.x, data.edge_index, edge_weight=data.edge_weight, index=node)


def test_gnn_explainer_finds_the_houses() -> None:
    # The masks of one node are noise to a good part; those of all twenty are not.
    net, data = trained_on_houses()
    in_a_house, inside, outside = data.edge_mask.bool(), [], []
    for node in houses(data):
        explanation = explain(net, GNNExplainer(epochs=60), data, "attributes", node)
        assert explanation.validate(raise_on_error=True)
        assert explanation.edge_mask.shape == (data.num_edges,)
        reached = explanation.edge_mask > 0
        inside.append(explanation.edge_mask[reached & in_a_house])
        outside.append(explanation.edge_mask[reached & ~in_a_house])
    assert torch.cat(inside).mean() > torch.cat(outside).mean()


@pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already require gradients")
@pytest.mark.parametrize("method", ["IntegratedGradients", "Saliency"])
def test_captum_explainer(method: str) -> None:
    data = KarateClub()[0]
    data.edge_weight = torch.ones(data.num_edges)
    net = SNLNet(data.num_features, 8, 2, 4).eval()
    explanation = explain(net, CaptumExplainer(method), data, "attributes", node=33)
    assert explanation.validate(raise_on_error=True)
    assert explanation.edge_mask.abs().max() > 0
    assert explanation.node_mask.abs().max() > 0
