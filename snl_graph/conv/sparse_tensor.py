"""The sparse matrix of the package torch-sparse, which PyG makes where that is installed."""

from __future__ import annotations

from typing import TypeVar

from torch import Tensor
from torch_geometric.typing import SparseTensor

GraphT = TypeVar("GraphT", bound=Tensor | None)


def without_torch_sparse(graph: GraphT) -> GraphT:
    """A ``torch_sparse.SparseTensor`` as one of PyTorch's own matrices; anything else as it came.

    ``ToSparseTensor`` makes one where torch-sparse is installed, and ``NeighborLoader`` passes it
    on. It becomes COO, which may list an edge twice, as it may itself; gradients reach its values.

    Args:
        graph: What a caller passed as ``edge_index``.

    Cost: O(E) at every call, and the layers look at each matrix anew. One that is used often is
    better converted once: ``adj_t.to_torch_sparse_csr_tensor()``.

    Example:
        >>> import torch
        >>> without_torch_sparse(torch.tensor([[0, 1], [1, 0]]))
        tensor([[0, 1],
                [1, 0]])
    """
    if isinstance(graph, SparseTensor):
        return graph.to_torch_sparse_coo_tensor()
    return graph
