"""Autoregressive moving average filters: a recursion with a rational response."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from snl_graph.checks import whole_number
from snl_graph.filters.approximated import Approximated
from snl_graph.filters.options import require_length, require_powers
from snl_graph.filters.polynomial import Monomial
from snl_graph.filters.positive import coefficient_dtype
from snl_graph.operators import AffinityOperator

_BASIS = Monomial()


class ARMA(Approximated):
    r"""A bank of K first-order recursions, one a tap, with a rational response.

    .. math:: g_t(λ) = \frac{1}{1 - a_t (1 - λ)}, \qquad x_{n+1} = a_t A x_n + z, \quad x_0 = z

    Source: Isufi, Loukas, Simonetto, Leus (2017), §III (parallel ARMA_K, with M = I − L = A);
    Bianchi, Grattarola, Livi, Alippi (2021) for learning it, whose nonlinearity between the steps
    is left out here: a filter is linear, and has a response. The moving-average weights are W_t.

    The recursion converges if |a_t| |μ| < 1 for every eigenvalue μ of A: for |a_t| < 1 under "sym"
    and "rw", where |μ| ≤ 1. After n steps the error is at most |a_t|^(n+1) / (1 − |a_t|).

    Args:
        K: Number of recursions.
        poles: The K coefficients a_t at the start, −1 < a_t < 1; from 0.5 to −0.5 by default, so
            from a low-pass to a high-pass filter.
        learnable: Whether a_t is learned, as tanh of a parameter, which keeps |a_t| < 1.
        iterations: Steps of the recursion; None takes as many as meet ``tolerance``.
        tolerance: Largest |g − ĝ| on 0 ≤ λ ≤ 2, at the start. While a_t is learned it may grow
            towards ±1, and the error with it: see :func:`~snl_graph.filters.approximation_error`.

    Raises:
        ValueError: If K, poles or iterations are out of range.

    Cost: ``iterations`` applications of A: x_n = Σ_m a_t^m A^m z, and all taps share the powers.

    Example:
        >>> ARMA(2, learnable=False).response(torch.tensor([0.0, 2.0]))
        tensor([[2.0000, 0.6667],
                [0.6667, 2.0000]])
    """

    steps_name = "iterations"

    raw_poles: nn.Parameter | None

    def __init__(
        self,
        K: int = 2,
        *,
        poles: Sequence[float] | None = None,
        learnable: bool = True,
        iterations: int | None = None,
        tolerance: float = 1e-2,
    ) -> None:
        super().__init__()
        K = whole_number(K, "K")
        self.taps = tuple(range(K))
        chosen = [0.5 - t / max(K - 1, 1) for t in range(K)] if poles is None else poles
        self.start = require_length(chosen, K, "poles")
        if not all(-1 < pole < 1 for pole in self.start):
            raise ValueError(
                f"the recursion diverges unless every pole lies between -1 and 1; got {self.start}."
            )
        raw = nn.Parameter(self._start()) if learnable else None
        self.register_parameter("raw_poles", raw)
        self.settle_steps(iterations, tolerance)

    def reset_parameters(self) -> None:
        """Go back to the poles at the start."""
        if self.raw_poles is not None:
            with torch.no_grad():
                self.raw_poles.copy_(self._start())

    def poles(self, like: Tensor) -> Tensor:
        """a_t, shape (K,), on the device and in the real dtype of ``like``, float32 at least."""
        dtype = coefficient_dtype(like)
        if self.raw_poles is None:
            return torch.tensor(self.start, dtype=dtype, device=like.device)
        return self.raw_poles.to(like.device, dtype).tanh()

    def signals(self, a: AffinityOperator, z: Tensor, source: Tensor | None = None) -> list[Tensor]:
        require_powers(self.order, source)
        poles = self.poles(z).unbind()
        totals, factors = [z] * len(poles), list(poles)
        terms = _BASIS.terms(a, z, self.order + 1, source)
        next(terms)
        for term in terms:
            totals = [t + factor * term for t, factor in zip(totals, factors, strict=True)]
            factors = [factor * pole for factor, pole in zip(factors, poles, strict=True)]
        return totals

    def response(self, lambdas: Tensor) -> Tensor:
        return 1 / (1 - (1 - lambdas).unsqueeze(-1) * self.poles(lambdas))

    def _start(self) -> Tensor:
        poles = torch.tensor(self.start, dtype=torch.float64)
        return poles.atanh().to(torch.get_default_dtype())
