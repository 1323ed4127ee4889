"""The exact spectrum of an operator of low rank, from a problem of the size of its rank.

A = X Yᵀ of N×r factors acts on the span of their 2r columns alone: with orthonormal Q and
[X Y] = Q [R₁ R₂] it is A = Q C Qᵀ, C = R₁ R₂ᵀ of 2r×2r. C has the eigenvalues of A, and shares
its symmetry and its conditioning; the N − 2r others are 0, λ = 1 of L = I − A.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from snl_graph.operators import AffinityOperator, FactoredOperator, ScaledOperator
from snl_graph.operators.diagonal import accumulation_dtype
from snl_graph.operators.factored import BalancedFactoredOperator
from snl_graph.spectral.dense import (
    Pairs,
    degree_blur,
    general_pairs,
    is_symmetric,
    laplacian_size,
    residual,
    similar_pairs,
    symmetric_pairs,
)
from snl_graph.spectral.graph import Array, OneGraph, as_numpy, require_finite

ROWS = 4096
"""Rows that are reduced to a triangle at a time."""


@dataclass(frozen=True)
class Factors:
    """A = X Yᵀ, or ½ (X Yᵀ + Y Xᵀ) where it is symmetrised; X = S Φ and Y = T Ψ.

    Attributes:
        phi, psi: Shape (N, r), in their own precision.
        s, t: The diagonals S and T, shape (N, 1), float64; the same where it is symmetrised.
        is_symmetrized: Which of the two.
    """

    phi: Array
    psi: Array
    s: Array
    t: Array
    is_symmetrized: bool

    @property
    def width(self) -> int:
        """2r, the greatest rank that A can have after it is reduced."""
        return 2 * int(self.phi.shape[1])

    def scaled(self, left: Array, right: Array) -> Factors:
        """diag(left) A diag(right), no longer known to be symmetric."""
        phi, psi = self.phi, self.psi
        if self.is_symmetrized:
            phi, psi = np.hstack([phi, psi]) / 2, np.hstack([psi, phi])
        return Factors(phi, psi, left[:, None] * self.s, right[:, None] * self.t, False)

    def apply(self, z: Array) -> Array:
        """A z for z of shape (N, P)."""
        x, y = self.s * self.phi, self.t * self.psi
        product: Array = x @ (y.T @ z)
        return (product + y @ (x.T @ z)) / 2 if self.is_symmetrized else product

    def core(self) -> Array:
        """C = Qᵀ A Q, shape (2r, 2r): QR of a few rows at a time, Q never formed.

        Cost: time 8·N·r², memory O(r²) and one block of rows.
        """
        triangle = np.zeros((0, self.width))
        for first in range(0, len(self.phi), ROWS):
            block = self._rows(slice(first, first + ROWS))
            triangle = np.asarray(np.linalg.qr(np.vstack([triangle, block]), mode="r"))
        return self._core(triangle)

    def core_and_basis(self) -> tuple[Array, Array]:
        """C and Q, shape (N, 2r)."""
        basis, triangle = np.linalg.qr(self._rows(slice(None)))
        return self._core(triangle), basis

    def _rows(self, rows: slice) -> Array:
        """Rows of [X Y] in float64."""
        block = np.hstack([self.s[rows] * self.phi[rows], self.t[rows] * self.psi[rows]])
        require_finite(block)
        return block

    def _core(self, triangle: Array) -> Array:
        r = self.width // 2
        product = triangle[:, :r] @ triangle[:, r:].T
        return (product + product.T) / 2 if self.is_symmetrized else product


def factors_of(a: AffinityOperator) -> Factors | None:
    """The factors of A, or None where it is not held as factors of fewer than N columns."""
    with torch.no_grad():
        found = _factors(a)
    return found if found is not None and found.width < a.shape[-1] else None


def _factors(a: AffinityOperator) -> Factors | None:
    if isinstance(a, ScaledOperator) and (inner := _factors(a.inner)) is not None:
        ones = np.ones(a.shape[-1])
        left, right = (
            ones if scale is None else as_numpy(scale.values) for scale in (a.left, a.right)
        )
        return inner.scaled(left, right)
    if not isinstance(a, FactoredOperator):
        return None
    root = np.ones((a.shape[-1], 1))
    if isinstance(a, BalancedFactoredOperator):
        root = as_numpy(a.root.values)[:, None]
    return Factors(_held(a.phi), _held(a.psi), root, root, a.is_symmetric)


def _held(factor: torch.Tensor) -> Array:
    """The numbers of a factor in their own precision, float32 at least."""
    numbers: Array = factor.detach().cpu().to(accumulation_dtype(factor.dtype)).numpy()
    return numbers


def factored_pairs(graph: OneGraph, factors: Factors, *, vectors: bool) -> tuple[Pairs, float]:
    """The 2r eigenpairs of I − A that the factors span, and their largest residual.

    Args:
        graph: The graph of the factors.
        factors: Of A.
        vectors: Whether to form the vectors, (N, 2r); otherwise those of I − C, (2r, 2r), stand in
            for them.
    """
    pairs, core = _reduced(factors, vectors, graph.precision)
    if pairs is None and (root := graph.root) is not None:
        balanced, balanced_core = _reduced(
            factors.scaled(root, 1 / root), vectors, graph.precision * degree_blur(root)
        )
        if balanced is not None:
            if not vectors:
                return Pairs(balanced.values, balanced.vectors, "similar"), residual(
                    balanced_core, balanced
                )
            pairs = similar_pairs(balanced, root)
    if pairs is None:
        core, basis = factors.core_and_basis() if vectors else (core, None)
        pairs = _lifted(general_pairs(core, graph.precision), basis)
    if not vectors:
        return pairs, residual(core, pairs)
    error = pairs.vectors - factors.apply(pairs.vectors) - pairs.vectors * pairs.values
    return pairs, float(np.linalg.norm(error, axis=0).max() / laplacian_size(core))


def _reduced(factors: Factors, vectors: bool, precision: float) -> tuple[Pairs | None, Array]:
    """The eigenpairs if C is symmetric, and C."""
    core, basis = factors.core_and_basis() if vectors else (factors.core(), None)
    if not factors.is_symmetrized and not is_symmetric(core, precision):
        return None, core
    return _lifted(symmetric_pairs(core), basis), core


def _lifted(pairs: Pairs, basis: Array | None) -> Pairs:
    if basis is None:
        return pairs
    return Pairs(pairs.values, basis @ pairs.vectors, pairs.method)
