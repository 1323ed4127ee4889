"""The two tasks, the three networks, and one training run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy.typing as npt
import torch
from lightning import Callback, LightningModule, Trainer, seed_everything
from torch import nn

from models.data import ImageDataModule
from models.entry import quiet
from models.recipe import Recipe
from models.training import Classifier
from snl_graph import insert_block

State = dict[str, npt.NDArray[Any]]

VARIANTS = ("none", "nl", "snl")


@dataclass(frozen=True)
class Task:
    """One task.

    Attributes:
        title: For people.
        recipe: Without a block; ``after`` says where one goes.
        short_epochs: In the short form.
        chance: Accuracy of a guess.
        from_digits: Whether training starts from the weights of the network without a block that
            was trained on the digits with the same seed.
    """

    title: str
    recipe: Recipe
    short_epochs: int
    chance: float
    from_digits: bool


_SHARED = Recipe(
    network="preresnet8",
    dataset="digits",
    batch_size=64,
    optimizer="adamw",
    weight_decay=0.01,
    schedule="cosine",
    warmup_epochs=1,
)
TASKS = {
    "digits": Task(
        title="Digits: which digit is it?",
        recipe=replace(_SHARED, after=("layer1.0",), epochs=10, learning_rate=0.003),
        short_epochs=2,
        chance=0.1,
        from_digits=False,
    ),
    # After layer3.0 the map is 2×10, and only BN and ReLU stand before the pooling: the block is
    # what brings the two digits together, and the ReLU after it can compare them.
    "far_pair": Task(
        title="Far pair: are the two digits of one class?",
        recipe=replace(
            _SHARED, dataset="far_pair", after=("layer3.0",), epochs=8, learning_rate=0.002
        ),
        short_epochs=3,
        chance=0.5,
        from_digits=True,
    ),
}


@dataclass(frozen=True)
class Run:
    """One training run: a task, a block or none, and a seed."""

    task: str
    variant: str
    seed: int
    epochs: int
    start: State | None = None


@dataclass(frozen=True)
class Result:
    """What one run gave.

    Attributes:
        task, variant, seed: Of the run.
        accuracy: On the test part, a fraction of 1, after the last epoch.
        parameters: Of the network with its block.
        seconds: Of training and testing, on the one thread of its process.
        state: Weights and statistics after training.
    """

    task: str
    variant: str
    seed: int
    accuracy: float
    parameters: int
    seconds: float
    state: State


def build(task: str, variant: str, start: State | None = None) -> Classifier:
    """Network of a run before training, with its block not zero-initialised.

    Args:
        task: Name in :data:`TASKS`.
        variant: "none" or a block.
        start: Weights of the digits network; its last layer is not used.
    """
    recipe = TASKS[task].recipe
    model = Classifier(recipe)
    if start is not None:
        weights = {k: torch.from_numpy(v) for k, v in start.items() if "network.fc." not in k}
        model.load_state_dict(weights, strict=False)
    if variant != "none":
        (after,) = recipe.after
        insert_block(model.network, after=after, block=variant, zero_init=False)
    return model


class _ReportEpochs(Callback):
    def __init__(self, report: Callable[[], None]) -> None:
        self.report = report

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.report()


def train(run: Run, report: Callable[[], None]) -> Result:
    """Train and test one network on one thread of the CPU.

    Runs of one seed are paired: they share the first weights of everything but the block, and see
    the same images in the same order.

    Args:
        run: What to do.
        report: Called after each epoch.
    """
    task = TASKS[run.task]
    began = time.perf_counter()
    with quiet():
        seed_everything(run.seed, verbose=False)
        model = build(run.task, run.variant, run.start)
        model.recipe = replace(task.recipe, epochs=run.epochs)
        data = ImageDataModule(task.recipe.dataset, batch_size=task.recipe.batch_size)
        data.setup()
        trainer = Trainer(
            accelerator="cpu",
            devices=1,
            max_epochs=run.epochs,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[_ReportEpochs(report)],
            check_val_every_n_epoch=run.epochs,
            num_sanity_val_steps=0,
        )
        seed_everything(run.seed, verbose=False)  # the block drew numbers of its own
        trainer.fit(model, data.train_dataloader(), data.val_dataloader())
    return Result(
        run.task,
        run.variant,
        run.seed,
        accuracy=float(trainer.callback_metrics["test_top1"]),
        parameters=sum(p.numel() for p in model.parameters()),
        seconds=time.perf_counter() - began,
        state={key: value.numpy().copy() for key, value in model.state_dict().items()},
    )


def trained(result: Result) -> nn.Module:
    """The network of a result, in evaluation mode."""
    model = build(result.task, result.variant)
    model.load_state_dict({key: torch.from_numpy(value) for key, value in result.state.items()})
    return model.network.eval()
