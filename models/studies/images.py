"""Runs that classify images: a recipe, with the images in memory and Lightning as the loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer, seed_everything
from torch import nn
from torchvision.ops import SqueezeExcitation

from models.data import DATASETS
from models.data.in_memory import Batches, load
from models.recipe import Recipe
from models.studies.trial import Outcome, Trial
from models.training import Classifier, network_of
from snl_graph import insert_block, probe

TEST_BATCH = 250

RIVALS: dict[str, Callable[[int], nn.Module]] = {
    # Hu et al., 2018, with their reduction of 16.
    "se": lambda channels: SqueezeExcitation(channels, max(channels // 16, 1)),
}
"""Blocks that are not of this library, made for a number of channels."""


def build(recipe: Recipe) -> nn.Module:
    """The recipe's network with its blocks, which may be one of :data:`RIVALS`."""
    if recipe.block not in RIVALS:
        return network_of(recipe)
    network = network_of(replace(recipe, block=None))
    spec = DATASETS[recipe.dataset]
    example = torch.zeros(2, spec.in_channels, *spec.size)
    for position in recipe.after:
        feature_map, _ = probe.feature_map_of(network, position, example)
        rival = RIVALS[recipe.block](feature_map.shape[1])
        insert_block(network, after=position, block=rival, example=example)
    return network


class TrainLoss(Callback):
    """Mean loss of the last epoch; stops a run whose loss is no number."""

    def __init__(self) -> None:
        self.losses: list[torch.Tensor] = []

    @property
    def mean(self) -> float:
        """Over the steps of the last epoch."""
        return float(torch.stack(self.losses).mean())

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.losses.clear()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        self.losses.append(outputs["loss"].detach())

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self.mean - self.mean == 0:  # infinite or NaN
            raise FloatingPointError(
                f"the training loss became {self.mean} in epoch {trainer.current_epoch + 1}."
            )


def fit(model: Classifier, train: Iterable[Any], test: Iterable[Any]) -> Outcome:
    """Train on the CPU by the model's recipe, then test once. Nothing is chosen on the test part.

    Raises:
        FloatingPointError: If the training loss is infinite or NaN.
    """
    train_loss = TrainLoss()
    trainer = Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=model.recipe.epochs,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[train_loss],
        check_val_every_n_epoch=model.recipe.epochs,
        num_sanity_val_steps=0,
    )
    trainer.fit(model, train, test)
    return Outcome(
        accuracy=float(trainer.callback_metrics["test_top1"]),
        train_loss=train_loss.mean,
        parameters=sum(p.numel() for p in model.parameters()),
    )


@dataclass(frozen=True)
class ImageTrial(Trial):
    """A recipe on a fixed, balanced part of the training images, tested on all test images.

    Runs of one seed share the first weights of everything but the block, and see the same images
    in the same order, augmented alike.

    Args:
        recipe: Its seed is not used.
        images_per_class: The first so many of each class are trained on; None takes all.
    """

    recipe: Recipe
    images_per_class: int | None = None

    @property
    def datasets(self) -> tuple[str, ...]:
        return (self.recipe.dataset,)

    def run(self, seed: int, data: Path) -> Outcome:
        recipe = replace(self.recipe, seed=seed)
        seed_everything(seed, verbose=False)
        model = Classifier(recipe, build(recipe))
        train = load(recipe.dataset, data, train=True)
        if self.images_per_class is not None:
            train = train.first_of_each_class(self.images_per_class)
        return fit(
            model,
            Batches(
                train,
                recipe.batch_size,
                seed,
                crop_padding=recipe.crop_padding,
                flip=recipe.flip,
            ),
            Batches(load(recipe.dataset, data, train=False), TEST_BATCH),
        )
