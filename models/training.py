"""Networks as Lightning trains them: what all tasks share, and classification."""

from __future__ import annotations

import inspect
import math
from abc import ABC, abstractmethod
from typing import Any, cast

import torch
from lightning import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torchmetrics import MeanMetric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from models.checkpoints import is_in_a_pass, progress_of
from models.data import ClipSpec
from models.finetune import parameter_groups
from models.networks import build_network
from models.norms import NORMS
from models.recipe import Recipe
from models.rivals import add_rival
from models.schedules import OPTIMIZERS, learning_rate_factor
from snl_graph import insert_block, nonlocal_block
from snl_graph.names import lookup


def network_of(recipe: Recipe) -> nn.Module:
    """The recipe's network with its blocks.

    Raises:
        ValueError: If a name, a position or an option of the block is unknown.
    """
    spec = recipe.spec
    network = build_network(
        recipe.network, in_channels=spec.in_channels, num_classes=spec.num_classes
    )
    NORMS[recipe.norm](network)
    frames = (spec.sampling.frames,) if isinstance(spec, ClipSpec) else ()
    example = torch.zeros(1, spec.in_channels, *frames, *spec.size)
    if recipe.rival is not None:
        add_rival(network, recipe.rival, example)
    if recipe.block is None:
        return network
    known = dict.fromkeys(inspect.signature(nonlocal_block).parameters)
    for option in recipe.block_options:
        lookup(known, option, "option of the block")
    options = dict(recipe.block_options)
    if recipe.norm != "batch":  # the block's own default
        options.setdefault("norm", recipe.norm)
    for position in recipe.after:
        insert_block(
            network,
            after=position,
            block=recipe.block,
            example=example,
            zero_init=recipe.zero_init,
            **options,
        )
    return network


class Learner(LightningModule, ABC):
    """Network, optimiser and schedule of a recipe; a task says what is learned and measured.

    Logs ``train_loss`` and ``learning_rate`` at each logging step, and what the task measures each
    epoch.

    Args:
        recipe: The recipe; kept as a hyper-parameter, so that a checkpoint tells its network.
        network: Network to train in place of the recipe's own.
    """

    def __init__(self, recipe: Recipe, network: nn.Module | None = None) -> None:
        super().__init__()
        self.save_hyperparameters({"recipe": recipe.to_dict()})
        self.recipe = recipe
        self.network = network_of(recipe) if network is None else network
        self._passes: int | None = None

    def require_features(self, task: str) -> None:
        """Raise a ``ValueError`` if the network does not show what its classifier ``fc`` sees."""
        if not hasattr(self.network, "features") or not hasattr(self.network, "fc"):
            raise ValueError(
                f"{task} compares features; the network {self.recipe.network} has no "
                f'features(clips) and fc. "resnet50tp", "resnet3d50" and "resnext3d101" have.'
            )

    def prepare(self) -> None:
        """Get what training needs beside the network and the data; measuring does not need it.

        Raises:
            CheckpointError: If it is missing or does not fit.
        """

    def forward(self, images: Tensor) -> Tensor:
        """Class scores of the images or clips."""
        scores: Tensor = self.network(images)
        return scores

    @abstractmethod
    def loss_of(self, batch: Any) -> Tensor:
        """Mean loss of the items of a training batch, which are (input, label, ...)."""

    def training_step(self, batch: Any, index: int) -> Tensor:
        """Loss of one batch."""
        loss = self.loss_of(batch)
        self.log("train_loss", loss, prog_bar=True)
        self.log("learning_rate", self.optimizers().param_groups[0]["lr"])  # type: ignore[union-attr]
        return loss * self._weight(len(batch[1]))

    def _weight(self, count: int) -> float:
        """What makes the mean over processes the mean over images, where their parts differ."""
        world = self.trainer.world_size
        if world == 1:
            return 1.0
        total = torch.tensor(count, device=self.device)
        torch.distributed.all_reduce(total)
        return count * world / int(total)

    def on_validation_start(self) -> None:
        """Measure what a checkpoint holds: the running statistics of the first process."""
        if self.trainer.world_size > 1:
            for buffer in self.network.buffers():
                torch.distributed.broadcast(buffer, src=0)

    def test_step(self, batch: Any, index: int) -> None:
        """As in validation: both see the test part."""
        self.validation_step(batch, index)

    def on_test_epoch_end(self) -> None:
        """As after validation."""
        self.on_validation_epoch_end()

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Optimiser, and the schedule at every step."""
        groups = parameter_groups(self.network, self.recipe.learning_rate, self.recipe.rates)
        optimizer = OPTIMIZERS[self.recipe.optimizer](groups, self.recipe)
        steps = self.trainer.estimated_stepping_batches
        self._steps_per_epoch = max(int(steps) / self.recipe.epochs, 1)
        schedule = LambdaLR(
            optimizer,
            # The first step of a warm-up is not of length zero.
            lambda step: (
                learning_rate_factor((step + 1) / self._steps_per_epoch, self.recipe)
                if step < self.recipe.warmup_epochs * self._steps_per_epoch
                else learning_rate_factor(step / self._steps_per_epoch, self.recipe)
            ),
        )
        self._options = [
            {name: value for name, value in group.items() if name != "params"}
            for group in optimizer.param_groups
        ]
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Note how many passes a run that goes on has behind it; of its own steps, maybe others."""
        self._passes = None if is_in_a_pass(checkpoint) else progress_of(checkpoint)[0]

    def on_train_start(self) -> None:
        """Go on by this recipe: a checkpoint has brought the rates and the schedule of its own."""
        (optimizer,), (config,) = self.trainer.optimizers, self.trainer.lr_scheduler_configs
        schedule = cast(LambdaLR, config.scheduler)
        if self._passes is not None:
            schedule.last_epoch = round(self._passes * self._steps_per_epoch)
        schedule.base_lrs = [own["initial_lr"] for own in self._options]
        schedule._last_lr = [
            rate * factor(schedule.last_epoch)
            for rate, factor in zip(schedule.base_lrs, schedule.lr_lambdas, strict=True)
        ]
        for group, own, rate in zip(
            optimizer.param_groups, self._options, schedule._last_lr, strict=True
        ):
            group.update(own, lr=rate)


