"""Everything that holds a graph, as an operator."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from typing import Any

import networkx as nx
import numpy as np
import scipy.sparse
import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data
from torch_geometric.typing import SparseTensor

from snl_graph import checks
from snl_graph.conv import SNLConv
from snl_graph.conv.sparse_tensor import without_torch_sparse
from snl_graph.normalizations import Symmetric
from snl_graph.operators import AffinityOperator, DenseOperator, EdgeOperator
from snl_graph.spectral.items import for_each_item
from snl_graph.spectral.layers import operators_of_block, operators_of_layer

_FORMS = (
    "an operator, (block, feature map), (SNLConv, x, edge_index), a PyG Data or Batch, a networkx "
    "graph, a scipy sparse matrix, a tensor or an array of weights"
)


def as_operators(obj: Any) -> AffinityOperator | list[AffinityOperator]:
    """The operator A that ``obj`` holds; a list for a batch of graphs of unequal size.

    A graph or matrix holds weights M_ij of j → i, which are normalised symmetrically (Eq. 13),
    self-loops included; a batch of matrices (*batch, N, N) is one operator. Lists of edges and
    sparse matrices stay sparse.

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
    hint = (
        " Read a file first, with networkx.read_graphml for instance, or use the command "
        "snl-graph spectrum."
        if isinstance(obj, str | PathLike)
        else ""
    )
    raise TypeError(f"no graph in {type(obj).__name__}; expected {_FORMS}.{hint}")


def for_each_graph(obj: Any, solve: Callable[[AffinityOperator], Any]) -> Any:
    """``solve`` of every graph that ``obj`` holds, in lists nested as its batches are.

    Raises:
        TypeError: If ``obj`` holds no graph.
        ValueError: If weights are negative, not finite or not square, or A is not square.
    """
    operators = as_operators(obj)
    if isinstance(operators, list):
        return [for_each_item(operator, solve) for operator in operators]
    return for_each_item(operators, solve)


def normalized(weights: DenseOperator | EdgeOperator) -> AffinityOperator:
    """A = D̂^-½ M̂ D̂^-½ of weights M, (*batch, N, N), in float64.

    Raises:
        ValueError: If a weight is negative or not finite.
    """
    numbers = weights.matrix if isinstance(weights, DenseOperator) else weights.weight
    checks.require_finite(numbers, "this graph")
    checks.require_nonnegative(
        numbers,
        "a weight",
        "Symmetric normalisation has no root of it. Take absolute values, or an operator: "
        'affinity(..., normalization="none").',
    )
    weights.is_nonnegative = True
    return Symmetric()(weights)


def _of_module(obj: tuple[Any, ...]) -> AffinityOperator | list[AffinityOperator]:
    module, *inputs = obj or (None,)
    if isinstance(module, SNLConv) and inputs:
        return operators_of_layer(module, *inputs)
    if isinstance(module, nn.Module) and hasattr(module, "affinity_of") and inputs:
        return operators_of_block(module, *inputs)
    raise TypeError(
        f"no graph in the tuple ({', '.join(type(part).__name__ for part in obj)}); expected "
        "(block, feature map) or (SNLConv, x, edge_index). Of a network with blocks: "
        "snl_graph.attention.block_inputs(model, x)."
    )


