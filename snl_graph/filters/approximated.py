"""Filters that meet their response up to an error, which falls with the steps they take."""

from __future__ import annotations

import copy
from typing import Self

import torch
from torch import nn

from snl_graph.checks import whole_number
from snl_graph.filters.accuracy import approximation_error
from snl_graph.filters.base import GraphFilter

MOST_STEPS = 256
"""Where the search for enough steps ends."""


class Approximated(GraphFilter):
    """A filter whose ``signals`` approximate its ``response``.

    Attributes:
        steps: Order of a Chebyshev series, or number of iterations.
    """

    steps_name = "order"
    applications_per_step = 1
    steps: int

    def with_steps(self, steps: int) -> Self:
        """A copy that takes another number of steps.

        Raises:
            ValueError: If ``steps`` is no whole number ≥ 0.
        """
        made = copy.deepcopy(self)
        made._set_steps(whole_number(steps, self.steps_name, 0))
        return made

    def reset_parameters(self) -> None:
        """Set the filter's own parameters, if it has any, to what they were at the start."""
        for child in self.children():
            reset = getattr(child, "reset_parameters", None)
            if reset is not None:
                reset()

    def _set_steps(self, steps: int) -> None:
        self.steps = steps
        self.order = self.applications_per_step * steps

    def settle_steps(self, steps: int | None, tolerance: float) -> None:
        """Take ``steps``; None takes enough for ``tolerance``. The last line of a constructor.

        Args:
            steps: How many, or None.
            tolerance: Largest |g − ĝ| on 0 ≤ λ ≤ 2. The number is found by bisection, so it is the
                least where the error falls with every step.

        Raises:
            ValueError: If ``steps`` is no whole number ≥ 0, or 256 steps do not meet the tolerance.
        """
        if steps is not None:
            self._set_steps(whole_number(steps, self.steps_name, 0))
            return
        if not tolerance > 0:
            raise ValueError(f"tolerance must be positive, got {tolerance!r}.")
        if any(parameter.is_meta for parameter in self.parameters()):
            self._set_steps(self._steps_of_a_twin(tolerance))
            return
        if self._error_of(1) <= tolerance:
            least, enough = -1, 1
        else:
            least, enough = 1, 2
            while (error := self._error_of(enough)) > tolerance:
                if enough == MOST_STEPS:
                    raise ValueError(
                        f"{enough} steps leave an error of {error:.1e}, above the tolerance of "
                        f"{tolerance:.1e}. Pass a smoother response, a greater tolerance, or "
                        f"{self.steps_name}=... yourself."
                    )
                least, enough = enough, 2 * enough
        while enough - least > 1:
            middle = (least + enough) // 2
            if self._error_of(middle) <= tolerance:
                enough = middle
            else:
                least = middle
        self._set_steps(enough)

    def _steps_of_a_twin(self, tolerance: float) -> int:
        """Steps of the same filter on the processor, for parameters on "meta" have no numbers."""
        with torch.device("cpu"):
            twin = copy.deepcopy(self).to_empty(device="cpu")
            twin.reset_parameters()
            twin.settle_steps(None, tolerance)
        return twin.steps

    def _error_of(self, steps: int) -> float:
        self._set_steps(steps)
        return float(approximation_error(self, points=401).max())

    def __repr__(self) -> str:
        """One line, for it stands in the one line of a layer."""
        return f"{type(self).__name__}({self.extra_repr()})"

    def extra_repr(self) -> str:
        learned = ", learnable" if _is_learned(self) else ""
        return f"taps={len(self.taps)}, {self.steps_name}={self.steps}{learned}"


def _is_learned(module: nn.Module) -> bool:
    return any(True for _ in module.parameters())