def answers_of(scores: Tensor, classes: Tensor) -> Tensor:
    """Scores (B, classes) as they are; where one is no number, the right class comes last.

    To the largest of several NaN an accuracy would give the first class, and call it right.

    Example:
        >>> answers_of(torch.tensor([[float("nan"), 1.0]]), torch.tensor([0]))
        tensor([[-1.,  0.]])
    """
    is_answer = scores.isfinite().all(-1, keepdim=True)
    return scores.where(is_answer, -nn.functional.one_hot(classes, scores.shape[-1]))


class Classifier(Learner):
    """Cross-entropy and accuracies.

    Measures ``test_loss``, ``test_top1`` and, with more than five classes, ``test_top5`` (fractions
    of 1).

    Args:
        recipe: The recipe.
        network: Network to train in place of the recipe's own.

    Shapes:
        (B, C, H, W), or clips (B, C, T, H, W), → (B, classes).
    """

    def __init__(self, recipe: Recipe, network: nn.Module | None = None) -> None:
        super().__init__(recipe, network)
        classes = recipe.spec.num_classes
        top = (1, 5) if classes > 5 else (1,)
        self.accuracy = MetricCollection(
            {f"test_top{k}": MulticlassAccuracy(classes, top_k=k, average="micro") for k in top}
        )
        self.loss = MeanMetric(nan_strategy="disable")  # a loss that is no number is shown so

    def loss_of(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Cross-entropy."""
        images, classes = batch
        return nn.functional.cross_entropy(self(images), classes)

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        """Accuracies and loss of one batch of the test part."""
        images, classes = batch
        # Scores of an image; of a video, logarithms of the mean probabilities of its clips.
        scores = self._video_scores(images) if images.dim() == 6 else self(images)
        self.accuracy.update(answers_of(scores, classes), classes)
        self.loss.update(nn.functional.cross_entropy(scores, classes, reduction="none"))

    def _video_scores(self, clips: Tensor) -> Tensor:
        """Logarithms, which do not underflow: (B, V, C, T, H, W) → (B, classes)."""
        batch, num_clips = clips.shape[:2]
        chances: Tensor = self(clips.flatten(0, 1)).log_softmax(-1)
        return chances.unflatten(0, (batch, num_clips)).logsumexp(1) - math.log(num_clips)

    def on_validation_epoch_end(self) -> None:
        """Log what the epoch gave, over all devices."""
        # Already summed over the devices; said once more for Lightning.
        self.log_dict(self.accuracy.compute(), prog_bar=True, sync_dist=True)
        self.log("test_loss", self.loss.compute(), sync_dist=True)
        self.accuracy.reset()
        self.loss.reset()
