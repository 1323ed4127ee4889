"""A PyG graph as a feature map, and back: how a block takes graphs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch_geometric.data import Batch, Data
from torch_geometric.utils import to_dense_batch

from snl_graph import checks
from snl_graph.kernels import NodeSet
from snl_graph.masks import EdgeList, Mask


@dataclass(frozen=True)
class GraphMap:
    """The nodes of a graph (or of a batch) as a map, padded where graphs differ in size.

    Args:
        x: Shape (B, C, *spatial).
        is_node: Shape (B, *spatial), bool: positions that are nodes; None means all.
        mask: Joined pairs, in place of the mask of the block; None means that of the block.
        node_set: Which nodes belong together; None means those of one item of the map.
    """

    x: Tensor
    is_node: Tensor | None = None
    mask: Mask | None = None
    node_set: NodeSet | None = None

    def restore(self, y: Tensor) -> Tensor:
        """Node features (N, C) of a map of the form of ``x``."""
        nodes = y.flatten(2).mT  # (B, positions, C)
        return nodes.flatten(0, 1) if self.is_node is None else nodes[self.is_node.flatten(1)]


def graph_map(graph: Data, channels: int) -> GraphMap:
    """The map of a graph: its edges are the mask; without edges every graph is joined in full.

    A graph without edges that knows its ``grid_size`` becomes a map of that size.

    Args:
        graph: ``Data`` or ``Batch`` with x (N, C).
        channels: C that the block takes.

    Raises:
        ValueError: If the features are missing or of another width, the batch vector is not one, or
            the edges are held in another form.
    """
    x = graph.x
    if x is None or x.dim() != 2 or x.shape[1] != channels:
        came = "none" if x is None else f"shape {tuple(x.shape)}"
        raise ValueError(f"the graph needs node features x of shape (N, {channels}); got {came}.")
    if x.shape[0] == 0:
        return GraphMap(x.T.unsqueeze(0))
    if graph.batch is not None:
        _check_batch(graph.batch, x)
    if graph.edge_index is not None:
        node_set = None
        if graph.batch is not None:
            node_set = NodeSet(batch=graph.batch, num_graphs=_count_graphs(graph))
        return GraphMap(x.T.unsqueeze(0), mask=EdgeList(graph.edge_index), node_set=node_set)
    if graph.get("adj_t") is not None:
        raise ValueError(
            "this graph holds its edges as adj_t, which a block does not read: without edge_index "
            "it would join every pair of nodes. Set data.edge_index = "
            "torch_geometric.utils.to_edge_index(data.adj_t)[0].flip(0)."
        )
    batch = torch.zeros_like(x[:, 0], dtype=torch.long) if graph.batch is None else graph.batch
    dense, is_node = to_dense_batch(x, batch)  # (B, N, C), (B, N)
    size = _common_grid(graph)
    if size is not None:
        return GraphMap(dense.mT.unflatten(-1, size))
    return GraphMap(dense.mT, is_node)


def _check_batch(batch: object, x: Tensor) -> None:
    """Raise unless ``batch`` tells the graph of each node, in ascending order."""
    n = x.shape[0]
    if not isinstance(batch, Tensor) or batch.dtype != torch.int64 or batch.shape != (n,):
        came = (
            f"{batch.dtype} of shape {tuple(batch.shape)}"
            if isinstance(batch, Tensor)
            else type(batch).__name__
        )
        raise ValueError(
            f"data.batch is the graph of each node, torch.int64 of shape ({n},); got {came}. "
            "torch_geometric.data.Batch.from_data_list(graphs) makes it."
        )
    if batch.device != x.device:
        raise ValueError(f"data.batch is on {batch.device} and data.x on {x.device}. Move one.")
    if checks.are_free(batch) and (batch[0] < 0 or bool((batch.diff() < 0).any())):
        raise ValueError(
            "data.batch must be sorted and count the graphs from 0: the nodes of a graph stand "
            "together, as PyG's loader puts them. Sort the nodes by batch first."
        )


def _count_graphs(graph: Data) -> int:
    """Number of graphs; a ``Data`` that was given a batch vector does not know it."""
    return graph.num_graphs if isinstance(graph, Batch) else int(graph.batch.max()) + 1


def _common_grid(graph: Data) -> tuple[int, ...] | None:
    """The ``grid_size`` of all graphs of the batch, if it is known and the same."""
    grid_size = graph.get("grid_size")
    if grid_size is None:
        return None
    rows = torch.atleast_2d(torch.as_tensor(grid_size))
    return tuple(rows[0].tolist()) if bool((rows == rows[0]).all()) else None
