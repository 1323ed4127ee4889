"""Everything that holds a graph, as an operator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import networkx as nx
import numpy as np
import scipy.sparse
import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data

from snl_graph import checks
from snl_graph.conv import SNLConv
from snl_graph.normalizations import Symmetric
from snl_graph.operators import AffinityOperator, DenseOperator

_FORMS = (
    "an operator, (block, feature map), (SNLConv, x, edge_index), a PyG Data or Batch, a networkx "
    "graph, a scipy sparse matrix, a tensor or an array of weights"
)


def as_operators(obj: Any) -> AffinityOperator | list[AffinityOperator]:
    """The operator A that ``obj`` holds; a list for a batch of graphs of unequal size.

    A graph or matrix holds weights M_ij of j → i, which are normalised symmetrically (Eq. 13),
    self-loops included; a batch of matrices (*batch, N, N) is one operator.

    Raises:
        TypeError: If ``obj`` holds no graph.
        ValueError: If weights are negative, not finite or not square.
    """
    if isinstance(obj, AffinityOperator):
        return obj
    if isinstance(obj, tuple):
        return _of_module(obj)
    if isinstance(obj, Batch):
        return [normalized(_of_data(graph)) for graph in obj.to_data_list()]
    for kind, weights_of in _READERS:
        if isinstance(obj, kind):
            return normalized(weights_of(obj))
    raise TypeError(f"no graph in {type(obj).__name__}; expected {_FORMS}.")


def normalized(weights: Tensor) -> AffinityOperator:
    """A = D̂^-½ M̂ D̂^-½ of weights M, (*batch, N, N), in float64."""
    if weights.dim() < 2 or weights.shape[-1] != weights.shape[-2]:
        raise ValueError(
            f"weights of a graph are square, (*batch, N, N); got {tuple(weights.shape)}."
        )
    checks.require_finite(weights, "the weights")
    checks.require_nonnegative(weights, "a weight", "Symmetric normalisation has no root of it.")
    return Symmetric()(DenseOperator(weights, is_nonnegative=True))


def _of_module(obj: tuple[Any, ...]) -> AffinityOperator:
    module, *inputs = obj
    if isinstance(module, SNLConv) and inputs:
        return _of_conv(module, *inputs)
    affinity_of = getattr(module, "affinity_of", None)
    if not isinstance(module, nn.Module) or affinity_of is None or not inputs:
        raise TypeError(
            f"no graph in the tuple ({', '.join(type(part).__name__ for part in obj)}); expected "
            f"(block, feature map) or (SNLConv, x, edge_index)."
        )
    with torch.no_grad():
        operator: AffinityOperator = affinity_of(*inputs)
    return operator


def _of_conv(conv: SNLConv, x: Tensor, *graph: Any) -> AffinityOperator:
    """A of the layer from the entries it reports, as a matrix of shape ([B,] [heads,] N, N)."""
    with torch.no_grad():
        _, (edges, alpha) = conv(x, *graph, return_attention_weights=True)
    if edges.layout != torch.strided:  # a sparse adjacency holds A_ij at [i, j]
        return DenseOperator(edges.to_dense())
    source, target = edges if conv.flow == "source_to_target" else edges.flip(0)
    entries = alpha.movedim(-1, -2) if conv.heads > 1 else alpha  # (*batch, E)
    nodes = x.shape[-2]
    matrix = entries.new_zeros(*entries.shape[:-1], nodes, nodes)
    matrix[..., target, source] = entries
    if isinstance(conv.normalization, Symmetric):
        # The reverse of an edge weighs the same, and is listed only if the caller listed it.
        matrix[..., source, target] = entries
    return DenseOperator(matrix)


def _of_data(graph: Data) -> Tensor:
    weight = graph.edge_weight if "edge_weight" in graph else graph.edge_attr
    if graph.edge_index is None:
        raise ValueError("this Data has no edge_index; spectrum() needs edges and their weights.")
    source, target = graph.edge_index.detach().cpu()
    if weight is None:
        weight = torch.ones(source.numel())
    if weight.dim() != 1:
        raise ValueError(
            f"edges need one weight each, shape (E,); edge_attr has {tuple(weight.shape)}. "
            f"Put the weights into data.edge_weight."
        )
    nodes = int(graph.num_nodes or 0)
    if weight.shape != source.shape:
        raise ValueError(f"{weight.numel()} weights for {source.numel()} edges.")
    checks.require_indices(torch.stack([source, target]), nodes, "edge_index")
    matrix = torch.zeros(nodes, nodes, dtype=torch.float64)
    return matrix.index_put_((target, source), weight.detach().cpu().double(), accumulate=True)


def _of_networkx(graph: Any) -> Tensor:
    # networkx's entry [u, v] is the edge u → v; ours is [target, source].
    return torch.from_numpy(nx.to_numpy_array(graph, dtype=np.float64).T.copy())


def _of_scipy(matrix: Any) -> Tensor:
    return torch.from_numpy(matrix.toarray()).double()


def _of_array(array: Any) -> Tensor:
    return torch.as_tensor(array).double()


def _of_tensor(tensor: Tensor) -> Tensor:
    dense = tensor.detach()
    return (dense if dense.layout == torch.strided else dense.to_dense()).cpu().double()


_READERS: list[tuple[Any, Callable[[Any], Tensor]]] = [
    (Data, _of_data),
    (nx.Graph, _of_networkx),
    ((scipy.sparse.sparray, scipy.sparse.spmatrix), _of_scipy),
    (Tensor, _of_tensor),
    (np.ndarray, _of_array),
]
