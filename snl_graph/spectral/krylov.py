"""The ends of the spectrum of a large graph, from products with A alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse
from scipy.sparse.linalg import ArpackError, ArpackNoConvergence, LinearOperator, eigs, eigsh

from snl_graph.spectral.banded import SHIFT, banded_inverse
from snl_graph.spectral.dense import Pairs, degree_blur, similar_pairs
from snl_graph.spectral.graph import Array, OneGraph
from snl_graph.spectral.lanczos import Product, lanczos, start_vectors, upper_end

RESTARTS = 100
"""Restarts of the Lanczos and Arnoldi iterations before they give up."""

_COARSE = 1e-4  # relative to a value near 2: enough to tell the bulk from what was missed

_ENTRIES = 2**25  # of the vectors held at once, 256 MiB, where k does not ask for more


@dataclass(frozen=True)
class Ends:
    """Both ends of the spectrum of I − A.

    Attributes:
        pairs: The k eigenpairs of least real part.
        lambda_max: Greatest real part of all N eigenvalues, as far as found.
        lambda_max_error: Some eigenvalue lies within this of it.
        solver: "lanczos", "inverse" or "arnoldi".
    """

    pairs: Pairs
    lambda_max: float
    lambda_max_error: float
    solver: str


def krylov_ends(graph: OneGraph, k: int) -> Ends:
    """The k eigenpairs of I − A of least real part, and the greatest real part of all N.

    Lanczos iterations where A is symmetric, or similar to a symmetric matrix through its degrees,
    with a second search for copies of eigenvalues that a single start vector cannot see: with
    (I − A + σ I)⁻¹ where A is sparse and that is cheap, with A otherwise. Arnoldi iterations of any
    other A.

    Args:
        graph: The graph.
        k: Fewer than N − 2.

    Raises:
        ValueError: If the iterations do not converge.

    Cost: some hundred products, memory O(N·k).
    """
    # The solvers judge a residual relative to its eigenvalue: I + A and I − A have none near 0 at
    # the end that is sought.
    balanced, method = balanced_product(graph)
    if balanced is None:
        return _arnoldi(graph, k, max(graph.precision, 1e-12))
    # The error of an eigenvalue of a symmetric matrix is the square of that of its vector.
    tolerance = max(graph.precision, 1e-10)
    inverse = _inverse(graph, method)
    if inverse is not None:
        _, vectors = _largest(inverse, graph.n, k, tolerance, is_inverse=True)
        values, vectors = _rayleigh_ritz(lambda z: z - balanced(z), vectors)
    else:
        values, vectors = _largest(lambda z: z + balanced(z), graph.n, k, tolerance)
        values = 2 - values
    pairs = Pairs(values, vectors, "symmetric")
    if method == "similar" and graph.root is not None:
        pairs = similar_pairs(pairs, graph.root)
    most, error = upper_end(balanced, graph.n)
    return Ends(pairs, most, error, "lanczos" if inverse is None else "inverse")


def _inverse(graph: OneGraph, method: str) -> Product | None:
    matrix = graph.sparse
    if matrix is None:
        return None
    if method == "similar" and graph.root is not None:
        scale, back = (scipy.sparse.diags_array(one) for one in (graph.root, 1 / graph.root))
        matrix = scale @ matrix @ back
    return banded_inverse(matrix, SHIFT + 16 * graph.precision)


def balanced_product(graph: OneGraph) -> tuple[Product | None, str]:
    """The product with A or with D^½ A D^-½, whichever is symmetric, and its method's name.

    Of a matrix that is not written down the symmetry is measured on fixed pairs of vectors:
    ⟨x, A y⟩ = ⟨A x, y⟩.
    """
    if graph.is_symmetric or _is_symmetric(graph.apply, graph.n, graph.precision):
        return graph.apply, "symmetric"
    root = graph.root
    if root is not None:

        def similar(z: Array) -> Array:
            scale = root.reshape(-1, *[1] * (z.ndim - 1))
            return scale * graph.apply(z / scale)

        if _is_symmetric(similar, graph.n, graph.precision * degree_blur(root)):
            return similar, "similar"
    return None, "general"


def symmetry_defect(product: Product, n: int) -> float:
    """Largest |⟨x, A y⟩ − ⟨A x, y⟩| / (‖A x‖ ‖y‖) of fixed pairs x, y: 0 for a symmetric A."""
    x, y = np.split(start_vectors(n, 8), 2, axis=1)
    image_x, image_y = product(x), product(y)
    size = np.linalg.norm(image_x, axis=0) * np.linalg.norm(y, axis=0)
    defect = np.abs((x * image_y).sum(0) - (image_x * y).sum(0))
    return float((defect / np.where(size > 0, size, 1)).max())


def _is_symmetric(product: Product, n: int, precision: float) -> bool:
    return symmetry_defect(product, n) <= 8 * precision


def _largest(
    product: Product, n: int, k: int, tolerance: float, *, is_inverse: bool = False
) -> tuple[Array, Array]:
    """The k largest eigenpairs of a symmetric matrix, copies of an eigenvalue included.

    Args:
        product: I + A, with eigenvalues near 2; or the inverse of a positive definite matrix, whose
            eigenvalues have many sizes, so that each is judged by its own.
        n: N.
        k: How many.
        tolerance: Of the residuals, relative.
        is_inverse: Whether ``product`` is the latter.
    """
    steps = max(2 * k + 1, 40) if is_inverse else None
    values, vectors = _solve(eigsh, product, n, k, tolerance, which="LA", steps=steps)
    for _ in range(k):
        found = vectors
        # What was found goes to where nothing is sought: of the inverse 0, its lower bound.
        low = 0.0 if is_inverse else -2 * max(1.0, float(np.abs(values).max()))
        size = float(np.abs(values).min())
        size = size if is_inverse else max(1.0, size)

        def deflated(z: Array, found: Array = found, low: float = low) -> Array:
            along = found.T @ z
            rest = product(z - found @ along)
            return rest + found @ (low * along - found.T @ rest)

        floor = float(values.min()) + 10 * tolerance * size
        vector = _missed(deflated, n, floor, tolerance, size, steps)
        if vector is None:
            return values, vectors
        vector = vector - vectors @ (vectors.T @ vector)
        vector /= np.linalg.norm(vector)
        kept = np.argsort(values)[1:] if len(values) == k else np.arange(len(values))
        values, vectors = _rayleigh_ritz(product, np.hstack([vectors[:, kept], vector]))
    return values, vectors


def _rayleigh_ritz(product: Product, vectors: Array) -> tuple[Array, Array]:
    """Eigenpairs of a symmetric matrix on the span of some vectors."""
    span, _ = np.linalg.qr(vectors)
    inner = span.T @ product(span)
    values, turn = np.linalg.eigh((inner + inner.T) / 2)
    return values, span @ turn


def _missed(
    product: Product, n: int, floor: float, tolerance: float, size: float, steps: int | None
) -> Array | None:
    """Eigenvector of the largest eigenvalue of a symmetric A, (N, 1), if that is above ``floor``.

    Raises:
        ValueError: If it is above but does not converge.
    """
    for precision in (_COARSE, tolerance):
        try:
            value, vector = _solve(eigsh, product, n, 1, precision, which="LA", steps=steps)
        except ValueError:
            # No Ritz value exceeds the largest eigenvalue: one above the floor is one more copy,
            # and where none is, nothing that was missed stands out from the bulk.
            if _largest_ritz(product, n) > floor:
                raise
            return None
        if value[0] <= floor - 4 * precision * size:
            return None
    return vector if value[0] > floor else None


def _largest_ritz(product: Product, n: int) -> float:
    """A value that the largest eigenvalue of a symmetric A reaches, nearly always most of it."""
    found = lanczos(product, start_vectors(n, 2), min(n, 300))
    return 1 - min(float(one.values[0]) for one in found)


def _arnoldi(graph: OneGraph, k: int, tolerance: float) -> Ends:
    values, vectors = _solve(eigs, lambda z: z + graph.apply(z), graph.n, k, tolerance, which="LR")
    most, last = _solve(eigs, lambda z: z - graph.apply(z), graph.n, 1, tolerance, which="LR")
    product = graph.apply(last.real) + 1j * graph.apply(last.imag)
    error = float(np.linalg.norm(last - product - last * most))
    if np.all(values.imag == 0):
        values, vectors = values.real, vectors.real
        vectors = vectors / np.linalg.norm(vectors, axis=0)
    pairs = Pairs(2 - values, vectors, "general")
    return Ends(pairs, float(most.real.max()), error, "arnoldi")


def _solve(
    solver: Callable[..., tuple[Array, Array]],
    product: Product,
    n: int,
    k: int,
    tolerance: float,
    which: str,
    steps: int | None = None,
) -> tuple[Array, Array]:
    """Eigenpairs at one end, from a basis of so many steps; None for as many as memory allows."""
    if steps is None:
        steps = max(2 * k + 1, min(200, _ENTRIES // n), 24)
    operator = LinearOperator((n, n), matvec=product, matmat=product, dtype=np.float64)
    try:
        return solver(
            operator,
            k=k,
            which=which,
            v0=start_vectors(n, 1)[:, 0],
            tol=tolerance,
            ncv=min(n - 1, steps),
            maxiter=RESTARTS,
        )
    except ArpackNoConvergence as error:
        raise ValueError(
            f"{len(error.eigenvalues)} of {k} eigenvalues of {n} nodes converged to {tolerance:.0e}"
            f" in {RESTARTS} restarts; the others lie too close together. Ask for fewer (k=...), "
            f"or for their distribution: spectral_density(obj)."
        ) from None
    except ArpackError as error:
        raise ValueError(
            f"the iterations for {k} eigenvalues of {n} nodes broke down ({error}). Ask for their "
            f"distribution: spectral_density(obj)."
        ) from None
