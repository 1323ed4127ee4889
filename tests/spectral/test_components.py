"""Components and two-colourings against networkx."""

import networkx as nx
import numpy as np
import pytest
import torch

from snl_graph import affinity
from snl_graph.operators import DenseOperator
from snl_graph.spectral.components import structure_of
from snl_graph.spectral.graph import OneGraph
from snl_graph.spectral.sources import as_operators

looped = nx.path_graph(4)
looped.add_edge(2, 2)
lone_loop = nx.Graph([(0, 0)])

GRAPHS = {
    "karate": nx.karate_club_graph(),
    "davis": nx.davis_southern_women_graph(),
    "one node": nx.empty_graph(1),
    "lone loop": lone_loop,
    "isolated nodes": nx.empty_graph(5),
    "even cycle": nx.cycle_graph(8),
    "odd cycle": nx.cycle_graph(9),
    "looped path": looped,
    "many": nx.disjoint_union_all(
        [nx.cycle_graph(5), nx.star_graph(4), nx.empty_graph(2), looped, nx.hypercube_graph(3)]
    ),
    "sparse": nx.gnm_random_graph(80, 50, seed=0),
}


def assert_structure(structure, graph):
    nodes = list(graph)
    parts = [set(part) for part in nx.connected_components(graph)]
    assert structure.components == len(parts)
    for part in parts:
        places = [nodes.index(node) for node in part]
        (label,) = set(structure.label[places].tolist())
        assert structure.is_bipartite[label] == nx.is_bipartite(graph.subgraph(part))
        has_edges = graph.subgraph(part).number_of_edges() > 0
        assert structure.has_edges[label] == has_edges
        assert set(structure.is_isolated[places].tolist()) == {not has_edges}
        if structure.is_bipartite[label]:
            for i, j in graph.subgraph(part).edges:
                assert structure.colour[nodes.index(i)] == -structure.colour[nodes.index(j)]


@pytest.mark.parametrize("name", GRAPHS)
def test_structure_is_that_of_networkx(name):
    assert_structure(structure_of(OneGraph(as_operators(GRAPHS[name]))), GRAPHS[name])
    # In no order that the search could have relied on, and as a matrix.
    shuffled = np.random.default_rng(0).permutation(len(GRAPHS[name])).tolist()
    relabelled = nx.Graph()
    relabelled.add_nodes_from(shuffled)
    mapping = dict(zip(GRAPHS[name], shuffled, strict=True))
    relabelled.add_edges_from((mapping[i], mapping[j]) for i, j in GRAPHS[name].edges)
    matrix = torch.from_numpy(nx.to_numpy_array(relabelled))
    assert_structure(structure_of(OneGraph(DenseOperator(matrix))), relabelled)


@pytest.mark.parametrize("name", GRAPHS)
def test_a_search_by_products_finds_the_same(name, monkeypatch):
    graph = OneGraph(as_operators(GRAPHS[name]))
    monkeypatch.setattr(OneGraph, "sparse", None)
    assert_structure(structure_of(graph), GRAPHS[name])


def test_edges_of_any_direction_join():
    ring = torch.roll(torch.eye(6), 1, 1)
    structure = structure_of(OneGraph(DenseOperator(ring)))
    assert structure.components == 1
    assert structure.is_bipartite.all()


def test_factors_join_nodes_that_share_a_channel():
    phi = torch.zeros(6, 3)
    psi = torch.zeros(6, 3)
    phi[[0, 1], 0] = 1  # {0, 1} with {2}: a star, bipartite
    psi[2, 0] = 1
    phi[[3, 4], 1] = psi[[3, 4], 1] = 1  # {3, 4}: self-loops
    phi[5, 2] = 1  # no partner: isolated
    a = affinity(phi, psi, representation="factored")
    structure = structure_of(OneGraph(a))
    joined = nx.Graph([(0, 2), (1, 2), (3, 3), (3, 4), (4, 4)])
    graph = nx.empty_graph(6)
    graph.add_edges_from(joined.edges)
    assert_structure(structure, graph)
