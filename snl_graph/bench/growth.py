"""How a cost grows with N: a power law, fitted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np


@dataclass(frozen=True)
class PowerLaw:
    """cost = factor · N^exponent.

    Attributes:
        exponent: The slope in log-log.
        standard_error: Of the exponent; NaN of two points, which say nothing about it.
        factor: The cost at N = 1.
    """

    exponent: float
    standard_error: float
    factor: float

    def to_dict(self) -> dict[str, float | None]:
        """Plain values; None for a standard error that is not known."""
        return {name: None if math.isnan(value) else value for name, value in asdict(self).items()}


def fit_power_law(sizes: Sequence[float], costs: Sequence[float]) -> PowerLaw:
    """Least squares of log cost on log N.

    Args:
        sizes: N, at least two different ones.
        costs: The cost at each, positive.

    Raises:
        ValueError: If there are too few points, or numbers that have no logarithm.

    Example:
        >>> law = fit_power_law([10, 100, 1000], [3, 300, 30000])
        >>> round(law.exponent, 6), round(law.factor, 6)
        (2.0, 0.03)
    """
    if len(sizes) != len(costs) or len(set(sizes)) < 2:
        raise ValueError(
            f"a power law is fitted to a cost at each of two sizes or more; got {len(sizes)} sizes "
            f"and {len(costs)} costs."
        )
    if not all(math.isfinite(value) and value > 0 for value in (*sizes, *costs)):
        raise ValueError("a power law has sizes and costs > 0; got one that is not.")
    x, y = np.log(np.asarray(sizes, float)), np.log(np.asarray(costs, float))
    spread = x - x.mean()
    exponent = float(spread @ (y - y.mean()) / (spread @ spread))
    residuals = y - y.mean() - exponent * spread
    freedom = len(x) - 2
    error = math.sqrt(residuals @ residuals / freedom / (spread @ spread)) if freedom else math.nan
    return PowerLaw(exponent, error, math.exp(y.mean() - exponent * x.mean()))
