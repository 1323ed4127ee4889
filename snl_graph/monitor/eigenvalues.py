"""The outer eigenvalues and the asymmetry of one A, cheaply enough to be taken while it trains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from snl_graph.operators import AffinityOperator
from snl_graph.spectral.factored import factors_of
from snl_graph.spectral.graph import Array, OneGraph
from snl_graph.spectral.lanczos import Product, start_vectors

SMALL = 256
"""Nodes, or columns of the factors, up to which a matrix is solved in full."""

STEPS = 16
"""Products with A that the outer eigenvalues of a larger one are estimated from."""

PROBES = 16
"""Random signals that ‖A − Aᵀ‖ and ‖A‖ of such a matrix are estimated with."""


@dataclass(frozen=True)
class Ends:
    """What the eigenvalues and the transpose of one A tell.

    Attributes:
        lambda_max: Greatest real part of the eigenvalues λ of L = I − A.
        gap: 1 − |μ₂| / |μ₁| of the eigenvalues μ of A; None where A = 0.
        max_imag: Largest |Im λ|.
        asymmetry: ‖A − Aᵀ‖ / ‖A‖ in the Frobenius norm; 0 where A = 0.
        solver: "dense", "factored" or "krylov".
    """

    lambda_max: float
    gap: float | None
    max_imag: float
    asymmetry: float
    solver: str


def ends_of(a: AffinityOperator) -> Ends:
    """The ends of the spectrum of A, shape (N, N).

    Written down where N ≤ 256; a factored A through the matrix C of twice its rank, of which
    A = Q C Qᵀ: both exact. Otherwise the eigenvalues are those of A on a block Krylov space of two
    fixed start vectors, so that a double eigenvalue is seen as two, and the asymmetry is that on
    fixed random signals.

    Raises:
        ValueError: If A holds NaN or infinity.

    Cost: 25·N³ operations in float64 where it is written down, 8·N·r² for factors; otherwise 16
        products with 2 signals, and two with 16 where A is not known to be symmetric.
    """
    graph = OneGraph(a)
    if graph.n <= SMALL:
        return _of_matrix(graph.dense, graph.n, graph.is_symmetric, "dense")
    factors = factors_of(a)
    if factors is not None and factors.width <= 2 * SMALL:
        return _of_matrix(factors.core(), graph.n, graph.is_symmetric, "factored")
    core = krylov_core(graph.apply, graph.n, graph.precision)
    asymmetry = 0.0 if graph.is_symmetric else _asymmetry(graph)
    return _ends(_eigenvalues(core, graph.is_symmetric), asymmetry, "krylov")


def krylov_core(product: Product, n: int, precision: float, steps: int = STEPS) -> Array:
    """Qᵀ A Q with Q an orthonormal basis of the span of v, A v, …, A^(steps − 1) v.

    Its eigenvalues come near the outer ones of A, from inside (Saad, *Numerical Methods for Large
    Eigenvalue Problems*, ch. 6). Every vector is orthogonalised against all others, twice.

    Args:
        product: A, of (N, P) signals.
        n: N.
        precision: ε of the products: smaller rests are noise.
        steps: Products with A.
    """
    basis, images = np.zeros((n, 0)), np.zeros((n, 0))
    block = start_vectors(n, 2)
    for _ in range(steps):
        size = np.linalg.norm(block)
        for _ in range(2):
            block = block - basis @ (basis.T @ block)
        directions, lengths, _ = np.linalg.svd(block, full_matrices=False)
        directions = directions[:, lengths > 8 * precision * size]
        if not directions.shape[1]:  # the span is invariant: its eigenvalues are A's own
            break
        block = product(directions)
        basis, images = np.hstack([basis, directions]), np.hstack([images, block])
    core: Array = basis.T @ images
    return core


def _of_matrix(matrix: Array, n: int, is_symmetric: bool, solver: str) -> Ends:
    values = _eigenvalues(matrix, is_symmetric)
    if len(values) < n:  # the eigenvalues outside the span of the factors
        values = np.append(values, [0.0] * min(2, n - len(values)))
    size = np.linalg.norm(matrix)
    asymmetry = np.linalg.norm(matrix - matrix.T) / size if size and not is_symmetric else 0.0
    return _ends(values, float(asymmetry), solver)


def _eigenvalues(matrix: Array, is_symmetric: bool) -> Array:
    values: Array = np.linalg.eigvalsh(matrix) if is_symmetric else np.linalg.eigvals(matrix)
    return values


def _ends(values: Array, asymmetry: float, solver: str) -> Ends:
    moduli = np.sort(np.abs(values))[::-1]
    second = moduli[1] if len(moduli) > 1 else 0.0
    return Ends(
        lambda_max=float(1 - values.real.min()),
        gap=float(1 - second / moduli[0]) if moduli[0] > 0 else None,
        max_imag=float(np.abs(values.imag).max()),
        asymmetry=asymmetry,
        solver=solver,
    )


def _asymmetry(graph: OneGraph) -> float:
    """Exact for a sparse A, otherwise by E ‖B v‖² = ‖B‖² of random v."""
    sparse: Any = graph.sparse
    if sparse is not None:
        size = np.linalg.norm(sparse.data)
        return float(np.linalg.norm((sparse - sparse.T).data) / size) if size else 0.0
    signals = start_vectors(graph.n, PROBES)
    image = graph.apply(signals)
    size = np.linalg.norm(image)
    return float(np.linalg.norm(image - graph.apply_transposed(signals)) / size) if size else 0.0
