"""One comparison: contenders proven equal, then timed in turns, and their memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import torch

from snl_graph.bench.contenders import FORWARD, MODES, Contender, Problem, require_equal
from snl_graph.bench.memory import saved_by
from snl_graph.bench.timing import Effort, Timing, interleaved
from snl_graph.memory import free_bytes, gibibytes

EXACT, ROUNDED = 1e-9, 1e-4
"""What passes for equal: in float64 at a toy size, in float32 at the size that is timed.

Relative to the largest number of each result. The second leaves room for exponentials of large
scores, and for gradients of weights, which are sums over all positions whose terms cancel.
"""
_SHARE = 0.6  # of the free memory that a contender may take: an estimate, and others live here too


@dataclass
class Comparison:
    """What was measured of one problem.

    Attributes:
        problem: The problem.
        timings: By mode, by name of the contender.
        errors: Largest difference from the reference, by mode and name.
        saved: Bytes kept for backward, by name.
        skipped: Why a contender was left out, by name.
        processor_share: See :class:`~snl_graph.bench.timing.Rounds`; the least of all modes.
    """

    problem: Problem
    timings: dict[str, dict[str, Timing]] = field(default_factory=dict)
    errors: dict[str, dict[str, float]] = field(default_factory=dict)
    saved: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    processor_share: float = 1.0

    def median(self, mode: str, name: str) -> float:
        """Seconds of a contender."""
        return self.timings[mode][name].median

    def ratio(self, mode: str, slow: str, fast: str) -> float:
        """How many times as long ``slow`` takes, of the medians."""
        return self.median(mode, slow) / self.median(mode, fast)

    def fastest(self, mode: str, names: Iterable[str]) -> str | None:
        """Name of the fastest of ``names`` that was timed."""
        timed = [name for name in names if name in self.timings.get(mode, {})]
        return min(timed, key=lambda name: self.median(mode, name), default=None)

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for ``json.dumps``."""
        timed = {name for found in self.timings.values() for name in found}
        return {
            "nodes": self.problem.nodes,
            "contenders": {
                name: {
                    "seconds": {
                        mode: found[name].to_dict()
                        for mode, found in self.timings.items()
                        if name in found
                    },
                    "difference": {mode: found.get(name) for mode, found in self.errors.items()},
                    "saved_bytes": self.saved.get(name),
                }
                for name in self.problem.names
                if name in timed
            },
            "skipped": self.skipped,
            "tolerance": {"float64, toy size": EXACT, "float32, this size": ROUNDED},
            "processor_share": self.processor_share,
        }


def compare(
    problem: Problem,
    names: Sequence[str] | None = None,
    *,
    modes: Sequence[str] = MODES,
    effort: Effort | None = None,
    with_saved: bool = True,
) -> Comparison:
    """Prove contenders equal, then time them in turns.

    Args:
        problem: The work.
        names: Of the contenders; None takes all.
        modes: Of ``MODES``.
        effort: How long to measure.
        with_saved: Whether to count what is kept for backward.

    Raises:
        UnequalWorkError: If they do not compute the same numbers.
    """
    names = problem.names if names is None else names
    prove_equal(problem, names, modes)
    result = Comparison(problem)
    # Checked where the largest mode fits, so that both modes have the same contenders.
    for name in names:
        reason = lack_of_memory(problem, name, modes[-1])
        if reason is not None:
            result.skipped[name] = reason
    contenders = [problem.contender(name) for name in names if name not in result.skipped]
    timed = {one.name: one for one in contenders if one.is_timed}
    for mode in modes:
        result.errors[mode] = require_equal(contenders, mode, ROUNDED)
        work = {name: _work(one, mode) for name, one in timed.items() if mode in one.modes}
        rounds = interleaved(work, effort or Effort())
        result.timings[mode] = rounds.timings
        result.processor_share = min(result.processor_share, rounds.processor_share)
    if with_saved and modes[-1] != FORWARD:
        for name, one in timed.items():
            saved = saved_by(one) if modes[-1] in one.modes else None
            if saved is not None:
                result.saved[name] = saved
    return result


def prove_equal(problem: Problem, names: Sequence[str], modes: Sequence[str] = MODES) -> None:
    """Raise an ``UnequalWorkError`` unless contenders agree in float64, at a toy size."""
    toy = problem.small("float64")
    everyone = dict.fromkeys([*(toy.reference_of(name) for name in names), *names])
    for mode in modes:
        require_equal([toy.contender(name) for name in everyone], mode, EXACT)


def lack_of_memory(problem: Problem, name: str, mode: str) -> str | None:
    """Why a contender cannot run here; None if it can."""
    needed, free = problem.bytes_needed(name, mode), free_bytes(torch.device("cpu"))
    if free is None or needed <= _SHARE * free:
        return None
    return f"needs about {gibibytes(needed)}, and {gibibytes(free)} are free"


def _work(contender: Contender, mode: str) -> Callable[[], object]:
    return lambda: contender.run(mode)
