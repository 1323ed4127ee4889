"""How well a filter without eigenvectors meets its response: exact signals, errors, tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from snl_graph.filters.base import GraphFilter
from snl_graph.operators import AffinityOperator

if TYPE_CHECKING:
    from snl_graph.filters.approximated import Approximated

BOUND = 2.0
"""Upper end of the spectrum of L = I − A under "sym" (Zhu et al., Property 2) and "rw"."""


class EigenvalueOperator(AffinityOperator):
    """diag(1 − λ): the operator A in its own eigenvectors.

    Args:
        lambdas: Eigenvalues of L = I − A, shape (n,), real or complex.
    """

    representation = "diagonal"
    is_symmetric = True

    def __init__(self, lambdas: Tensor) -> None:
        self.values = 1 - lambdas
        self.shape = torch.Size((len(lambdas), len(lambdas)))
        self.dtype, self.device = lambdas.dtype, lambdas.device

    def apply(self, z: Tensor) -> Tensor:
        return self.values.unsqueeze(-1) * z

    def _transposed(self) -> EigenvalueOperator:
        return self


def approximate_response(filter: GraphFilter, lambdas: Tensor) -> Tensor:
    """ĝ_t(λ), what the filter's products with A amount to at each eigenvalue of L = I − A.

    It is measured: the filter itself runs on diag(1 − λ). For a filter that is a polynomial it
    equals ``filter.response``; for any other, the difference is the error of its approximation.

    Args:
        filter: Any filter.
        lambdas: Eigenvalues, shape (n,), real or complex.

    Returns:
        Shape (n, taps).

    Example:
        >>> from snl_graph.filters import Heat
        >>> approximate_response(Heat(1, order=2), torch.tensor([0.0, 2.0]))
        tensor([[0.9815],
                [0.1498]])
    """
    ones = torch.ones_like(lambdas).unsqueeze(-1)
    signals = filter.signals(EigenvalueOperator(lambdas), ones)
    return torch.cat(signals, dim=-1)


@torch.no_grad()
def approximation_error(filter: GraphFilter, points: int = 2001) -> Tensor:
    """Max |g_t(λ) − ĝ_t(λ)| over 0 ≤ λ ≤ 2 for each tap, in float64.

    For a symmetric A with eigenvalues in [-1, 1], ‖g_t(L) z − ĝ_t(L) z‖ ≤ error · ‖z‖.

    Args:
        filter: Any filter.
        points: At how many equidistant λ the difference is taken.

    Returns:
        Shape (taps,).

    Example:
        >>> from snl_graph.filters import Bernstein, Heat
        >>> approximation_error(Heat(2, order=5)) < 5e-3
        tensor([True, True])
        >>> bool((approximation_error(Bernstein(8)) < 1e-12).all())  # a polynomial is exact
        True
    """
    if not isinstance(filter, GraphFilter):
        raise TypeError(
            f"filter must be an object, such as snl_graph.filters.Heat(2); got {filter!r}."
        )
    parameter = next(filter.parameters(), None)
    device = torch.device("cpu") if parameter is None else parameter.device
    lambdas = torch.linspace(0, BOUND, points, dtype=torch.float64, device=device)
    exact = filter.response(lambdas)
    if exact.shape != (points, len(filter.taps)):
        raise ValueError(
            f"{type(filter).__name__}.response gives (n, taps), here {(points, len(filter.taps))}; "
            f"got {tuple(exact.shape)}. Of one tap: response.unsqueeze(-1)."
        )
    return (exact - approximate_response(filter, lambdas)).abs().amax(0)


def error_by_steps(filter: Approximated, steps: list[int]) -> list[tuple[int, int, float]]:
    """Error of a filter against the steps of its approximation: a table to read or to plot.

    Args:
        filter: A filter that is approximated; it is not changed.
        steps: Chebyshev orders, or numbers of iterations.

    Returns:
        A row (steps, products with A, max |g − ĝ| over all taps and 0 ≤ λ ≤ 2) for each.

    Example:
        >>> from snl_graph.filters import Heat
        >>> for steps, products, error in error_by_steps(Heat(1), [1, 2, 4, 8]):
        ...     print(f"{steps} {products} {error:.0e}")
        1 1 1e-01
        2 2 2e-02
        4 4 2e-04
        8 8 4e-09
    """
    made = [filter.with_steps(count) for count in steps]
    return [(one.steps, one.order, float(approximation_error(one).max())) for one in made]


def exact_signals(filter: GraphFilter, a: AffinityOperator, z: Tensor) -> list[Tensor]:
    """g_t(L) z of each tap by the eigenvectors of L = I − A: U g_t(Λ) U^⊤ z.

    Source: Zhu et al., Theorem 1. An A that is not known to be symmetric goes by its right
    eigenvectors, U g_t(Λ) U⁻¹ z, which loses digits where U is ill-conditioned.

    Args:
        filter: Any filter.
        a: The operator A, square.
        z: Signal, (*batch, N, C).

    Returns:
        One signal (*batch, N, C) a tap.

    Raises:
        ValueError: If A is rectangular.

    Cost: O(N³) time and O(N²) memory; for analysis and tests, not for training.

    Example:
        >>> from snl_graph import affinity
        >>> from snl_graph.filters import Heat
        >>> a, z = affinity(torch.rand(9, 2).double()), torch.rand(9, 4).double()
        >>> heat = Heat(1, order=12)
        >>> torch.allclose(exact_signals(heat, a, z)[0], heat.signals(a, z)[0])
        True
    """
    if a.shape[-1] != a.shape[-2]:
        raise ValueError(
            f"eigenvectors need a square operator; this one has shape {tuple(a.shape)}."
        )
    matrix = a.to_dense()
    laplacian = torch.eye(a.shape[-1], dtype=a.dtype, device=a.device) - matrix
    if a.is_symmetric:
        values, vectors = torch.linalg.eigh(laplacian)
        z_hat = vectors.mT @ z
    else:
        values, vectors = torch.linalg.eig(laplacian)
        z_hat = torch.linalg.solve(vectors, z.to(vectors.dtype))
    response = filter.response(values.flatten()).unflatten(0, values.shape)  # (*batch, N, taps)
    signals = [vectors @ (g.unsqueeze(-1) * z_hat) for g in response.unbind(-1)]
    # Eigenvalues of a real matrix come in conjugate pairs, and so do the responses.
    return [signal.real if signal.is_complex() else signal for signal in signals]
