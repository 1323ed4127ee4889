"""The ends of the spectrum of a large graph, from products with A alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.sparse.linalg import ArpackError, ArpackNoConvergence, LinearOperator, eigs, eigsh

from snl_graph.spectral.dense import Pairs, degree_blur, similar_pairs
from snl_graph.spectral.graph import Array, OneGraph
from snl_graph.spectral.lanczos import Product, lanczos, start_vectors, upper_end

RESTARTS = 100
"""Restarts of the Lanczos and Arnoldi iterations before they give up."""

_COARSE = 1e-4  # relative to a value near 2: enough to tell the bulk from what was missed

_ENTRIES = 2**25  # of the vectors held at once, 256 MiB, where k does not ask for more


def krylov_pairs(graph: OneGraph, k: int) -> tuple[Pairs, float, float]:
    """The k eigenpairs of I − A of least real part; the greatest real part of all N and its error.

    Lanczos iterations where A is symmetric, or similar to a symmetric matrix through its degrees,
    with a second search for copies of eigenvalues that a single start vector cannot see; Arnoldi
    iterations otherwise.

    Args:
        graph: The graph.
        k: Fewer than N − 2.

    Raises:
        ValueError: If the iterations do not converge.

    Cost: some hundred products with A, memory O(N·k).
    """
    # The solvers judge a residual relative to its eigenvalue: I + A and I − A have none near 0 at
    # the end that is sought.
    balanced, method = balanced_product(graph)
    if balanced is None:
        return _arnoldi(graph, k, max(graph.precision, 1e-12))
    # The error of an eigenvalue of a symmetric matrix is the square of that of its vector.
    tolerance = max(graph.precision, 1e-10)
    values, vectors = _largest(lambda z: z + balanced(z), graph.n, k, tolerance)
    pairs = Pairs(2 - values, vectors, "symmetric")
    if method == "similar" and graph.root is not None:
        pairs = similar_pairs(pairs, graph.root)
    return pairs, *upper_end(balanced, graph.n)


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


def _largest(product: Product, n: int, k: int, tolerance: float) -> tuple[Array, Array]:
    """The k largest eigenpairs of a symmetric A, copies of an eigenvalue included."""
    values, vectors = _solve(eigsh, product, n, k, tolerance, which="LA")
    for _ in range(k):
        found, moved = vectors, values + 2 * max(1.0, float(np.abs(values).max()))

        def deflated(z: Array, found: Array = found, moved: Array = moved) -> Array:
            return product(z) - found @ (moved * (found.T @ z))

        vector = _missed(deflated, n, values.min() + 10 * tolerance, tolerance)
        if vector is None:
            return values, vectors
        vector = vector - vectors @ (vectors.T @ vector)
        vector /= np.linalg.norm(vector)
        kept = np.argsort(values)[1:] if len(values) == k else np.arange(len(values))
        # Rayleigh and Ritz on the span of those kept and the one that was missed.
        span, _ = np.linalg.qr(np.hstack([vectors[:, kept], vector]))
        inner = span.T @ product(span)
        values, turn = np.linalg.eigh((inner + inner.T) / 2)
        vectors = span @ turn
    return values, vectors


def _missed(product: Product, n: int, floor: float, tolerance: float) -> Array | None:
    """Eigenvector of the largest eigenvalue of a symmetric A, (N, 1), if that is above ``floor``.

    Raises:
        ValueError: If it is above but does not converge.
    """
    for precision in (_COARSE, tolerance):
        try:
            value, vector = _solve(eigsh, product, n, 1, precision, which="LA")
        except ValueError:
            # No Ritz value exceeds the largest eigenvalue: one above the floor is one more copy,
            # and where none is, nothing that was missed stands out from the bulk.
            if _largest_ritz(product, n) > floor:
                raise
            return None
        if value[0] <= floor - 4 * precision:
            return None
    return vector if value[0] > floor else None


def _largest_ritz(product: Product, n: int) -> float:
    """A value that the largest eigenvalue of a symmetric A reaches, nearly always most of it."""
    found = lanczos(product, start_vectors(n, 2), min(n, 300))
    return 1 - min(float(one.values[0]) for one in found)


def _arnoldi(graph: OneGraph, k: int, tolerance: float) -> tuple[Pairs, float, float]:
    values, vectors = _solve(eigs, lambda z: z + graph.apply(z), graph.n, k, tolerance, which="LR")
    most, last = _solve(eigs, lambda z: z - graph.apply(z), graph.n, 1, tolerance, which="LR")
    product = graph.apply(last.real) + 1j * graph.apply(last.imag)
    error = float(np.linalg.norm(last - product - last * most))
    if np.all(values.imag == 0):
        values, vectors = values.real, vectors.real
        vectors = vectors / np.linalg.norm(vectors, axis=0)
    return Pairs(2 - values, vectors, "general"), float(most.real.max()), error


def _solve(
    solver: Callable[..., tuple[Array, Array]],
    product: Product,
    n: int,
    k: int,
    tolerance: float,
    which: str,
) -> tuple[Array, Array]:
    operator = LinearOperator((n, n), matvec=product, matmat=product, dtype=np.float64)
    try:
        return solver(
            operator,
            k=k,
            which=which,
            v0=start_vectors(n, 1)[:, 0],
            tol=tolerance,
            ncv=min(n - 1, max(2 * k + 1, min(200, _ENTRIES // n), 24)),
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
