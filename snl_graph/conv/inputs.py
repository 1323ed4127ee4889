"""Checks of what a layer is called with: each says what came, what was expected, what to do."""

from __future__ import annotations

import math
from collections.abc import Mapping

import networkx as nx
import numpy as np
import scipy.sparse
import torch
from torch import Tensor
from torch_geometric import EdgeIndex
from torch_geometric.data import HeteroData
from torch_geometric.data.data import BaseData

from snl_graph import checks
from snl_graph.conv.sparse import LAYOUTS
from snl_graph.sharding import require_distributed

_OF_TYPES = (
    "A layer takes one type of nodes and edges: pass those of one, or convert the network by "
    "torch_geometric.nn.to_hetero(model, data.metadata())."
)


def check_features(x: object, name: str, channels: int, weight: Tensor) -> None:
    """Raise unless ``x`` is (N, F) or (B, N, F), floating point, and matches the layer.

    Args:
        x: What the caller passed.
        name: Its name for the error.
        channels: F, or -1 if any will do.
        weight: A parameter of the layer, for its dtype and device.
    """
    if not isinstance(x, Tensor):
        raise TypeError(
            f"{name} must be a tensor (N, F) or (B, N, F), got {type(x).__name__}. "
            f"{_features_of(x)}"
        )
    require_distributed(x, name, weight, -2)
    if x.layout != torch.strided:
        raise TypeError(f"{name} is sparse ({x.layout}); features are dense: {name}.to_dense().")
    if x.dim() not in (2, 3):
        raise ValueError(
            f"{name} has shape (N, F) or (B, N, F); got {tuple(x.shape)}. "
            "One feature a node is x.unsqueeze(-1)."
        )
    if channels != -1 and x.shape[-1] != channels:
        raise ValueError(
            f"{name} has {x.shape[-1]} channels (its last axis, of shape {tuple(x.shape)}), but "
            f"the layer was made for {channels}. Make it with in_channels={x.shape[-1]}."
        )
    checks.require_same_numbers(x, name, weight, "layer")
    if checks.are_requested():
        checks.require_finite(x, name)


def _features_of(came: object) -> str:
    """How to get features out of what are none."""
    if isinstance(came, HeteroData | Mapping):
        return _OF_TYPES
    if isinstance(came, BaseData):
        return "Of a Data pass data.x, data.edge_index."
    return "Use torch.as_tensor(..., dtype=torch.float32)."


def check_same_graphs(target: Tensor, source: Tensor) -> None:
    """Raise unless the two ends of a bipartite graph share their batch axes and dtype."""
    if target.shape[:-2] != source.shape[:-2] or target.dtype != source.dtype:
        raise ValueError(
            "both ends of a bipartite graph need the same batch axes and dtype; got "
            f"{tuple(source.shape)} of {source.dtype} and {tuple(target.shape)} of {target.dtype}."
        )


def check_edge_index(edge_index: object, size: tuple[int, int], device: torch.device) -> None:
    """Raise unless ``edge_index`` is an integer tensor (2, E) within range, or a sparse matrix.

    Args:
        edge_index: What the caller passed.
        size: How many nodes its first row and its second row count.
        device: That of the features.
    """
    if not isinstance(edge_index, Tensor):
        raise TypeError(
            "edge_index is a tensor (2, E), an EdgeIndex or a torch.sparse matrix; got "
            f"{type(edge_index).__name__}. {_edges_of(edge_index)}"
        )
    if edge_index.device != device:
        raise ValueError(f"edge_index is on {edge_index.device} and x on {device}. Move one.")
    if edge_index.layout != torch.strided:
        _check_sparse(edge_index, *size)
        return
    if edge_index.dtype not in (torch.int64, torch.int32):
        hint = _of_matrix(edge_index) or "Use edge_index.long()."
        raise TypeError(f"edge_index holds indices (torch.int64), got {edge_index.dtype}. {hint}")
    if edge_index.dim() != 2 or edge_index.shape[0] != 2:
        raise ValueError(
            f"edge_index has shape (2, E); got {tuple(edge_index.shape)}. {_listed(edge_index)}"
        )
    if isinstance(edge_index, EdgeIndex):
        _check_sparse_size(edge_index, size)
        if checks.are_requested():
            _check_claims(edge_index)
    if checks.are_free(edge_index):
        if size[0] == size[1]:
            checks.require_indices(edge_index, size[0], "edge_index")
        else:
            checks.require_indices(edge_index[0], size[0], "edge_index[0]")
            checks.require_indices(edge_index[1], size[1], "edge_index[1]")


