"""Bernstein polynomials: non-negative taps that are local in the spectrum."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from snl_graph.checks import whole_number
from snl_graph.filters.series import ChebyshevSeries


class Bernstein(ChebyshevSeries):
    r"""Bernstein polynomials of degree K − 1 on 0 ≤ λ ≤ 2, one a tap.

    .. math:: g_t(λ) = \binom{K-1}{t} \left(1 - \frac{λ}{2}\right)^{K-1-t}
        \left(\frac{λ}{2}\right)^t, \qquad t = 0 .. K-1

    Tap t has its peak at λ = 2t / (K − 1); all are non-negative and sum to 1, so W_t is about the
    response there.

    Source: He, Wei, Huang, Xu (2021), BernNet, Eq. 4, with a learned matrix a tap in place of a
    number. Departure: evaluated through their Chebyshev coefficients, which are at most 2 and
    exact, in K − 1 applications of A; the published form takes about K²/2.

    Args:
        K: Number of taps, so the degree is K − 1.

    Raises:
        ValueError: If K is no whole number ≥ 1.

    Cost: K − 1 applications of A.

    Example:
        >>> Bernstein(3).response(torch.tensor([0.0, 1.0, 2.0]))
        tensor([[1.0000, 0.0000, 0.0000],
                [0.2500, 0.5000, 0.2500],
                [0.0000, 0.0000, 1.0000]])
    """

    def __init__(self, K: int = 3) -> None:
        super().__init__()
        K = whole_number(K, "K")
        self.taps = tuple(range(K))
        self._set_steps(K - 1)

    def response(self, lambdas: Tensor) -> Tensor:
        low, high = _powers(1 - lambdas / 2, len(self.taps)), _powers(lambdas / 2, len(self.taps))
        degree = len(self.taps) - 1
        columns = [math.comb(degree, t) * low[degree - t] * high[t] for t in self.taps]
        return torch.stack(columns, dim=-1)


def _powers(x: Tensor, count: int) -> list[Tensor]:
    """x^0 .. x^(count − 1), multiplied out: a complex 0**0 is NaN in torch."""
    powers = [torch.ones_like(x)]
    for _ in range(1, count):
        powers.append(powers[-1] * x)
    return powers
