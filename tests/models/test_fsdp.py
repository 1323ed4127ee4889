"""Two processes that have a part of every weight train the network that one process trains."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.distributed.tensor import DTensor

from models import train
from models.checkpoints import progress_of, read_checkpoint
from models.data.making import make
from models.data.synthetic import Plan
from models.entry import RunStoppedError, quiet
from models.evaluate import evaluate
from models.networks import NETWORKS
from models.predict import load, predict
from models.recipe import Recipe
from models.sharding import FullySharded, check_device
from models.training import Classifier, network_of
from tests.distributed.processes import Processes
from tests.models.conftest import SMALL
from tests.models.test_ddp import REID, assert_close

Group = Callable[[int], Processes]
Content = dict[str, Any]

# 1,257 digits in two epochs of four steps, the last one smaller and odd.
WHOLE = 320
DOUBLE = ["--epochs=2", "--precision=64-true", "--norm=group", "--accelerator=cpu"]


def command(world: int, strategy: str, folder: Path | str, *more: str) -> list[str]:
    shares = [f"--devices={world}", f"--batch_size={WHOLE // world}", f"--strategy={strategy}"]
    return ["digits", *DOUBLE, *shares, f"--out={folder}", *more]


def run(options: Sequence[str]) -> Content | None:
    """What the command leaves, in the first of the processes it runs on."""
    # What torchrun says to its processes; RANK, LOCAL_RANK and WORLD_SIZE are said already.
    os.environ["TORCHELASTIC_RUN_ID"] = "test"
    NETWORKS.update(SMALL)
    with quiet():
        name, recipe, chosen = train.parse(options)
        try:
            made = train.train(name, recipe, chosen)
        finally:
            torch.use_deterministic_algorithms(False)
    if chosen.strategy == "fsdp":
        for weight in made.model.parameters():
            assert isinstance(weight, DTensor)
            assert weight.to_local().shape[0] < weight.shape[0] or weight.shape[0] == 1
    return read_checkpoint(made.checkpoint) if int(os.environ["RANK"]) == 0 else None


def one_process(folder: Path, *more: str) -> Content:
    train.main(command(1, "auto", folder, *more))
    return read_checkpoint(folder / "digits/version_0/checkpoints/last.ckpt")


def logged(folder: Path) -> list[dict[str, float]]:
    """What a run logged of its block, row by row."""
    with (folder / "digits/version_0/metrics.csv").open() as file:
        rows = [
            {k: v for k, v in row.items() if "block/" in k and v} for row in csv.DictReader(file)
        ]
    return [{name: float(value) for name, value in row.items()} for row in rows if row]


def assert_same_bits(found: Content, expected: Content) -> None:
    assert found["state_dict"].keys() == expected["state_dict"].keys()
    for key, value in expected["state_dict"].items():
        assert torch.equal(found["state_dict"][key], value), key


def test_two_processes_give_the_weights_of_one(group: Group, tmp_path: Path) -> None:
    options = ["--optimizer=sgd", "--learning_rate=0.05", "--clip_norm=0.5", "--monitor=2"]
    found, _ = group(2).run(run, command(2, "fsdp", tmp_path / "two", *options))
    expected = one_process(tmp_path / "one", *options)
    assert progress_of(found) == progress_of(expected) == (2, 8)
    assert_close(found["state_dict"], expected["state_dict"])
    start = Classifier(Recipe.from_dict(found["hyper_parameters"]["recipe"])).state_dict()
    moved = expected["state_dict"]["network.fc.weight"] - start["network.fc.weight"]
    assert moved.abs().max() > 0.01  # a network that learned nothing would be close too

    # The first process looks at its half of a batch; the gradient is of the whole one.
    seen, whole = logged(tmp_path / "two"), logged(tmp_path / "one")
    assert len(seen) == 4
    gradients = [[row["block/network.layer2.0/gradient"] for row in rows] for rows in (seen, whole)]
    assert gradients[0] == pytest.approx(gradients[1], rel=1e-5)


def test_the_checkpoint_is_one_file_that_answers(group: Group, tmp_path: Path) -> None:
    group(2).run(run, command(2, "fsdp", tmp_path, "--epochs=1", "--norm=batch"))
    last = tmp_path / "digits/version_0/checkpoints/last.ckpt"
    assert [path.name for path in last.parent.iterdir()] == [last.name]
    with quiet():
        again = evaluate(last, accelerator="cpu")
    with (tmp_path / "digits/version_0/metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["test_loss"]]
    # Measured by both in the run, with the running statistics of the first: 540 items, none twice.
    for name in ("test_top1", "test_loss"):
        assert float(rows[-1][name]) == pytest.approx(again[name], abs=1e-5)
    Image.new("L", (8, 8)).save(tmp_path / "black.png")
    (answer,) = predict(load(last), [tmp_path / "black.png"], top=10)
    assert sum(answer.probabilities) == pytest.approx(1)


ADAM = ["--optimizer=adamw", "--learning_rate=0.003", "--crop_padding=1", "--accumulate=2"]


def stopped(folder: str) -> None:
    """A run that stops after the first step of its second epoch."""
    step = Classifier.training_step

    def stopping(self: Classifier, batch: Any, index: int) -> Tensor:
        if self.global_step == 3:
            raise InterruptedError
        return step(self, batch, index)

    Classifier.training_step = stopping
    try:
        with pytest.raises(RunStoppedError, match="after 1 epochs and 3 steps in all"):
            run(command(2, "fsdp", folder, *ADAM, "--checkpoint_every=1"))
    finally:
        Classifier.training_step = step


def test_a_run_goes_on_in_mid_epoch_under_any_strategy(
    group: Group, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected, _ = group(2).run(run, command(2, "fsdp", tmp_path / "whole", *ADAM))
    group(2).run(stopped, str(tmp_path / "stopped"))
    last = tmp_path / "stopped/digits/version_0/checkpoints/last.ckpt"
    content = read_checkpoint(last)
    assert progress_of(content) == (1, 3)
    assert len(content["random_states"]) == 2
    resumed = [*ADAM, f"--resume={last}"]
    found, _ = group(2).run(run, command(2, "fsdp", tmp_path / "fsdp", *resumed))
    assert_same_bits(found, expected)
    copies, _ = group(2).run(run, command(2, "ddp", tmp_path / "ddp", *resumed))
    assert progress_of(copies) == (2, 4)
    assert_close(copies["state_dict"], expected["state_dict"])
    states = [found["optimizer_states"][0]["state"], copies["optimizer_states"][0]["state"]]
    for ours, theirs in zip(*map(dict.values, states), strict=True):
        assert_close(ours, theirs)
    with pytest.raises(SystemExit):
        one_process(tmp_path / "alone", *resumed)
    assert "middle of epoch 2, in which 2 processes" in capsys.readouterr().err
    assert not (tmp_path / "alone").exists()


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
def test_a_run_goes_on_with_more_or_fewer_processes(
    before: int, after: int, group: Group, tmp_path: Path
) -> None:
    def weights(world: int, folder: str, *more: str) -> Content:
        if world == 1:
            return one_process(tmp_path / folder, *ADAM, *more)
        return group(2).run(run, command(2, "fsdp", tmp_path / folder, *ADAM, *more))[0]

    weights(before, "start", "--epochs=1")
    resume = f"--resume={tmp_path / 'start/digits/version_0/checkpoints/last.ckpt'}"
    found, expected = weights(after, "other", resume), weights(before, "same", resume)
    assert_close(found["state_dict"], expected["state_dict"])


def test_blocks_learn_first_from_pretrained_weights(group: Group, tmp_path: Path) -> None:
    torch.manual_seed(1)
    weights = network_of(Recipe("preresnet8", "digits", norm="group")).state_dict()
    torch.save(weights, tmp_path / "weights.pth")
    options = [f"--pretrained={tmp_path / 'weights.pth'}", "--frozen_epochs=1", "--warmup_epochs=0"]
    options += ["--optimizer=sgd", "--rates={'layer1.*': 0.1}"]
    early, _ = group(2).run(run, command(2, "fsdp", tmp_path / "early", *options, "--epochs=1"))
    for name, value in weights.items():
        is_new = name.startswith("fc.")
        trained = early["state_dict"][f"network.{name}"]
        assert torch.equal(trained, value.double()) != is_new, name
    last = tmp_path / "early/digits/version_0/checkpoints/last.ckpt"
    # Half of the optimiser's state is not there yet.
    late = [*options, f"--resume={last}"]
    found, _ = group(2).run(run, command(2, "fsdp", tmp_path / "late", *late))
    assert_close(found["state_dict"], one_process(tmp_path / "one", *late)["state_dict"])


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_lower_precision_is_that_of_copies(group: Group, precision: str, tmp_path: Path) -> None:
    options = [f"--precision={precision}", "--epochs=1", "--optimizer=sgd"]
    found, _ = group(2).run(run, command(2, "fsdp", tmp_path / "fsdp", *options))
    copies, _ = group(2).run(run, command(2, "ddp", tmp_path / "ddp", *options))
    assert_same_bits(found, copies)


MARS = ["table8_mars_snl", "--pretrained=null", "--after=[layer2.0]", "--size=[32, 32]"]
MARS += ["--frames=4", "--batch_size=2", "--epochs=1", "--test_every=1", "--learning_rate=0.001"]
MARS += ["--accelerator=cpu", "--workers=0"]


@pytest.mark.parametrize(("layout", "options"), [("mars", REID), ("ucf101_flow", MARS)])
def test_losses_of_features_see_whole_weights(
    layout: str, options: list[str], group: Group, tmp_path: Path
) -> None:
    """Re-identification and MARS run the features and the classifier one after the other."""
    root = tmp_path / "data"
    make(layout, root, Plan(classes=4, items=2, frames=6, height=32, width=16))
    options = [*options, f"--data={root}", "--devices=2", "--precision=64-true", "--deterministic"]
    if options[0] == MARS[0]:
        torch.manual_seed(0)
        teacher = SMALL["resnext3d101"](in_channels=2, num_classes=4)
        torch.save(teacher.state_dict(), tmp_path / "teacher.pth")
        options.append(f"--task_options.teacher={tmp_path / 'teacher.pth'}")
    found, copies = (
        group(2).run(run, [*options, f"--strategy={strategy}", f"--out={tmp_path / strategy}"])[0]
        for strategy in ("fsdp", "ddp")
    )
    assert_close(found["state_dict"], copies["state_dict"])


@contextmanager
def weights_changed(change: Callable[[str, Tensor], Tensor]) -> Iterator[None]:
    """Put ``change(name, weight)`` in the place of what the first process has gathered."""
    gathered = FullySharded.lightning_module_state_dict

    def changed(self: FullySharded) -> dict[str, Any]:
        return {name: change(name, weight) for name, weight in gathered(self).items()}

    FullySharded.lightning_module_state_dict = changed
    try:
        yield
    finally:
        FullySharded.lightning_module_state_dict = gathered


def dry_run(options: Sequence[str], lose: str | None) -> str:
    """What a dry run of the command says, where a checkpoint loses or keeps its weights."""
    os.environ["TORCHELASTIC_RUN_ID"] = "test"
    try:
        with quiet(), weights_changed(lambda name, value: value * 2 if name == lose else value):
            train.dry_run(*train.parse(options))
    except RuntimeError as error:
        return str(error)
    return ""


def test_a_dry_run_compares_every_weight(group: Group, tmp_path: Path) -> None:
    options = command(2, "fsdp", tmp_path)
    assert group(2).run(dry_run, options, None) == ["", ""]
    lost = "network.layer2.0.residual.2.weight"
    said = group(2).run(dry_run, options, lost)
    assert said == [f"the checkpoint of digits has not the run's {lost}."] * 2
    assert group(2).run(dry_run, command(2, "ddp", tmp_path), None) == ["", ""]


def overflow(folder: str) -> str:
    """What each process says when a weight of the first one alone is no number."""
    try:
        with weights_changed(lambda name, value: value * float("nan")):
            run(command(2, "fsdp", folder, "--epochs=1"))
    except RunStoppedError as error:
        return str(error)
    return ""


def test_weights_that_are_no_numbers_stop_every_process(group: Group, tmp_path: Path) -> None:
    for said in group(2).run(overflow, str(tmp_path)):
        assert "network.conv1.weight is no longer finite after step 4" in said


def test_one_process_may_have_all_parts(group: Group, tmp_path: Path) -> None:
    options = ["--epochs=1", "--optimizer=sgd"]
    group(1).run(run_alone, command(1, "fsdp", tmp_path / "fsdp", *options))
    found = read_checkpoint(tmp_path / "fsdp/digits/version_0/checkpoints/last.ckpt")
    assert_close(found["state_dict"], one_process(tmp_path / "auto", *options)["state_dict"])


def run_alone(options: Sequence[str]) -> None:
    os.environ["TORCHELASTIC_RUN_ID"] = "test"
    train.main(options)


def test_other_devices_are_refused() -> None:
    with pytest.raises(ValueError, match=r'processors and CUDA devices; this one is "mps"'):
        check_device(torch.device("mps"))
