"""Two processes that share every batch train the network that one process trains."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from math import cos, pi
from pathlib import Path

import pytest
import scipy.io
import torch
from lightning import seed_everything
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from models import train
from models.checkpoints import progress_of, read_checkpoint
from models.data import data_module
from models.data.making import make
from models.data.synthetic import Plan
from models.entry import RunStoppedError, quiet
from models.evaluate import evaluate
from models.loading import data_of, resumable
from models.networks import NETWORKS
from models.recipe import Recipe
from models.training import Classifier
from tests.distributed.processes import Processes
from tests.models.conftest import SMALL

Group = Callable[[int], Processes]

# 1,257 digits, augmented: two epochs of four steps, the last one smaller and odd.
BATCH = 320
OPTIONS = ["--epochs=2", "--optimizer=sgd", "--learning_rate=0.05", "--crop_padding=1"]
OPTIONS += ["--precision=64-true", "--accelerator=cpu", "--clip_norm=1"]


def trained(folder: str, world: int, norm: str, *more: str) -> dict[str, Tensor] | None:
    """Weights after the command has run on so many processes, each with its part of BATCH."""
    # What torchrun says to its processes; RANK, LOCAL_RANK and WORLD_SIZE are said already.
    os.environ["TORCHELASTIC_RUN_ID"] = "test"
    options = [*OPTIONS, f"--norm={norm}", f"--batch_size={BATCH // world}", f"--out={folder}"]
    with quiet():
        name, recipe, chosen = train.parse(
            ["digits", *options, f"--devices={world}", "--strategy=ddp", *more]
        )
        run = train.train(name, recipe, chosen)
    return read_checkpoint(run.checkpoint) if int(os.environ["RANK"]) == 0 else None


def assert_close(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, rtol=0, atol=1e-6, msg=lambda m, k=key: k + m)


def one_process(folder: Path, norm: str) -> dict[str, Tensor]:
    options = [*OPTIONS, f"--norm={norm}", f"--batch_size={BATCH}", f"--out={folder}"]
    train.main(["digits", *options, "--devices=1"])
    return read_checkpoint(folder / "digits/version_0/checkpoints/last.ckpt")["state_dict"]


def test_with_group_norm_two_processes_give_the_result_of_one(group: Group, tmp_path: Path) -> None:
    first, _ = group(2).run(trained, str(tmp_path / "two"), 2, "group")
    expected = one_process(tmp_path / "one", "group")
    assert progress_of(first) == (2, 8)
    assert_close(first["state_dict"], expected)
    start = Classifier(Recipe.from_dict(first["hyper_parameters"]["recipe"]))
    moved = expected["network.fc.weight"] - start.state_dict()["network.fc.weight"]
    assert moved.abs().max() > 0.01  # a network that learned nothing would be close too


class Shards(nn.Module):
    """Batch norm of one process that takes its statistics from each half of the batch."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor, *rest: object) -> Tensor:
        if not self.training:
            return self.norm(x, *rest)
        first, second = x.tensor_split(2)
        # DistributedDataParallel keeps the running statistics of the first process.
        other = copy.deepcopy(self.norm)
        other.weight, other.bias = self.norm.weight, self.norm.bias
        return torch.cat([self.norm(first, *rest), other(second, *rest)])


def with_shard_statistics(recipe: Recipe) -> dict[str, Tensor]:
    """Weights of a plain loop on one process: SGD by hand, batches halved in every norm."""
    seed_everything(recipe.seed, verbose=False)
    network = Classifier(recipe).network.double()
    names = [
        n for n, m in network.named_modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)
    ]
    for name in names:
        parent, _, child = name.rpartition(".")
        setattr(network.get_submodule(parent), child, Shards(network.get_submodule(name)))
    data = data_of(recipe, Path())
    data.setup()
    loader = resumable(data.train_dataloader(), recipe.seed)
    optimizer = torch.optim.SGD(
        network.parameters(), 0.0, momentum=recipe.momentum, weight_decay=recipe.weight_decay
    )
    steps = len(loader)
    for epoch in range(recipe.epochs):
        loader.sampler.set_epoch(epoch)
        for index, (images, classes) in enumerate(loader):
            step = epoch * steps + index
            # One epoch of linear warm-up, then half a cosine.
            factor = (step + 1) / steps if epoch < 1 else (1 + cos(pi * index / steps)) / 2
            optimizer.param_groups[0]["lr"] = recipe.learning_rate * factor
            optimizer.zero_grad()
            cross_entropy(network(images.double()), classes).backward()  # of all, also if odd
            nn.utils.clip_grad_norm_(network.parameters(), recipe.clip_norm)
            optimizer.step()
    return {f"network.{k.replace('.norm.', '.')}": v for k, v in network.state_dict().items()}


