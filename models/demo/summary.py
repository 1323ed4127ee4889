"""What the numbers say, computed from the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from models.data.far_pair import TEST_PAIRS
from models.demo.tasks import TASKS, VARIANTS, Result

CONFIDENCE = 0.95
LABELS = {"none": "no block", "nl": "nl", "snl": "snl"}


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        mean, spread: Accuracy over the seeds and its standard deviation (0 for one seed).
        added: Parameters more than without a block.
        seconds: Mean time of a run.
    """

    task: str
    variant: str
    accuracies: tuple[float, ...]
    mean: float
    spread: float
    added: int
    seconds: float


@dataclass(frozen=True)
class Comparison:
    """Paired differences of accuracy, one a seed, with their mean's 95 % interval (Student's t).

    Attributes:
        low, high: The interval; NaN with one seed, which shows no spread.
    """

    task: str
    variant: str
    against: str
    differences: tuple[float, ...]
    mean: float
    low: float
    high: float


def rows(results: Sequence[Result]) -> list[Row]:
    """One row for each task and variant."""
    table = []
    for task in dict.fromkeys(result.task for result in results):
        plain = next(r for r in results if (r.task, r.variant) == (task, "none"))
        for variant in VARIANTS:
            some = [r for r in results if (r.task, r.variant) == (task, variant)]
            accuracies = np.array([r.accuracy for r in some])
            table.append(
                Row(
                    task,
                    variant,
                    tuple(accuracies.tolist()),
                    mean=float(accuracies.mean()),
                    spread=float(accuracies.std(ddof=1)) if len(some) > 1 else 0.0,
                    added=some[0].parameters - plain.parameters,
                    seconds=float(np.mean([r.seconds for r in some])),
                )
            )
    return table


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Student's interval of the mean at 95 %; NaN for one value."""
    sample = np.asarray(values)
    if len(sample) < 2:
        return float("nan"), float("nan")
    half = stats.t.ppf((1 + CONFIDENCE) / 2, len(sample) - 1) * sample.std(ddof=1)
    half /= np.sqrt(len(sample))
    return float(sample.mean() - half), float(sample.mean() + half)


def compare(results: Sequence[Result], task: str, variant: str, against: str) -> Comparison:
    """Differences of two variants on one task, paired by seed."""
    by_seed = {(r.variant, r.seed): r.accuracy for r in results if r.task == task}
    seeds = sorted(seed for name, seed in by_seed if name == variant)
    differences = tuple(by_seed[variant, seed] - by_seed[against, seed] for seed in seeds)
    return Comparison(
        task, variant, against, differences, float(np.mean(differences)), *interval(differences)
    )


def comparisons(results: Sequence[Result]) -> list[Comparison]:
    """Each block against none, and snl against nl, on each task."""
    pairs = (("nl", "none"), ("snl", "none"), ("snl", "nl"))
    return [
        compare(results, task, variant, against)
        for task in dict.fromkeys(result.task for result in results)
        for variant, against in pairs
    ]


def sentence(comparison: Comparison) -> str:
    """The comparison in words; claims an effect only if the interval excludes zero.

    Example:
        >>> sentence(Comparison("digits", "nl", "none", (0.01, -0.01), 0.0, -0.127, 0.127))
        'nl against no block: no difference shown (+0.0 points, 95 % interval -12.7 to +12.7, ...).'
    """
    c = comparison
    number = len(c.differences)
    name = f"{c.variant} against {LABELS[c.against]}"
    change = f"{100 * c.mean:+.1f} points"
    if number < 2:
        return f"{name}: {change} with one seed, which shows nothing about the spread."
    evidence = f"95 % interval {100 * c.low:+.1f} to {100 * c.high:+.1f}, {number} seeds"
    if c.low > 0:
        return f"{name}: better by {100 * c.mean:.1f} points ({evidence})."
    if c.high < 0:
        return f"{name}: worse by {-100 * c.mean:.1f} points ({evidence})."
    return f"{name}: no difference shown ({change}, {evidence})."


def against_chance(row: Row, test_images: int) -> str:
    """How a row compares with guessing, run by run.

    A run counts as above chance if it is so by three standard errors of a guess on that many test
    images.

    Example:
        >>> against_chance(Row("far_pair", "none", (0.49, 0.51), 0.5, 0.014, 0, 1.0), 2000)
        'no block: at chance, 50.0 % (0 of 2 runs above 50 % by more than 3.4 points).'
    """
    chance, name = TASKS[row.task].chance, LABELS[row.variant]
    margin = 3 * np.sqrt(chance * (1 - chance) / test_images)
    above = sum(accuracy > chance + margin for accuracy in row.accuracies)
    number = len(row.accuracies)
    verdict = {0: "at chance", number: "above chance"}.get(above, "above chance in some runs only")
    return (
        f"{name}: {verdict}, {100 * row.mean:.1f} % ({above} of {number} runs above "
        f"{100 * chance:.0f} % by more than {100 * margin:.1f} points)."
    )


def words(results: Sequence[Result]) -> dict[str, list[str]]:
    """Everything that is said about each task."""
    table = rows(results)
    said: dict[str, list[str]] = {}
    for task in dict.fromkeys(row.task for row in table):
        said[task] = []
        if TASKS[task].from_digits:
            said[task] += [against_chance(row, TEST_PAIRS) for row in table if row.task == task]
        said[task] += [sentence(c) for c in comparisons(results) if c.task == task]
    return said
