"""A run that was interrupted ends with the weights of one that was not, to the bit."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from models import train
from models.checkpoints import progress_of, read_checkpoint
from models.data import ImageDataModule
from models.loading import PassSampler, resumable
from models.training import Classifier

# ruff: noqa: NPY002  (the global generator is what is tested)

CHECKOUT = Path(__file__).parents[2]
# 1,257 digits, augmented at random, five steps an epoch; two epochs.
QUICK = ["--batch_size=256", "--epochs=2", "--crop_padding=1", "--accelerator=cpu", "--devices=1"]
STEPS = 5


class Dropping(torch.nn.Module):
    """Draws from PyTorch, NumPy and Python in every step, as dropout and the like do."""

    def forward(self, x):
        if self.training:
            factor = 1 + 0.1 * (random.random() + np.random.rand())
            x = torch.nn.functional.dropout(x, 0.2) * factor
        return x


@pytest.fixture(autouse=True)
def a_network_that_draws_random_numbers(monkeypatch):
    plain = Classifier.__init__

    def with_dropout(self, recipe, network=None):
        plain(self, recipe, network)
        self.network.layer3.append(Dropping())

    monkeypatch.setattr(Classifier, "__init__", with_dropout)


def run(folder, *args):
    train.main(["digits", "--out", str(folder), *QUICK, *args])
    return read_checkpoint(max(folder.glob("digits/version_*")) / "checkpoints/last.ckpt")


class Stopped(Exception):
    """What ends a run in these tests."""


def stop_after(step, monkeypatch):
    """End the next run after the checkpoint of that step, as if the machine had gone down."""
    ended = Classifier.training_step

    def training_step(self, batch, index):
        if self.global_step == step:
            raise Stopped
        return ended(self, batch, index)

    monkeypatch.setattr(Classifier, "training_step", training_step)
    return ended


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return {}


@pytest.fixture
def expected(uninterrupted, tmp_path):
    """State of a whole run; made once."""
    if not uninterrupted:
        uninterrupted.update(run(tmp_path / "whole"))
    return uninterrupted


def assert_same_end(found, expected):
    assert found["global_step"] == expected["global_step"] == 2 * STEPS
    assert progress_of(found) == progress_of(expected) == (2, 2 * STEPS)
    for key, value in expected["state_dict"].items():
        assert torch.equal(found["state_dict"][key], value), key
    ours, theirs = (c["optimizer_states"][0]["state"] for c in (found, expected))
    for index, state in theirs.items():
        assert all(torch.equal(ours[index][name], value) for name, value in state.items())
    rates = [c["lr_schedulers"][0]["_last_lr"] for c in (found, expected)]
    assert rates[0] == rates[1]


@pytest.mark.parametrize("step", [1, 4, STEPS, STEPS + 2])
def test_a_run_resumed_after_any_step_ends_as_one_that_was_not(
    step, expected, tmp_path, monkeypatch
):
    original = stop_after(step, monkeypatch)
    with pytest.raises(Stopped):
        run(tmp_path, "--checkpoint_every", "1")
    monkeypatch.setattr(Classifier, "training_step", original)
    last = tmp_path / "digits/version_0/checkpoints/last.ckpt"
    assert progress_of(read_checkpoint(last)) == (step // STEPS, step)
    assert_same_end(run(tmp_path, "--resume", str(last)), expected)


KILLED = """
import os, signal
from models import train
from models.training import Classifier

step = Classifier.training_step

def dying(self, batch, index):
    if self.global_step == 7:  # of ten; five make an epoch
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, batch, index)

Classifier.training_step = dying
train.main(ARGS)
"""


def test_a_run_killed_in_mid_epoch_and_resumed_ends_as_one_that_was_not(tmp_path, monkeypatch):
    monkeypatch.undo()  # the killed process has the plain network
    args = ["digits", "--out", str(tmp_path), *QUICK, "--checkpoint_every", "3"]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED.replace("ARGS", repr(args))],
        cwd=CHECKOUT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        timeout=280,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert killed.stderr == b""  # a run on one processor has shown itself alone
    last = tmp_path / "digits/version_0/checkpoints/last.ckpt"
    assert progress_of(read_checkpoint(last)) == (1, 6)  # within the second epoch
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert_same_end(run(tmp_path, "--resume", str(last)), run(tmp_path / "whole"))
    finally:
        torch.set_num_threads(threads)


def test_accumulated_gradients_are_in_no_checkpoint(tmp_path, monkeypatch, capsys):
    # Two batches a step, three steps an epoch: the last takes one batch.
    options = ["--accumulate", "2", "--clip_norm", "1", "--checkpoint_every", "1"]
    expected = run(tmp_path / "whole", *options)
    assert expected["global_step"] == 6
    original = stop_after(4, monkeypatch)
    with pytest.raises(Stopped):
        run(tmp_path, *options)
    monkeypatch.setattr(Classifier, "training_step", original)
    last = tmp_path / "digits/version_0/checkpoints/last.ckpt"
    for other in ("--accumulate=1", "--seed=1", "--batch_size=128"):
        with pytest.raises(SystemExit):
            run(tmp_path, *options, "--resume", str(last), other)
        name = other.strip("-").split("=")[0]
        assert f"is of the middle of an epoch. {name}: " in capsys.readouterr().err
    found = run(tmp_path, *options, "--resume", str(last))
    assert found["global_step"] == 6
    for key, value in expected["state_dict"].items():
        assert torch.equal(found["state_dict"][key], value), key


class Numbers(Dataset[float]):
    """Items that draw from every generator."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> torch.Tensor:
        drawn = [index, float(torch.rand(())), random.random(), np.random.rand()]
        return torch.tensor(drawn, dtype=torch.float64)


