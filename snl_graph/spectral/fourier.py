"""The graph Fourier transform: signals as sums of eigenvectors of L = I − A."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from snl_graph.operators import AffinityOperator
from snl_graph.spectral.dense import eigenpairs
from snl_graph.spectral.graph import LARGEST_DENSE, OneGraph
from snl_graph.spectral.sources import for_each_graph

WORST_CONDITION = 1e8
"""Beyond it the transform of a float64 signal has fewer than 8 digits: a warning."""


@dataclass(frozen=True)
class FourierBasis:
    """All N eigenvectors U of L = I − A of one graph.

    Attributes:
        eigenvalues: λ, ascending by real part, shape (N,): the frequencies.
        vectors: U, unit columns, shape (N, N); complex where the eigenvalues are.
        is_orthogonal: Whether Uᵀ is the inverse of U, as for every symmetric A.
        condition_number: ‖U‖ ‖U⁻¹‖: the factor by which the transform can enlarge a relative error.
            1 where U is orthogonal.
    """

    eigenvalues: Tensor
    vectors: Tensor
    is_orthogonal: bool
    condition_number: float

    def transform(self, x: Tensor) -> Tensor:
        """x̂ = Uᵀ x, or U⁻¹ x where U is not orthogonal; (N,) or (N, C)."""
        signal = self._checked(x)
        if self.is_orthogonal:
            return self.vectors.to(signal.dtype).mT @ signal
        columns = signal.reshape(len(signal), -1)
        return torch.linalg.solve(self.vectors, columns).reshape(signal.shape)

    def inverse(self, x_hat: Tensor) -> Tensor:
        """X = U x̂; (N,) or (N, C). Complex where U is, the imaginary part left as computed."""
        signal = self._checked(x_hat)
        return self.vectors.to(signal.dtype) @ signal

    def energy(self, x: Tensor) -> Tensor:
        """|x̂|² at each frequency, (N,) or (N, C); sums to ‖x‖² where U is orthogonal."""
        return self.transform(x).abs().square()

    def _checked(self, x: Tensor) -> Tensor:
        n = len(self.vectors)
        if x.dim() not in (1, 2) or x.shape[0] != n:
            raise ValueError(
                f"a signal on {n} nodes has shape ({n},) or ({n}, C); got {tuple(x.shape)}."
            )
        dtype = torch.complex128 if x.is_complex() else torch.float64
        return x.detach().cpu().to(torch.promote_types(dtype, self.vectors.dtype))


def fourier_basis(obj: Any) -> Any:
    """All eigenvectors of L = I − A, for transforms of many signals on one graph.

    Args:
        obj: What :func:`~snl_graph.spectrum` takes.

    Returns:
        One :class:`FourierBasis`; for a batch a list of them, nested as its leading axes are.

    Raises:
        TypeError: If ``obj`` holds no graph.
        ValueError: If weights are negative or not finite, the graph has more than 8192 nodes, or A
            has no N independent eigenvectors.

    Cost: O(N³) time, O(N²) memory, in float64 on the CPU.

    Example:
        >>> basis = fourier_basis(torch.ones(2, 2))
        >>> basis.transform(torch.tensor([1.0, 1.0])).abs().round(decimals=6)  # a constant: λ = 0
        tensor([1.4142, 0.0000], dtype=torch.float64)
    """
    return for_each_graph(obj, basis_of)


def basis_of(a: AffinityOperator) -> FourierBasis:
    """The basis of one graph, A of shape (N, N)."""
    graph = OneGraph(a)
    if graph.n > LARGEST_DENSE:
        gigabytes = 8 * graph.n**2 / 1e9
        raise ValueError(
            f"a Fourier transform needs all {graph.n} eigenvectors, {gigabytes:.1f} GB; "
            f"{LARGEST_DENSE} nodes is the most. Filter without them (SNLConv, nonlocal_block), or "
            f"take a few: spectrum(obj, k=16, vectors=True).eigenvectors."
        )
    if graph.n == 0:
        empty = torch.empty(0, dtype=torch.float64)
        return FourierBasis(empty, torch.empty(0, 0, dtype=torch.float64), True, 1.0)
    pairs = eigenpairs(graph.dense, graph.root, graph.precision)
    order = np.lexsort((pairs.values.imag, pairs.values.real))
    vectors = pairs.vectors[:, order]
    is_orthogonal = pairs.method == "symmetric"
    condition = 1.0 if is_orthogonal else float(np.linalg.cond(vectors))
    if not condition < 1 / np.finfo(np.float64).eps:
        raise ValueError(
            f"A has no {graph.n} independent eigenvectors (the condition number of U is "
            f'{condition:.1g}), so there is no Fourier transform. Use normalization="sym".'
        )
    if condition > WORST_CONDITION:
        warnings.warn(
            f"the condition number of U is {condition:.1g}: a transform keeps about "
            f"{max(0, int(15.9 - np.log10(condition)))} digits. A symmetric A has 1.",
            stacklevel=2,
        )
    return FourierBasis(
        torch.from_numpy(pairs.values[order].copy()),
        torch.from_numpy(vectors.copy()),
        is_orthogonal,
        condition,
    )


def gft(obj: Any, x: Any) -> Any:
    """The graph Fourier transform x̂ = Uᵀ x, and U⁻¹ x where A is not symmetric.

    Source: Zhu et al., Eq. 15; Theorem 1.

    Args:
        obj: A :class:`FourierBasis` (its ``condition_number`` says how far U⁻¹ can be trusted),
            or what :func:`~snl_graph.spectrum` takes.
        x: Signals (N,) or (N, C); of a batch (*batch, N) or (*batch, N, C), or a list of one tensor
            a graph.

    Returns:
        Of the shape of ``x``, float64, or complex128 where the eigenvectors are complex. Row l
        belongs to the l-th eigenvalue, ascending.

    Raises:
        ValueError: If ``x`` does not fit the graph, or as :func:`fourier_basis`.

    Cost: as :func:`fourier_basis`; of a basis O(N²·C), or O(N³) where A is not symmetric.

    Example:
        >>> weights, x = torch.ones(3, 3), torch.tensor([1.0, 2.0, 4.0])
        >>> torch.allclose(igft(weights, gft(weights, x)), x.double())
        True
    """
    return _mapped(obj, x, FourierBasis.transform)


def igft(obj: Any, x_hat: Any) -> Any:
    """The inverse transform x = U x̂; arguments and result as of :func:`gft`.

    Source: Zhu et al., Eq. 16. Where U is complex so is the result: the imaginary part of a real
    signal's is rounding, and is left for the caller to see.
    """
    return _mapped(obj, x_hat, FourierBasis.inverse)


def energy(obj: Any, x: Any) -> Any:
    """|x̂|² at each frequency; arguments as of :func:`gft`."""
    return _mapped(obj, x, FourierBasis.energy)


def _mapped(obj: Any, x: Any, function: Callable[[FourierBasis, Tensor], Tensor]) -> Any:
    basis = obj if isinstance(obj, FourierBasis) else fourier_basis(obj)
    return _of_each(basis, x, function)


def _of_each(of: Any, x: Any, function: Callable[[Any, Tensor], Tensor]) -> Any:
    """The function of each item of nested lists and its signals, stacked where x was a tensor."""
    if not isinstance(of, list):
        return function(of, torch.as_tensor(x))
    if not isinstance(x, Sequence | Tensor) or len(x) != len(of):
        count = f"{len(x)}" if isinstance(x, Sequence | Tensor) else type(x).__name__
        raise ValueError(f"signals for {len(of)} graphs are wanted, one each; got {count}.")
    found = [_of_each(item, signal, function) for item, signal in zip(of, x, strict=True)]
    return torch.stack(found) if isinstance(x, Tensor) and found else found


def total_variation(obj: Any, x: Any) -> Any:
    """How rough signals are: xᵀ L x of each channel, Σ_l λ_l |x̂_l|² where A is symmetric.

    With A = D^-½ M D^-½ of a symmetric M it is ½ Σ_ij M_ij (x_i/√d_i − x_j/√d_j)², and Σ_i x_i² of
    isolated nodes. Applied, not transformed: any N.

    Source: Shuman et al., IEEE Signal Processing Magazine 30 (2013), Eq. 6.

    Args:
        obj: What :func:`~snl_graph.spectrum` takes.
        x: Signals as of :func:`gft`.

    Returns:
        Shape () or (C,); of a batch (*batch,) or (*batch, C).

    Cost: one product with A.

    Example:
        >>> float(total_variation(torch.ones(2, 2) - torch.eye(2), torch.tensor([1.0, -1.0])))
        4.0
    """
    return _of_each(for_each_graph(obj, OneGraph), x, _variation)


def _variation(graph: OneGraph, x: Tensor) -> Tensor:
    if x.dim() not in (1, 2) or x.shape[0] != graph.n:
        raise ValueError(
            f"a signal on {graph.n} nodes has shape ({graph.n},) or ({graph.n}, C); got "
            f"{tuple(x.shape)}."
        )
    signal = x.detach().cpu().double().numpy()
    return torch.as_tensor((signal * (signal - graph.apply(signal))).sum(0))
