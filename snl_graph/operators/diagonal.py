"""Positive diagonal matrices, such as the degree matrix D, held as numbers or as logarithms.

A degree of exactly 0 (an isolated node) keeps a zero under every power, with finite gradients; a
negative degree is never hidden: its square root is NaN. This is the one place that decides so.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def accumulation_dtype(dtype: torch.dtype) -> torch.dtype:
    """Type in which degrees are summed: float32 at least, for a float16 degree overflows soon."""
    return torch.float32 if dtype in (torch.float16, torch.bfloat16) else dtype


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """A context in which autocast rounds nothing; free where autocast is off."""
    if torch.is_autocast_enabled(device.type):
        return torch.autocast(device_type=device.type, enabled=False)
    return nullcontext()


class Diagonal(ABC):
    """diag(d) with d of shape (*batch, N)."""

    @property
    @abstractmethod
    def values(self) -> Tensor:
        """d, shape (*batch, N)."""

    @abstractmethod
    def power(self, exponent: float) -> Diagonal:
        """diag(d^exponent), with 0^exponent := 0."""

    @abstractmethod
    def mean(self, other: Diagonal) -> Diagonal:
        """½ (diag(d) + diag(other))."""


class LinearDiagonal(Diagonal):
    """A diagonal held as its numbers."""

    def __init__(self, values: Tensor) -> None:
        self._values = values

    @property
    def values(self) -> Tensor:
        return self._values

    def power(self, exponent: float) -> LinearDiagonal:
        is_nonzero = self._values != 0  # a negative value goes on to NaN, never to 0
        # Masked before the power and after: one `where` alone gives NaN gradients at 0.
        safe = torch.where(is_nonzero, self._values, 1)
        return LinearDiagonal(torch.where(is_nonzero, safe**exponent, 0))

    def mean(self, other: Diagonal) -> LinearDiagonal:
        return LinearDiagonal((self._values + other.values) / 2)


class LogDiagonal(Diagonal):
    """A diagonal held as log d; −∞ is a zero."""

    def __init__(self, logs: Tensor) -> None:
        self.logs = logs

    @property
    def values(self) -> Tensor:
        return self.logs.exp()

    def power(self, exponent: float) -> LogDiagonal:
        """diag(d^exponent); a zero stays neutral (log 1), for its row of logits is −∞ anyway."""
        return LogDiagonal(torch.where(self.logs == -torch.inf, 0, self.logs) * exponent)

    def mean(self, other: Diagonal) -> LogDiagonal:
        if not isinstance(other, LogDiagonal):
            raise TypeError("a LogDiagonal can only be averaged with another LogDiagonal.")
        # Written out, for torch.logaddexp has NaN derivatives where an argument is −∞.
        peak = torch.maximum(self.logs, other.logs).detach()
        is_zero = peak == -torch.inf
        peak = torch.where(is_zero, 0, peak)
        total = (self.logs - peak).exp() + (other.logs - peak).exp()
        logs = torch.where(is_zero, 1, total).log() + peak - math.log(2)
        return LogDiagonal(torch.where(is_zero, -torch.inf, logs))


class DeferredDiagonal(Diagonal):
    """A diagonal that is made when it is asked for: what nobody asks for costs nothing.

    Args:
        make: Makes it.
    """

    def __init__(self, make: Callable[[], Diagonal]) -> None:
        self._make = make

    @property
    def values(self) -> Tensor:
        return self._make().values

    def power(self, exponent: float) -> Diagonal:
        return self._make().power(exponent)

    def mean(self, other: Diagonal) -> Diagonal:
        return self._make().mean(other)
