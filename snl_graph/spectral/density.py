"""The spectral density: how the eigenvalues are distributed, without finding them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from snl_graph.checks import whole_number
from snl_graph.operators import AffinityOperator
from snl_graph.spectral.factored import factors_of
from snl_graph.spectral.graph import Array, OneGraph
from snl_graph.spectral.krylov import balanced_product
from snl_graph.spectral.lanczos import Ritz, recurrence, ritz
from snl_graph.spectral.sources import for_each_graph
from snl_graph.spectral.spectrum import SMALL, spectrum_of

STEPS = 128
"""Lanczos steps: the estimate has the first 255 moments of each probe exactly."""

SAMPLES = 200_000
"""Entries of all probes together: the statistical error falls as its root."""

FEWEST, MOST = 8, 128
"""Probes, whatever N."""


@dataclass(frozen=True)
class Density:
    """How the eigenvalues of L = I − A are distributed.

    Attributes:
        lambdas: Middles of bins of equal width that cover [0, 2], or the spectrum where it reaches
            beyond; shape (bins,).
        density: Share of the eigenvalues in each bin over the bin's width, shape (bins,): its sum
            times the width is 1.
        error: Distance from the true distribution, ∫ |F(λ) − F̂(λ)| dλ of the cumulative ones: an
            estimate, and 0 where all eigenvalues were found. A bin adds up to half its width.
        points: Eigenvalues, or the points that stand for them, ascending; shape (points,).
        weights: Their shares, summing to 1.
        method: "exact" or "lanczos".
    """

    lambdas: Tensor
    density: Tensor
    error: float
    points: Tensor
    weights: Tensor
    method: str

    def cumulative(self, at: Any) -> Tensor:
        """Share of the eigenvalues ≤ ``at``, of the points before they fell into bins."""
        where = torch.as_tensor(at, dtype=torch.float64)
        sums = torch.cat([torch.zeros(1, dtype=torch.float64), self.weights.cumsum(0)])
        return sums[torch.searchsorted(self.points, where, right=True)]


def spectral_density(obj: Any, bins: int = 100) -> Any:
    """The distribution of the eigenvalues of L = I − A, for graphs of any size.

    Up to 2048 nodes, and of a factored operator, all eigenvalues are found. Otherwise stochastic
    Lanczos quadrature: of each of 8 to 128 random signals of ±1 (fixed seed) the quadrature rule
    of 128 Lanczos steps, which is exact for polynomials of degree 255, averaged.

    Sources: Golub and Meurant, *Matrices, Moments and Quadrature* (2010); Ubaru, Chen and Saad,
    SIAM J. Matrix Anal. 38 (2017).

    Args:
        obj: What :func:`~snl_graph.spectrum` takes.
        bins: Number of bins, ≥ 1.

    Returns:
        One :class:`Density`; for a batch a list of them, nested as its leading axes are.

    Raises:
        TypeError: If ``obj`` holds no graph.
        ValueError: If weights are negative or not finite, the graph has no nodes, its spectrum is
            complex, or ``bins`` is below 1.

    Cost: 128 products with A of 8 signals for N ≥ 25,000, memory of 4 such signals.

    Example:
        >>> import networkx as nx
        >>> found = spectral_density(nx.path_graph(3), bins=4)  # eigenvalues 0, 1, 2
        >>> found.lambdas
        tensor([0.2500, 0.7500, 1.2500, 1.7500], dtype=torch.float64)
        >>> float(found.density.sum() * 0.5), found.cumulative(0.5).round(decimals=3)
        (1.0, tensor(0.3330, dtype=torch.float64))
    """
    bins = whole_number(bins, "bins")

    def solve(a: AffinityOperator) -> Density:
        return density_of(OneGraph(a), bins)

    return for_each_graph(obj, solve)


def density_of(graph: OneGraph, bins: int) -> Density:
    """The density of one graph; see :func:`spectral_density`."""
    if graph.n == 0:
        raise ValueError("a graph without nodes has no eigenvalues to be distributed.")
    if graph.n <= SMALL or factors_of(graph.a) is not None:
        values = spectrum_of(graph).eigenvalues.numpy()
        if np.iscomplexobj(values):
            raise _complex()
        return _density(values, np.full(len(values), 1 / len(values)), 0.0, bins, "exact")
    return lanczos_density(graph, bins)


def lanczos_density(
    graph: OneGraph, bins: int, *, steps: int = STEPS, probes: int | None = None
) -> Density:
    """The density by stochastic Lanczos quadrature; see :func:`spectral_density`.

    The error is estimated as twice the standard error of the mean over the probes, integrated, and
    what the second half of the steps still changed.
    """
    product, _ = balanced_product(graph)
    if product is None:
        raise _complex()
    count = min(max(SAMPLES // graph.n, FEWEST), MOST) if probes is None else probes
    signs = np.random.default_rng(20).integers(0, 2, (graph.n, count)) * 2.0 - 1.0
    diagonals, offs = recurrence(product, signs, min(steps, graph.n))
    rules = ritz(diagonals, offs)
    values, weights = _mean(rules)
    half = max(diagonals.shape[1] // 2, 1)
    rough = _mean(ritz(diagonals[:, :half], offs[:, :half]))
    error = distance((values, weights), rough) + _deviation(rules)
    return _density(values, weights, float(error), bins, "lanczos")


def distance(one: tuple[Array, Array], other: tuple[Array, Array]) -> float:
    """∫ |F − G| dλ of two distributions, each of points and their weights, which sum to 1."""
    points = np.concatenate([one[0], other[0]])
    weights = np.concatenate([one[1], -other[1]])
    order = np.argsort(points, kind="stable")
    return float(np.abs(np.cumsum(weights[order])[:-1]) @ np.diff(points[order]))


def _complex() -> ValueError:
    return ValueError(
        "A is neither symmetric nor similar to a symmetric matrix through its degrees, so its "
        "eigenvalues may be complex, and have no density on the real line. Look at "
        "spectrum(obj).eigenvalues, or spectrum(obj, k=...) of a large graph."
    )


def _mean(rules: list[Ritz]) -> tuple[Array, Array]:
    values = np.concatenate([rule.values for rule in rules])
    weights = np.concatenate([rule.weights for rule in rules]) / len(rules)
    order = np.argsort(values)
    return values[order], weights[order]


def _deviation(rules: list[Ritz], cells: int = 1000) -> float:
    """Twice the standard error of the mean of the cumulative distributions, integrated."""
    if len(rules) < 2:
        return float("inf")
    low = min(rule.values[0] for rule in rules)
    high = max(rule.values[-1] for rule in rules)
    at = np.linspace(low, high, cells)
    cumulative = [
        np.concatenate([[0.0], rule.weights.cumsum()])[np.searchsorted(rule.values, at, "right")]
        for rule in rules
    ]
    spread = np.std(cumulative, axis=0, ddof=1) / np.sqrt(len(rules))
    return float(2 * spread.mean() * (high - low))


def _density(values: Array, weights: Array, error: float, bins: int, method: str) -> Density:
    low, high = float(values.min()), float(values.max())
    # Rounding shall not move the range of a normalised Laplacian.
    span = (min(low, 0.0) if low < -1e-6 else 0.0, max(high, 2.0) if high > 2 + 1e-6 else 2.0)
    shares, edges = np.histogram(np.clip(values, *span), bins, span, weights=weights)
    return Density(
        lambdas=torch.from_numpy((edges[1:] + edges[:-1]) / 2),
        density=torch.from_numpy(shares / shares.sum() * bins / (span[1] - span[0])),
        error=error,
        points=torch.from_numpy(values.copy()),
        weights=torch.from_numpy(weights),
        method=method,
    )
