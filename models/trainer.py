"""Lightning's trainer as every run uses it, and what ends a run before its time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from jsonargparse import Namespace
from lightning import Callback, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.strategies import Strategy

from models.checkpoints import CheckpointError, progress_of, read_checkpoint
from models.data import DataFileError
from models.entry import RunStoppedError, devices_of
from models.finetune import NewFirst
from models.recipe import Recipe
from models.saving import AtomicCheckpoints, KeepLast
from models.sharding import FullySharded, check_device
from models.training import Learner
from snl_graph.monitor import MonitorCallback
from snl_graph.names import lookup

STRATEGIES: dict[str, Callable[[], str | Strategy]] = {
    "auto": lambda: "auto",
    "ddp": lambda: "ddp",
    "fsdp": FullySharded,
}
"""How several devices share a run: by themselves, with copies of the network, or with parts."""


def make_trainer(
    name: str,
    recipe: Recipe,
    options: Namespace,
    steps_per_epoch: int,
    model: Learner,
    batches: int | None = None,
) -> Trainer:
    """Trainer that writes to a run folder of its own, ``OUT/NAME/version_N`` with N not yet used.

    Args:
        name: Of the recipe.
        recipe: Epochs, accumulation, clipping and what is frozen at first.
        options: Of the command line.
        steps_per_epoch: Decides how often metrics are logged.
        model: What will be trained.
        batches: At most so many of each part in an epoch.

    Raises:
        ValueError: If the strategy is unknown, or cannot train on such devices.
    """
    strategy = lookup(STRATEGIES, options.strategy, "strategy")()
    csv = CSVLogger(options.out, name=name)
    tensorboard = TensorBoardLogger(
        options.out, name=name, version=csv.version, default_hp_metric=False
    )
    callbacks: list[Callback] = [KeepLast(options.checkpoint_every), RichProgressBar()]
    if options.monitor:
        callbacks.append(MonitorCallback(every=options.monitor))
    if recipe.frozen_epochs:
        callbacks.append(NewFirst(model.network, recipe.frozen_epochs))
    trainer = Trainer(
        accelerator=options.accelerator,
        devices=devices_of(options.devices),
        strategy=strategy,
        precision=options.precision,
        deterministic=options.deterministic,
        max_epochs=recipe.epochs,
        accumulate_grad_batches=recipe.accumulate,
        gradient_clip_val=recipe.clip_norm or None,
        limit_train_batches=batches,
        limit_val_batches=batches,
        check_val_every_n_epoch=recipe.test_every,
        logger=[csv, tensorboard],
        plugins=[AtomicCheckpoints()],
        callbacks=callbacks,
        num_sanity_val_steps=0,
        # Weights that were gathered for the first time in it would be of no use to training.
        inference_mode=not isinstance(strategy, FullySharded),
        enable_model_summary=False,
        # In each epoch, on 16 devices too.
        log_every_n_steps=max(1, min(50, steps_per_epoch // 16)),
    )
    if isinstance(strategy, FullySharded):
        check_device(strategy.root_device)
    return trainer


@contextmanager
def told_where_to_go_on(trainer: Trainer) -> Iterator[None]:
    """Add to an error that ends a run which checkpoint it leaves.

    Args:
        trainer: Of the run.

    Raises:
        RunStoppedError: For a full disk, an item that cannot be read, or a loss that is no number.
    """
    try:
        yield
    except (CheckpointError, DataFileError, FloatingPointError, OSError) as error:
        keeper = trainer.checkpoint_callback
        path = keeper.path if isinstance(keeper, KeepLast) else None
        if path is not None and path.is_file():
            epochs, steps = progress_of(read_checkpoint(path))
            rest = (
                f"The last good checkpoint, after {epochs} epochs and {steps} steps in all, is "
                f"{path}: go on with --resume {path}"
            )
        else:
            rest = (
                "No checkpoint had been written yet: one is at the end of each epoch, and within "
                "them with --checkpoint_every STEPS."
            )
        raise RunStoppedError(f"{error} {rest}") from error
