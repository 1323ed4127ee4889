"""What ends a run says so in one line, and leaves the last good checkpoint as it was."""

from __future__ import annotations

import errno
import io
import os
import re
from pathlib import Path

import pytest
import torch
from PIL import Image

from models import train
from models.checkpoints import CheckpointError, progress_of, read_checkpoint
from models.saving import AtomicCheckpoints, write_atomically
from models.training import Classifier

QUICK = ["--batch_size=256", "--epochs=2", "--accelerator=cpu", "--devices=1"]


def end_of(capsys, folder, *args):
    """What the run writes to stderr when it ends before its time."""
    with pytest.raises(SystemExit) as caught:
        train.main([*args, "--out", str(folder), *QUICK])
    assert caught.value.code == 1
    message = capsys.readouterr().err
    assert message.count("\n") == 1, message
    assert "Traceback" not in message
    return message


def assert_is_good(path, epochs, steps):
    """The checkpoint can be read and holds the weights after so many steps."""
    content = read_checkpoint(path)
    assert progress_of(content) == (epochs, steps)
    assert all(torch.isfinite(v).all() for v in content["state_dict"].values())
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]


def test_a_loss_that_is_no_number_ends_the_run(tmp_path, capsys, monkeypatch):
    step = Classifier.training_step

    def training_step(self, batch, index):
        loss = step(self, batch, index)
        return loss * float("nan") if self.global_step == 7 else loss

    monkeypatch.setattr(Classifier, "training_step", training_step)
    message = end_of(capsys, tmp_path, "digits", "--checkpoint_every=3")
    last = tmp_path / "digits/version_0/checkpoints/last.ckpt"
    assert re.search(r"the training loss became nan in epoch 2, after step 7", message)
    assert f"go on with --resume {last}" in message
    assert "after 1 epochs and 6 steps in all" in message
    assert_is_good(last, 1, 6)


def test_weights_that_are_not_finite_replace_no_checkpoint(tmp_path, capsys, monkeypatch):
    step = Classifier.training_step

    def training_step(self, batch, index):
        if self.global_step == 4:  # a finite loss with a gradient that is not
            self.network.fc.bias.register_hook(lambda gradient: gradient * float("inf"))
        return step(self, batch, index)

    monkeypatch.setattr(Classifier, "training_step", training_step)
    message = end_of(capsys, tmp_path, "digits", "--checkpoint_every=2")
    assert "network.fc.bias is no longer finite after step 5" in message
    assert_is_good(tmp_path / "digits/version_0/checkpoints/last.ckpt", 0, 4)


class FullDisk(io.BufferedWriter):
    """Takes the first thousand bytes, as a disk does that fills up meanwhile."""

    def write(self, content):
        super().write(memoryview(content)[:1000])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def fill_the_disk(monkeypatch):
    opened = Path.open

    def open_on_full_disk(self, mode="r", *args, **kwargs):
        if "w" in mode and ".partial" in self.name:
            return FullDisk(io.FileIO(self, "w"))
        return opened(self, mode, *args, **kwargs)

    monkeypatch.setattr(Path, "open", open_on_full_disk)


def test_a_full_disk_ends_the_run_with_its_last_checkpoint(tmp_path, capsys, monkeypatch):
    step = Classifier.training_step

    def training_step(self, batch, index):
        if self.global_step == 7:
            fill_the_disk(monkeypatch)
        return step(self, batch, index)

    monkeypatch.setattr(Classifier, "training_step", training_step)
    message = end_of(capsys, tmp_path, "digits", "--checkpoint_every=3")
    assert re.search(r"no checkpoint could be written to .*last\.ckpt.*No space left", message)
    assert "after 1 epochs and 6 steps in all" in message
    assert_is_good(tmp_path / "digits/version_0/checkpoints/last.ckpt", 1, 6)


def test_before_the_first_checkpoint_the_error_says_that_there_is_none(
    tmp_path, capsys, monkeypatch
):
    fill_the_disk(monkeypatch)
    assert "No checkpoint had been written yet" in end_of(capsys, tmp_path, "digits")
    assert list((tmp_path / "digits/version_0/checkpoints").iterdir()) == []


def folder_of_pictures(root, per_class=10):
    for label, name in enumerate(("cats", "dogs")):
        for number in range(per_class):
            path = root / name / f"{number:02d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            colour = (40 + 150 * label, 10 * number, 90)
            Image.new("RGB", (20, 16), colour).save(path)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_picture_is_named(tmp_path, capsys, workers):
    folder_of_pictures(tmp_path / "data")
    spoilt = tmp_path / "data/dogs/02.png"
    spoilt.write_bytes(spoilt.read_bytes()[:40])
    options = ["--network=preresnet8", "--block=null", "--size=[16, 16]", "--checkpoint_every=1"]
    options += [f"--workers={workers}", f"--data={tmp_path / 'data'}"]
    message = end_of(capsys, tmp_path / "runs", "folder", *options, "--warmup_epochs=0")
    assert f"{spoilt} is corrupt or truncated" in message
    assert "No checkpoint had been written yet" in message


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "new" / "file"
    write_atomically("first", path)
    write_atomically("second", path)
    assert torch.load(path) == "second"
    monkeypatch.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(OSError, match="full"):
        write_atomically("third", path)
    assert torch.load(path) == "second"
    assert list(path.parent.iterdir()) == [path]


def test_lightning_reads_a_checkpoint_without_running_its_code(tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"state_dict": Trap()}, tmp_path / "trap.ckpt")
    with pytest.raises(Exception, match="weights_only"):
        AtomicCheckpoints().load_checkpoint(tmp_path / "trap.ckpt", weights_only=False)
    assert not (tmp_path / "ran").exists()
    with pytest.raises(CheckpointError):
        read_checkpoint(tmp_path / "trap.ckpt")
