"""Wrong calls get one clear error: what came, what was expected, what to do."""

from __future__ import annotations

import inspect
from collections import Counter
from pathlib import Path

import pytest

from tests.misuse.case import REPOSITORIES, Area, Case, links, outcome
from tests.misuse.page import PAGE, page
from tests.misuse.tables import AREAS

CASES = [
    pytest.param(area, case, id=f"{Path(area.title.lower()).name}: {case}")
    for area in AREAS
    for case in area.cases
]


@pytest.fixture(autouse=True)
def quiet_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "Agg")


@pytest.mark.parametrize(("area", "case"), CASES)
def test_the_error_says_what_came_what_was_expected_and_what_to_do(area: Area, case: Case) -> None:
    came = outcome(area, case)
    if case.error is None:
        assert came.error is None, came.error
    else:
        assert isinstance(came.error, case.error), came
    missing = [part for part in case.says if part not in came.message]
    assert not missing, came.message
    assert "\n" not in came.message


def test_more_than_a_hundred_wrong_calls_were_met_in_the_open() -> None:
    met = [case for area in AREAS for case in area.cases if case.met]
    assert len(met) >= 126
    threads = {thread for case in met for thread, _ in links(case.met)}
    assert len(threads) >= 174
    assert len({thread.partition("#")[0] for thread in threads}) >= 84


def test_each_case_has_a_name_of_its_own_and_every_citation_is_read() -> None:
    for area in AREAS:
        counts = Counter(str(case) for case in area.cases)
        assert max(counts.values()) == 1, counts.most_common(1)
        for case in area.cases:
            assert len(list(links(case.met))) == len(case.met.split(",")) - (not case.met)
            assert case.says


def test_every_short_name_of_a_repository_is_used() -> None:
    used = {thread.partition("#")[0] for a in AREAS for c in a.cases for thread, _ in links(c.met)}
    assert set(REPOSITORIES) <= used


def test_a_call_that_is_right_is_no_case() -> None:
    right = Case("Right", "x.shape", ValueError, ("x",))
    assert outcome(AREAS[0], right).error is None


def test_the_page_is_what_the_table_makes() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), (
        "docs/troubleshooting.md is not what the tables say; make it anew with "
        f"`python -m {inspect.getmodule(page).__name__}`."
    )
