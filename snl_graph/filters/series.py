"""Any response by a Chebyshev series: g(L) z from products with A alone."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from snl_graph.filters.approximated import Approximated
from snl_graph.filters.base import GraphFilter
from snl_graph.filters.maps import JointMaps
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

    Cost: ``order`` applications of A at the width of the input or the output of a layer, whichever
    is narrower, and order × taps sums of signals. Memory O(taps·N·C); while
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
        totals: list[Tensor] = []
        terms = _BASIS.terms(a, z, self.order + 1, source)
        for row, term in zip(self._rows(), terms, strict=True):
            parts = [coefficient * term for coefficient in row]
            totals = [t + p for t, p in zip(totals, parts, strict=True)] if totals else parts
        return totals

    def _narrow(self, a: AffinityOperator, z: Tensor, weights: JointMaps) -> Tensor | None:
        """Clenshaw's recurrence u_k = Σ_t c_tk Z W_t − 2 A u_{k+1} − u_{k+2}, for L − I = −A."""
        images = weights.images(z)
        parts = [images[tap].to(z.dtype) for tap in self.taps]
        *others, last = [list(row) for row in self._rows()]
        now, after = _combined(last, parts), None
        for k, row in reversed(list(enumerate(others))):
            rest = _combined(row, parts)
            rest = rest if after is None else rest - after
            now, after = torch.sub(rest, a.apply(now), alpha=2 if k else 1), now
        return now.to(images[self.taps[0]].dtype)

    def _rows(self) -> Iterable[Iterable[float | Tensor]]:
        """c_tk, by k and then by t."""
        return self.coefficients() if self._fixed is None else self._fixed

    def _set_steps(self, steps: int) -> None:
        super()._set_steps(steps)
        if next(self.parameters(), None) is None:
            self._fixed = tuple(tuple(row) for row in self.coefficients().tolist())


def _combined(row: list[float | Tensor], parts: list[Tensor]) -> Tensor:
    """Σ_t c_t parts_t."""
    total = row[0] * parts[0]
    for coefficient, part in zip(row[1:], parts[1:], strict=True):
        total = total + coefficient * part
    return total


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
