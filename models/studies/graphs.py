"""Node classification: SNLConv against ChebConv, GCN and GAT, with equal budgets and seeds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch_geometric.nn import ChebConv, GATConv, GCNConv

from models.studies.graph_sets import GRAPHS
from models.studies.study import Study
from models.studies.trial import Outcome, Trial
from snl_graph import SNLConv
from snl_graph.names import lookup

EPOCHS = 200
HIDDEN = 16
HEADS = 4
DROPOUT = 0.5
RATE = 0.01
DECAY = 5e-4


class Edgeless(nn.Module):
    """A layer on the node features alone.

    Args:
        layer: Takes (N, in) and nothing else.
    """

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """What the layer makes of x; the edges are not looked at."""
        out: Tensor = self.layer(x)
        return out


def _gat(fan_in: int, fan_out: int) -> nn.Module:
    if fan_out == HIDDEN:  # the first layer, of several heads
        return GATConv(fan_in, fan_out // HEADS, heads=HEADS)
    return GATConv(fan_in, fan_out)


LAYERS: dict[str, Callable[[int, int], nn.Module]] = {
    "no graph": lambda fan_in, fan_out: Edgeless(nn.Linear(fan_in, fan_out)),
    "GCN": GCNConv,
    "GAT": _gat,
    "ChebConv, K=3": lambda fan_in, fan_out: ChebConv(fan_in, fan_out, K=3),
    "SNLConv, K=2": lambda fan_in, fan_out: SNLConv(fan_in, fan_out, K=2),
    "SNLConv, K=3": lambda fan_in, fan_out: SNLConv(fan_in, fan_out, K=3),
    "SNLConv, K=3, dot": lambda fan_in, fan_out: SNLConv(fan_in, fan_out, K=3, kernel="dot"),
    "SNLConv, K=2, dot, all pairs": lambda fan_in, fan_out: Edgeless(
        SNLConv(fan_in, fan_out, K=2, kernel="dot")  # joins every pair where it gets no edges
    ),
}
"""What is compared: layers by name, made for a number of channels in and out."""


class TwoLayers(nn.Module):
    """Dropout, layer, ReLU, dropout, layer.

    Shapes:
        (N, features), (2, E) → (N, classes).
    """

    def __init__(self, layer: str, features: int, classes: int) -> None:
        super().__init__()
        make = lookup(LAYERS, layer, "layer")
        self.first = make(features, HIDDEN)
        self.second = make(HIDDEN, classes)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """Class scores of the nodes."""
        x = nn.functional.dropout(x, DROPOUT, self.training)
        x = self.first(x, edge_index).relu()
        x = nn.functional.dropout(x, DROPOUT, self.training)
        scores: Tensor = self.second(x, edge_index)
        return scores


def labelled(classes: Tensor, per_class: int, seed: int) -> Tensor:
    """Mask (n,) of ``per_class`` nodes of every class, drawn from a seed.

    Example:
        >>> classes = torch.tensor([0, 1, 0, 1, 0])
        >>> classes[labelled(classes, 1, seed=0)].sort().values
        tensor([0, 1])
    """
    generator = torch.Generator().manual_seed(seed)
    mask = torch.zeros(len(classes), dtype=torch.bool)
    for label in classes.unique().tolist():
        members = (classes == label).nonzero().flatten()
        mask[members[torch.randperm(len(members), generator=generator)[:per_class]]] = True
    return mask


@dataclass(frozen=True)
class GraphTrial(Trial):
    """A network of two layers on one graph, of which a few nodes of each class are labelled.

    Trained with Adam on the whole graph, tested on every node without a label; runs of one seed
    share the graph and the labelled nodes.

    Args:
        graph: Name in :data:`~models.studies.graph_sets.GRAPHS`.
        layer: Name in :data:`LAYERS`.
        per_class: Labelled nodes of each class.
    """

    graph: str
    layer: str
    per_class: int

    def run(self, seed: int, data: Path) -> Outcome:
        graph = lookup(GRAPHS, self.graph, "graph")(seed)
        train = labelled(graph.y, self.per_class, seed)
        torch.manual_seed(seed)
        model = TwoLayers(self.layer, graph.x.shape[1], int(graph.y.max()) + 1)
        optimizer = torch.optim.Adam(model.parameters(), lr=RATE, weight_decay=DECAY)
        for _ in range(EPOCHS):
            optimizer.zero_grad()
            scores = model(graph.x, graph.edge_index)
            loss = nn.functional.cross_entropy(scores[train], graph.y[train])
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            right = model(graph.x, graph.edge_index).argmax(dim=1) == graph.y
        return Outcome(
            accuracy=float(right[~train].float().mean()),
            train_loss=float(loss.detach()),
            parameters=sum(p.numel() for p in model.parameters()),
        )


_PER_CLASS = {"karate": 2, "les_miserables": 3, "southern_women": 4}

GRAPH_STUDY = Study(
    title="Graphs that ship with packages",
    budget=(
        f"Two layers with {HIDDEN} hidden channels, dropout {DROPOUT}, {EPOCHS} steps of Adam "
        f"({RATE}, weight decay {DECAY}) on the whole graph; labelled are 2 nodes of each class "
        "(karate), 3 (Les Misérables), 4 (southern women) or 20 (block models: 400 nodes of "
        "average degree 10, the named share of edges inside the classes), tested are all others. "
        "Labelled nodes, and block models, are drawn anew with each seed. The edges have "
        "no weights."
    ),
    results="graphs.csv",
    trials={
        graph: {layer: GraphTrial(graph, layer, _PER_CLASS.get(graph, 20)) for layer in LAYERS}
        for graph in GRAPHS
    },
    seeds=20,
    references=("GCN", "GAT", "ChebConv, K=3"),
    setting_label="graph",
)
