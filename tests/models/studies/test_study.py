"""Studies as data: the order of runs, and which runs are one."""

import dataclasses
from dataclasses import dataclass, field

import pytest

from models.studies.catalogue import PLAN, STUDIES
from models.studies.ledger import Ledger
from models.studies.trial import Trial
from models.sweep import RESULTS
from tests.models.studies.toy import Toy, toy_study


def test_runs_go_seed_by_seed_so_that_what_is_done_is_paired():
    study = toy_study(rows=3, seeds=2)
    assert [(run.row, run.seed) for run in study.runs()] == [
        ("0", 0), ("1", 0), ("2", 0), ("0", 1), ("1", 1), ("2", 1),
    ]  # fmt: skip
    assert len(study.runs(1)) == 3
    assert len(study.runs(99)) == 6


def test_equal_trials_are_one_run_wherever_they_stand():
    study = dataclasses.replace(
        toy_study(), trials={"a": {"x": Toy(0.1), "y": Toy(0.2)}, "b": {"x": Toy(0.1)}}, seeds=1
    )
    assert [(run.setting, run.row) for run in study.runs()] == [("a", "x"), ("a", "y")]


def test_the_fingerprint_tells_trials_apart_and_ignores_defaults():
    @dataclass(frozen=True)
    class Same(Trial):
        level: float

    @dataclass(frozen=True)
    class Grown(Trial):
        level: float
        later: dict[str, int] = field(default_factory=dict)

    Grown.__name__ = "Same"  # as if the field had been added later
    assert Grown(1.0).fingerprint() == Same(1.0).fingerprint()
    different = [Same(1.0), Same(2.0), Grown(1.0, {"a": 1}), Grown(1.0, {"a": 2}), Toy(1.0)]
    assert len({trial.fingerprint() for trial in different}) == len(different)


def test_the_fingerprint_of_a_published_run_never_changes():
    """It would disown every run that was made: a study would start again from nothing."""
    assert STUDIES["fashion"].trials[""]["baseline"].fingerprint() == "94eea0d04aee"
    assert STUDIES["fashion"].trials[""]["cc"].fingerprint() == "cc3526805803"


@pytest.mark.parametrize("name", sorted({study.results for study in STUDIES.values()}))
def test_every_recorded_run_belongs_to_a_study(name):
    known = {run.key for study in STUDIES.values() if study.results == name for run in study.runs()}
    assert {record.key for record in Ledger(RESULTS / name).read()} <= known


@pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)
def test_references_and_papers_numbers_are_rows_of_the_study(study):
    places = {place for place, _ in study.items()}
    for setting in study.trials:
        assert all((setting, reference) in places for reference in study.references)
    assert study.paper.keys() <= places
    assert bool(study.setting_label) == (len(study.trials) > 1)


def test_the_plan_makes_every_study_in_full():
    assert {name for name, seeds in PLAN if seeds is None} == STUDIES.keys()


def test_the_ablations_share_runs_with_the_main_table():
    main = {run.key for run in STUDIES["fashion"].runs(5)}
    for name, setting in (("channels", "Cs = C/2"), ("stage", "stage 2"), ("blocks", "one block")):
        trials = STUDIES[name].trials[setting].values()
        assert {(trial.fingerprint(), seed) for trial in trials for seed in range(5)} <= main
