"""PyG's explainers, for real: one message for each of the caller's edges, in their order."""

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.explain import AttentionExplainer, Explainer, GNNExplainer
from torch_geometric.explain.algorithm.utils import clear_masks, set_masks
from torch_geometric.nn import global_add_pool

from snl_graph import SNLConv
from tests.conv.formulas import EDGES, NODES
from tests.tolerances import assert_equal


class Network(nn.Module):
    def __init__(self, level: str, **options) -> None:
        super().__init__()
        self.first, self.second = SNLConv(4, 8, 3, **options), SNLConv(8, 2, **options)
        self.level = level

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor | None = None) -> Tensor:
        hidden = self.second(self.first(x, edge_index).relu(), edge_index)
        return hidden if self.level == "node" else global_add_pool(hidden, batch)


def explain(algorithm, level: str, **options):
    model = Network(level, **options)
    explainer = Explainer(
        model,
        algorithm,
        explanation_type="model",
        node_mask_type="attributes" if isinstance(algorithm, GNNExplainer) else None,
        edge_mask_type="object",
        model_config={
            "mode": "multiclass_classification",
            "task_level": level,
            "return_type": "raw",
        },
    )
    x = torch.randn(NODES, 4)
    call = {"index": 1} if level == "node" else {"batch": torch.zeros(NODES, dtype=torch.long)}
    before = model(x, EDGES, call.get("batch"))
    explanation = explainer(x, EDGES, **call)
    assert torch.equal(model(x, EDGES, call.get("batch")), before)  # nothing is left behind
    return explanation


@pytest.mark.parametrize("level", ["node", "graph"])
@pytest.mark.parametrize(
    "options",
    [{}, {"normalization": "rw"}, {"kernel": "dot"}, {"kernel": "embedded_gaussian", "heads": 2}],
    ids=["given", "rw", "dot", "heads"],
)
def test_gnn_explainer(options, level):
    explanation = explain(GNNExplainer(epochs=5), level, **options)
    assert explanation.validate(raise_on_error=True)
    assert explanation.edge_mask.shape == (EDGES.shape[1],)
    assert explanation.edge_mask.min() >= 0
    assert explanation.edge_mask.max() <= 1
    assert explanation.edge_mask.max() > 0
    assert explanation.node_mask.shape == (NODES, 4)


@pytest.mark.parametrize("level", ["node", "graph"])
@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("normalization", ["sym", "rw"])
def test_attention_explainer(normalization, heads, level):
    options = {"kernel": "dot", "heads": heads, "normalization": normalization}
    explanation = explain(AttentionExplainer(), level, **options)
    assert explanation.validate(raise_on_error=True)
    assert explanation.edge_mask.shape == (EDGES.shape[1],)
    assert explanation.edge_mask.max() > 0


def test_attention_explainer_sees_the_entries_of_the_operator():
    torch.manual_seed(3)
    model = SNLConv(4, 2, kernel="embedded_gaussian", normalization="rw")
    x = torch.randn(NODES, 4)
    explainer = Explainer(
        model,
        AttentionExplainer(),
        explanation_type="model",
        edge_mask_type="object",
        model_config={"mode": "regression", "task_level": "graph", "return_type": "raw"},
    )
    _, (_, alpha) = model(x, EDGES, return_attention_weights=True)
    assert_equal(explainer(x, EDGES).edge_mask, alpha)


@pytest.mark.parametrize("normalization", ["sym", "rw", "none"])
def test_a_mask_takes_the_callers_edge_away_in_both_directions(normalization):
    """An edge with mask 0 carries no message; degrees are those of the whole graph."""
    layer = SNLConv(4, 2, 3, normalization=normalization).double()
    x = torch.randn(NODES, 4, dtype=torch.float64)
    mask = torch.tensor([1, 0, 1, 1, 0, 1, 1, 0, 1], dtype=torch.float64)
    set_masks(layer, mask, EDGES, apply_sigmoid=False)
    masked = layer(x, EDGES)
    clear_masks(layer)
    _, (_, alpha) = layer(x, EDGES, return_attention_weights=True)
    plain = SNLConv(4, 2, 3, normalization="none").double()
    plain.load_state_dict(layer.state_dict())
    keep = mask.bool()
    if normalization == "sym":  # each edge by itself, both ways, with half its weight
        ones = torch.ones(EDGES.shape[1], dtype=torch.float64)
        degree = torch.zeros(NODES, dtype=torch.float64)
        degree = degree.index_add(0, EDGES[0], ones / 2).index_add(0, EDGES[1], ones / 2)
        half = 0.5 / (degree[EDGES[0]] * degree[EDGES[1]]).sqrt()
        edges = torch.cat([EDGES[:, keep], EDGES[:, keep].flip(0)], 1)
        expected = plain(x, edges, half[keep].repeat(2))
    else:
        expected = plain(x, EDGES[:, keep], alpha[keep])
    assert_equal(masked, expected)
    assert not torch.allclose(masked, layer(x, EDGES))


@pytest.mark.filterwarnings("ignore:Sparse")
def test_a_sparse_adjacency_sends_single_messages_while_it_is_explained():
    layer = SNLConv(4, 2, 3).double()
    x = torch.randn(NODES, 4, dtype=torch.float64)
    coo = torch.sparse_coo_tensor(EDGES.flip(0), torch.ones(9).double(), (NODES, NODES)).coalesce()
    adj_t = coo.to_sparse_csr()
    expected = layer(x, adj_t)
    layer.explain = True
    layer._edge_mask, layer._apply_sigmoid = torch.ones(8, dtype=torch.float64), False
    assert_equal(layer(x, adj_t), expected)
    layer._edge_mask = torch.zeros(8, dtype=torch.float64)
    assert not torch.allclose(layer(x, adj_t), expected)


def test_hooks_of_message_passing_see_messages_of_the_callers_edges():
    layer = SNLConv(4, 2, 2, kernel="dot", heads=2)
    seen = []
    layer.register_message_forward_hook(lambda module, args, out: seen.append((args[0], out)))
    layer(torch.randn(NODES, 4), EDGES)
    assert len(seen) == 2  # once in each direction
    for arguments, messages in seen:
        assert arguments["alpha"].shape == (EDGES.shape[1], 2)
        assert messages.shape == (2, EDGES.shape[1], 2)
