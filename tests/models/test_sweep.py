"""A sweep makes every run once: it goes on, survives crashes, and shares a table with others."""

import multiprocessing
import os
import re
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from models import sweep
from models.studies.catalogue import PLAN, STUDIES
from models.studies.ledger import Ledger
from models.studies.workers import PRELOADED
from tests.models.studies.toy import toy_study

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Sweep a toy study in a folder of its own; returns the ledger."""

    def sweep_toy(study, **options):
        monkeypatch.setitem(STUDIES, "toy", study)
        options = {"data": tmp_path, "results": tmp_path, "processes": 2, **options}
        sweep.sweep("toy", **options)
        return Ledger(options["results"] / "toy.csv")

    return sweep_toy


def made(folder):
    """What the runs wrote down when they were made."""
    path = folder / "made.txt"
    return sorted(path.read_text().splitlines()) if path.exists() else []


def test_it_goes_on_where_it_stopped(run, tmp_path, capsys):
    assert len(run(toy_study(seeds=2), seeds=1).read()) == 3
    ledger = run(toy_study(seeds=2))
    assert len(made(tmp_path)) == len(set(made(tmp_path))) == 6
    found = {(record.row, record.seed): record.accuracy for record in ledger.read()}
    assert found == {(str(row), seed): 10 + 10 * row + seed for row in range(3) for seed in (0, 1)}
    assert "6 runs, 3 recorded" in capsys.readouterr().out
    run(toy_study(seeds=2))
    assert len(made(tmp_path)) == 6


def test_it_goes_on_elsewhere_from_the_csv_alone(run, tmp_path):
    run(toy_study(seeds=1))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "toy.csv").rename(tmp_path / "elsewhere" / "toy.csv")
    (tmp_path / "made.txt").unlink()
    run(toy_study(seeds=2), results=tmp_path / "elsewhere")
    assert [line.split()[1] for line in made(tmp_path)] == ["1", "1", "1"]


@pytest.mark.parametrize(
    ("ending", "error"),
    [
        ("error", "RuntimeError: no luck, today (toy.py, line "),
        ("killed", "the process of the run ended by signal SIGKILL"),
    ],
)
def test_a_run_that_breaks_leaves_the_others_alone(run, ending, error, capsys):
    records = run(toy_study(ending)).read()
    assert len(records) == 6
    for record in records:
        assert record.error.startswith(error if record.row == "1" else "")
        assert (record.accuracy is None) == bool(record.error) == (record.row == "1")
    out = capsys.readouterr().out
    assert "1, seed 0: FAILED" in out
    assert "2 runs failed" in out


def test_failures_are_made_again_only_when_asked(run, tmp_path):
    run(toy_study("error"))
    (tmp_path / "mended").touch()
    run(toy_study("error"))
    assert len(made(tmp_path)) == 6
    records = run(toy_study("error"), retry=True).read()
    assert len(made(tmp_path)) == 8
    assert len(records) == 6
    assert not any(record.error for record in records)


def test_two_sweeps_share_a_table(run, tmp_path):
    study = toy_study(rows=4, seeds=2, seconds=0.2)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: run(study, processes=1), range(2)))
    assert len(made(tmp_path)) == len(set(made(tmp_path))) == 8
    assert len(Ledger(tmp_path / "toy.csv").read()) == 8


def test_records_say_what_made_them(run):
    record = run(toy_study(rows=1, seeds=1)).read()[0]
    assert record.trial == toy_study().trials[""]["0"].fingerprint()
    assert record.torch.startswith(tuple("123456789"))
    assert (record.parameters, record.train_loss) == (7, 1.5)
    assert record.commit == sweep.commit_of(CHECKOUT)


def test_the_commit_is_named_and_changes_are_marked(tmp_path):
    def git(*args):
        identity = ["-c", "user.name=A", "-c", "user.email=a@b"]
        subprocess.run(["git", "-C", tmp_path, *identity, *args], check=True, capture_output=True)

    assert sweep.commit_of(tmp_path) == "unknown"
    git("init", "-q")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "a.py").write_text("1")
    git("add", ".")
    git("commit", "-q", "-m", "First")
    clean = sweep.commit_of(tmp_path)
    assert len(clean) == 12
    (tmp_path / "notes.txt").write_text("not a source")
    assert sweep.commit_of(tmp_path) == clean
    (tmp_path / "models" / "a.py").write_text("2")
    assert sweep.commit_of(tmp_path) == f"{clean}+"


def sweep_toy(folder):
    """In a process of its own."""
    STUDIES["toy"] = toy_study(seeds=9, seconds=0.3)
    sweep.main(["toy", "--data", str(folder), "--results", str(folder)])


def wait_until_recorded(path, count):
    for _ in range(600):
        if len(Ledger(path).read()) >= count:
            return
        time.sleep(0.1)
    raise AssertionError(f"{path} did not come to hold {count} records in a minute")


def assert_it_goes_on(folder, run):
    """Records are as the sweep left them, and another sweep makes the others."""
    before = Ledger(folder / "toy.csv").read()
    assert 2 <= len(before) < 27
    time.sleep(1)  # a run that outlived a killed sweep ends; it records nothing
    assert Ledger(folder / "toy.csv").read() == before
    after = run(toy_study(seeds=9, seconds=0.3), seeds=2).read()
    assert {(r.row, r.seed) for r in after} >= {(str(a), b) for a in range(3) for b in range(2)}
    assert len({record.key for record in after}) == len(after)


def test_a_sweep_may_be_killed_at_any_time(tmp_path, run):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    process = context.Process(target=sweep_toy, args=(tmp_path,))
    process.start()
    wait_until_recorded(tmp_path / "toy.csv", 2)
    process.kill()
    process.join()
    assert_it_goes_on(tmp_path, run)


def test_a_sweep_that_is_stopped_says_so(tmp_path, run, monkeypatch, capsys):
    monkeypatch.setitem(STUDIES, "toy", toy_study(seeds=9, seconds=0.3))

    def stop():
        wait_until_recorded(tmp_path / "toy.csv", 2)
        os.kill(os.getpid(), signal.SIGTERM)  # SIGINT is alike

    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    stopper = threading.Thread(target=stop)
    stopper.start()
    try:
        with pytest.raises(SystemExit) as caught:
            sweep.main(["toy", "--data", str(tmp_path), "--results", str(tmp_path)])
    finally:
        stopper.join()
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert caught.value.code == 130
    assert capsys.readouterr().err.strip() == "python -m models.sweep: stopped."
    assert_it_goes_on(tmp_path, run)


def test_all_is_the_plan_with_every_run_once(tmp_path):
    jobs = sweep.jobs_of("all", tmp_path)
    keys = [(job.ledger.path.name, job.run.key) for job in jobs]
    assert len(keys) == len(set(keys))
    every = {(study.results, run.key) for study in STUDIES.values() for run in study.runs()}
    assert set(keys) == every
    name, seeds = PLAN[0]
    first = [run.key for run in STUDIES[name].runs(seeds)]
    assert [key for _, key in keys[: len(first)]] == first


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["fashoin"], 'unknown table "fashoin".*fashion'),
        (["fashion", "--processes", "0"], "--processes must be at least 1; got 0"),
        (["fashion", "--seeds", "0"], "--seeds must be at least 1"),
    ],
)
def test_what_a_caller_can_put_right_is_one_line(args, words, tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        sweep.main([*args, "--results", str(tmp_path)])
    assert caught.value.code == 2
    assert re.search(words, capsys.readouterr().err)
