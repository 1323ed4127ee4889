"""One graph with its operator A as the solvers want it: NumPy in, NumPy out, in float64."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse
import torch

from snl_graph.operators import (
    AffinityOperator,
    DenseOperator,
    EdgeOperator,
    GridOperator,
    LogEdgeOperator,
    LogGridOperator,
    ScaledOperator,
    SymmetrizedOperator,
)

Array = npt.NDArray[Any]

LARGEST_DENSE = 8192
"""Nodes of the largest graph whose matrix is written down: 0.5 GB a copy, minutes to solve."""


class OneGraph:
    """A of one graph, shape (N, N).

    Args:
        a: A without batch axes.
    """

    def __init__(self, a: AffinityOperator) -> None:
        self.a = a
        self.n = int(a.shape[-1])
        self.precision = float(torch.finfo(a.dtype).eps)

    @property
    def is_symmetric(self) -> bool:
        """Whether the representation is known to equal its transpose."""
        return self.a.is_symmetric

    @cached_property
    def root(self) -> Array | None:
        """D^½ of the degrees, 1 for a degree of 0; None where they are no usable numbers."""
        with torch.no_grad():
            degree = as_numpy(self.a.degree())
        # The degrees of an exponential kernel can be too great for a number.
        if not np.isfinite(degree).all() or (degree < 0).any():
            return None
        root: Array = np.sqrt(np.where(degree > 0, degree, 1.0))
        return root

    @cached_property
    def dense(self) -> Array:
        """A as a matrix.

        Raises:
            ValueError: If an entry is not finite.
        """
        if self.sparse is not None:
            matrix = self.sparse.toarray()
        else:
            with torch.no_grad():
                matrix = as_numpy(self.a.to_dense())
        require_finite(matrix)
        return matrix

    @cached_property
    def sparse(self) -> Any | None:
        """A as a scipy CSR array, or None where it is not held as edges.

        Raises:
            ValueError: If an entry is not finite.
        """
        with torch.no_grad():
            matrix = _sparse(self.a)
        if matrix is not None:
            require_finite(matrix.data)
        return matrix

    def part(self, nodes: Array) -> OneGraph:
        """The graph among some of the nodes of a sparse A."""
        entries = self.sparse[nodes][:, nodes].tocoo()  # type: ignore[index]
        a = EdgeOperator(
            torch.from_numpy(np.stack([entries.col, entries.row]).astype(np.int64)),
            torch.from_numpy(entries.data),
            (len(nodes), len(nodes)),
            is_symmetric=self.is_symmetric,
        )
        one = OneGraph(a)
        one.precision = self.precision
        one.root = None if self.root is None else self.root[nodes]
        return one

    def apply(self, z: Array) -> Array:
        """A z for z of shape (N,) or (N, P), applied in the precision of A.

        Raises:
            ValueError: If the product is not finite.
        """
        if self.sparse is not None:
            return self.sparse @ z
        if isinstance(self.a, DenseOperator):
            return self.dense @ z
        columns = torch.from_numpy(np.ascontiguousarray(z.reshape(self.n, -1)))
        with torch.no_grad():
            product = self.a.apply(columns.to(self.a.device, self.a.dtype))
        found: Array = product.cpu().double().numpy().reshape(z.shape)
        require_finite(found)
        return found

    def apply_transposed(self, z: Array) -> Array:
        """Aᵀ z, as :meth:`apply`."""
        if self.is_symmetric:
            return self.apply(z)
        if self.sparse is not None:
            return self.sparse.T @ z
        if isinstance(self.a, DenseOperator):
            return self.dense.T @ z
        return OneGraph(self.a.T).apply(z)


def require_finite(numbers: Array) -> None:
    """Raise a ``ValueError`` if A holds NaN or infinity."""
    if not np.isfinite(numbers).all():
        bad = int((~np.isfinite(numbers)).sum())
        raise ValueError(
            f"the operator has non-finite entries (NaN or infinity; {bad} seen). Look at the input "
            f"and the weights it was made of."
        )


def _sparse(a: AffinityOperator) -> Any | None:
    if isinstance(a, EdgeOperator | LogEdgeOperator | GridOperator | LogGridOperator):
        edge_index, weight = a.to_edges()
        source, target = edge_index.cpu().numpy()
        entries = as_numpy(weight)
        matrix = scipy.sparse.coo_array((entries, (target, source)), shape=tuple(a.shape)).tocsr()
        matrix.eliminate_zeros()
        return matrix
    if isinstance(a, SymmetrizedOperator) and (inner := _sparse(a.inner)) is not None:
        return ((inner + inner.T) / 2).tocsr()
    if isinstance(a, ScaledOperator) and (inner := _sparse(a.inner)) is not None:
        for scale, axis in ((a.left, 0), (a.right, 1)):
            if scale is not None:
                diagonal = scipy.sparse.diags_array(as_numpy(scale.values))
                inner = diagonal @ inner if axis == 0 else inner @ diagonal
        return inner.tocsr()
    return None


def as_numpy(tensor: torch.Tensor) -> Array:
    """The numbers of a tensor in float64."""
    numbers: Array = tensor.detach().cpu().double().numpy()
    return numbers
