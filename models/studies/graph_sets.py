"""Graphs that ship with packages, or that packages generate: nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping

import networkx as nx
import torch
from torch_geometric.data import Data
from torch_geometric.utils import stochastic_blockmodel_graph

NODES_PER_CLASS = 100
CLASSES = 4
DEGREE = 10
FEATURES = 16
SEPARATION = 0.3
"""Standard deviation of the class centres, in that of the noise, for each feature."""


def _named(graph: nx.Graph, labels: Mapping[Hashable, Hashable]) -> Data:
    """A networkx graph without its weights; the features of a node are its identity."""
    nodes = list(graph)
    number = {node: index for index, node in enumerate(nodes)}
    classes = {label: index for index, label in enumerate(sorted(set(labels.values()), key=str))}
    pairs = [(number[a], number[b]) for a, b in graph.edges]
    edges = torch.tensor(pairs + [(b, a) for a, b in pairs]).T
    return Data(
        x=torch.eye(len(nodes)),
        edge_index=edges,
        y=torch.tensor([classes[labels[node]] for node in nodes]),
    )


def karate(seed: int) -> Data:
    """Zachary's karate club: which of the two clubs did each of the 34 members join?"""
    graph = nx.karate_club_graph()
    return _named(graph, nx.get_node_attributes(graph, "club"))


def les_miserables(seed: int) -> Data:
    """77 characters of Les Misérables, joined where they meet; classes are communities.

    networkx has no labels for them: the classes are its greedy communities of highest modularity,
    so they follow from the graph itself.
    """
    graph = nx.les_miserables_graph()
    communities = nx.community.greedy_modularity_communities(graph, weight="weight")
    return _named(graph, {node: i for i, members in enumerate(communities) for node in members})


def southern_women(seed: int) -> Data:
    """18 women and the 14 events they went to (Davis et al.): woman or event? No edge is inside."""
    graph = nx.davis_southern_women_graph()
    return _named(graph, nx.get_node_attributes(graph, "bipartite"))


def block_model(homophily: float) -> Callable[[int], Data]:
    """Contextual stochastic block models, one a seed: features are a class's centre and noise.

    Source: Deshpande et al., Contextual Stochastic Block Models, 2018, with several classes; the
    edges are drawn by PyG.

    Args:
        homophily: Expected share of the edges that join nodes of one class; ¼ says nothing about
            the four classes.
    """

    def draw(seed: int) -> Data:
        torch.manual_seed(seed)
        inside = homophily * DEGREE / NODES_PER_CLASS
        outside = (1 - homophily) * DEGREE / (NODES_PER_CLASS * (CLASSES - 1))
        probabilities = torch.full((CLASSES, CLASSES), outside).fill_diagonal_(inside)
        sizes = torch.full((CLASSES,), NODES_PER_CLASS)
        classes = torch.arange(CLASSES).repeat_interleave(NODES_PER_CLASS)
        centres = SEPARATION * torch.randn(CLASSES, FEATURES)
        return Data(
            x=centres[classes] + torch.randn(len(classes), FEATURES),
            edge_index=stochastic_blockmodel_graph(sizes, probabilities),
            y=classes,
        )

    return draw


GRAPHS: dict[str, Callable[[int], Data]] = {
    "karate": karate,
    "les_miserables": les_miserables,
    "southern_women": southern_women,
    **{f"block_model_{homophily}": block_model(homophily) for homophily in (0.05, 0.25, 0.5)},
}
"""Graphs by name, made from a seed (which those of networkx do not need)."""
