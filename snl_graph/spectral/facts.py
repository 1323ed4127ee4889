"""What can be measured of A, exactly where that is affordable and by products with A elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse.linalg import ArpackError, LinearOperator, eigs

from snl_graph.spectral.components import Structure
from snl_graph.spectral.factored import Factors, factors_of
from snl_graph.spectral.graph import Array, OneGraph
from snl_graph.spectral.krylov import balanced_product
from snl_graph.spectral.lanczos import lanczos, start_vectors
from snl_graph.spectral.spectrum import SMALL, spectrum_of

PROBES = 64
"""Random signals that norms of a matrix are estimated with, where it is not written down."""

COLUMNS = 256
"""Columns of such a matrix that are looked at for its least weight."""


@dataclass(frozen=True)
class Eigenvalues:
    """The ends of the spectrum of L = I − A.

    Attributes:
        least, greatest: Of the real parts.
        max_imag: Largest |Im λ|; None where it could not be found.
        is_real: Whether the spectrum is real; None where that could not be found.
        null_space: Number of eigenvalues within the tolerance of 0.
        error: Some eigenvalue lies within this of ``least``, and of ``greatest``.
        notes: What was not measured in full.
    """

    least: float
    greatest: float
    max_imag: float | None
    is_real: bool | None
    null_space: int
    error: float
    notes: tuple[str, ...] = ()


def eigenvalues_of(graph: OneGraph, structure: Structure, tolerance: float) -> Eigenvalues:
    """The ends of the spectrum; all of it where it is affordable."""
    if graph.n <= SMALL or factors_of(graph.a) is not None:
        found = spectrum_of(graph)
        values = found.eigenvalues.numpy()
        return Eigenvalues(
            float(values.real.min()),
            found.lambda_max,
            float(np.abs(values.imag).max()),
            found.is_real,
            int((np.abs(values) <= tolerance).sum()),
            found.residual,
        )
    product, method = balanced_product(graph)
    if product is None or graph.root is None:
        return _of_general(graph, structure, tolerance)
    ritz = lanczos(product, start_vectors(graph.n, 2), 100)
    ends = [
        min((float(one.values[0]), float(one.errors[0])) for one in ritz),
        max((float(one.values[-1]), float(one.errors[-1])) for one in ritz),
    ]
    # The vectors of 0 and 2 are known where A is normalised by its degrees: tried, not believed.
    weights = graph.root if method == "similar" else degree_root(graph, structure)
    null = _quotients(product, structure, weights, np.ones(structure.components, dtype=bool))
    two = _quotients(product, structure, weights * structure.colour, structure.is_bipartite)
    if len(null):
        ends[0] = min(ends[0], (float(null[:, 0].min()), float(null[:, 1].max())))
    if len(two):
        ends[1] = max(ends[1], (float(two[:, 0].max()), float(two[:, 1].max())))
    return Eigenvalues(
        ends[0][0],
        ends[1][0],
        0.0,
        True,
        int(((np.abs(null[:, 0]) <= tolerance) & (null[:, 1] <= tolerance**0.5)).sum()),
        max(ends[0][1], ends[1][1]),
        ("null_space counts components whose own vector D^½ 1 is in it; no other was sought",),
    )


def degree_root(graph: OneGraph, structure: Structure) -> Array:
    """A vector that a normalised symmetric A maps to itself on each component: D^½ 1.

    The degrees are recorded where a normalisation made A, and else are those found by 100 steps of
    the power method on I + A.
    """
    root = graph.root
    if root is not None:
        joined = structure.has_edges[structure.label]
        if np.all(np.abs(graph.apply(root) - root)[joined] <= 1e-3 * root[joined]):
            return root
    vector: Array = np.ones(graph.n)
    for _ in range(100):
        vector = vector + graph.apply(vector)
        vector /= np.linalg.norm(vector)
    return vector


def _quotients(product: object, structure: Structure, vector: Array, which: Array) -> Array:
    """Rayleigh quotient and residual of the vector on each of some components, (components, 2)."""
    chosen = which & structure.has_edges
    label, count = structure.label, structure.components
    v = np.where(chosen[label], vector, 0.0)
    image = v - product(v)  # type: ignore[operator]
    size = np.bincount(label, v * v, count)
    safe = np.where(size > 0, size, 1)
    quotient = np.bincount(label, v * image, count) / safe
    rest = image - quotient[label] * v
    residual = np.sqrt(np.bincount(label, rest * rest, count) / safe)
    return np.stack([quotient, residual], 1)[chosen & (size > 0)]


def _of_general(graph: OneGraph, structure: Structure, tolerance: float) -> Eigenvalues:
    found = spectrum_of(graph, 1)
    notes = ["null_space counts components whose own constant vector is in it"]
    try:
        operator = LinearOperator((graph.n, graph.n), matvec=graph.apply, dtype=np.float64)
        start = start_vectors(graph.n, 1)[:, 0]
        far = eigs(operator, k=2, which="LI", v0=start, maxiter=100, return_eigenvectors=False)
        imag: float | None = float(np.abs(far.imag).max())
    except ArpackError:
        imag = None
        notes.append("max_imag was not found: the iterations did not converge")
    null = _quotients(graph.apply, structure, np.ones(graph.n), np.ones(structure.components, bool))
    return Eigenvalues(
        float(found.eigenvalues.real.min()),
        found.lambda_max,
        imag,
        None if imag is None else imag <= tolerance,
        int((null[:, 1] <= tolerance).sum()),
        max(found.residual, found.lambda_max_error),
        tuple(notes),
    )


def least_weight(graph: OneGraph) -> tuple[float, str | None]:
    """The least entry of A, and a note where only some were looked at."""
    n = graph.n
    if graph.sparse is not None:
        entries = graph.sparse
        least = float(entries.data.min()) if entries.nnz else 0.0
        return (min(least, 0.0) if entries.nnz < n * n else least), None
    if n <= SMALL or graph.a.representation == "dense":
        return float(graph.dense.min()), None
    nodes = np.random.default_rng(20).choice(n, min(COLUMNS, n), replace=False)
    columns = np.zeros((n, len(nodes)))
    columns[nodes, np.arange(len(nodes))] = 1
    least = float(graph.apply(columns).min())
    sign = "" if not graph.a.is_nonnegative else "; none is negative by construction"
    return least, f"min_weight is that of {len(nodes)} of {n} columns{sign}"


def asymmetry(graph: OneGraph) -> tuple[float, float, str | None]:
    """‖A − Aᵀ‖ / ‖A‖ and ‖A Aᵀ − Aᵀ A‖ / ‖A‖² in the Frobenius norm, and a note if estimated."""
    if (factors := factors_of(graph.a)) is not None:
        return *_of_matrix(_core(factors)), None
    if graph.n <= SMALL or graph.a.representation == "dense":
        return *_of_matrix(graph.dense), None
    if graph.sparse is not None:
        difference = graph.sparse - graph.sparse.T
        size = float(np.linalg.norm(graph.sparse.data))
        relative = float(np.linalg.norm(difference.data)) / size if size else 0.0
        if relative == 0:
            return 0.0, 0.0, None
        return (
            relative,
            _estimated(graph, size)[1],
            f"non_normality is estimated with {PROBES} signals",
        )
    note = f"symmetry_residual and non_normality are estimated with {PROBES} signals"
    return *_estimated(graph), note


def _core(factors: Factors) -> Array:
    return factors.core()


def _of_matrix(a: Array) -> tuple[float, float]:
    size = float(np.linalg.norm(a))
    if size == 0:
        return 0.0, 0.0
    commutator = a @ a.T - a.T @ a
    return float(np.linalg.norm(a - a.T)) / size, float(np.linalg.norm(commutator)) / size**2


def _estimated(graph: OneGraph, size: float | None = None) -> tuple[float, float]:
    """The same from random signals x: the mean of ‖B x‖² is ‖B‖² (Hutchinson).

    Args:
        graph: The graph.
        size: ‖A‖, if it is known.
    """
    x = start_vectors(graph.n, PROBES) / PROBES**0.5
    forward, backward = graph.apply(x), graph.apply_transposed(x)
    size = float(np.linalg.norm(forward)) if size is None else size
    if size == 0:
        return 0.0, 0.0
    commutator = graph.apply(backward) - graph.apply_transposed(forward)
    relative = float(np.linalg.norm(commutator)) / size**2
    return float(np.linalg.norm(forward - backward)) / size, relative
