"""What the records of a study say: means, spreads, and differences of runs of one seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from models.studies.ledger import Record
from models.studies.study import Study

CONFIDENCE = 0.95
RESAMPLES = 10_000


@dataclass(frozen=True)
class Cell:
    """The runs of one row at one setting.

    Attributes:
        accuracies: Percent, by seed.
        failed: Runs that ended with an error.
        parameters: Of the network; None before the first run.
        seconds: Mean processor time of a run.
    """

    accuracies: dict[int, float]
    failed: int
    parameters: int | None
    seconds: float

    @property
    def mean(self) -> float:
        """Over the seeds; NaN without runs."""
        return float(np.mean(list(self.accuracies.values()))) if self.accuracies else float("nan")

    @property
    def spread(self) -> float:
        """Standard deviation over the seeds (n − 1); NaN below two runs."""
        if len(self.accuracies) < 2:
            return float("nan")
        return float(np.std(list(self.accuracies.values()), ddof=1))


@dataclass(frozen=True)
class Difference:
    """Mean of paired differences with its 95 % intervals, in points; NaN where they need more runs.

    Attributes:
        values: One a seed that both sides have.
        mean: Of the values.
        student: Interval of the mean by Student's t.
        bootstrap: The same by resampling the seeds (percentiles of 10,000 means): it assumes no
            distribution, but with few seeds it is too narrow.
    """

    values: tuple[float, ...]
    mean: float
    student: tuple[float, float]
    bootstrap: tuple[float, float]

    @property
    def verdict(self) -> int:
        """1 or −1 if Student's interval lies above or below zero; 0 if neither can be said."""
        low, high = self.student
        return int(low > 0) - int(high < 0)


Cells = dict[tuple[str, str], Cell]


def cells(study: Study, records: Sequence[Record]) -> Cells:
    """The cell of every setting and row, from records of the study's own trials and seeds."""
    by_trial: dict[str, list[Record]] = {}
    for record in records:
        if record.seed < study.seeds:
            by_trial.setdefault(record.trial, []).append(record)
    found = {}
    for place, trial in study.items():
        own = by_trial.get(trial.fingerprint(), [])
        good = [record for record in own if record.accuracy is not None]
        found[place] = Cell(
            accuracies={r.seed: r.accuracy for r in good if r.accuracy is not None},
            failed=len(own) - len(good),
            parameters=good[0].parameters if good else None,
            seconds=float(np.mean([r.seconds for r in good])) if good else float("nan"),
        )
    return found


def paired(cell: Cell, reference: Cell) -> Difference:
    """Differences of the runs whose seeds both have."""
    seeds = sorted(cell.accuracies.keys() & reference.accuracies.keys())
    values = np.array([cell.accuracies[seed] - reference.accuracies[seed] for seed in seeds])
    mean = float(values.mean()) if len(values) else float("nan")
    return Difference(tuple(values.tolist()), mean, _student(values), _bootstrap(values))


def _student(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    if len(values) < 2:
        return float("nan"), float("nan")
    if np.ptp(values) == 0:
        return float(values[0]), float(values[0])
    interval = stats.ttest_1samp(values, 0.0).confidence_interval(CONFIDENCE)
    return float(interval.low), float(interval.high)


def _bootstrap(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    if len(values) < 2:
        return float("nan"), float("nan")
    interval = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(interval.low), float(interval.high)
