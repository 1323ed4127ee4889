"""Eigenvalues of the graph Laplacian L = I − A."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

from snl_graph.operators import AffinityOperator
from snl_graph.spectral.sources import as_operators


@dataclass(frozen=True)
class Spectrum:
    """Eigenvalues of L = I − A, ascending by real part, then by imaginary part.

    Attributes:
        eigenvalues: Shape (k,), float64, or complex128 where they are complex.
        eigenvectors: Column i belongs to eigenvalue i, shape (N, k); None unless asked for.
        is_real: Whether every eigenvalue is real, to the precision of A's own numbers.
        lambda_max: Greatest real part of all N eigenvalues, measured. The bound of Property 2 is 2.
        method: "symmetric" (A is), "similar" (D^½ A D^-½ is symmetric, as for a random walk on
            symmetric weights), or "general".
        residual: Largest ‖L v − λ v‖ over the unit eigenvectors v, relative to max(1, ‖L‖).
    """

    eigenvalues: Tensor
    eigenvectors: Tensor | None
    is_real: bool
    lambda_max: float
    method: str
    residual: float


SpectrumOrList = Spectrum | list["SpectrumOrList"]


def spectrum(obj: Any, k: int | None = None, *, vectors: bool = False) -> Any:
    """Eigenvalues of L = I − A, with A as the block, layer or graph has it.

    A symmetric A, and one that is similar to a symmetric matrix through its degrees, has a real
    spectrum and is solved as such. Any other A is solved as a general matrix: its eigenvalues are
    complex wherever an imaginary part exceeds what rounding of A itself can cause, and no imaginary
    part is dropped.

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
        ValueError: If weights are negative or not finite, A is not square, or k is not in 1 .. N.

    Cost: O(N³) time and O(N²) memory for each graph, in float64 on the CPU.

    Example:
        >>> path = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
        >>> found = spectrum(path)
        >>> found.eigenvalues.abs().round(decimals=6), found.is_real
        (tensor([0., 1., 2.], dtype=torch.float64), True)
    """
    operators = as_operators(obj)
    if isinstance(operators, list):
        return [_nested(operator, k, vectors) for operator in operators]
    return _nested(operators, k, vectors)


def _nested(operator: AffinityOperator, k: int | None, vectors: bool) -> Any:
    n = operator.shape[-1]
    if operator.shape[-2] != n:
        raise ValueError(
            f"a spectrum needs a square operator; this one has shape {tuple(operator.shape)} "
            f"(keys and values are subsampled, or the graph is bipartite)."
        )
    if k is not None and not 1 <= k <= n:
        raise ValueError(f"k is how many of the {n} eigenvalues to return; got {k}.")
    with torch.no_grad():
        precision = torch.finfo(operator.dtype).eps
        dense = operator.to_dense().detach().cpu().double()
        degree = operator.degree().detach().cpu().double()

    def solve(a: Tensor, d: Tensor) -> Any:
        if a.dim() > 2:
            return [solve(*item) for item in zip(a, d, strict=True)]
        return _of_matrix(a.numpy(), d.numpy(), precision, k, vectors)

    return solve(dense, degree.expand(dense.shape[:-1]))


def _of_matrix(
    a: np.ndarray[Any, Any],
    degree: np.ndarray[Any, Any],
    precision: float,
    k: int | None,
    vectors: bool,
) -> Spectrum:
    n = len(a)
    laplacian = np.eye(n) - a
    if n == 0:
        empty = torch.empty(0, dtype=torch.float64)
        no_vectors = torch.empty(0, 0, dtype=torch.float64) if vectors else None
        return Spectrum(empty, no_vectors, True, float("nan"), "symmetric", 0.0)
    # Rounding of A in its own dtype, not of this computation, is what blurs symmetry.
    tolerance = 8 * precision * max(1.0, np.abs(a).max())
    # The degrees of an exponential kernel can be too great for a number; then A goes as general.
    usable = bool(np.isfinite(degree).all()) and bool((degree >= 0).all())
    root = np.sqrt(np.where(degree > 0, degree, 1.0)) if usable else np.ones(n)
    similar = root[:, None] * a / root
    if np.abs(a - a.T).max() <= tolerance:
        method = "symmetric"
        values, columns = scipy.linalg.eigh(np.eye(n) - (a + a.T) / 2)
    elif np.abs(similar - similar.T).max() <= tolerance * max(1.0, root.max() / root.min()):
        method = "similar"
        values, columns = scipy.linalg.eigh(np.eye(n) - (similar + similar.T) / 2)
        columns = columns / root[:, None]
        columns = columns / np.linalg.norm(columns, axis=0)
    else:
        method = "general"
        values, columns = _general(laplacian, precision)
    order = np.lexsort((values.imag, values.real))[:k]
    lambda_max = float(values.real.max())
    values, columns = values[order], columns[:, order]
    error = np.linalg.norm(laplacian @ columns - columns * values, axis=0).max()
    return Spectrum(
        eigenvalues=torch.from_numpy(values.copy()),
        eigenvectors=torch.from_numpy(columns.copy()) if vectors else None,
        is_real=not np.iscomplexobj(values),
        lambda_max=lambda_max,
        method=method,
        residual=float(error / max(1.0, np.linalg.norm(laplacian, 2))),
    )


def _general(
    laplacian: np.ndarray[Any, Any], precision: float
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Eigenpairs of any matrix; real where no imaginary part exceeds its own uncertainty.

    A relative perturbation ε of L moves an eigenvalue by up to ε ‖L‖ / |yᴴ x|, with unit left and
    right eigenvectors y and x (Golub and Van Loan, §7.2.2).
    """
    values, left, right = scipy.linalg.eig(laplacian, left=True, right=True)
    overlap = np.abs(np.sum(left.conj() * right, axis=0))
    tiny = np.finfo(np.float64).tiny
    size = np.linalg.norm(laplacian, 2)
    # Near a defective eigenvalue the bound says nothing; a double one moves by √ε at most.
    uncertainty = size * np.minimum(precision / np.maximum(overlap, tiny), np.sqrt(precision))
    if np.all(np.abs(values.imag) <= uncertainty):
        if np.all(values.imag == 0):
            return values.real, right.real
        # A pair of nearly equal real eigenvalues came out as a complex pair.
        return values.real, np.where(values.imag < 0, right.imag, right.real)
    return values, right
