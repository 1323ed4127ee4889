"""Tables say what the records say, and that they are partial."""

import dataclasses

import pytest

from models.studies.markdown import put, section
from models.studies.statistics import Cell
from tests.models.studies.toy import Toy, toy_study

STUDY = toy_study(rows=2, seeds=3)
CELLS = {
    ("", "0"): Cell({0: 80.0, 1: 82.0, 2: 81.0}, 0, 1000, 12.0),
    ("", "1"): Cell({0: 79.0, 1: 80.9, 2: 80.1}, 0, 2500, 34.0),
}


def test_rows_hold_accuracy_difference_intervals_and_cost():
    text = section(STUDY, CELLS)
    assert "6 of 6 runs.\n" in text
    assert "Partial" not in text
    assert "| 0 | 3 | 81.00 ± 1.00 |  |  |  | 1,000 | 12 |" in text
    # Differences −1.0, −1.1, −0.9: mean −1, standard deviation 0.1, t(2) = 4.303.
    assert "| 1 | 3 | 80.00 ± 0.95 | −1.00 | −1.25 … −0.75 | −1.10 … −0.90 | 2,500 | 34 |" in text
    assert "- better than 0: none.\n- worse than 0: 1.\n- not told apart from 0: none." in text


def test_partial_and_failed_runs_are_said():
    partial = {**CELLS, ("", "1"): Cell({0: 79.0}, 1, 2500, 34.0)}
    text = section(STUDY, partial)
    assert (
        "**Partial: 4 of 6 runs.** Rows with fewer seeds than others are not final; 1 failed."
        in text
    )
    assert "| 1 | 1 (1 failed) | 79.00 | −1.00 |  |  | 2,500 | 34 |" in text
    assert "not told apart from 0: none" in text  # one run tells nothing, in either direction


def test_no_sentence_is_made_of_two_runs():
    two = {
        ("", "0"): Cell({0: 80.0, 1: 81.0}, 0, 1000, 12.0),
        ("", "1"): Cell({0: 85.0, 1: 86.0}, 0, 2500, 34.0),
    }
    text = section(STUDY, two)
    assert "| 1 | 2 | 85.50 ± 0.71 | +5.00 | +5.00 … +5.00 |" in text
    assert "- better than 0: none." in text


def test_the_paper_s_numbers_stand_beside_ours():
    paper = dataclasses.replace(
        STUDY, paper={("", "0"): 75.33, ("", "1"): 76.41}, paper_label="Table 9"
    )
    text = section(paper, CELLS)
    assert "| 75.33 |  |" in text
    assert "| 76.41 | +1.08 |" in text
    assert "The paper's numbers: Table 9." in text


def test_settings_are_columns_and_every_reference_has_its_differences():
    trials = {
        "near": {"0": Toy(0.1), "1": Toy(0.2)},
        "far": {"0": Toy(0.3), "1": Toy(0.4)},
    }
    study = dataclasses.replace(
        STUDY, trials=trials, references=("0", "1"), setting_label="distance"
    )
    found = {
        ("near", "0"): CELLS["", "0"],
        ("near", "1"): CELLS["", "1"],
        ("far", "0"): Cell({0: 50.0}, 0, 1000, 1.0),
        ("far", "1"): Cell({}, 0, None, float("nan")),
    }
    text = section(study, found)
    assert "by distance" in text
    assert "|  | near | far | runs |" in text
    assert "| 0 | 81.00 ± 1.00 | 50.00 | 1, 3 |" in text
    assert "| 1 | −1.00 (−1.25 … −0.75) |  |" in text
    assert "| 0 | +1.00 (+0.75 … +1.25) |  |" in text
    assert "- better than 1: 0 (near)." in text
    assert "**Partial: 7 of 12 runs.**" in text
    found["far", "0"], found["far", "1"] = CELLS["", "0"], CELLS["", "1"]
    assert "- better than 1: 0 (all)." in section(study, found)


def test_a_page_is_changed_between_its_markers_only():
    page = "# A\n<!-- begin b -->\nold\n<!-- end b -->\nrest\n<!-- begin c -->\n<!-- end c -->\n"
    new = put(page, "b", "new\n")
    assert new == page.replace("\nold\n", "\n\nnew\n\n")
    assert put(new, "b", "new\n") == new


@pytest.mark.parametrize(
    "page",
    [
        "",
        "<!-- begin b -->",
        "<!-- end b --><!-- begin b -->",
        "<!-- begin b -->" * 2 + "<!-- end b -->",
    ],
)
def test_a_page_without_markers_is_refused(page):
    with pytest.raises(ValueError, match='must hold "<!-- begin b -->" and "<!-- end b -->" once'):
        put(page, "b", "new")
