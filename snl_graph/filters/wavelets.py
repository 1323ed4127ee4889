"""Spectral graph wavelets: a low-pass filter and band-pass filters of several scales."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from snl_graph.checks import whole_number
from snl_graph.filters.accuracy import BOUND
from snl_graph.filters.options import require_length, require_positive
from snl_graph.filters.positive import Positive
from snl_graph.filters.series import ChebyshevSeries


class MexicanHat(ChebyshevSeries):
    """g_0(λ) = 1.2/e · exp(−(λ / 0.4 λ_1)⁴), g_t(λ) = s_t λ exp(−s_t λ) for t = 1 .. K−1.

    Source: Hammond, Vandergheynst, Gribonval (2011), with the constants of PyGSP. The scales lie
    logarithmically between 2/λ_1 and 1/2. Off the real axis the low-pass filter grows beyond bounds
    (as exp(|λ / 0.4 λ_1|⁴) at |arg λ| = π/4): products with A then follow its series, not it.

    Args:
        K: Number of taps: the low-pass filter and K − 1 scales.
        lowest: λ_1, the lowest frequency that the wavelets should see, in (0, 2). Small values need
            a high order: the low-pass filter becomes steep.
        scales: The K − 1 scales, in place of those.
        learnable: Whether log s is learned.
        order: Degree of the Chebyshev series; None takes one that meets ``tolerance``.
        tolerance: Largest |g − ĝ| on 0 ≤ λ ≤ 2, at the start.

    Raises:
        ValueError: If K, scales, order or ``lowest`` are out of range.

    Cost: ``order`` applications of A.

    Example:
        >>> MexicanHat(2, scales=(1,)).response(torch.tensor([0.0, 1.0]))
        tensor([[0.4415, 0.0000],
                [0.0000, 0.3679]])
    """

    def __init__(
        self,
        K: int = 4,
        *,
        lowest: float = 0.5,
        scales: Sequence[float] | None = None,
        learnable: bool = False,
        order: int | None = None,
        tolerance: float = 1e-2,
    ) -> None:
        super().__init__()
        K = whole_number(K, "K")
        self.taps = tuple(range(K))
        (self.lowest,) = require_positive((lowest,), "lowest")
        if self.lowest >= BOUND:
            raise ValueError(f"lowest is a frequency below {BOUND}, got {lowest}.")
        chosen = _scales_between(2 / self.lowest, 1 / BOUND, K - 1) if scales is None else scales
        self.scales = Positive(
            require_length(chosen, K - 1, "scales"),
            "the scales of wavelets",
            learnable=learnable and K > 1,
        )
        self.settle_steps(order, tolerance)

    def response(self, lambdas: Tensor) -> Tensor:
        low = 1.2 / math.e * torch.exp(-(lambdas / (0.4 * self.lowest)).square().square())
        scaled = lambdas.unsqueeze(-1) * self.scales.like(lambdas)
        return torch.cat([low.unsqueeze(-1), scaled * torch.exp(-scaled)], dim=-1)


class Meyer(ChebyshevSeries):
    """Meyer wavelets, a tight frame: Σ_t g_t(λ)² = 1, so the taps keep the energy of the signal.

    With x = s_1 λ in g_0 and x = s_t λ in g_t, ν(x) = x⁴ (35 − 84 x + 70 x² − 20 x³):
    g_0 = 1, cos(π/2 ν(3x/2 − 1)), 0 and g_t = 0, sin(π/2 ν(3x/2 − 1)), cos(π/2 ν(3x/4 − 1)), with
    breaks at x = 2/3, 4/3 and 8/3. The scales are s_t = 2^(K−t) / 3, t = 1 .. K−1; K = 1 leaves
    g_0 = 1.

    Source: Leonardi and Van De Ville (2011), as in PyGSP; Hammond, Vandergheynst, Gribonval (2011)
    for the evaluation.

    Args:
        K: Number of taps: the low-pass filter and K − 1 scales.
        order: Degree of the Chebyshev series; None takes one that meets ``tolerance``.
        tolerance: Largest |g − ĝ| on 0 ≤ λ ≤ 2. The kernels have few derivatives, so that the error
            falls slowly: see ``docs/filters.md``.

    Raises:
        ValueError: If K or the order is out of range.

    Cost: ``order`` applications of A: 12, 24, 40 for K = 2, 3, 4 by default.

    Example:
        >>> Meyer(3).response(torch.tensor([0.3, 1.1])).square().sum(1)
        tensor([1., 1.])
    """

    def __init__(self, K: int = 3, *, order: int | None = None, tolerance: float = 1e-2) -> None:
        super().__init__()
        K = whole_number(K, "K")
        self.taps = tuple(range(K))
        self.scales = tuple(2.0 ** (K - t) / 3 for t in range(1, K))
        self.settle_steps(order, tolerance)

    def response(self, lambdas: Tensor) -> Tensor:
        """g_t(λ), shape (len(lambdas), taps).

        Raises:
            ValueError: If an eigenvalue is complex: the kernels are joined of pieces on the real
                axis, and are not analytic.
        """
        if lambdas.is_complex():
            if bool((lambdas.imag != 0).any()):
                raise ValueError(
                    "Meyer wavelets are defined at real eigenvalues; some of these are complex. "
                    "What the filter does there is approximate_response(filter, lambdas)."
                )
            return self.response(lambdas.real).to(lambdas.dtype)
        if not self.scales:
            return torch.ones_like(lambdas).unsqueeze(-1)
        columns = [_meyer_low(self.scales[0] * lambdas)]
        columns += [_meyer_band(scale * lambdas) for scale in self.scales]
        return torch.stack(columns, dim=-1)


def _scales_between(most: float, least: float, count: int) -> list[float]:
    """``count`` numbers from ``most`` down to ``least`` in equal ratios; one is ``most``."""
    ratio = least / most
    return [most * ratio ** (t / max(count - 1, 1)) for t in range(count)]


def _meyer_low(x: Tensor) -> Tensor:
    return torch.cos(_meyer_angle(1.5 * x - 1))


def _meyer_band(x: Tensor) -> Tensor:
    rising, falling = torch.sin(_meyer_angle(1.5 * x - 1)), torch.cos(_meyer_angle(0.75 * x - 1))
    return torch.where(x < 4 / 3, rising, falling)


def _meyer_angle(x: Tensor) -> Tensor:
    """π/2 · ν(x), ν rising from 0 to 1 on [0, 1] and constant outside."""
    x = x.clamp(0, 1)
    return (math.pi / 2) * x**4 * (35 - 84 * x + 70 * x**2 - 20 * x**3)
