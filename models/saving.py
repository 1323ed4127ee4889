"""Checkpoints that an interruption at any moment leaves whole, and that a run goes on from exactly.

A checkpoint is one file, replaced in one step when its successor is on the disk, and it is refused
if a weight is not finite: whatever ends a run, the last one can be resumed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

import torch
from lightning import LightningModule, Trainer
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor

from models.checkpoints import FINISHED_EPOCHS, CheckpointError, is_in_a_pass, progress_of
from models.randomness import random_state, set_random_state

RANDOM_STATES = "random_states"
"""Entry of a checkpoint: :func:`~models.randomness.random_state` of each process."""


class _Writing:
    """A file for ``torch.save``, whose own writer hides why a file could not be written."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.error: OSError | None = None

    def write(self, content: bytes | memoryview) -> int:
        """Write, unless that has failed before."""
        if self.error is None:
            try:
                self.file.write(content)
            except OSError as error:
                self.error = error
        return len(content)

    def flush(self) -> None:
        """Left to the caller."""


def write_atomically(content: Any, path: Path) -> None:
    """Make what ``torch.save`` writes of ``content`` the file at ``path``, or leave what was there.

    It is written beside the file, brought to the disk, and renamed, which replaces in one step.

    Raises:
        OSError: If it cannot be written, on a full disk for instance; nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.partial")  # one name: a killed run leaves one at most
    try:
        with beside.open("wb") as file:
            writing = _Writing(file)
            torch.save(content, cast(IO[bytes], writing))
            if writing.error is not None:
                raise writing.error
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            beside.unlink()
        raise
    if hasattr(os, "O_DIRECTORY"):  # the renaming itself, where folders can be opened
        folder = os.open(path.parent, os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


class AtomicCheckpoints(TorchCheckpointIO):
    """Writes checkpoints by :func:`write_atomically`; reads them without running code of theirs."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        """Write, or raise a :class:`CheckpointError` and leave the file that was there."""
        try:
            write_atomically(checkpoint, Path(path))
        except OSError as error:
            weights = sum(value.nbytes for value in checkpoint["state_dict"].values())
            raise CheckpointError(
                f"no checkpoint could be written to {path} (its weights alone have {weights:,} "
                f"bytes): {error.strerror or error}. Free some space, or choose another folder by "
                f"--out."
            ) from error

    def load_checkpoint(
        self, path: Any, map_location: Any = "cpu", weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Content of a checkpoint; tensors and plain values only, whatever was asked for."""
        content: dict[str, Any] = super().load_checkpoint(path, map_location, weights_only=True)
        return content


class KeepLast(Checkpoint):
    """Keeps the last checkpoint of a run, ``FOLDER/checkpoints/last.ckpt``, and resumes from one.

    It is written after every pass and, in between, after every ``every`` steps. The weights after
    resuming are those of a run that was not interrupted, to the bit where the arithmetic itself is
    deterministic. No checkpoint is chosen by its accuracy on the test part.

    Args:
        every: Steps of the optimiser between two checkpoints within a pass; 0 for none there.
    """

    def __init__(self, every: int = 0) -> None:
        self.every = every
        self.path: Path | None = None
        self._saved_step = 0
        self._to_restore: dict[str, Any] | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self.path = Path(str(trainer.log_dir)) / "checkpoints" / "last.ckpt"

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        # Only now: what prepares a run draws numbers that an uninterrupted run drew elsewhere.
        if self._to_restore is not None:
            set_random_state(self._to_restore)
            self._to_restore = None

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        # Once a step, which takes several batches where gradients are accumulated. The last batch
        # of a pass is left to the end of the pass, after its evaluation.
        step = trainer.global_step
        is_due = self.every and step % self.every == 0 and step != self._saved_step
        if is_due and not trainer.is_last_batch:
            self._save(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        assert self.path is not None
        trainer.save_checkpoint(self.path)
        self._saved_step = trainer.global_step

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        bad = next(not_finite(checkpoint["state_dict"]), None)
        told: list[Any] = [(bad, random_state())]
        if trainer.world_size > 1:  # the first process alone may hold the weights
            told *= trainer.world_size
            torch.distributed.all_gather_object(told, told[0])
        for name, _ in told:
            if name is not None:
                raise FloatingPointError(
                    f"{name} is no longer finite after step {trainer.global_step}; no checkpoint "
                    f"is made of it. Try a lower learning rate, warm-up or clipping "
                    f"(--clip_norm 1)."
                )
        checkpoint[RANDOM_STATES] = [state for _, state in told]
        progress = trainer.fit_loop.epoch_progress.current
        checkpoint[FINISHED_EPOCHS] = progress.processed  # type: ignore[attr-defined]

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        states = checkpoint.get(RANDOM_STATES, [])
        if trainer.global_rank < len(states):
            self._to_restore = states[trainer.global_rank]
        self._saved_step = checkpoint["global_step"]

    def on_before_backward(
        self, trainer: Trainer, pl_module: LightningModule, loss: Tensor
    ) -> None:
        """Stop before a loss that is no number reaches the weights."""
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f"the training loss became {loss.item()} in epoch {trainer.current_epoch + 1}, "
                f"after step {trainer.global_step}. Try a lower learning rate, warm-up or clipping "
                f"(--clip_norm 1), and look for values that are not finite in the data."
            )


def require_as_many_processes(content: dict[str, Any], processes: int, path: Path) -> None:
    """Raise a :class:`CheckpointError` if others cannot go on in the middle of a pass.

    Each process has come so far in its own part of the data.

    Args:
        content: Of the checkpoint.
        processes: How many will train together.
        path: Of the checkpoint, for the error.
    """
    before = len(content.get(RANDOM_STATES, [])) or processes
    if before != processes and is_in_a_pass(content):
        number = progress_of(content)[0] + 1
        raise CheckpointError(
            f"{path} is of the middle of epoch {number}, in which {before} processes "
            f"had each seen a part of the data; this run has {processes}. Go on with "
            f"--devices {before}, or from a checkpoint of the end of an epoch."
        )


def not_finite(state: dict[str, Tensor]) -> Iterator[str]:
    """Names of the tensors with a value that is infinite or NaN."""
    for name, value in state.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            yield name
