"""Cayley polynomials: rational filters with a learned zoom, by Jacobi iterations."""

from __future__ import annotations

import torch
from torch import Tensor

from snl_graph.checks import whole_number
from snl_graph.filters.approximated import Approximated
from snl_graph.filters.options import require_powers
from snl_graph.filters.positive import Positive
from snl_graph.operators import AffinityOperator


class Cayley(Approximated):
    r"""Rational filter c_0 + 2 Re Σ_j c_j C(hL)^j of the Cayley transform C.

    .. math::
        C(x) = \frac{x - i}{x + i}, \qquad
        g_0 = 1, \quad g_{2j-1} = 2\, \mathrm{Re}\, C(hλ)^j, \quad
        g_{2j} = -2\, \mathrm{Im}\, C(hλ)^j, \quad j = 1 .. K-1

    so that the learned matrices W_{2j−1} and W_{2j} are the real and imaginary parts of c_j. C maps
    the eigenvalues onto the unit circle; the zoom h says which of them are spread out.

    Source: Levie, Monti, Bresson, Bronstein (2018), Eq. 6–8. C(hL) y = y − 2i s needs the solution
    s of (hL + i) s = y, which Jacobi iterations approximate:

    .. math:: s_0 = \frac{y}{h + i}, \qquad s_{n+1} = \frac{y + h A s_n}{h + i}

    They converge if h |μ| < √(1 + h²) for every eigenvalue μ of A: for each h > 0 under "sym" and
    "rw", where |μ| ≤ 1. The residual after n iterations is (h A / (h + i))^(n+1) y, at most κ^(n+1)
    of y with κ = h / √(1 + h²), and the error of C^j at most 2 j κ^(n+1) (1 + 2 κ^(n+1))^(j−1).

    Departures: A diagonal of A (self-loops) stays with the off-diagonal part, for an operator is
    only applied; without self-loops this is the published iteration. Solving for s in place of C y
    saves one product a power.

    Args:
        K: Degree plus 1; there are 2K − 1 taps.
        zoom: h > 0 at the start.
        learnable: Whether log h is learned.
        iterations: Jacobi iterations for each power; None takes as many as meet ``tolerance``.
        tolerance: Largest |g − ĝ| on 0 ≤ λ ≤ 2, at the start.

    Raises:
        ValueError: If K, zoom or iterations are out of range.

    Cost: (K − 1) · iterations applications of A to signals of width 2C; 16 for K = 2 by default.
    The same response takes about a third of the products, each half as wide, by
    :class:`~snl_graph.filters.ChebyshevApproximation`.

    Example:
        >>> Cayley(2, zoom=1.0, learnable=False).response(torch.tensor([0.0, 1.0])).abs()
        tensor([[1., 2., 0.],
                [1., 0., 2.]])
    """

    steps_name = "iterations"

    def __init__(
        self,
        K: int = 2,
        *,
        zoom: float = 1.0,
        learnable: bool = True,
        iterations: int | None = None,
        tolerance: float = 1e-2,
    ) -> None:
        super().__init__()
        self.degree = whole_number(K, "K") - 1
        self.applications_per_step = self.degree
        self.taps = tuple(range(2 * self.degree + 1))
        # A constant has no zoom, and a parameter without a gradient stops data-parallel training.
        self.zoom = Positive((zoom,), "the zoom", learnable=learnable and K > 1)
        self.settle_steps(iterations, tolerance)

    def signals(self, a: AffinityOperator, z: Tensor, source: Tensor | None = None) -> list[Tensor]:
        require_powers(max(self.order, 2) if self.degree else 0, source)
        signals, power = [z], _Pair(z, torch.zeros_like(z))
        (zoom,) = self.zoom.like(z).unbind()
        for _ in range(self.degree):
            solution = self._iterates(a, power, zoom)[-1]
            power = _Pair(power.real + 2 * solution.imag, power.imag - 2 * solution.real)
            signals += [2 * power.real, -2 * power.imag]
        return signals

    def residuals(self, a: AffinityOperator, z: Tensor) -> list[float]:
        """‖z − (hL + i) s_n‖ / ‖z‖ after n = 0 .. iterations Jacobi iterations.

        Args:
            a: The operator A.
            z: Right-hand side, (*batch, N, C).

        Example:
            >>> from snl_graph import affinity
            >>> a, z = affinity(torch.rand(9, 2).double()), torch.rand(9, 1).double()
            >>> bounds = [0.5 ** ((n + 1) / 2) for n in range(4)]
            >>> all(r <= b for r, b in zip(Cayley(iterations=3).residuals(a, z), bounds))
            True
        """
        (zoom,) = self.zoom.like(z).unbind()
        right = _Pair(z, torch.zeros_like(z))
        found = []
        with torch.no_grad():
            for s in self._iterates(a, right, zoom):
                product = a.apply(s.joined)
                real, imag = (zoom * (s.joined - product)).chunk(2, dim=-1)  # h L s
                left = torch.cat([real - s.imag, imag + s.real], dim=-1)
                found.append(float((right.joined - left).norm() / right.joined.norm()))
        return found

    def _iterates(self, a: AffinityOperator, right: _Pair, zoom: Tensor) -> list[_Pair]:
        """s_0 .. s_iterations of (hL + i) s = right."""
        solution = right.over(zoom)
        iterates = [solution]
        for _ in range(self.steps):
            product = _Pair(*a.apply(solution.joined).chunk(2, dim=-1))
            solution = _Pair(
                right.real + zoom * product.real, right.imag + zoom * product.imag
            ).over(zoom)
            iterates.append(solution)
        return iterates

    def response(self, lambdas: Tensor) -> Tensor:
        """g_t(λ), shape (len(lambdas), taps); at complex λ continued analytically, poles at ±i/h.

        On the real axis |C| = 1, so 2 Re C^j = C^j + C^-j and 2 Im C^j = (C^j − C^-j) / i: these
        are analytic, and what the operator does at a complex eigenvalue.
        """
        x = lambdas * self.zoom.like(lambdas)
        cosine = (x**2 - 1) / (x**2 + 1)  # C(x) = cosine + i sine
        sine = -2 * x / (x**2 + 1)
        real, imag = torch.ones_like(x), torch.zeros_like(x)
        columns = [real]
        for _ in range(self.degree):
            real, imag = real * cosine - imag * sine, real * sine + imag * cosine
            columns += [2 * real, -2 * imag]
        return torch.stack(columns, dim=-1)

    def extra_repr(self) -> str:
        return f"K={self.degree + 1}, iterations={self.steps}"


class _Pair:
    """A complex signal u + iv held as two real ones, for operators are real.

    Args:
        real: u, shape (*batch, N, C).
        imag: v, of the same shape.
    """

    def __init__(self, real: Tensor, imag: Tensor) -> None:
        self.real, self.imag = real, imag

    @property
    def joined(self) -> Tensor:
        """Both side by side, (*batch, N, 2C)."""
        return torch.cat([self.real, self.imag], dim=-1)

    def over(self, zoom: Tensor) -> _Pair:
        """(u + iv) / (h + i) = (u + iv) (h − i) / (h² + 1)."""
        scale = 1 / (zoom**2 + 1)
        return _Pair((zoom * self.real + self.imag) * scale, (zoom * self.imag - self.real) * scale)
