"""A user's question: which representation suits this machine at this size?"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from snl_graph.bench.compare import Comparison, compare
from snl_graph.bench.contenders import FORWARD, TRAINING
from snl_graph.bench.growth import PowerLaw, fit_power_law
from snl_graph.bench.memory import Peak, peak
from snl_graph.bench.problems import BlockProblem
from snl_graph.bench.timing import Effort
from snl_graph.representations import REPRESENTATIONS


@dataclass
class Answer:
    """What was measured of a block, at the size asked for and at smaller ones.

    Attributes:
        problem: The block at the size asked for.
        modes: What was timed.
        auto: The representation that "auto" takes at that size.
        comparisons: By size, the one asked for last.
        peaks: Peak memory at the size asked for, by contender.
    """

    problem: BlockProblem
    modes: tuple[str, ...]
    auto: str
    comparisons: list[Comparison] = field(default_factory=list)
    peaks: dict[str, Peak] = field(default_factory=dict)

    @property
    def asked(self) -> Comparison:
        """The comparison at the size asked for."""
        return self.comparisons[-1]

    def fastest(self, mode: str) -> str | None:
        """The fastest representation at the size asked for."""
        return self.asked.fastest(mode, REPRESENTATIONS)

    def growth(self, mode: str) -> dict[str, PowerLaw]:
        """Exponents of the time, of contenders measured at two sizes or more."""
        laws = {}
        for name in self.problem.names:
            points = [
                (one.problem.nodes, one.median(mode, name))
                for one in self.comparisons
                if name in one.timings.get(mode, {})
            ]
            if len({nodes for nodes, _ in points}) > 1:
                laws[name] = fit_power_law(*zip(*points, strict=True))
        return laws

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for ``json.dumps``."""
        return {
            "block": self.problem.block,
            "batch": self.problem.batch,
            "channels": self.problem.channels,
            "size": list(self.problem.size),
            "auto": self.auto,
            "fastest": {mode: self.fastest(mode) for mode in self.modes},
            "sizes": [one.to_dict() for one in self.comparisons],
            "growth": {
                mode: {name: law.to_dict() for name, law in self.growth(mode).items()}
                for mode in self.modes
            },
            "peaks": {name: found.to_dict() for name, found in self.peaks.items()},
        }


def ask(
    problem: BlockProblem,
    *,
    has_backward: bool = True,
    points: int = 3,
    effort: Effort | None = None,
    with_peaks: bool = True,
) -> Answer:
    """Compare every contender at the size of ``problem``, and at smaller ones for the growth.

    Args:
        problem: The block, at the size asked for.
        has_backward: Whether to train too.
        points: Number of sizes, from N/16 to N.
        effort: How long to measure at each size and in each mode.
        with_peaks: Whether to take the peak memory of each contender, in a process of its own.
    """
    modes = (FORWARD, TRAINING) if has_backward else (FORWARD,)
    answer = Answer(problem, modes, problem.auto())
    for size in sizes_up_to(problem.size, points):
        answer.comparisons.append(compare(problem.at(size), modes=modes, effort=effort))
    if with_peaks:
        for name in answer.asked.timings[modes[-1]]:
            found = peak(problem, name, modes[-1], torch.get_num_threads())
            if found is not None:
                answer.peaks[name] = found
    return answer


def sizes_up_to(size: tuple[int, ...], points: int) -> list[tuple[int, ...]]:
    """Sizes of the same shape, their numbers of positions spread evenly in log from N/16 to N.

    Example:
        >>> sizes_up_to((32, 64), 3)
        [(8, 16), (16, 32), (32, 64)]
    """
    if points < 1:
        raise ValueError(f"points is the number of sizes, at least 1; got {points}.")
    smallest = 16 ** (-1 / len(size))
    shares = [1.0] if points == 1 else [smallest ** (1 - k / (points - 1)) for k in range(points)]
    sizes = [tuple(max(1, round(length * share)) for length in size) for share in shares]
    return list(dict.fromkeys(sizes))
