"""Contenders of a comparison, and the proof that they do the same work."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

FORWARD, TRAINING = "forward", "forward+backward"
MODES = (FORWARD, TRAINING)
"""What is timed: the output alone, or the output and every gradient."""


class UnequalWorkError(ValueError):
    """Two contenders do not compute the same numbers, so their times cannot be compared."""


@dataclass(frozen=True)
class Contender:
    """One way to compute an output.

    Args:
        name: Its name in the report.
        output: Computes the output.
        inputs: Leaves to differentiate by, in the same order for all contenders.
        upstream: Gradient of the output.
        reference: Name of the contender that it is compared with.
        is_timed: False for one that is only there to compare with.
        modes: In which it takes part.
        finish: Makes the output to compare, of what ``output`` returns; takes no part in the time.
    """

    name: str
    output: Callable[[], Any]
    inputs: Sequence[Tensor]
    upstream: Tensor
    reference: str
    is_timed: bool = True
    modes: Sequence[str] = MODES
    finish: Callable[[Any], Tensor] = lambda output: output

    def run(self, mode: str) -> Any:
        """The work of a mode: what is timed."""
        if mode == FORWARD:
            with torch.no_grad():
                return self.output()
        return self.training_step()

    def training_step(self) -> tuple[Tensor, ...]:
        """The output and the gradients by the inputs."""
        y = self.output()
        return y.detach(), *torch.autograd.grad(y, list(self.inputs), self.upstream)

    def results(self, mode: str) -> tuple[Tensor, ...]:
        """Numbers to compare: the output, and the gradients where there are any."""
        found = self.run(mode)
        return (self.finish(found),) if mode == FORWARD else found


@dataclass(frozen=True, kw_only=True)
class Handwritten(Contender):
    """A contender whose gradients are computed by hand, without autograd.

    Args:
        step: Computes the output and the gradients.
    """

    step: Callable[[], tuple[Tensor, ...]]

    def training_step(self) -> tuple[Tensor, ...]:
        with torch.no_grad():
            return self.step()


class Problem(ABC):
    """Some work that several contenders can do. Small, so that it can be sent to a subprocess."""

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """Names of all contenders; those that others are compared with come first."""

    @abstractmethod
    def reference_of(self, name: str) -> str:
        """Name of the contender that another is compared with."""

    @abstractmethod
    def contender(self, name: str) -> Contender:
        """A contender with inputs of its own, the same numbers for all."""

    @abstractmethod
    def bytes_needed(self, name: str, mode: str) -> int:
        """About how much memory a contender takes; 0 for one linear in N."""

    @abstractmethod
    def small(self, dtype: str) -> Self:
        """The same at a toy size."""

    @property
    @abstractmethod
    def nodes(self) -> int:
        """N."""


def require_equal(contenders: Sequence[Contender], mode: str, tolerance: float) -> dict[str, float]:
    """Compare the numbers of each contender with those of its reference.

    Args:
        contenders: All of them; those that have no part in the mode are passed over. One whose
            reference is not among them is compared with the first of the same reference.
        mode: One of ``MODES``.
        tolerance: Largest difference, relative to the largest number of each result.

    Returns:
        The largest relative difference found, by name.

    Raises:
        UnequalWorkError: If one is larger.
    """
    references: dict[str, tuple[Tensor, ...]] = {}
    errors: dict[str, float] = {}
    taking_part = [one for one in contenders if mode in one.modes]
    for contender in sorted(taking_part, key=lambda one: one.name != one.reference):
        results = tuple(tensor.detach() for tensor in contender.results(mode))
        reference = references.setdefault(contender.reference, results)
        errors[contender.name] = error = _difference(results, reference)
        if not error <= tolerance:
            raise UnequalWorkError(
                f'"{contender.name}" differs from "{contender.reference}" by {error:.2g} of the '
                f"largest number ({mode}), and {tolerance:.0e} is allowed: they do not do the same "
                "work."
            )
    return errors


def _difference(results: Sequence[Tensor], reference: Sequence[Tensor]) -> float:
    if [t.shape for t in results] != [t.shape for t in reference]:
        return float("inf")
    worst = 0.0
    for result, expected in zip(results, reference, strict=True):
        scale = float(expected.abs().max()) or 1.0
        difference = float((result - expected).abs().max()) / scale
        worst = max(worst, difference if difference == difference else float("inf"))
    return worst
