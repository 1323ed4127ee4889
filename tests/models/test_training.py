"""Training, checkpoints, resuming and measuring, on a few steps of real digits."""

import csv
import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from models import evaluate, train
from models.checkpoints import CheckpointError, read_checkpoint
from models.data import ImageDataModule
from models.entry import quiet
from models.recipe import Recipe
from models.training import Classifier

CHECKOUT = Path(__file__).parents[2]
QUICK = ["--batch_size", "256", "--accelerator", "cpu", "--devices", "1"]


def run(folder, *args):
    train.main(["digits", "--out", str(folder), *QUICK, *args])


def files_below(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of two epochs; tests copy what they change."""
    folder = tmp_path_factory.mktemp("trained")
    run(folder, "--epochs", "2")
    return folder


@pytest.fixture
def checkpoint(trained):
    return trained / "digits/version_0/checkpoints/last.ckpt"


def column(folder, name):
    with (folder / "metrics.csv").open() as file:
        return [float(row[name]) for row in csv.DictReader(file) if row.get(name)]


def test_a_run_leaves_recipe_logs_and_checkpoint(trained):
    folder = trained / "digits/version_0"
    recipe = Recipe.from_dict(yaml.safe_load((folder / "recipe.yaml").read_text()))
    assert (recipe.network, recipe.block, recipe.epochs) == ("preresnet8", "snl", 2)
    assert (folder / "checkpoints/last.ckpt").is_file()
    assert list(folder.glob("events.out.tfevents.*"))
    assert len(column(folder, "test_top1")) == 2
    assert all(
        0 <= top1 <= top5 <= 1
        for top1, top5 in zip(column(folder, "test_top1"), column(folder, "test_top5"), strict=True)
    )
    assert column(folder, "train_loss")[-1] < column(folder, "train_loss")[0]


def test_a_run_can_watch_its_blocks(tmp_path):
    run(tmp_path, "--epochs", "1", "--monitor", "2")
    folder = tmp_path / "digits/version_0"
    assert len(column(folder, "block/network.layer2.0/lambda_max")) == 3  # steps 0, 2, 4 of 5
    with pytest.raises(SystemExit):
        run(tmp_path, "--monitor", "2", "--block", "null")


def test_the_learning_rate_of_every_step_is_the_schedules(trained):
    folder = trained / "digits/version_0"
    recipe = Recipe.from_dict(yaml.safe_load((folder / "recipe.yaml").read_text()))
    per_epoch = 5  # 1,257 images in batches of 256
    found = column(folder, "learning_rate")
    assert len(found) == 2 * per_epoch
    for step, rate in enumerate(found):
        epoch = step / per_epoch
        # One epoch of warm-up, whose first step is not of length zero; then half a cosine.
        factor = (step + 1) / per_epoch if epoch < 1 else (1 + math.cos(math.pi * (epoch - 1))) / 2
        assert rate == pytest.approx(recipe.learning_rate * factor)


def test_a_second_run_has_a_folder_of_its_own(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "runs")
    before = files_below(tmp_path / "runs")
    run(tmp_path / "runs", "--epochs", "1")
    after = files_below(tmp_path / "runs")
    assert {path: after[path] for path in before} == before
    assert (tmp_path / "runs/digits/version_1/checkpoints/last.ckpt").is_file()


def test_the_same_seed_gives_the_same_network(trained, tmp_path):
    run(tmp_path, "--epochs", "2")
    run(tmp_path, "--epochs", "2", "--seed", "1")
    states = [
        read_checkpoint(path / "checkpoints/last.ckpt")["state_dict"]
        for path in (
            trained / "digits/version_0",
            tmp_path / "digits/version_0",
            tmp_path / "digits/version_1",
        )
    ]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert not torch.equal(states[0]["network.fc.weight"], states[2]["network.fc.weight"])


def test_resuming_goes_on_where_the_checkpoint_ended(checkpoint, tmp_path):
    before = checkpoint.read_bytes()
    run(tmp_path, "--epochs", "3", "--resume", str(checkpoint))
    content = read_checkpoint(tmp_path / "digits/version_0/checkpoints/last.ckpt")
    assert (content["epoch"], content["global_step"]) == (2, 15)
    assert len(column(tmp_path / "digits/version_0", "test_top1")) == 1
    steps = [state["step"] for state in content["optimizer_states"][0]["state"].values()]
    assert {int(step) for step in steps} == {15}
    assert checkpoint.read_bytes() == before


def test_resuming_goes_on_by_the_recipe_it_is_given(checkpoint, tmp_path):
    """Its learning rate, at its place of its schedule, in steps of its batches."""
    options = ["--epochs", "3", "--batch_size", "512", "--learning_rate", "0.02"]
    run(tmp_path, "--resume", str(checkpoint), *options, "--weight_decay", "0.5")
    folder = tmp_path / "digits/version_0"
    # The third of three epochs, the first of warm-up, in three steps: 1,257 images.
    expected = [0.02 * (1 + math.cos(math.pi * (1 + step / 3) / 2)) / 2 for step in range(3)]
    assert column(folder, "learning_rate") == pytest.approx(expected)
    (group,) = read_checkpoint(folder / "checkpoints/last.ckpt")["optimizer_states"][0][
        "param_groups"
    ]
    assert group["weight_decay"] == 0.5


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--block", "null"], r"layer2\.0\.inserted\.0\.affinity\.phi\.weight: .* absent here"),
        (["--block", "nl"], r'preresnet8 with "snl" after layer2\.0 on digits'),
        (["--network", "preresnet20"], "another architecture: preresnet8"),
        (["--dataset", "far_pair"], r"fc\.bias: \(10,\) there, \(2,\) here"),
        (["--optimizer", "sgd", "--epochs", "3"], "optimizer: 'adamw' there, 'sgd' here"),
        (["--rates", "{'fc.*': 2}", "--epochs", "3"], r"patterns of rates: \[\] there, \['fc"),
        (["--epochs", "2"], r"has finished epoch 2 of 2.*--epochs 4"),
    ],
)
def test_a_checkpoint_that_does_not_fit_changes_nothing(checkpoint, args, words, tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        run(tmp_path / "runs", "--resume", str(checkpoint), *args)
    assert caught.value.code == 2
    message = capsys.readouterr().err
    assert re.search(words, message), message
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda data: data[: len(data) // 2], "corrupt, truncated"),
        (lambda data: data[:200_000] + bytes(128) + data[200_128:], "corrupt, truncated"),
        (lambda data: b"", r"\(0 bytes\)"),
        (lambda data: b"not a checkpoint", "corrupt, truncated or of another kind"),
        (lambda data: b"junk", "corrupt, truncated or of another kind"),
    ],
)
def test_a_spoilt_checkpoint_is_refused(checkpoint, spoil, words, tmp_path):
    path = tmp_path / "spoilt.ckpt"
    path.write_bytes(spoil(checkpoint.read_bytes()))
    with pytest.raises(CheckpointError, match=words):
        read_checkpoint(path)


def test_a_checkpoint_runs_no_code(tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"state_dict": Trap(), "hyper_parameters": {}}, tmp_path / "trap.ckpt")
    with pytest.raises(CheckpointError):
        read_checkpoint(tmp_path / "trap.ckpt")
    assert not (tmp_path / "ran").exists()


def test_weights_alone_are_no_checkpoint(tmp_path):
    torch.save({"fc.weight": torch.zeros(2)}, tmp_path / "weights.ckpt")
    with pytest.raises(CheckpointError, match="expected the entries state_dict"):
        read_checkpoint(tmp_path / "weights.ckpt")


def test_evaluating_finds_the_accuracy_that_training_logged(trained, checkpoint, capsys):
    with quiet():
        found = evaluate.evaluate(checkpoint, accelerator="cpu")
    logged = column(trained / "digits/version_0", "test_top1")[-1]
    assert found["test_top1"] == pytest.approx(logged, abs=1e-6)

    # And the accuracy is a count: 540 test images one by one, without Lightning or torchmetrics.
    model = Classifier(Recipe.from_dict(read_checkpoint(checkpoint)["hyper_parameters"]["recipe"]))
    model.load_state_dict(read_checkpoint(checkpoint)["state_dict"])
    model.eval()
    data = ImageDataModule("digits")
    data.setup()
    images = torch.stack([image for image, _ in data.test_part])
    classes = torch.tensor([label for _, label in data.test_part])
    with torch.no_grad():
        scores = model(images)
    ranks = (scores > scores.gather(1, classes[:, None])).sum(1)
    assert found["test_top1"] == pytest.approx(float((ranks == 0).float().mean()), abs=1e-6)
    assert found["test_top5"] == pytest.approx(float((ranks < 5).float().mean()), abs=1e-6)
    nll = -scores.log_softmax(1).gather(1, classes[:, None]).mean()
    assert found["test_loss"] == pytest.approx(float(nll), abs=1e-5)
    assert "Top-1 %" in capsys.readouterr().out


def test_answers_that_are_no_numbers_count_as_wrong_and_are_told(checkpoint, capsys):
    spoilt = read_checkpoint(checkpoint)
    first = next(name for name in spoilt["state_dict"] if name.endswith("running_var"))
    spoilt["state_dict"][first][0] = float("nan")
    torch.save(spoilt, checkpoint.with_name("spoilt.ckpt"))
    with quiet():
        found = evaluate.evaluate(checkpoint.with_name("spoilt.ckpt"), accelerator="cpu")
    assert found["test_top1"] == found["test_top5"] == 0
    assert math.isnan(found["test_loss"])
    assert "The loss is no finite number" in " ".join(capsys.readouterr().out.split())


@pytest.mark.slow
def test_a_user_sees_nothing_but_the_run(tmp_path):
    # Both processes tell what they find when Python is about to be taken down.
    (tmp_path / "sitecustomize.py").write_text(
        "import atexit, sys\n"
        "group = lambda: sys.modules['torch.distributed'].is_initialized()\n"
        "atexit.register(lambda: print('A group is left:', group(), flush=True))\n"
    )
    command = ["-m", "models.train", "digits", "--epochs", "1", "--out", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, *command, "--accelerator", "cpu", "--devices", "2"],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "warning" not in done.stdout.lower()
    assert "Top-1 %" in done.stdout
    assert done.stdout.count("A group is left: False") == 2, done.stdout
    assert [path.name for path in (tmp_path / "digits").iterdir()] == ["version_0"]
