"""The eigenproblem of a matrix that is written down."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from snl_graph.spectral.graph import Array


@dataclass(frozen=True)
class Pairs:
    """Eigenpairs of L = I − A.

    Attributes:
        values: Shape (k,), real, or complex where they are.
        vectors: Unit columns, shape (N, k).
        method: "symmetric", "similar" or "general".
    """

    values: Array
    vectors: Array
    method: str


def eigenpairs(a: Array, root: Array | None, precision: float) -> Pairs:
    """All eigenpairs of I − A, in the solver's order.

    Args:
        a: A, shape (N, N).
        root: D^½, for which D^½ A D^-½ may be symmetric; or None.
        precision: ε of the numbers that A was made of: their rounding, not that of this
            computation, is what blurs symmetry.
    """
    if is_symmetric(a, precision):
        return symmetric_pairs(a)
    if root is not None:
        similar = root[:, None] * a / root
        if is_symmetric(similar, precision * degree_blur(root)):
            return similar_pairs(symmetric_pairs(similar), root)
    return general_pairs(a, precision)


def degree_blur(root: Array) -> float:
    """By how much D^½ · D^-½ may enlarge the rounding of A, at most 64.

    Degrees of an exponential kernel lie many powers of ten apart; with no limit every matrix would
    pass for symmetric under them.
    """
    return float(np.clip(root.max() / root.min(), 1.0, 64.0))


def is_symmetric(a: Array, precision: float) -> bool:
    """Whether A equals its transpose, to the precision of its numbers."""
    return bool(np.abs(a - a.T).max() <= 8 * precision * max(1.0, float(np.abs(a).max())))


def symmetric_pairs(a: Array) -> Pairs:
    """Eigenpairs of I − A of a symmetric A."""
    values, vectors = scipy.linalg.eigh(np.eye(len(a)) - (a + a.T) / 2)
    return Pairs(values, vectors, "symmetric")


def similar_pairs(balanced: Pairs, root: Array) -> Pairs:
    """Eigenpairs of I − A from those of D^½ A D^-½, which is symmetric."""
    vectors = balanced.vectors / root[:, None]
    return Pairs(balanced.values, vectors / np.linalg.norm(vectors, axis=0), "similar")


def general_pairs(a: Array, precision: float) -> Pairs:
    """Eigenpairs of I − A; real where no imaginary part exceeds its own uncertainty.

    A relative perturbation ε of L moves an eigenvalue by up to ε ‖L‖ / |yᴴ x|, with unit left and
    right eigenvectors y and x (Golub and Van Loan, §7.2.2).
    """
    laplacian = np.eye(len(a)) - a
    values, left, right = scipy.linalg.eig(laplacian, left=True, right=True)
    overlap = np.abs(np.sum(left.conj() * right, axis=0))
    tiny = np.finfo(np.float64).tiny
    size = np.linalg.norm(laplacian, 2)
    # Near a defective eigenvalue the bound says nothing; a double one moves by √ε at most.
    uncertainty = size * np.minimum(precision / np.maximum(overlap, tiny), np.sqrt(precision))
    if np.any(np.abs(values.imag) > uncertainty):
        return Pairs(values, right, "general")
    if np.all(values.imag == 0):
        return Pairs(values.real, right.real, "general")
    # A pair of nearly equal real eigenvalues came out as a complex pair.
    vectors = np.where(values.imag < 0, right.imag, right.real)
    return Pairs(values.real, vectors / np.linalg.norm(vectors, axis=0), "general")


def residual(a: Array, pairs: Pairs) -> float:
    """Largest ‖L v − λ v‖ over the pairs, relative to max(1, ‖L‖)."""
    if pairs.values.size == 0:
        return 0.0
    error = pairs.vectors - a @ pairs.vectors - pairs.vectors * pairs.values
    return float(np.linalg.norm(error, axis=0).max()) / laplacian_size(a)


def laplacian_size(a: Array) -> float:
    """max(1, ‖I − A‖) in the spectral norm; 1 where that costs as much as the spectrum."""
    if not 0 < len(a) <= 2048:
        return 1.0
    return max(1.0, float(np.linalg.norm(np.eye(len(a)) - a, 2)))
