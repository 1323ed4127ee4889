"""Filters and graphs that every test of the conformance suite runs: a new filter joins by its name.

A filter in the table ``FILTERS`` is tried with several K; options that change what it computes are
listed here.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from snl_graph.filters import (
    ARMA,
    FILTERS,
    Cayley,
    ChebyshevApproximation,
    GeneralizedPageRank,
    GraphFilter,
    Heat,
    Jacobi,
    MexicanHat,
    Meyer,
)
from snl_graph.operators import AffinityOperator, DenseOperator

OPTIONS: dict[str, Callable[[], GraphFilter]] = {
    "cayley, fixed zoom": lambda: Cayley(2, zoom=0.5, learnable=False),
    "cayley, few iterations": lambda: Cayley(3, iterations=4),
    "cayley by Chebyshev": lambda: ChebyshevApproximation(Cayley(3), order=9),
    "wavelet, learned": lambda: MexicanHat(3, lowest=1.0, learnable=True),
    "wavelet, given scales": lambda: MexicanHat(3, scales=(3.0, 1.0), order=8),
    "meyer, low order": lambda: Meyer(4, order=6),
    "heat, learned": lambda: Heat(2, times=(0.5, 3.0), learnable=True),
    "heat, order 1": lambda: Heat(2, order=1),
    "arma, fixed poles": lambda: ARMA(3, poles=(0.7, -0.2, 0.0), learnable=False),
    "jacobi, other exponents": lambda: Jacobi(4, a=-0.5, b=2.0),
    "pagerank, fixed": lambda: GeneralizedPageRank(4, alpha=0.3, learnable=False),
    "arma by Chebyshev": lambda: ChebyshevApproximation(ARMA(2, learnable=False)),
}


def _named(name: str, K: int) -> Callable[[], GraphFilter]:
    return lambda: FILTERS[name](K)


FILTER_CASES: dict[str, Callable[[], GraphFilter]] = {
    **{f"{name} K={K}": _named(name, K) for name in FILTERS for K in (1, 2, 4)},
    **OPTIONS,
}


def _random_weights(count: int) -> Tensor:
    m = torch.rand(count, count, generator=torch.Generator().manual_seed(count)).double()
    return m + m.T


def _with_isolated_nodes() -> Tensor:
    m = _random_weights(7) * (_random_weights(7) > 1)
    m[3] = m[:, 3] = m[6] = m[:, 6] = 0
    return m


def _bipartite() -> Tensor:
    """A weighted star and an edge: A has the eigenvalues −1 and 1, so L has 0 and 2."""
    m = torch.zeros(6, 6).double()
    m[0, 1], m[0, 2], m[0, 3], m[4, 5] = 1.0, 2.0, 0.5, 3.0
    return m + m.T


WEIGHTS: dict[str, Callable[[], Tensor]] = {
    "complete": lambda: _random_weights(8),
    "isolated nodes": _with_isolated_nodes,
    "bipartite": _bipartite,
    "one node": lambda: torch.ones(1, 1).double(),
    "one node without a loop": lambda: torch.zeros(1, 1).double(),
}
"""Symmetric weights M of small graphs."""


def normalized(weights: Tensor, power_left: float, power_right: float) -> tuple[Tensor, Tensor]:
    """D^p M D^q with 0 where the degree is 0, and the degrees with 1 in that place."""
    degree = weights.sum(-1)
    safe = torch.where(degree == 0, 1, degree)
    a = safe[..., :, None] ** power_left * weights * safe[..., None, :] ** power_right
    return a, safe


def symmetric(weights: Tensor) -> AffinityOperator:
    """A = D^-½ M D^-½."""
    return DenseOperator(normalized(weights, -0.5, -0.5)[0], is_symmetric=True)


def random_walk(weights: Tensor) -> AffinityOperator:
    """A = D^-1 M: not symmetric, and its spectrum is that of the symmetric form, −1 .. 1."""
    return DenseOperator(normalized(weights, -1, 0)[0])


def eigen_filtered(
    response: Callable[[Tensor], Tensor], weights: Tensor, z: Tensor
) -> tuple[list[Tensor], list[Tensor]]:
    """U g_t(Λ) U^⊤ z for the symmetric A, and D^-½ U g_t(Λ) U^⊤ D^½ z for the random walk."""
    a, degree = normalized(weights, -0.5, -0.5)
    values, u = torch.linalg.eigh(torch.eye(len(a)).double() - a)
    g = response(values).detach()
    root = degree.sqrt()[:, None]
    taps = range(g.shape[1])
    of_symmetric = [u @ torch.diag(g[:, t]) @ u.T @ z for t in taps]
    of_walk = [(u @ torch.diag(g[:, t]) @ u.T @ (root * z)) / root for t in taps]
    return of_symmetric, of_walk
