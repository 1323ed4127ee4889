"""The record of runs: whole lines, no line lost, and one owner for each run."""

import csv
import dataclasses
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from models.studies.ledger import Ledger, Record

CHECKOUT = Path(__file__).parents[3]
GOOD = Record("24", 'a "row", quoted', 3, 91.25, 0.1, 77, 12.5, "", "2.15", "abc", "f00d")
FAILED = dataclasses.replace(
    GOOD, seed=4, accuracy=None, train_loss=None, parameters=None, error="Error: bad, very"
)


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "results" / "toy.csv")


def test_records_come_back_as_they_were(ledger):
    assert ledger.read() == []
    ledger.append(GOOD)
    ledger.append(FAILED)
    assert ledger.read() == [GOOD, FAILED]
    with ledger.path.open() as file:
        assert [line["accuracy"] for line in csv.DictReader(file)] == ["91.25", ""]


def test_reading_leaves_no_trace_and_locks_keep_out_of_git(ledger):
    assert ledger.read() == []
    assert not ledger.path.parent.exists()
    ledger.append(GOOD)
    assert (ledger.path.parent / ".locks" / ".gitignore").read_text() == "*\n"


def test_a_failure_is_done_unless_it_is_retried_and_success_replaces_it(ledger):
    ledger.append(FAILED)
    assert ledger.done() == {FAILED.key}
    assert ledger.done(retry=True) == set()
    mended = dataclasses.replace(GOOD, seed=4)
    ledger.append(mended)
    assert ledger.read() == [mended]


def test_many_writers_lose_no_line(ledger):
    def write(seed):
        Ledger(ledger.path).append(dataclasses.replace(GOOD, seed=seed))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(40)))
    assert sorted(record.seed for record in ledger.read()) == list(range(40))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda text: text[:-8], "line 2, is no record of a run: lacks trial.*Delete the line"),
        (lambda text: text.replace("91.25", "high"), "could not convert string to float: 'high'"),
        (lambda text: text.replace("accuracy", "top1"), "lacks accuracy"),
    ],
)
def test_a_spoilt_line_is_named(ledger, spoil, words):
    ledger.append(GOOD)
    ledger.path.write_text(spoil(ledger.path.read_text()))
    with pytest.raises(ValueError, match=words):
        ledger.read()


def test_a_run_has_one_owner_at_a_time(ledger):
    other = Ledger(ledger.path)
    with ledger.claim(GOOD.key) as ours:
        assert ours
        with other.claim(GOOD.key) as theirs:
            assert not theirs
        with other.claim(FAILED.key) as another_run:
            assert another_run
    with other.claim(GOOD.key) as theirs:
        assert theirs


def test_a_killed_owner_leaves_no_claim(ledger):
    code = (
        "import sys; from pathlib import Path\n"
        "from models.studies.ledger import Ledger\n"
        "with Ledger(Path(sys.argv[1])).claim(('f00d', 3)) as ours:\n"
        "    print(ours, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(ledger.path)],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as owner:
        assert owner.stdout.readline() == "True\n"
        with ledger.claim(GOOD.key) as ours:
            assert not ours
        owner.kill()
        owner.wait()
        with ledger.claim(GOOD.key) as ours:
            assert ours
