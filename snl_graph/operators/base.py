"""The operator, a linear map on node signals that need not be written down, and its algebra.

The algebra is the transpose, the symmetric part and the two-sided scale of any operator.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import ClassVar, Self

import torch
from torch import Tensor

from snl_graph.operators.diagonal import Diagonal, LinearDiagonal, accumulation_dtype


class AffinityOperator(ABC):
    """An affinity A of N nodes, as a linear map on signals (*batch, N, C).

    A representation supplies ``apply`` and ``_transposed``; everything else follows, and it may
    override what it does cheaper. Entry A_ij is the weight of source j at target i, so the operator
    may be rectangular, (*batch, N targets, N sources).

    Attributes:
        representation: Name of the representation ("dense", "edges", "factored", ...).
        shape: (*batch, N, N).
        dtype, device: Of the numbers it holds.
        is_nonnegative: Whether every A_ij is known to be ≥ 0.
        is_symmetric: Whether A is known to equal its transpose.
    """

    representation: ClassVar[str]
    shape: torch.Size
    dtype: torch.dtype
    device: torch.device
    is_nonnegative: bool = False
    is_symmetric: bool = False
    _degree: Diagonal | None = None

    @abstractmethod
    def apply(self, z: Tensor) -> Tensor:
        """A z, shape (*batch, N, C) → (*batch, N, C)."""

    @abstractmethod
    def _transposed(self) -> AffinityOperator:
        """Aᵀ, without the recorded degree."""

    @property
    def T(self) -> AffinityOperator:
        """The transpose Aᵀ; shares its numbers with A."""
        return self if self.is_symmetric else self._transposed().with_degree(self._degree)

    def __matmul__(self, z: Tensor) -> Tensor:
        """``A @ z``: :meth:`apply` for a caller at the keyboard, with a check of the shape.

        Raises:
            ValueError: If ``z`` is not of shape (*batch, N, C).
        """
        if not isinstance(z, Tensor):
            raise TypeError(
                f"an operator is applied to a tensor (*batch, {self.shape[-1]}, C); got "
                f"{type(z).__name__}. Of an array: torch.as_tensor(z); of two operators: "
                "A.apply(B.apply(z))."
            )
        if z.device != self.device:
            raise ValueError(f"the operator is on {self.device} and the signal on {z.device}.")
        if z.dtype != self.dtype and not torch.is_autocast_enabled(z.device.type):
            raise TypeError(
                f"the operator is {self.dtype} and the signal {z.dtype}. Use z.to({self.dtype})."
            )
        if z.dim() < 2 or z.shape[-2] != self.shape[-1]:
            raise ValueError(
                f"this operator has shape {tuple(self.shape)} and takes signals (*batch, "
                f"{self.shape[-1]}, C); got {tuple(z.shape)}. One signal is z.unsqueeze(-1)."
            )
        batch, given = self.shape[:-2], z.shape[:-2]
        if any(1 != m != n != 1 for m, n in zip(batch[::-1], given[::-1], strict=False)):
            raise ValueError(
                f"this operator has batch axes {tuple(batch)} and the signal {tuple(given)}; they "
                "must be the same, or broadcast."
            )
        return self.apply(z)

    def row_sums(self) -> Diagonal:
        """Row sums A 1 as a diagonal matrix, accumulated in float32 at least."""
        dtype = accumulation_dtype(self.dtype)
        ones = torch.ones(self.shape[-1], 1, dtype=dtype, device=self.device)
        return LinearDiagonal(self.apply(ones).squeeze(-1))

    def degree(self) -> Tensor:
        """The degrees d that the normalisation used; of an operator not normalised, its row sums.

        Returns:
            Shape (*batch, N), float32 at least. For "sym" the row sums of M̂ = (M + Mᵀ)/2.
        """
        return (self._degree or self.row_sums()).values

    @property
    def is_normalized(self) -> bool:
        """Whether degrees normalised it, which :meth:`degree` then gives."""
        return self._degree is not None

    def symmetrized(self) -> AffinityOperator:
        """½ (A + Aᵀ)."""
        return self if self.is_symmetric else SymmetrizedOperator(self)

    def scaled(self, left: Diagonal | None, right: Diagonal | None) -> AffinityOperator:
        """diag(left) A diag(right); None stands for the identity.

        The same object on both sides keeps a symmetric operator symmetric.
        """
        return ScaledOperator(self, left, right)

    def balanced(self) -> AffinityOperator:
        """D^-½ A D^-½ with D the row sums of A itself, recorded as its degrees."""
        degree = self.row_sums()
        root = degree.power(-0.5)
        return self.scaled(root, root).with_degree(degree)

    def row_normalized(self) -> AffinityOperator:
        """D^-1 A with D the row sums, recording them; a row of sum 0 stays 0."""
        degree = self.row_sums()
        return self.scaled(degree.power(-1), None).with_degree(degree)

    def with_degree(self, degree: Diagonal | None) -> Self:
        """The same operator, recording the degrees that normalised it."""
        recorded = copy.copy(self)
        recorded._degree = degree
        return recorded

    def to(self, dtype: torch.dtype) -> AffinityOperator:
        """The same operator with its weights in another dtype; its degrees keep theirs.

        Raises:
            TypeError: If the representation cannot change its dtype.
        """
        if dtype == self.dtype:
            return self
        raise TypeError(f"a {type(self).__name__} keeps its dtype {self.dtype}; cast its inputs.")

    def to_dense(self) -> Tensor:
        """A as a matrix, shape (*batch, N, N). Memory O(N²)."""
        eye = torch.eye(self.shape[-1], dtype=self.dtype, device=self.device)
        return self.apply(eye.expand(*self.shape[:-2], *eye.shape))

    def to_edges(self) -> tuple[Tensor, Tensor]:
        """A as PyG edges: ``edge_index`` (2, E) with row 0 = j, row 1 = i, and weights A_ij.

        The edges are the pairs with a non-zero weight in any batch item. Synchronises the device.

        Returns:
            ``edge_index`` (2, E) and ``edge_weight`` (*batch, E).
        """
        dense = self.to_dense()
        support = (dense != 0).flatten(0, -3).any(0) if dense.dim() > 2 else dense != 0
        target, source = support.nonzero().T
        return torch.stack([source, target]), dense[..., target, source]

    def __repr__(self) -> str:
        shape = ", ".join(str(length) for length in self.shape)
        return f"{type(self).__name__}(shape=({shape}), dtype={self.dtype})"


class SymmetrizedOperator(AffinityOperator):
    """M̂ = (M + Mᵀ) / 2, from two applications of M.

    Source: Zhu et al., Eq. 13.

    Args:
        inner: M, square.

    Raises:
        ValueError: If M is rectangular.

    Cost: twice that of M.
    """

    is_symmetric = True

    def __init__(self, inner: AffinityOperator) -> None:
        require_square(inner)
        self.inner = inner
        self.representation = inner.representation  # type: ignore[misc]
        self.shape, self.dtype, self.device = inner.shape, inner.dtype, inner.device
        self.is_nonnegative = inner.is_nonnegative

    def apply(self, z: Tensor) -> Tensor:
        return (self.inner.apply(z) + self.inner.T.apply(z)) / 2

    def _transposed(self) -> SymmetrizedOperator:
        return self

    def row_sums(self) -> Diagonal:
        return self.inner.row_sums().mean(self.inner.T.row_sums())

    def to_dense(self) -> Tensor:
        matrix = self.inner.to_dense()
        return (matrix + matrix.mT) / 2

    def scaled(self, left: Diagonal | None, right: Diagonal | None) -> AffinityOperator:
        """D M̂ D = ½ (D M D + (D M D)ᵀ): the scale goes inside, where a logarithm stays stable."""
        if left is right:
            return self.inner.scaled(left, right).symmetrized()
        return super().scaled(left, right)


def require_square(m: AffinityOperator) -> None:
    """Raise a ``ValueError`` unless targets and sources are the same number of nodes."""
    if m.shape[-1] != m.shape[-2]:
        raise ValueError(
            f"only a square affinity can be symmetrised; this one joins {m.shape[-1]} sources to "
            f'{m.shape[-2]} targets. Use normalization="rw" or "none".'
        )


class ScaledOperator(AffinityOperator):
    """diag(left) A diag(right).

    Args:
        inner: A.
        left: Scale of the rows, or None.
        right: Scale of the columns, or None.

    Cost: that of A, and O(N·C).
    """

    def __init__(
        self, inner: AffinityOperator, left: Diagonal | None, right: Diagonal | None
    ) -> None:
        self.inner, self.left, self.right = inner, left, right
        self.representation = inner.representation  # type: ignore[misc]
        self.shape, self.dtype, self.device = inner.shape, inner.dtype, inner.device
        self.is_nonnegative = inner.is_nonnegative  # degrees of a signed A may be negative too
        self.is_symmetric = inner.is_symmetric and left is right

    def apply(self, z: Tensor) -> Tensor:
        return scale_rows(self.inner.apply(scale_rows(z, self.right)), self.left)

    def _transposed(self) -> ScaledOperator:
        return ScaledOperator(self.inner.T, self.right, self.left)


def scale_rows(z: Tensor, scale: Diagonal | None) -> Tensor:
    """diag(scale) z in the dtype of z, shape (*batch, N, C).

    Multiplied before it is cast: a scale of 1e-6 alone is nearly lost in half precision.
    """
    return z if scale is None else (z * scale.values.unsqueeze(-1)).to(z.dtype)
