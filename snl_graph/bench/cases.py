"""Named cases with their bars: what is measured, and what it must reach."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import torch

from snl_graph.bench.compare import Comparison, compare, lack_of_memory, prove_equal
from snl_graph.bench.contenders import FORWARD, TRAINING, Problem, UnequalWorkError
from snl_graph.bench.growth import PowerLaw, fit_power_law
from snl_graph.bench.memory import largest_tensor_of, peak, saved_by
from snl_graph.bench.problems import AffinityProblem, BlockProblem
from snl_graph.bench.timing import Effort, interleaved

MIB = 2**20
AUTO = "auto"
"""Stands for the representation that "auto" takes."""


@dataclass(frozen=True)
class Finding:
    """One measured number against its bar.

    Attributes:
        claim: What is measured.
        measured: The number; None if it could not be measured here.
        bar: What it must reach.
        is_at_least: Whether the bar is a lower one.
        unit: Of both.
    """

    claim: str
    measured: float | None
    bar: float
    is_at_least: bool
    unit: str = "×"

    @property
    def is_met(self) -> bool | None:
        """Whether the bar is reached; None if nothing was measured."""
        if self.measured is None:
            return None
        return self.measured >= self.bar if self.is_at_least else self.measured <= self.bar

    @property
    def margin(self) -> float | None:
        """1 at the bar, above 1 beyond it on the good side."""
        if not self.measured:
            return None
        return self.measured / self.bar if self.is_at_least else self.bar / self.measured

    def to_dict(self) -> dict[str, object]:
        """Plain values."""
        return {
            "claim": self.claim,
            "measured": self.measured,
            "bar": self.bar,
            "direction": ">=" if self.is_at_least else "<=",
            "unit": self.unit,
            "is_met": self.is_met,
        }


@dataclass
class Outcome:
    """What a case gave.

    Attributes:
        case: Its name.
        work: What was done.
        findings: Against the bars.
        details: More numbers, ready for ``json.dumps``.
        missing: Why nothing, or not everything, was measured; None if all was.
        curves: Points (N, cost) by name, for the picture of growth.
        seconds: How long it took.
    """

    case: str
    work: str
    findings: list[Finding] = field(default_factory=list)
    details: dict[str, object] = field(default_factory=dict)
    missing: str | None = None
    curves: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    seconds: float = 0.0

    def to_dict(self) -> dict[str, object]:
        """Plain values."""
        return {
            "case": self.case,
            "work": self.work,
            "findings": [finding.to_dict() for finding in self.findings],
            "missing": self.missing,
            "curves": self.curves,
            "details": self.details,
            "seconds": self.seconds,
        }


@dataclass(frozen=True)
class Case(ABC):
    """A measurement by name.

    Args:
        name: What ``--case`` takes.
        work: What is done, for people.
    """

    name: str
    work: str

    def run(self) -> Outcome:
        """Measure, with as many threads as PyTorch is set to."""
        outcome = Outcome(self.name, self.work)
        start = time.perf_counter()
        outcome.missing = self.absent()
        if outcome.missing is None:
            try:
                self.measure(outcome)
            except UnequalWorkError as error:  # other cases can still be measured
                outcome.missing = str(error)
        outcome.seconds = time.perf_counter() - start
        return outcome

    @abstractmethod
    def absent(self) -> str | None:
        """Why this case cannot run with this library or on this machine; None if it can."""

    @abstractmethod
    def measure(self, outcome: Outcome) -> None:
        """Fill the outcome."""

    @abstractmethod
    def small(self) -> Self:
        """The same at a toy size, where the bars mean nothing."""


def resolved(problem: Problem, name: str) -> str:
    """The contender of a name; :data:`AUTO` is the representation that a block takes."""
    return problem.auto() if name == AUTO and isinstance(problem, BlockProblem) else name


def _absent(problem: Problem, names: Sequence[str]) -> str | None:
    lacking = [name for name in names if resolved(problem, name) not in problem.names]
    if not lacking:
        return None
    return f"not there: {', '.join(lacking)}"


@dataclass(frozen=True)
class RatioBar:
    """A bar for the ratio of two medians, ``over`` / ``under``."""

    claim: str
    over: str
    under: str
    bar: float
    is_at_least: bool = True
    mode: str = TRAINING


@dataclass(frozen=True)
class RatioCase(Case):
    """Contenders timed in turns, and ratios of their medians."""

    problem: Problem
    bars: tuple[RatioBar, ...]
    effort: Effort

    def entrants(self, mode: str) -> list[str]:
        """The contenders that the bars of a mode name."""
        named = [
            resolved(self.problem, name)
            for bar in self.bars
            if bar.mode == mode
            for name in (bar.over, bar.under)
        ]
        return list(dict.fromkeys(named))

    def absent(self) -> str | None:
        return _absent(self.problem, [name for bar in self.bars for name in (bar.over, bar.under)])

    def measure(self, outcome: Outcome) -> None:
        compared: dict[str, object] = {}
        for mode in (FORWARD, TRAINING):
            entrants = self.entrants(mode)
            if not entrants:
                continue
            found = compare(
                self.problem, entrants, modes=(mode,), effort=self.effort, with_saved=False
            )
            compared[mode] = found.to_dict()
            outcome.findings += [self._finding(bar, found) for bar in self.bars if bar.mode == mode]
            for name, reason in found.skipped.items():
                outcome.missing = f"{name} {reason}"
        outcome.details["comparisons"] = compared

    def _finding(self, bar: RatioBar, found: Comparison) -> Finding:
        over, under = resolved(self.problem, bar.over), resolved(self.problem, bar.under)
        timed = found.timings[bar.mode]
        measured = found.ratio(bar.mode, over, under) if {over, under} <= timed.keys() else None
        return Finding(bar.claim, measured, bar.bar, bar.is_at_least)

    def small(self) -> Self:
        problem = self.problem.small("float32")
        return replace(self, work=f"toy: {self.work}", problem=problem, effort=Effort(1, 0.0))


@dataclass(frozen=True)
class GrowthCase(Case):
    """The exponent of a block's time, its sizes timed in turns; naive dense beside it, for the eye.

    Args:
        problem: At any size.
        sizes: Sizes that the exponent is fitted to.
        naive_sizes: Sizes of the naive dense form.
        bar: The largest exponent.
    """

    problem: BlockProblem
    sizes: tuple[tuple[int, ...], ...]
    naive_sizes: tuple[tuple[int, ...], ...]
    bar: float
    effort: Effort

    def absent(self) -> str | None:
        return None

    def measure(self, outcome: Outcome) -> None:
        prove_equal(self.problem, self.problem.names, (TRAINING,))
        work, points = {}, {}
        for name, sizes in (("snl", self.sizes), ("naive dense", self.naive_sizes)):
            for size in sizes:
                problem = self.problem.at(size)
                entrant = resolved(problem, AUTO) if name == "snl" else name
                if lack_of_memory(problem, entrant, TRAINING) is None:
                    key = f"{name} {problem.nodes}"
                    points[key] = (name, problem.nodes)
                    work[key] = problem.contender(entrant).training_step
        rounds = interleaved(work, self.effort)
        for key, (name, nodes) in points.items():
            outcome.curves.setdefault(name, []).append((nodes, rounds.timings[key].median))
        outcome.details["processor_share"] = rounds.processor_share
        _add_exponents(outcome)
        law = fit_power_law(*zip(*outcome.curves["snl"], strict=True))
        outcome.findings.append(_exponent("growth of the time, exponent", law, self.bar))

    def small(self) -> Self:
        sizes = ((2, 3), (4, 5), (6, 7))
        problem = self.problem.small("float32")
        return replace(
            self,
            work=f"toy: {self.work}",
            problem=problem,
            sizes=sizes,
            naive_sizes=sizes[:2],
            effort=Effort(1, 0.0),
        )


def _add_exponents(outcome: Outcome) -> None:
    outcome.details["exponents"] = {
        name: fit_power_law(*zip(*points, strict=True)).to_dict()
        for name, points in outcome.curves.items()
        if len(points) > 1
    }


def _exponent(claim: str, law: PowerLaw, bar: float) -> Finding:
    error = "" if law.standard_error != law.standard_error else f" (± {law.standard_error:.3f})"
    return Finding(claim + error, law.exponent, bar, False, "")


@dataclass(frozen=True)
class SavedCase(Case):
    """Bytes kept for backward."""

    problem: BlockProblem
    bar: float

    def absent(self) -> str | None:
        return lack_of_memory(self.problem, "naive dense", FORWARD)

    def measure(self, outcome: Outcome) -> None:
        names = {"snl": resolved(self.problem, AUTO), "naive dense": "naive dense"}
        prove_equal(self.problem, list(names.values()), (TRAINING,))
        saved = {name: saved_by(self.problem.contender(names[name])) or 0 for name in names}
        outcome.details["saved_bytes"] = saved
        claim = f"kept for backward (naive dense: {saved['naive dense'] / MIB:,.0f} MiB)"
        outcome.findings.append(Finding(claim, saved["snl"] / MIB, self.bar, False, "MiB"))

    def small(self) -> Self:
        return replace(self, work=f"toy: {self.work}", problem=self.problem.small("float32"))


@dataclass(frozen=True)
class PeakCase(Case):
    """Peak memory of one training step in a process of its own, and how what is kept grows.

    Args:
        problem: The work.
        entrant: Name of the contender.
        bar: In MiB.
        is_above_inputs: Whether the bar is for what comes on top of the inputs; else it is for the
            whole process, libraries included.
        growth: Numbers of nodes at which the bytes kept for backward are counted.
        growth_bar: Largest exponent of those.
    """

    problem: AffinityProblem | BlockProblem
    entrant: str
    bar: float
    is_above_inputs: bool
    growth: tuple[int, ...] = ()
    growth_bar: float = 1.0

    def absent(self) -> str | None:
        return _absent(self.problem, [self.entrant])

    def measure(self, outcome: Outcome) -> None:
        entrant = resolved(self.problem, self.entrant)
        prove_equal(self.problem, [entrant], (TRAINING,))
        found = peak(self.problem, entrant, TRAINING, torch.get_num_threads())
        if found is None:
            outcome.missing = "this system does not tell the peak memory of a process"
        else:
            outcome.details["peak"] = found.to_dict()
            size = found.above_inputs if self.is_above_inputs else found.total
            what = "above the inputs" if self.is_above_inputs else "of the process"
            outcome.findings.append(
                Finding(f"peak memory {what}", size / MIB, self.bar, False, "MiB")
            )
        if self.growth:
            problems = [self.problem.at((nodes,)) for nodes in self.growth]
            kept = [saved_by(problem.contender(entrant)) or 0 for problem in problems]
            outcome.details["kept"] = dict(zip(map(str, self.growth), kept, strict=True))
            law = fit_power_law(self.growth, kept)
            outcome.findings.append(
                _exponent("growth of what is kept for backward, exponent", law, self.growth_bar)
            )

    def small(self) -> Self:
        growth = (8, 16, 32) if self.growth else ()
        problem = self.problem.small("float32")
        return replace(self, work=f"toy: {self.work}", problem=problem, growth=growth)


@dataclass(frozen=True)
class CrossCase(RatioCase):
    """A ratio, and that no tensor of N² entries an item is made, forward or backward."""

    subject: str = "grid"

    def measure(self, outcome: Outcome) -> None:
        super().measure(outcome)
        entries = largest_tensor_of(self.problem.contender(self.subject), TRAINING)
        outcome.findings.append(
            Finding(
                "largest tensor against one N×N matrix", entries / self.problem.nodes**2, 1.0, False
            )
        )
