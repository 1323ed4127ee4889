"""The heat kernel: diffusion on the graph for a few times."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from snl_graph.checks import whole_number
from snl_graph.filters.options import require_length
from snl_graph.filters.positive import Positive
from snl_graph.filters.series import ChebyshevSeries


class Heat(ChebyshevSeries):
    """g_t(λ) = exp(−τ_t λ): the signal after diffusing for the times τ_t.

    Source: Hammond, Vandergheynst, Gribonval (2011); Chung, *Spectral Graph Theory* (1997), §10.
    Times are dimensionless: a random walk takes τ steps on average in the time τ.

    Args:
        K: Number of times, each a tap.
        times: The K times; 1, 2, 4, ... by default.
        learnable: Whether log τ is learned.
        order: Degree of the Chebyshev series; None takes one that meets ``tolerance``.
        tolerance: Largest |g − ĝ| on 0 ≤ λ ≤ 2, at the start.

    Raises:
        ValueError: If K, times or order are out of range.

    Cost: ``order`` applications of A: 3, 4, 5, 7 for the longest time 1, 2, 4, 8 by default.

    Example:
        >>> Heat(2, times=(1, 3)).response(torch.tensor([0.0, 1.0]))
        tensor([[1.0000, 1.0000],
                [0.3679, 0.0498]])
    """

    def __init__(
        self,
        K: int = 2,
        times: Sequence[float] | None = None,
        *,
        learnable: bool = False,
        order: int | None = None,
        tolerance: float = 1e-2,
    ) -> None:
        super().__init__()
        K = whole_number(K, "K")
        self.taps = tuple(range(K))
        chosen = [2.0**k for k in range(K)] if times is None else times
        self.times = Positive(
            require_length(chosen, K, "times"), "the times of heat", learnable=learnable
        )
        self.settle_steps(order, tolerance)

    def response(self, lambdas: Tensor) -> Tensor:
        return torch.exp(-lambdas.unsqueeze(-1) * self.times.like(lambdas))