def _of_matrix(indices: Tensor) -> str:
    """How to pass a dense adjacency matrix, if this is one."""
    if indices.dim() != 2 or not indices.shape[0] == indices.shape[1] > 2:
        return ""
    cast = "" if indices.is_floating_point() else ".float()"
    return f"A dense adjacency matrix A_ij (j → i) is A{cast}.to_sparse_csr()."


def _listed(indices: Tensor) -> str:
    """How to get an ``edge_index`` out of indices of another shape."""
    if hint := _of_matrix(indices):
        return hint
    if indices.dim() == 3:
        return (
            "Graphs of a batch that share their edges take one (2, E) with x (B, N, F); others are "
            "put together by torch_geometric.data.Batch.from_data_list."
        )
    return "A list of pairs (E, 2) is edge_index.t()."


def _edges_of(graph: object) -> str:
    """How to get an ``edge_index`` out of what is none."""
    if isinstance(graph, HeteroData | Mapping):
        return _OF_TYPES
    if isinstance(graph, BaseData):
        return "Pass data.edge_index."
    first = graph[0] if isinstance(graph, tuple) and graph else None
    if isinstance(first, Tensor) and first.dim() == 2:
        return "Of a pair (edge_index, edge_weight) pass both: layer(x, *pair)."
    if isinstance(graph, np.ndarray | list | tuple):
        return "Of an array (2, E) pass torch.as_tensor(...), of pairs (E, 2) its transpose .t()."
    if isinstance(graph, nx.Graph):
        return "Pass torch_geometric.utils.from_networkx(graph).edge_index."
    if scipy.sparse.issparse(graph):
        return "Pass torch_geometric.utils.from_scipy_sparse_matrix(matrix), indices and weights."
    return "Pass a tensor (2, E): row 0 = source, row 1 = target."


def _check_sparse(adj_t: Tensor, sources: int, targets: int) -> None:
    if adj_t.layout not in LAYOUTS:
        raise TypeError(
            f"a sparse adjacency is COO, CSR or CSC, got {adj_t.layout}. Use adj_t.to_sparse_csr()."
        )
    if adj_t.dim() != 2 or tuple(adj_t.shape) != (targets, sources):
        raise ValueError(
            f"a sparse adjacency has shape (targets, sources) = ({targets}, {sources}), row i = "
            f"target, column j = source; got {tuple(adj_t.shape)}."
        )
    if not adj_t.is_floating_point():
        raise TypeError(
            f"the values of a sparse adjacency are weights, floating point; got {adj_t.dtype}. "
            "Use adj_t.float()."
        )


def _check_sparse_size(edge_index: EdgeIndex, size: tuple[int, int]) -> None:
    if torch.compiler.is_compiling():
        return  # the size is a constant there and the number of nodes a symbol
    known = edge_index.sparse_size()
    if any(mine not in (None, nodes) for mine, nodes in zip(known, size, strict=True)):
        raise ValueError(
            f"edge_index is of size {tuple(known)}, but x has {size[0]} and {size[1]} nodes at "
            "its two ends. Make it with sparse_size=(N, N)."
        )


def _check_claims(edge_index: EdgeIndex) -> None:
    """Raise if the edges are not what an ``EdgeIndex`` says; it believes what it is told."""
    try:
        edge_index.validate()
    except ValueError as error:
        raise ValueError(
            f"{edge_index.__class__.__name__} says of its edges what is not so: {error}. Make it "
            "without sort_order and is_undirected, or of edges that are so."
        ) from error


def check_edge_weight(edge_weight: object, num_edges: int, x: Tensor) -> None:
    """Raise unless ``edge_weight`` is floating point of shape (E,), or (B, E) with x (B, N, F)."""
    if not isinstance(edge_weight, Tensor):
        raise TypeError(
            f"edge_weight must be a tensor (E,), got {type(edge_weight).__name__}. Use "
            "torch.as_tensor(..., dtype=x.dtype)."
        )
    if not edge_weight.is_floating_point():
        raise TypeError(
            f"edge_weight must be floating point, got {edge_weight.dtype}. "
            "Use edge_weight.to(x.dtype)."
        )
    allowed = [(num_edges,)] + ([(x.shape[0], num_edges)] if x.dim() == 3 else [])
    if tuple(edge_weight.shape) not in allowed:
        shapes = " or ".join(str(shape) for shape in allowed)
        raise ValueError(
            f"edge_weight has one number an edge, shape {shapes}; got {tuple(edge_weight.shape)}. "
            "Of edge_attr (E, D) pass one column: edge_attr[:, 0]."
        )
    if edge_weight.device != x.device:
        raise ValueError(f"edge_weight is on {edge_weight.device} and x on {x.device}. Move one.")


