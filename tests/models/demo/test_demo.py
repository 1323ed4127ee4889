"""The main job: pairing, files, and one run of everything."""

import csv
import json
import re
from dataclasses import replace

import pytest
import torch

from models.demo import __main__ as program
from models.demo.graphs import weight_shares
from models.demo.pictures import brightest
from models.demo.pool import plan, train_all
from models.demo.report import OWN_FILES, claim_folder
from models.demo.tasks import TASKS, VARIANTS, Run, build, train, trained
from snl_graph import inserted_blocks


def ignore():
    pass


@pytest.mark.parametrize("task", TASKS)
def test_networks_of_one_seed_share_their_first_weights(task):
    states = {}
    for variant in VARIANTS:
        torch.manual_seed(5)
        states[variant] = build(task, variant).state_dict()
    for variant in VARIANTS[1:]:
        assert set(states["none"]) < set(states[variant])
        for key, value in states["none"].items():
            assert torch.equal(states[variant][key], value), key


@pytest.mark.parametrize("variant", ["nl", "snl"])
def test_blocks_do_not_start_as_the_identity(variant):
    ((_, block),) = inserted_blocks(build("digits", variant).network).items()
    x = torch.randn(2, 16, 8, 8)
    assert not torch.equal(block(x), x)


def test_the_far_pair_starts_from_the_digits_network_but_for_its_last_layer():
    digits = {key: value.numpy() for key, value in build("digits", "none").state_dict().items()}
    state = build("far_pair", "snl", digits).state_dict()
    shared = [key for key in digits if "network.fc." not in key]
    assert len(shared) > 20
    assert all(torch.equal(state[key], torch.from_numpy(digits[key])) for key in shared)
    assert state["network.fc.weight"].shape == (2, 64)


def test_runs_of_one_seed_see_the_same_images(monkeypatch):
    seen = {}
    from models import training

    original = training.Classifier.training_step
    for variant in ("none", "snl"):
        batches = seen.setdefault(variant, [])

        def spy(self, batch, index, batches=batches):
            batches.append(batch[0].clone())
            return original(self, batch, index)

        monkeypatch.setattr(training.Classifier, "training_step", spy)
        train(Run("digits", variant, seed=3, epochs=1), ignore)
    assert len(seen["none"]) == 20
    assert all(torch.equal(a, b) for a, b in zip(seen["none"], seen["snl"], strict=True))


def test_a_run_gives_the_network_that_it_measured():
    epochs = []
    result = train(Run("digits", "nl", seed=0, epochs=2), lambda: epochs.append(1))
    assert len(epochs) == 2
    from models.data import ImageDataModule

    data = ImageDataModule("digits")
    data.setup()
    images = torch.stack([image for image, _ in data.test_part])
    classes = torch.tensor([label for _, label in data.test_part])
    with torch.no_grad():
        right = (trained(result)(images).argmax(1) == classes).float().mean()
    assert result.accuracy == pytest.approx(float(right), abs=1e-6)
    assert result.accuracy > 0.5
    # BatchNorm, three maps of 16 → 8 channels and one back: what nl adds after layer1.0.
    assert result.parameters - 77_562 - 32 == 4 * 16 * 8


def test_a_plan_pairs_every_task_variant_and_seed():
    runs = plan(range(3), short=True)
    assert len({(run.task, run.variant, run.seed) for run in runs}) == len(runs) == 2 * 3 * 3
    assert {run.epochs for run in runs if run.task == "digits"} == {TASKS["digits"].short_epochs}


@pytest.mark.parametrize("content", [["notes.txt"], ["report.html"], ["results.json", "mine.py"]])
def test_a_folder_that_holds_something_else_is_left_alone(content, tmp_path):
    for name in content:
        (tmp_path / name).write_text("mine")
    with pytest.raises(FileExistsError, match=r"holds other files.*--out"):
        claim_folder(tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(
        content, "mine"
    )


def test_an_earlier_demo_is_replaced_and_said_so(tmp_path):
    assert claim_folder(tmp_path / "new") is False
    for name in OWN_FILES:
        (tmp_path / "new" / name).write_text("old")
    assert claim_folder(tmp_path / "new") is True
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError, match="is a file"):
        claim_folder(tmp_path / "file")


def test_shares_of_weight_are_sums_over_the_halves_of_the_canvas():
    class Graph:
        size = (2, 10)
        affinity = torch.zeros(1, 20, 20)

    for left in (0, 1, 10, 11):  # the first two columns of the 2×10 map
        Graph.affinity[0, left, 0] = 1.0  # own digit
        Graph.affinity[0, left, 19] = 2.0  # other digit
        Graph.affinity[0, left, 5] = 1.0  # between them
    Graph.affinity[0, 7, 0] = 100.0  # a row of the canvas does not count
    assert weight_shares(Graph) == {
        "themselves": 0.25,
        "the other digit": 0.5,
        "the empty canvas": 0.25,
    }


def test_the_brightest_pixel_is_found_in_its_half():
    image = torch.zeros(4, 3)
    image[1, 2], image[3, 0] = 1.0, 0.5
    assert brightest(image, slice(0, 2)) == (1, 2)
    assert brightest(image, slice(2, None)) == (3, 0)


@pytest.mark.parametrize("args", [["--seeds", "0"], ["--processes", "0"], ["--seed", "1"]])
def test_impossible_options_are_one_line_on_stderr(args, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        program.main(args)
    assert caught.value.code == 2
    assert "Traceback" not in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_main_job_writes_a_page_that_needs_nothing_else(tmp_path, monkeypatch, capfd):
    for name, task in list(TASKS.items()):
        monkeypatch.setitem(TASKS, name, replace(task, short_epochs=1))
    out = tmp_path / "demo"
    program.main(["--short", "--processes", "1", "--out", str(out)])
    assert {path.name for path in out.iterdir()} == OWN_FILES

    with (out / "results.csv").open() as file:
        runs = list(csv.DictReader(file))
    assert len(runs) == 2 * 3 * 2
    content = json.loads((out / "results.json").read_text())
    assert content["seeds"] == 2
    assert len(content["comparisons"]) == 6

    page = (out / "report.html").read_text()
    assert len(re.findall(r'<img src="data:image/png;base64,', page)) == 4
    assert not re.search(r'(?:src|href)="(?!data:)', page)
    assert "http" not in re.sub(r"base64,[^\"]*", "", page)
    assert "width=device-width" in page
    assert "too few epochs" in page
    for row in content["table"]:
        assert f"{100 * row['mean']:.1f} ±" in page

    captured = capfd.readouterr()
    assert captured.err == ""
    assert "accuracy %" in captured.out
    assert "warning" not in captured.out.lower()


@pytest.mark.slow
def test_an_error_in_a_child_ends_the_demo(tmp_path):
    from models.demo.pool import progress_bar

    with progress_bar() as progress, pytest.raises(ValueError, match='unknown block "xnl"'):
        train_all([Run("digits", "xnl", 0, 1)], progress, processes=1)
