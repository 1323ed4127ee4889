"""Times of several pieces of work, taken in turns."""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_SHORTEST = 0.01  # seconds; shorter work is repeated between two looks at the clock


@dataclass(frozen=True)
class Timing:
    """Seconds of one piece of work, one number a round.

    Example:
        >>> Timing((3.0, 1.0, 2.0)).median
        2.0
    """

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.seconds)

    def to_dict(self) -> dict[str, object]:
        """The median, the fastest, the slowest and the number of rounds."""
        return {
            "median": self.median,
            "fastest": min(self.seconds),
            "slowest": max(self.seconds),
            "rounds": len(self.seconds),
        }


@dataclass(frozen=True)
class Effort:
    """How long to measure.

    Args:
        rounds: Most rounds of the contenders of one comparison.
        seconds: Rounds end when they have taken this long, but not before the third.
    """

    rounds: int = 15
    seconds: float = 8.0


@dataclass(frozen=True)
class Rounds:
    """What interleaved rounds gave.

    Attributes:
        timings: By name of the work.
        processor_share: Processor time over wall time, all rounds together. One thread with the
            machine to itself gives 1; less says that other programs took their turns.
    """

    timings: dict[str, Timing]
    processor_share: float


def interleaved(work: Mapping[str, Callable[[], object]], effort: Effort) -> Rounds:
    """Time every piece of work once a round, in turns, so that what disturbs one disturbs all.

    Every second round runs backwards. One round to warm up comes first and is not counted; it says
    how often short work is repeated.
    """
    repeats = {name: _repeats(run) for name, run in work.items()}
    seconds: dict[str, list[float]] = {name: [] for name in work}
    was_collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    start, processor_start = time.perf_counter(), time.process_time()
    try:
        for done in range(effort.rounds):
            if done >= 3 and time.perf_counter() - start > effort.seconds:
                break
            names = list(work)[:: 1 if done % 2 == 0 else -1]
            for name in names:
                seconds[name].append(_seconds(work[name], repeats[name]))
    finally:
        if was_collecting:
            gc.enable()
    elapsed = time.perf_counter() - start
    share = (time.process_time() - processor_start) / elapsed if elapsed else 1.0
    return Rounds({name: Timing(tuple(found)) for name, found in seconds.items()}, share)


def _repeats(run: Callable[[], object]) -> int:
    """How often to repeat a piece of work between two looks at the clock; warms it up."""
    first = _seconds(run, 1)
    if first < _SHORTEST:
        first = _seconds(run, 1)  # without what only a first call does
    return max(1, min(100, math.ceil(_SHORTEST / max(first, 1e-9))))


def _seconds(run: Callable[[], object], repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        run()
    return (time.perf_counter() - start) / repeats