def check_sparse_call(edge_weight: Tensor | None, is_reversed: bool) -> None:
    """Raise a ``ValueError`` if a sparse adjacency came with what belongs to an edge list."""
    if edge_weight is not None:
        raise ValueError(
            "a sparse adjacency holds its own weights; edge_weight came as well. Leave it out."
        )
    if is_reversed:
        raise ValueError(
            'flow "target_to_source" reads an edge_index; a sparse adjacency has its direction in '
            "its rows. Pass adj_t.t() to a layer of the default flow."
        )


def check_weight_values(weight: Tensor, name: str, remedy: str | None = None) -> None:
    """Raise if weights of edges are not finite, or negative where a remedy for that is given."""
    if checks.are_free(weight):
        checks.require_finite(weight, name)
        if remedy is not None:
            checks.require_nonnegative(weight, name, remedy)


def check_batch(
    batch: object, batch_size: int | None, num_nodes: int, device: torch.device
) -> None:
    """Raise unless ``batch`` is an integer vector (N,) and ``batch_size`` goes with it."""
    if batch_size is not None and (
        isinstance(batch_size, bool) or not isinstance(batch_size, int | torch.SymInt)
    ):
        raise TypeError(
            f"batch_size is how many graphs there are, a whole number; got {batch_size!r}. The "
            "graph of each node is batch."
        )
    if batch is None:
        if batch_size not in (None, 1):
            raise ValueError(
                f"batch_size = {batch_size} graphs need batch, the graph of each of the "
                f"{num_nodes} nodes."
            )
        return
    if not isinstance(batch, Tensor) or batch.dtype != torch.int64:
        came = batch.dtype if isinstance(batch, Tensor) else type(batch).__name__
        raise TypeError(
            f"batch holds the graph of each node (torch.int64), got {came}. Pass batch.batch of "
            "PyG's loader, or torch.as_tensor(batch).long()."
        )
    if tuple(batch.shape) != (num_nodes,):
        raise ValueError(
            f"batch has one entry a node, shape ({num_nodes},); got {tuple(batch.shape)}. Pass "
            "that of the same nodes as x."
        )
    if batch.device != device:
        raise ValueError(f"batch is on {batch.device} and x on {device}. Move one.")
    if checks.are_free(batch):
        if bool((batch.diff() < 0).any()):
            raise ValueError(
                "batch must be sorted: the nodes of a graph stand together, as PyG's loader puts "
                "them. Sort the nodes by batch first."
            )
        if num_nodes and (batch[0] < 0 or batch[-1] >= (batch_size or math.inf)):
            wanted = "be ≥ 0" if batch_size is None else f"lie in 0 .. {batch_size - 1}"
            raise IndexError(
                f"batch must {wanted}, the numbers of the graphs; it reaches from "
                f"{int(batch[0])} to {int(batch[-1])}."
            )


def check_edges_within_graphs(edge_index: Tensor, batch: Tensor | None) -> None:
    """On request, raise a ``ValueError`` if an edge joins the nodes of two graphs."""
    if batch is None or edge_index.layout != torch.strided or not checks.are_requested():
        return
    source, target = batch[edge_index]
    if count := int((source != target).sum()):
        raise ValueError(
            f"{count} of {edge_index.shape[1]} edges join nodes of two graphs of the batch. Number "
            "the nodes on from graph to graph, as PyG's DataLoader does."
        )


def check_lambda_max(lambda_max: object) -> None:
    """Raise unless ``lambda_max`` is a positive number, a tensor of them, or "estimate"."""
    if isinstance(lambda_max, Tensor):
        if not lambda_max.is_floating_point() or lambda_max.dim() > 1:
            raise ValueError(
                "lambda_max is a floating-point tensor (G,), one number a graph; got "
                f"{lambda_max.dtype} of shape {tuple(lambda_max.shape)}."
            )
        if checks.are_free(lambda_max) and not bool((lambda_max > 0).all()):
            raise ValueError(f"lambda_max must be positive, got {lambda_max.tolist()}.")
    elif isinstance(lambda_max, str):
        if lambda_max != "estimate":
            raise ValueError(f'lambda_max is a number, a tensor or "estimate"; got "{lambda_max}".')
    elif isinstance(lambda_max, bool) or not isinstance(lambda_max, int | float):
        raise TypeError(
            'lambda_max is a number, a tensor of one number a graph, or "estimate"; got '
            f"{type(lambda_max).__name__}."
        )
    elif not lambda_max > 0:
        raise ValueError(f"lambda_max must be positive, got {lambda_max}.")
