"""Eigenvalues of the graph Laplacian L = I − A."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from snl_graph.operators import AffinityOperator
from snl_graph.spectral.components import structure_of_matrix
from snl_graph.spectral.dense import Pairs, eigenpairs, residual
from snl_graph.spectral.factored import Factors, factored_pairs, factors_of
from snl_graph.spectral.graph import LARGEST_DENSE, Array, OneGraph
from snl_graph.spectral.krylov import krylov_ends
from snl_graph.spectral.sources import for_each_graph

SMALL = 2048
"""Nodes up to which a few eigenvalues are found by way of all of them."""

_METHODS = ["symmetric", "similar", "general"]


@dataclass(frozen=True)
class Spectrum:
    """Eigenvalues of L = I − A, ascending by real part, then by imaginary part.

    Attributes:
        eigenvalues: Shape (k,), float64, or complex128 where they are complex.
        eigenvectors: Unit columns, shape (N, k); None unless asked for. Of a factored operator at
            most 2r: those of λ = 1 outside the span of the factors are left out.
        is_real: Whether every eigenvalue is real, to the precision of A's own numbers.
        lambda_max: Greatest real part of all N eigenvalues, measured. The bound of Property 2 is 2.
        method: "symmetric" (A is), "similar" (D^½ A D^-½ is symmetric, as for a random walk on
            symmetric weights), or "general".
        residual: Largest ‖L v − λ v‖ over the unit eigenvectors v, relative to max(1, ‖L‖).
        indices: Which eigenvalue each column of ``eigenvectors`` belongs to, shape (columns,).
        solver: "dense", or where the matrix was not written down "factored", "lanczos", "inverse"
            (Lanczos iterations with the inverse of L + σ I), "arnoldi"; "components" where the
            connected components were solved one by one.
        lambda_max_error: Where iterations found λ_max: λ_max is not below the value given, and some
            eigenvalue lies within this of it. 0 where all eigenvalues were found.
    """

    eigenvalues: Tensor
    eigenvectors: Tensor | None
    is_real: bool
    lambda_max: float
    method: str
    residual: float
    indices: Tensor | None = None
    solver: str = "dense"
    lambda_max_error: float = 0.0


SpectrumOrList = Spectrum | list["SpectrumOrList"]


def spectrum(obj: Any, k: int | None = None, *, vectors: bool = False) -> Any:
    """Eigenvalues of L = I − A, with A as the block, layer or graph has it.

    A symmetric A, and one that is similar to a symmetric matrix through its degrees, has a real
    spectrum and is solved as such. Any other A is solved as a general matrix: its eigenvalues are
    complex wherever an imaginary part exceeds what rounding of A itself can cause, and no imaginary
    part is dropped.

    A factored A is solved exactly at any N, through a problem of twice its rank. A sparse A falls
    into its connected components. Where a matrix is too large to be written down, k of its
    eigenvalues are found by Lanczos or Arnoldi iterations with A, from fixed start vectors.

    Source: Zhu et al., Theorem 1, which writes L = D_L − A; with normalised A it is I − A.

    Args:
        obj: An operator; (block, feature map); (SNLConv, x, edge_index); or weights M, normalised
            symmetrically: PyG Data or Batch, networkx graph, scipy sparse matrix, tensor or array.
        k: How many eigenvalues, from the least real part on; None for all N.
        vectors: Whether to return the eigenvectors.

    Returns:
        One :class:`Spectrum`; for a batch a list of them, nested as its leading axes are.

    Raises:
        TypeError: If ``obj`` holds no graph.
        ValueError: If weights are negative or not finite, A is not square, k is not in 1 .. N, all
            eigenvalues of too large a graph are asked for, or iterations do not converge.

    Cost: O(N³) time and O(N²) memory for each graph, in float64 on the CPU; of a factored operator
        8·N·r² and O(r³) time, and memory of a few N×r matrices.

    Example:
        >>> path = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
        >>> found = spectrum(path)
        >>> found.eigenvalues.abs().round(decimals=6), found.is_real
        (tensor([0., 1., 2.], dtype=torch.float64), True)
    """

    def solve(a: AffinityOperator) -> Spectrum:
        return spectrum_of(OneGraph(a), k, vectors=vectors)

    return for_each_graph(obj, solve)


def spectrum_of(graph: OneGraph, k: int | None = None, *, vectors: bool = False) -> Spectrum:
    """The spectrum of one graph; see :func:`spectrum`."""
    n = graph.n
    is_count = isinstance(k, int | np.integer) and not isinstance(k, bool)
    if k is not None and not (is_count and 1 <= k <= n):
        raise ValueError(f"k is how many of the {n} eigenvalues to return, or None; got {k!r}.")
    if n == 0:
        empty = torch.empty(0, dtype=torch.float64)
        no_vectors = torch.empty(0, 0, dtype=torch.float64) if vectors else None
        return Spectrum(empty, no_vectors, True, float("nan"), "symmetric", 0.0)
    if (factors := factors_of(graph.a)) is not None:
        return _of_factors(graph, factors, k, vectors)
    wants_few = k is not None and k <= n // 4
    if n <= SMALL or (n <= LARGEST_DENSE and not wants_few):
        pairs = eigenpairs(graph.dense, graph.root, graph.precision)
        return _spectrum(pairs, residual(graph.dense, pairs), k, vectors)
    if graph.sparse is not None:
        return _of_components(graph, k, vectors)
    return _of_connected(graph, k, vectors)


def _of_connected(graph: OneGraph, k: int | None, vectors: bool) -> Spectrum:
    """A few eigenvalues of a large graph."""
    if k is None or k > graph.n // 4:
        raise _too_large(graph.n, "all" if k is None else str(k))
    ends = krylov_ends(graph, k)
    pairs = ends.pairs
    product = _of_columns(graph, pairs.vectors)
    error = np.linalg.norm(pairs.vectors - product - pairs.vectors * pairs.values, axis=0).max()
    found = _spectrum(pairs, float(error), k, vectors, solver=ends.solver)
    return replace(found, lambda_max=ends.lambda_max, lambda_max_error=ends.lambda_max_error)


def _of_columns(graph: OneGraph, vectors: Array) -> Array:
    if not np.iscomplexobj(vectors):
        return graph.apply(vectors)
    return graph.apply(vectors.real) + 1j * graph.apply(vectors.imag)


def _too_large(n: int, asked: str) -> ValueError:
    gigabytes = 8 * n * n / 1e9
    return ValueError(
        f"{asked} eigenvalues of {n} nodes need the matrix, of {gigabytes:.1f} GB, and some "
        f"{10 * n**3 / 1e12:.0f} Tflop; {LARGEST_DENSE} nodes is the most. Ask for the least few "
        f"of them, spectrum(obj, k=16), or for their distribution, spectral_density(obj)."
    )


def _of_components(graph: OneGraph, k: int | None, vectors: bool) -> Spectrum:
    """The union of the spectra of the connected components of a sparse A.

    One by one, for iterations from one start vector see one of the components' equal eigenvalues.
    """
    matrix: Any = graph.sparse
    structure = structure_of_matrix(matrix)
    sizes = np.bincount(structure.label, minlength=structure.components)
    if len(sizes) == 1:
        return _of_connected(graph, k, vectors)
    if k is None and sizes.max() > LARGEST_DENSE:
        raise _too_large(graph.n, f"all (in components of up to {sizes.max()})")
    if vectors and k is None and graph.n > LARGEST_DENSE:
        raise _too_large(graph.n, "the vectors of all")
    order = np.argsort(structure.label, kind="stable")
    parts = np.split(order, np.cumsum(sizes)[:-1])
    members = [nodes for nodes in parts if len(nodes) > 1]
    found = [
        spectrum_of(graph.part(nodes), None if k is None else min(k, len(nodes)), vectors=vectors)
        for nodes in members
    ]
    # Nodes that are joined to none other: all at once, there can be many.
    lone = order[np.repeat(sizes == 1, sizes)]
    if len(lone):
        members.append(lone)
        found.append(_of_lone_nodes(1 - matrix.diagonal()[lone]))
    values = np.concatenate([one.eigenvalues.numpy() for one in found])
    order = np.lexsort((values.imag, values.real))[:k]
    columns = None
    if vectors:
        columns = np.zeros((graph.n, len(order)), dtype=values.dtype)
        ends = np.cumsum([0, *(len(one.eigenvalues) for one in found)])
        owner = np.searchsorted(ends, order, side="right") - 1
        for place, (one, column) in enumerate(zip(owner, order - ends[owner], strict=True)):
            if found[one].eigenvectors is None:
                columns[lone[column], place] = 1
            else:
                columns[members[one], place] = found[one].eigenvectors[:, column].numpy()
    return Spectrum(
        eigenvalues=torch.from_numpy(values[order]),
        eigenvectors=None if columns is None else torch.from_numpy(columns),
        is_real=all(one.is_real for one in found),
        lambda_max=max(one.lambda_max for one in found),
        lambda_max_error=max(one.lambda_max_error for one in found),
        method=max((one.method for one in found), key=_METHODS.index),
        residual=max(one.residual for one in found),
        indices=None if columns is None else torch.arange(len(order)),
        solver="components",
    )


def _of_lone_nodes(values: Array) -> Spectrum:
    """The spectrum of nodes that are joined to none other: the axes are its vectors."""
    return Spectrum(
        torch.from_numpy(values), None, True, float(values.max()), "symmetric", residual=0.0
    )


def _of_factors(graph: OneGraph, factors: Factors, k: int | None, vectors: bool) -> Spectrum:
    """The eigenvalues that the factors span, and N − 2r times 1."""
    pairs, error = factored_pairs(graph, factors, vectors=vectors)
    rest = np.ones(graph.n - len(pairs.values), dtype=pairs.values.dtype)
    values = np.concatenate([pairs.values, rest])
    order = np.lexsort((values.imag, values.real))[:k]
    place = np.flatnonzero(order < len(pairs.values))  # of those that have a vector
    columns = pairs.vectors[:, order[place]] if vectors else None
    return Spectrum(
        eigenvalues=torch.from_numpy(values[order]),
        eigenvectors=None if columns is None else torch.from_numpy(columns.copy()),
        is_real=not np.iscomplexobj(values),
        lambda_max=float(values.real.max()),
        method=pairs.method,
        residual=error,
        indices=None if columns is None else torch.from_numpy(place),
        solver="factored",
    )


def _spectrum(
    pairs: Pairs,
    error: float,
    k: int | None,
    vectors: bool,
    solver: str = "dense",
) -> Spectrum:
    order = np.lexsort((pairs.values.imag, pairs.values.real))[:k]
    columns = pairs.vectors[:, order]
    return Spectrum(
        eigenvalues=torch.from_numpy(pairs.values[order].copy()),
        eigenvectors=torch.from_numpy(columns.copy()) if vectors else None,
        is_real=not np.iscomplexobj(pairs.values),
        lambda_max=float(pairs.values.real.max()),
        method=pairs.method,
        residual=error,
        indices=torch.arange(len(order)) if vectors else None,
        solver=solver,
    )