def _of_data(graph: Data) -> EdgeOperator | DenseOperator:
    if graph.edge_index is None:
        adj_t = without_torch_sparse(graph.get("adj_t"))
        if isinstance(adj_t, Tensor):  # row = target, as here
            return _of_tensor(adj_t)
        raise ValueError(
            "this Data has no edge_index; spectrum() needs edges and their weights. Set "
            "data.edge_index, or data.adj_t."
        )
    weight = graph.edge_weight if "edge_weight" in graph else graph.edge_attr
    edge_index = graph.edge_index
    are_indices = not edge_index.is_floating_point() or edge_index.numel() == 0
    if edge_index.dim() != 2 or edge_index.shape[0] != 2 or not are_indices:
        raise ValueError(
            "data.edge_index holds indices of shape (2, E); got "
            f"{edge_index.dtype} of shape {tuple(edge_index.shape)}. A list of pairs (E, 2) is "
            "pairs.t(), indices are edge_index.long()."
        )
    source, target = edge_index.detach().cpu()
    if weight is None:
        weight = torch.ones(source.numel())
    if weight.dim() != 1:
        raise ValueError(
            f"edges need one weight each, shape (E,); edge_attr has {tuple(weight.shape)}. "
            f"Put the weights into data.edge_weight."
        )
    nodes = int(graph.num_nodes or 0)
    if weight.shape != source.shape:
        raise ValueError(
            f"{weight.numel()} weights for {source.numel()} edges: give each edge one."
        )
    checks.require_indices(torch.stack([source, target]), nodes, "edge_index")
    return _edges(source, target, weight.detach().cpu(), nodes)


def _of_networkx(graph: Any) -> EdgeOperator:
    if len(graph) == 0:
        return _edges(torch.zeros(0), torch.zeros(0), torch.zeros(0), 0)
    try:
        matrix = nx.to_scipy_sparse_array(graph, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f'the attribute "weight" of an edge is no number ({error}). Give every edge a number, '
            f"or delete the attribute: every edge then weighs 1."
        ) from error
    # networkx's entry [u, v] is the edge u → v; ours is [target, source].
    return _of_scipy(matrix.T)


def _of_scipy(matrix: Any) -> EdgeOperator:
    _require_square(matrix.shape)
    entries = matrix.tocsr().tocoo()  # entries listed twice are one weight, their sum
    row, column = (torch.from_numpy(np.asarray(index)) for index in (entries.row, entries.col))
    if np.iscomplexobj(entries.data):
        raise TypeError(f"weights are real numbers; this matrix holds {entries.dtype}.")
    return _edges(column, row, torch.from_numpy(entries.data.astype(np.float64)), matrix.shape[0])


def _of_array(array: Any) -> DenseOperator:
    if array.dtype.kind not in "fiub":
        raise TypeError(f"weights are real numbers; this array holds {array.dtype}.")
    return _of_matrix(torch.from_numpy(array.astype(np.float64)))


def _of_tensor(tensor: Tensor) -> EdgeOperator | DenseOperator:
    if tensor.is_complex():
        raise TypeError(f"weights are real numbers; this tensor holds {tensor.dtype}.")
    weights = tensor.detach().cpu()
    if weights.layout == torch.strided:
        return _of_matrix(weights.double())
    _require_square(weights.shape)
    entries = weights.to_sparse_coo().coalesce()
    row, column = entries.indices()
    return _edges(column, row, entries.values(), weights.shape[0])


def _of_matrix(matrix: Tensor) -> DenseOperator:
    _require_square(matrix.shape)
    return DenseOperator(matrix)


def _require_square(shape: tuple[int, ...]) -> None:
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise ValueError(
            f"weights of a graph are square, (*batch, N, N); got {tuple(shape)}. Of an edge_index "
            "(2, E) pass Data(edge_index=edge_index, num_nodes=N)."
        )


def _edges(source: Tensor, target: Tensor, weight: Tensor, nodes: int) -> EdgeOperator:
    edge_index = torch.stack([source, target]).long()
    return EdgeOperator(edge_index, weight.double(), (nodes, nodes))


_READERS: list[tuple[Any, Callable[[Any], EdgeOperator | DenseOperator]]] = [
    (Data, _of_data),
    (nx.Graph, _of_networkx),
    ((scipy.sparse.sparray, scipy.sparse.spmatrix), _of_scipy),
    (Tensor, _of_tensor),
    (SparseTensor, lambda adj_t: _of_tensor(without_torch_sparse(adj_t))),
    (np.ndarray, _of_array),
]