def shuffled(length: int, batch_size: int) -> DataLoader:
    return DataLoader(Numbers(length), batch_size, shuffle=True)


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_go_on_from_every_place(workers):
    whole = resumable(shuffled(10, 3), seed=5)
    passes = []
    for number in range(2):
        whole.sampler.set_epoch(number)
        passes.append(list(whole))
    assert not torch.equal(passes[0][0], passes[1][0])
    assert sorted(torch.cat(passes[1])[:, 0].tolist()) == list(range(10))
    for taken in (1, 4):
        first = resumable(shuffled(10, 3), seed=5, workers=workers)
        batches = iter(first)
        for _ in range(taken):
            next(batches)
        state = first.state_dict()
        torch.manual_seed(99)  # what else draws numbers does not matter
        again = resumable(shuffled(10, 3), seed=5, workers=workers)
        again.load_state_dict(state)
        rest = list(again)
        expected = passes[0][taken:] if taken < 4 else passes[1]
        assert len(rest) == len(expected)
        assert all(torch.equal(a, b) for a, b in zip(rest, expected, strict=True))


def test_drawing_an_item_leaves_the_global_generators_alone():
    loader = resumable(shuffled(4, 2), seed=0)
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    list(loader)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert np.random.get_state()[1].tolist() == states[2]


class Pairs:
    """A sampler of batches that draws from Python's generator, as balanced ones do."""

    batch_size = 2

    def __iter__(self):
        starts = [0, 2, 4, 6]
        random.shuffle(starts)
        return iter([[start, start + 1] for start in starts])

    def __len__(self):
        return 4


@pytest.mark.parametrize("world", [1, 2])
def test_a_sampler_of_batches_keeps_its_batches_whole(world):
    order = PassSampler(DataLoader(Numbers(8), batch_sampler=Pairs()), 3, 0, 1).order(0)
    shares = []
    for rank in range(world):
        loader = DataLoader(Numbers(8), batch_sampler=Pairs())
        drawn = [batch[:, 0].tolist() for batch in resumable(loader, 3, rank, world)]
        assert len(drawn) == 4 // world
        assert all(second == first + 1 for first, second in drawn)
        shares.append(drawn)
    taken = [batch for step in zip(*shares, strict=True) for batch in step]
    assert [index for batch in taken for index in batch] == order


@pytest.mark.parametrize(
    ("length", "batch", "world"), [(12, 3, 2), (13, 3, 2), (7, 2, 3), (1, 4, 2)]
)
@pytest.mark.parametrize("drop_last", [False, True])
def test_processes_share_the_steps_of_one_process(length, batch, world, drop_last):
    def loader(size):
        return DataLoader(Numbers(length), size, shuffle=True, drop_last=drop_last)

    one = list(resumable(loader(batch), 0))
    assert len(one) == len(resumable(loader(batch), 0))
    items = torch.cat(one) if one else torch.empty(0, 4)
    parts = [resumable(loader(batch), 0, rank, world) for rank in range(world)]
    shares = [list(part) for part in parts]
    assert [len(part) for part in parts] == [len(share) for share in shares]
    assert len({len(share) for share in shares}) == 1
    for number, step in enumerate(zip(*shares, strict=True)):
        together = torch.cat(step)
        expected = items[number * batch * world : (number + 1) * batch * world]
        sizes = [len(part) for part in step]
        assert max(sizes) - min(sizes) <= 1
        # Augmented alike too; a step of fewer items than processes begins anew.
        assert torch.equal(together[: len(expected)], expected)
        assert len(together) == max(len(expected), world)


def test_digits_are_augmented_alike_by_any_number_of_workers():
    data = ImageDataModule("digits", batch_size=400, crop_padding=2, flip=True)
    data.setup()
    both = [resumable(data.train_dataloader(), 1, workers=workers) for workers in (0, 2)]
    for (ours, ours_classes), (theirs, their_classes) in zip(*both, strict=True):
        assert torch.equal(ours, theirs)
        assert torch.equal(ours_classes, their_classes)
