"""The graph study: the graphs are what the page says, and runs of one seed are paired."""

from pathlib import Path

import pytest
import torch
from torch_geometric.utils import contains_self_loops, is_undirected

from models.studies.graph_sets import CLASSES, DEGREE, GRAPHS, NODES_PER_CLASS
from models.studies.graphs import GRAPH_STUDY, LAYERS, TwoLayers, labelled


def homophily(graph):
    source, target = graph.edge_index
    return float((graph.y[source] == graph.y[target]).float().mean())


@pytest.mark.parametrize(
    ("name", "nodes", "edges", "classes", "inside"),
    [
        ("karate", 34, 78, 2, 0.86),
        ("les_miserables", 77, 254, 5, 0.83),
        ("southern_women", 32, 89, 2, 0.0),
    ],
)
def test_graphs_of_networkx_are_as_published(name, nodes, edges, classes, inside):
    graph = GRAPHS[name](0)
    assert graph.num_nodes == nodes
    assert graph.num_edges == 2 * edges
    assert graph.y.unique().tolist() == list(range(classes))
    assert round(homophily(graph), 2) == inside
    assert torch.equal(graph.x, torch.eye(nodes))


@pytest.mark.parametrize("share", [0.05, 0.25, 0.5])
def test_block_models_have_their_share_of_edges_inside_the_classes(share):
    graphs = [GRAPHS[f"block_model_{share}"](seed) for seed in range(3)]
    edges = CLASSES * NODES_PER_CLASS * DEGREE / 2
    for graph in graphs:
        assert graph.num_nodes == CLASSES * NODES_PER_CLASS
        assert abs(graph.num_edges / 2 - edges) < 5 * edges**0.5
        spread = (share * (1 - share) / edges) ** 0.5
        assert abs(homophily(graph) - share) < 5 * spread + 0.01  # the exact share is of pairs
    assert not torch.equal(graphs[0].x, graphs[1].x)
    again = GRAPHS[f"block_model_{share}"](1)
    assert torch.equal(graphs[1].x, again.x)
    assert torch.equal(graphs[1].edge_index, again.edge_index)


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_are_undirected_and_without_loops(name):
    graph = GRAPHS[name](0)
    assert is_undirected(graph.edge_index, num_nodes=graph.num_nodes)
    assert not contains_self_loops(graph.edge_index)


def test_so_many_nodes_of_each_class_are_labelled():
    classes = GRAPHS["les_miserables"](0).y
    mask = labelled(classes, 3, seed=1)
    assert torch.bincount(classes[mask]).tolist() == [3] * 5
    assert torch.equal(mask, labelled(classes, 3, seed=1))
    assert not torch.equal(mask, labelled(classes, 3, seed=2))


@pytest.mark.parametrize("layer", LAYERS)
def test_which_layers_see_the_edges(layer):
    torch.manual_seed(0)
    graph = GRAPHS["karate"](0)
    model = TwoLayers(layer, 34, 2).eval()
    without = graph.edge_index[:, :0]
    changed = not torch.allclose(model(graph.x, graph.edge_index), model(graph.x, without))
    assert changed == (layer not in ("no graph", "SNLConv, K=2, dot, all pairs"))


def test_every_layer_is_tried_on_every_graph_with_the_same_labels():
    for graph, rows in GRAPH_STUDY.trials.items():
        assert rows.keys() == LAYERS.keys()
        assert len({trial.per_class for trial in rows.values()}) == 1
        assert {(trial.graph, trial.layer) for trial in rows.values()} == {
            (graph, layer) for layer in LAYERS
        }


def test_a_run_learns_and_is_repeatable():
    trial = GRAPH_STUDY.trials["karate"]["SNLConv, K=3"]
    first = trial.run(0, Path("nowhere"))
    torch.manual_seed(50)
    assert trial.run(0, Path("nowhere")) == first
    assert first.accuracy > 0.8
    assert first.parameters == sum(p.numel() for p in TwoLayers("SNLConv, K=3", 34, 2).parameters())
    assert first.train_loss < 0.3
