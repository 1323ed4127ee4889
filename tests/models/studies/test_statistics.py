"""Means, spreads and intervals, against the textbook's formulas and an exhaustive bootstrap."""

import dataclasses
import itertools
import math
import statistics as textbook

import numpy as np
import pytest
from scipy import stats

from models.studies.ledger import Record
from models.studies.statistics import Cell, cells, paired
from tests.models.studies.toy import Toy, toy_study


def cell(*accuracies, failed=0):
    return Cell(dict(enumerate(accuracies)), failed, 10, 1.0)


def record(trial, seed, accuracy, row="0"):
    error = "" if accuracy is not None else "broke"
    return Record("", row, seed, accuracy, 0.1, 7, 2.0 + seed, error, "2", "c", trial.fingerprint())


OURS = (84.1, 85.3, 83.9, 86.0, 84.4)
THEIRS = (83.0, 85.1, 84.2, 84.9, 83.3)


def test_mean_and_spread_are_the_textbook_s():
    assert cell(*OURS).mean == pytest.approx(textbook.mean(OURS))
    assert cell(*OURS).spread == pytest.approx(textbook.stdev(OURS))
    assert math.isnan(cell().mean)
    assert math.isnan(cell(80.0).spread)


def test_student_s_interval_is_that_of_the_paired_differences():
    differences = [a - b for a, b in zip(OURS, THEIRS, strict=True)]
    found = paired(cell(*OURS), cell(*THEIRS))
    assert found.values == pytest.approx(differences)
    assert found.mean == pytest.approx(textbook.mean(differences))
    t = 2.7764451  # 97.5 % quantile of Student's t with 4 degrees of freedom, from a table
    half = t * textbook.stdev(differences) / math.sqrt(5)
    assert found.student == pytest.approx((found.mean - half, found.mean + half))
    theirs = stats.ttest_rel(OURS, THEIRS).confidence_interval()
    assert found.student == pytest.approx((theirs.low, theirs.high))


def test_the_bootstrap_is_that_of_all_resamples():
    differences = [a - b for a, b in zip(OURS, THEIRS, strict=True)]
    means = [np.mean(chosen) for chosen in itertools.product(differences, repeat=5)]
    exact = np.percentile(means, [2.5, 97.5])
    found = paired(cell(*OURS), cell(*THEIRS)).bootstrap
    assert found == pytest.approx(tuple(exact), abs=0.05)
    assert found == paired(cell(*OURS), cell(*THEIRS)).bootstrap  # the same each time


def test_only_seeds_of_both_are_paired():
    ours, theirs = Cell({0: 80.0, 2: 90.0, 5: 70.0}, 0, 1, 1.0), Cell({2: 85.0, 5: 71.0}, 1, 1, 1.0)
    assert paired(ours, theirs).values == (5.0, -1.0)
    nothing = paired(Cell({0: 80.0}, 0, 1, 1.0), Cell({1: 80.0}, 0, 1, 1.0))
    assert nothing.values == ()
    assert all(math.isnan(number) for number in (nothing.mean, *nothing.student))
    assert nothing.verdict == 0


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [
        ((1.0, 1.2, 0.8), 1),
        ((-1.0, -1.2, -0.8), -1),
        ((1.0, -1.2, 0.8), 0),
        ((2.0,), 0),
        ((2.0, 2.0), 1),
        ((0.0, 0.0), 0),
    ],
)
def test_a_verdict_needs_an_interval_that_leaves_zero_out(differences, verdict):
    found = paired(cell(*(80 + d for d in differences)), cell(*[80.0] * len(differences)))
    assert found.verdict == verdict


def test_cells_take_the_records_of_their_own_trial_and_of_the_study_s_seeds():
    study = toy_study(rows=2, seeds=2)
    first, second = study.trials[""].values()
    records = [
        record(first, 0, 50.0),
        record(first, 1, 60.0),
        record(first, 2, 99.0),  # a seed that the study does not count
        record(second, 0, None),
        record(second, 1, 70.0, row="an old name of the row"),
        record(Toy(0.77), 0, 12.0, row="1"),  # an older definition of the row
    ]
    found = cells(study, records)
    assert found["", "0"] == Cell({0: 50.0, 1: 60.0}, 0, 7, 2.5)
    assert found["", "1"] == Cell({1: 70.0}, 1, 7, 3.0)


def test_a_run_counts_in_every_place_of_its_trial():
    study = dataclasses.replace(
        toy_study(), trials={"a": {"x": Toy(0.1)}, "b": {"x": Toy(0.1)}}, references=("x",)
    )
    found = cells(study, [record(Toy(0.1), 0, 40.0)])
    assert found["a", "x"] == found["b", "x"] == Cell({0: 40.0}, 0, 7, 2.0)
