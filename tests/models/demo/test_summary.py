import math

import numpy as np
import pytest
from scipy import stats

from models.demo.summary import Comparison, Row, against_chance, compare, rows, sentence, words
from models.demo.tasks import Result


def results_of(**accuracies):
    """Results of the far pair; one more parameter for each letter of the variant's name."""
    return [
        Result("far_pair", variant, seed, value, 100 + len(variant) * (variant != "none"), 2.0, {})
        for variant, values in accuracies.items()
        for seed, value in enumerate(values)
    ]


NONE, NL, SNL = (0.50, 0.51, 0.49, 0.50), (0.80, 0.85, 0.78, 0.81), (0.49, 0.52, 0.50, 0.51)
RESULTS = results_of(none=NONE, nl=NL, snl=SNL)


def test_rows_hold_mean_and_standard_deviation_over_the_seeds():
    by_variant = {row.variant: row for row in rows(RESULTS)}
    assert by_variant["nl"].mean == pytest.approx(sum(NL) / 4)
    deviation = math.sqrt(sum((value - sum(NL) / 4) ** 2 for value in NL) / 3)
    assert by_variant["nl"].spread == pytest.approx(deviation)
    assert [by_variant[v].added for v in ("none", "nl", "snl")] == [0, 2, 3]


@pytest.mark.parametrize(("variant", "values"), [("nl", NL), ("snl", SNL)])
def test_the_interval_is_that_of_scipys_paired_t_test(variant, values):
    found = compare(RESULTS, "far_pair", variant, "none")
    test = stats.ttest_rel(values, NONE)
    expected = test.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert (found.low > 0) == (test.pvalue < 0.05)


def test_runs_are_paired_by_seed_and_not_by_place():
    found = compare(RESULTS[::-1], "far_pair", "nl", "none")
    np.testing.assert_allclose(found.differences, np.subtract(NL, NONE))


@pytest.mark.parametrize(
    ("differences", "low", "high", "said"),
    [
        ((0.3, 0.35), 0.01, 0.64, "better by 32.5 points"),
        ((-0.3, -0.35), -0.64, -0.01, "worse by 32.5 points"),
        ((0.3, -0.1), -2.4, 2.6, "no difference shown (+10.0 points"),
        ((0.3,), math.nan, math.nan, "one seed, which shows nothing"),
    ],
)
def test_a_sentence_claims_no_more_than_the_interval(differences, low, high, said):
    mean = float(np.mean(differences))
    assert said in sentence(Comparison("digits", "nl", "none", differences, mean, low, high))


@pytest.mark.parametrize(
    ("accuracies", "said"),
    [
        ((0.50, 0.52), "at chance, 51.0 % (0 of 2 runs"),
        ((0.50, 0.90), "above chance in some runs only, 70.0 % (1 of 2 runs"),
        ((0.80, 0.90), "above chance, 85.0 % (2 of 2 runs"),
    ],
)
def test_chance_is_judged_run_by_run(accuracies, said):
    row = Row("far_pair", "nl", accuracies, float(np.mean(accuracies)), 0.0, 0, 1.0)
    assert said in against_chance(row, 2000)


def test_words_follow_the_numbers():
    said = words(RESULTS)["far_pair"]
    assert any(line.startswith("no block: at chance") for line in said)
    assert any(line.startswith("nl against no block: better by 31.0 points") for line in said)
    assert any(line.startswith("snl against no block: no difference shown") for line in said)
    assert any(line.startswith("snl against nl: worse") for line in said)
