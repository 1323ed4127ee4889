"""Products with (L + σ I)⁻¹ of a graph whose edges can be brought near the diagonal."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse
from scipy.sparse.csgraph import reverse_cuthill_mckee

from snl_graph.spectral.graph import Array
from snl_graph.spectral.lanczos import Product

SHIFT = 1e-6
"""σ: below the gaps that are sought, above what rounding makes of λ = 0."""

MOST_ENTRIES = 2**25
"""Of the factor, 256 MiB; each product reads them twice."""

MOST_WORK = 2**36
"""N times the band squared: the factorisation takes as many operations, some ten seconds."""


def banded_inverse(a: Any, shift: float = SHIFT) -> Product | None:
    """The product (I − A + σ I)⁻¹ z of a symmetric sparse A; None where it would cost too much.

    Long paths, cycles, grids and road networks have eigenvalues so near 0 that iterations with A
    do not tell them apart. The same graphs have an order of their nodes in which every edge is
    short: there the matrix is a narrow band, and so is its Cholesky factor. Where the band is wide
    the graph is entangled, its eigenvalues stand farther apart, and A itself will do.

    Source: Cuthill and McKee (1969) for the order; Golub and Van Loan, §4.3.5 for the factor.

    Args:
        a: A, a SciPy sparse array (N, N).
        shift: σ > 0. Of a normalised Laplacian I − A + σ I is then positive definite.

    Returns:
        The product, of signals (N,) or (N, P); None where the band is too wide, or where I − A has
        an eigenvalue below −σ.

    Cost: O(N b²) once and O(N b) a product, memory O(N b), with a band of b.
    """
    n = a.shape[0]
    matrix = scipy.sparse.csr_array(a)
    order = reverse_cuthill_mckee(matrix, symmetric_mode=True)
    entries = matrix[order][:, order].tocoo()
    row, column = np.maximum(entries.row, entries.col), np.minimum(entries.row, entries.col)
    band = int((row - column).max(initial=0)) + 1
    if n * band > MOST_ENTRIES or n * band**2 > MOST_WORK:
        return None
    lower = np.zeros((band, n))
    # Both triangles hold the same numbers, each off the diagonal twice.
    halved = np.where(entries.row == entries.col, entries.data, entries.data / 2)
    np.subtract.at(lower, (row - column, column), halved)
    lower[0] += 1 + shift
    try:
        factor = scipy.linalg.cholesky_banded(lower, overwrite_ab=True, lower=True)
    except np.linalg.LinAlgError:
        return None

    def product(z: Array) -> Array:
        found = np.empty_like(z)
        found[order] = scipy.linalg.cho_solve_banded((factor, True), z[order], check_finite=False)
        return found

    return product
