"""Times in turns, ratios of medians, exponents of power laws."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from snl_graph.bench import timing
from snl_graph.bench.compare import Comparison
from snl_graph.bench.growth import fit_power_law
from snl_graph.bench.problems import BlockProblem
from snl_graph.bench.timing import Effort, Timing, interleaved


def test_contenders_take_turns_and_every_second_round_runs_backwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = itertools.count()  # a second for every look: no work is short
    monkeypatch.setattr(timing.time, "perf_counter", lambda: float(next(clock)))
    calls: list[str] = []
    work = {name: lambda name=name: calls.append(name) for name in "abc"}
    rounds = interleaved(work, Effort(rounds=3, seconds=1e9))
    assert "".join(calls) == "abc" + "abc" + "cba" + "abc"  # the first to warm up
    assert {len(found.seconds) for found in rounds.timings.values()} == {3}


def test_rounds_end_with_their_time_but_not_before_the_third(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = itertools.count()
    monkeypatch.setattr(timing.time, "perf_counter", lambda: float(next(clock)))
    rounds = interleaved({"a": lambda: None}, Effort(rounds=100, seconds=0.0))
    assert len(rounds.timings["a"].seconds) == 3


def test_short_work_is_repeated_and_its_time_is_that_of_one_call() -> None:
    calls: list[int] = []
    rounds = interleaved({"a": lambda: calls.append(1)}, Effort(rounds=1))
    assert len(calls) == 2 + 100
    assert rounds.timings["a"].median < 0.01


def test_ratios_are_those_of_the_medians() -> None:
    slow, fast = Timing((9.0, 6.0, 100.0)), Timing((3.0, 2.0, 1.0))
    found = Comparison(BlockProblem("snl", 1, 4, (2, 2)), {"forward": {"s": slow, "f": fast}})
    assert found.ratio("forward", "s", "f") == 9.0 / 2.0
    assert found.fastest("forward", ["s", "f", "absent"]) == "f"


def test_a_known_power_law_is_found_exactly() -> None:
    sizes = [100, 300, 900, 5000]
    law = fit_power_law(sizes, [0.25 * n**1.5 for n in sizes])
    assert law.exponent == pytest.approx(1.5)
    assert law.factor == pytest.approx(0.25)
    assert law.standard_error == pytest.approx(0, abs=1e-7)


def test_the_standard_error_is_that_of_least_squares() -> None:
    sizes = np.array([10.0, 20.0, 50.0, 120.0, 700.0])
    costs = sizes**1.2 * np.array([1.1, 0.8, 1.3, 0.9, 1.05])
    x, y = np.log(sizes), np.log(costs)
    slope, covariance = np.polyfit(x, y, 1, cov=True)
    law = fit_power_law(list(sizes), list(costs))
    assert law.exponent == pytest.approx(slope[0])
    assert law.standard_error == pytest.approx(math.sqrt(covariance[0, 0]))


def test_two_points_say_nothing_about_the_error() -> None:
    law = fit_power_law([1, 10], [1, 100])
    assert law.exponent == pytest.approx(2)
    assert law.to_dict()["standard_error"] is None


@pytest.mark.parametrize(
    ("sizes", "costs"), [([5, 5], [1, 2]), ([1], [1]), ([1, 2], [1]), ([1, 2], [1, 0])]
)
def test_what_has_no_power_law_is_refused(sizes: list[int], costs: list[float]) -> None:
    with pytest.raises(ValueError, match="power law"):
        fit_power_law(sizes, costs)
