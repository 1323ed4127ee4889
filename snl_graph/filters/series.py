"""Any response by a Chebyshev series: g(L) z from products with A alone."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from snl_graph.filters.approximated import Approximated
from snl_graph.filters.base import GraphFilter
from snl_graph.filters.options import require_powers
from snl_graph.filters.polynomial import Chebyshev
from snl_graph.operators import AffinityOperator
from snl_graph.operators.diagonal import accumulation_dtype

_BASIS = Chebyshev()


class ChebyshevSeries(Approximated):
    """ĝ_t(L) z = Σ_k c_tk T_k(L − I) z, c_tk the Chebyshev coefficients of g_t on 0 ≤ λ ≤ 2.

    Source: Hammond, Vandergheynst, Gribonval (2011), §6. A filter of this kind states nothing but
    its ``response``. All taps share the products with A. The coefficients are a cosine sum of the
    response at 2 (order + 1) Chebyshev points: exact for a polynomial of degree ≤ order.

    Cost: ``order`` applications of A, and order × taps sums of signals. Memory O(taps·N·C); while
    training also what each application keeps.
    """

    _fixed: tuple[tuple[float, ...], ...] | None = None

    def coefficients(self) -> Tensor:
        """c_tk, shape (order + 1, taps); differentiable in the filter's own parameters."""
        parameter = next(self.parameters(), None)
        dtype = torch.float64 if parameter is None else accumulation_dtype(parameter.dtype)
        device = torch.device("cpu") if parameter is None else parameter.device
        count = 2 * (self.order + 1)
        angles = (torch.arange(count, dtype=dtype, device=device) + 0.5) * (math.pi / count)
        degrees = torch.arange(self.order + 1, dtype=dtype, device=device)
        samples = self.response(1 + angles.cos())  # (count, taps)
        # Summed, not multiplied as matrices: autocast would round a product.
        sums = (torch.cos(degrees[:, None] * angles).unsqueeze(-1) * samples).sum(1)
        return sums * torch.where(degrees > 0, 2.0, 1.0).to(dtype).unsqueeze(-1) / count

    def signals(self, a: AffinityOperator, z: Tensor, source: Tensor | None = None) -> list[Tensor]:
        require_powers(self.order, source)
        rows = self.coefficients() if self._fixed is None else self._fixed
        totals: list[Tensor] = []
        terms = _BASIS.terms(a, z, self.order + 1, source)
        for row, term in zip(rows, terms, strict=True):
            parts = [coefficient * term for coefficient in row]
            totals = [t + p for t, p in zip(totals, parts, strict=True)] if totals else parts
        return totals

    def _set_steps(self, steps: int) -> None:
        super()._set_steps(steps)
        if next(self.parameters(), None) is None:
            self._fixed = tuple(tuple(row) for row in self.coefficients().tolist())


class ChebyshevApproximation(ChebyshevSeries):
    """Another filter's response, by a Chebyshev series in place of its own way.

    A rational filter such as :class:`~snl_graph.filters.Cayley` takes fewer products with A so than
    by iterations: the series converges as ρ^-order, ρ the Bernstein ellipse through its poles.

    Args:
        filter: The filter; its parameters, if any, are learned through the series.
        order: Degree of the series; None takes one that meets ``tolerance``.
        tolerance: Largest |g − ĝ| on 0 ≤ λ ≤ 2, at the start.

    Raises:
        ValueError: If the order is no whole number ≥ 0, or no order meets the tolerance.

    Example:
        >>> from snl_graph.filters import Cayley
        >>> Cayley(2, tolerance=1e-3).order, ChebyshevApproximation(Cayley(2), tolerance=1e-3).order
        (22, 8)
    """

    def __init__(
        self, filter: GraphFilter, order: int | None = None, *, tolerance: float = 1e-2
    ) -> None:
        super().__init__()
        self.filter = filter
        self.taps = filter.taps
        self.settle_steps(order, tolerance)

    def response(self, lambdas: Tensor) -> Tensor:
        return self.filter.response(lambdas)

    def extra_repr(self) -> str:
        return f"{self.filter}, order={self.steps}"
