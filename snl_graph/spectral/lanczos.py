"""The Lanczos recurrence: what a few products with A tell of all its eigenvalues."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh_tridiagonal

from snl_graph.spectral.graph import Array

Product = Callable[[Array], Array]


def start_vectors(n: int, count: int) -> Array:
    """Fixed vectors that look random, shape (N, P): the same graph has the same result."""
    return np.random.default_rng(20).standard_normal((n, count))


@dataclass(frozen=True)
class Ritz:
    """What one start vector v found.

    Attributes:
        values: Ritz values of L = I − A, ascending, shape (m,).
        weights: Squared component of v along each, summing to 1.
        errors: Some eigenvalue of L lies within this of each Ritz value, up to rounding.
    """

    values: Array
    weights: Array
    errors: Array


def lanczos(product: Product, start: Array, steps: int) -> list[Ritz]:
    """Ritz values of L = I − A of a symmetric A, one set for each start vector.

    Args:
        product: A, of (N, P) signals.
        start: Start vectors, shape (N, P).
        steps: Products with A, each with P signals.
    """
    return ritz(*recurrence(product, start, steps))


def recurrence(product: Product, start: Array, steps: int) -> tuple[Array, Array]:
    """Diagonal and off-diagonal of the Ritz matrices of L = I − A, shape (P, m) both.

    Vectors are not orthogonalised anew: rounding then brings copies of Ritz values that have
    converged, which share the weight among them (Parlett, *The Symmetric Eigenvalue Problem*,
    §13.3; Greenbaum, Linear Algebra Appl. 113 (1989)).

    Cost: ``steps`` products, memory of 3 signals (N, P).
    """
    norm = np.linalg.norm(start, axis=0)
    vector, before = start / np.where(norm > 0, norm, 1), np.zeros_like(start)
    beta = np.zeros(start.shape[1])
    is_alive = norm > 0
    diagonals, offs = [], []
    for _ in range(steps):
        rest = product(vector)  # fresh memory, and the last here: the rest is done in place
        np.subtract(vector, rest, out=rest)
        before *= beta
        rest -= before
        alpha = np.einsum("np,np->p", vector, rest)
        rest -= np.multiply(vector, alpha, out=before)
        beta = np.sqrt(np.einsum("np,np->p", rest, rest))
        # A probe that has seen its whole invariant subspace goes on as zeros.
        is_alive = is_alive & (beta > 1e-13)
        beta = np.where(is_alive, beta, 0)
        diagonals.append(alpha)
        offs.append(beta)
        rest /= np.where(is_alive, beta, np.inf)
        before, vector = vector, rest
        if not is_alive.any():
            break
    return np.array(diagonals).T, np.array(offs).T


def ritz(diagonals: Array, offs: Array) -> list[Ritz]:
    """Ritz values of tridiagonal matrices, shape (P, m) both."""
    return [_ritz(d, o) for d, o in zip(diagonals, offs, strict=True)]


def _ritz(diagonal: Array, off: Array) -> Ritz:
    ends = np.flatnonzero(off == 0)
    m = int(ends[0]) + 1 if len(ends) else len(diagonal)
    values, vectors = eigh_tridiagonal(diagonal[:m], off[: m - 1])
    return Ritz(values, vectors[0] ** 2, np.abs(off[m - 1] * vectors[-1]))


def upper_end(
    product: Product, n: int, *, steps: int = 100, probes: int = 2
) -> tuple[float, float]:
    """The largest eigenvalue of L = I − A of a symmetric A as far as found, and its error.

    Returns:
        θ ≤ λ_max, and r such that some eigenvalue lies within r of θ.
    """
    ends = [
        (float(one.values[-1]), float(one.errors[-1]))
        for one in lanczos(product, start_vectors(n, probes), min(steps, n))
    ]
    return max(ends)
