"""The operator of a layer or of a block on an input."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Batch, Data
from torch_geometric.utils import scatter

from snl_graph.affinity import affinity
from snl_graph.blocks import NonlocalBlock
from snl_graph.blocks.graphs import graph_map
from snl_graph.conv import SNLConv
from snl_graph.conv.heads import split_heads
from snl_graph.grids import flatten
from snl_graph.normalizations import Symmetric, Unnormalized
from snl_graph.operators import AffinityOperator, EdgeOperator, LinearDiagonal
from snl_graph.spectral.items import first_of_batch


def operators_of_block(
    block: Any, x: Tensor | Data, valid: Tensor | None = None
) -> AffinityOperator | list[AffinityOperator]:
    """A of the block, shape (B, [heads,] N, N); of a PyG graph ([heads,] N, N), one a graph.

    Args:
        block: A nonlocal block, or for feature maps any module with ``affinity_of``.
        x: A feature map, or a ``Data`` or ``Batch``, whose edges are the mask if it has any.
        valid: As ``affinity_of`` takes it.
    """
    with torch.no_grad():
        if isinstance(x, Data) and isinstance(block, NonlocalBlock):
            if isinstance(x, Batch):
                return [_of_graph(block, graph) for graph in x.to_data_list()]
            return _of_graph(block, x)
        found: AffinityOperator = (
            block.affinity_of(x, valid) if valid is not None else (block.affinity_of(x))
        )
        return found


def _of_graph(block: NonlocalBlock, graph: Data) -> AffinityOperator:
    as_map = graph_map(graph, block.channels)
    nodes, size = flatten(as_map.x)
    phi, psi = block.affinity.embed(nodes, size=size)
    a = block.affinity(phi, psi, size, mask=as_map.mask, node_set=as_map.node_set)
    return first_of_batch(a)


def operators_of_layer(
    conv: SNLConv,
    x: Tensor,
    edge_index: Tensor | None = None,
    edge_weight: Tensor | None = None,
    batch: Tensor | None = None,
) -> AffinityOperator | list[AffinityOperator]:
    """A of the layer, shape ([B,] [heads,] N, N); with ``batch`` a list of one A a graph.

    Edges stay edges, and a layer without edges stays in the representation that it would use.

    Args:
        conv: The layer.
        x: Features (N, F) or (B, N, F).
        edge_index: As the layer takes it.
        edge_weight: As the layer takes it.
        batch: Graph of each node, shape (N,), sorted.

    Raises:
        ValueError: If x is a pair: a bipartite layer has no square A.
    """
    if not isinstance(x, Tensor):
        raise ValueError(
            "a layer between two sets of nodes has a rectangular A, which has no spectrum; pass "
            "one tensor x (N, F)."
        )
    with torch.no_grad():
        if edge_index is None:
            conv(x, None, edge_weight, batch)  # for the layer's own checks of its input
            graphs = _node_ranges(batch, x.shape[-2])
            found = [_complete(conv, x[..., nodes, :]) for nodes in graphs]
        else:
            whole = _on_edges(conv, x, edge_index, edge_weight, batch)
            graphs = _node_ranges(batch, x.shape[-2])
            found = [_part(whole, nodes) for nodes in graphs] if batch is not None else [whole]
    return found if batch is not None else found[0]


def _node_ranges(batch: Tensor | None, nodes: int) -> list[slice]:
    if batch is None:
        return [slice(0, nodes)]
    ends = torch.bincount(batch).cumsum(0).tolist()
    return [slice(first, last) for first, last in zip([0, *ends[:-1]], ends, strict=True)]


def _complete(conv: SNLConv, x: Tensor) -> AffinityOperator:
    """A of all pairs of nodes, never written down."""
    assert conv.kernel is not None
    phi = x if conv.phi is None else conv.phi(x)
    psi = x if conv.psi is None else conv.psi(x)
    return affinity(
        split_heads(phi, conv.heads),
        split_heads(psi, conv.heads),
        kernel=conv.kernel,
        normalization=conv.normalization,
    )


def _on_edges(
    conv: SNLConv,
    x: Tensor,
    edge_index: Tensor,
    edge_weight: Tensor | None,
    batch: Tensor | None,
) -> EdgeOperator:
    """A from the entries that the layer reports at its edges, with the degrees that made it."""
    target, source, entries = _entries(conv, x, edge_index, edge_weight, batch)
    nodes = x.shape[-2]
    unnormalized = copy.copy(conv)
    unnormalized.normalization, unnormalized.cached = Unnormalized(), False
    m = EdgeOperator(
        torch.stack([source, target]),
        _entries(unnormalized, x, edge_index, edge_weight, batch)[2],
        (nodes, nodes),
        is_nonnegative=conv.normalization.needs_nonnegative,
    )
    degree = LinearDiagonal(conv.normalization(m).degree())
    pairs, place = torch.unique(target * nodes + source, return_inverse=True)
    # The copies of an edge that is listed several times share its entry.
    entries = scatter(entries, place, dim=-1, dim_size=len(pairs), reduce="sum")
    is_symmetric = isinstance(conv.normalization, Symmetric)
    if is_symmetric:
        # The reverse of an edge weighs the same, and is listed only if the caller listed it.
        reverse = pairs % nodes * nodes + pairs // nodes
        is_missing = ~torch.isin(reverse, pairs)
        pairs = torch.cat([pairs, reverse[is_missing]])
        entries = torch.cat([entries, entries[..., is_missing]], dim=-1)
    edge_index = torch.stack([pairs % nodes, pairs // nodes])
    a = EdgeOperator(edge_index, entries, (nodes, nodes), is_symmetric=is_symmetric)
    return a.with_degree(degree)


def _entries(
    conv: SNLConv,
    x: Tensor,
    edge_index: Tensor,
    edge_weight: Tensor | None,
    batch: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Targets and sources of the caller's edges, and the layer's entries at them, (*batch, E)."""
    _, (edges, alpha) = conv(x, edge_index, edge_weight, batch, return_attention_weights=True)
    if edges.layout == torch.strided:
        source, target = edges if conv.flow == "source_to_target" else edges.flip(0)
    else:  # a sparse adjacency holds A_ij at [i, j]
        held = edges.to_sparse_coo().coalesce()
        (target, source), alpha = held.indices(), held.values()
    return target, source, alpha.movedim(-1, -2) if conv.heads > 1 else alpha


def _part(whole: EdgeOperator, nodes: slice) -> EdgeOperator:
    """The edges among a range of nodes."""
    inside = (whole.edge_index >= nodes.start) & (whole.edge_index < nodes.stop)
    kept = inside.all(0)
    count: Any = nodes.stop - nodes.start
    part = EdgeOperator(
        whole.edge_index[:, kept] - nodes.start,
        whole.weight[..., kept],
        (count, count),
        is_symmetric=whole.is_symmetric,
    )
    return part.with_degree(LinearDiagonal(whole.degree()[..., nodes]))
