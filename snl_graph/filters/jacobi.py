"""Jacobi polynomials: a basis that can be made orthogonal for the weight of a spectrum."""

from __future__ import annotations

import torch
from torch import Tensor

from snl_graph.checks import whole_number
from snl_graph.filters.series import ChebyshevSeries


class Jacobi(ChebyshevSeries):
    """Jacobi polynomials g_t(λ) = P_t^{(a,b)}(1 − λ), t = 0 .. K−1, so P_t^{(a,b)}(A).

    They are orthogonal on 0 ≤ λ ≤ 2 under the weight λ^a (2 − λ)^b: a and b follow the density of
    the signal's energy over the spectrum. a = b = −1/2 are Chebyshev's, 0 Legendre's.

    Source: Wang and Zhang (2022), JacobiConv, with a learned matrix a tap in place of their
    coefficient decomposition.

    Args:
        K: Number of taps, so the degree is K − 1.
        a: Exponent at λ = 0, > −1.
        b: Exponent at λ = 2, > −1.

    Raises:
        ValueError: If K is no whole number ≥ 1, or an exponent is ≤ −1.

    Cost: K − 1 applications of A.

    Example:
        >>> Jacobi(3, a=0.0, b=0.0).response(torch.tensor([0.0, 1.0, 2.0]))  # at μ = 1, 0, -1
        tensor([[ 1.0000,  1.0000,  1.0000],
                [ 1.0000,  0.0000, -0.5000],
                [ 1.0000, -1.0000,  1.0000]])
    """

    def __init__(self, K: int = 3, *, a: float = 1.0, b: float = 1.0) -> None:
        super().__init__()
        K = whole_number(K, "K")
        self.taps = tuple(range(K))
        if not (a > -1 and b > -1):
            raise ValueError(f"the exponents of Jacobi polynomials are > -1; got a={a}, b={b}.")
        self.a, self.b = float(a), float(b)
        self._set_steps(K - 1)

    def response(self, lambdas: Tensor) -> Tensor:
        x, a, b = 1 - lambdas, self.a, self.b
        columns = [torch.ones_like(x), (a - b) / 2 + (a + b + 2) / 2 * x]
        for k in range(2, len(self.taps)):
            # DLMF 18.9.2
            s = 2 * k + a + b
            scale = 2 * k * (k + a + b) * (s - 2)
            slope, shift = (s - 1) * s * (s - 2) / scale, (s - 1) * (a * a - b * b) / scale
            back = 2 * (k + a - 1) * (k + b - 1) * s / scale
            columns.append((slope * x + shift) * columns[-1] - back * columns[-2])
        return torch.stack(columns[: len(self.taps)], dim=-1)

    def extra_repr(self) -> str:
        return f"K={len(self.taps)}, a={self.a:g}, b={self.b:g}"