def test_with_batch_norm_two_processes_use_the_statistics_of_their_shards(
    group: Group, tmp_path: Path
) -> None:
    first, _ = group(2).run(trained, str(tmp_path), 2, "batch")
    recipe = Recipe.from_dict(first["hyper_parameters"]["recipe"])
    expected = with_shard_statistics(Recipe.from_dict(recipe.to_dict() | {"batch_size": BATCH}))
    assert_close(first["state_dict"], expected)
    whole = one_process(tmp_path / "one", "batch")  # whose statistics are of the whole batch
    assert (whole["network.fc.weight"] - expected["network.fc.weight"]).abs().max() > 1e-4


def resumed(folder: str) -> dict[str, Tensor] | None:
    """The same run, stopped in the second epoch and resumed by both processes."""
    step = Classifier.training_step

    def stopping(self: Classifier, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        if self.global_step == 7:
            raise InterruptedError
        return step(self, batch, index)

    Classifier.training_step = stopping
    try:
        with pytest.raises(RunStoppedError, match="after 1 epochs and 6 steps in all"):
            trained(folder, 2, "batch", "--checkpoint_every=3")
    finally:
        Classifier.training_step = step
    last = Path(folder) / "digits/version_0/checkpoints/last.ckpt"
    torch.distributed.barrier()
    assert progress_of(read_checkpoint(last)) == (1, 6)
    return trained(folder, 2, "batch", f"--resume={last}")


def test_two_processes_resume_in_mid_epoch_to_the_bit(group: Group, tmp_path: Path) -> None:
    expected, _ = group(2).run(trained, str(tmp_path / "whole"), 2, "batch")
    found, _ = group(2).run(resumed, str(tmp_path / "stopped"))
    assert len(found["random_states"]) == 2
    assert found["state_dict"].keys() == expected["state_dict"].keys()
    for key, value in expected["state_dict"].items():
        assert torch.equal(found["state_dict"][key], value), key


REID = ["table9_mars_snl", "--pretrained=null", "--after=[layer3.0]", "--size=[32, 16]"]
REID += ["--batch_size=4", "--task_options.tracklets=2", "--epochs=1", "--test_every=1"]
REID += ["--accelerator=cpu", "--workers=0"]


@pytest.fixture
def mars(tmp_path: Path) -> Path:
    """Tracklets for the test of an odd number, which two processes cannot share evenly."""
    root = tmp_path / "mars"
    make("mars", root, Plan(classes=4, items=2, frames=4, height=32, width=16))
    path = root / "info/tracks_test_info.mat"
    rows = scipy.io.loadmat(path)["track_test_info"]
    scipy.io.savemat(path, {"track_test_info": rows[:-1]})
    data = data_module("mars", root)
    data.setup()
    assert len(data.test_part) % 2 == 1
    return root


def searched(folder: str, mars: str) -> dict[str, float]:
    """What two processes measure after an epoch of re-identification."""
    os.environ["TORCHELASTIC_RUN_ID"] = "test"
    NETWORKS.update(SMALL)
    with quiet():
        name, recipe, chosen = train.parse(
            [*REID, f"--data={mars}", f"--out={folder}", "--devices=2", "--strategy=ddp"]
        )
        return train.train(name, recipe, chosen).metrics


def test_two_processes_find_the_persons_that_one_finds(
    group: Group, mars: Path, tmp_path: Path, small_networks: None
) -> None:
    both = group(2).run(searched, str(tmp_path / "runs"), str(mars))
    last = tmp_path / "runs/table9_mars_snl/version_0/checkpoints/last.ckpt"
    with quiet():
        expected = evaluate(last, mars, accelerator="cpu", workers=0)
    for found in both:
        for name in ("test_rank1", "test_mAP", "test_loss"):
            assert found[name] == pytest.approx(expected[name], abs=1e-5)
