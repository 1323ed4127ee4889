"""MARS as Lightning trains it: a network of RGB clips learns from one of optical flow."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from models.checkpoints import CheckpointError, read_checkpoint, recipe_of
from models.data import FLOW_CHANNELS
from models.mars import MarsDistillation
from models.networks import build_network
from models.recipe import Recipe
from models.tasks import Distillation
from models.training import Classifier, network_of
from models.weights import fit_weights, read_weights


class Distiller(Classifier):
    """Cross-entropy + α · mean squared error to the features of a frozen teacher that sees flow.

    Training clips carry the flow in the two channels after RGB; test clips do not, for the student
    alone answers. The teacher is no part of the checkpoint, which evaluates as any classifier's.

    Args:
        recipe: Its ``task_options`` name the teacher: a checkpoint of ``models.train``, or weights
            of the recipe's own network with two channels.
        network: Student in place of the recipe's own.

    Raises:
        ValueError: If the student has no features to compare.
    """

    def __init__(self, recipe: Recipe, network: nn.Module | None = None) -> None:
        super().__init__(recipe, network)
        self.require_features("distillation")
        # In a list, which hides it from the parameters and the state of this module.
        self._mars: list[MarsDistillation] = []

    def prepare(self) -> None:
        """Read the teacher."""
        task = cast(Distillation, self.recipe.learning)
        if task.teacher is None:
            raise CheckpointError(
                "distillation needs a trained network of optical flow. Train one, for instance by "
                "the recipe table8_mars_flow, and name its checkpoint: --task_options.teacher FILE."
            )
        teacher = read_teacher(Path(task.teacher), self.recipe)
        try:
            self._mars = [MarsDistillation(self.network, teacher, weight=task.weight)]
        except (TypeError, ValueError) as error:
            raise CheckpointError(
                f"{task.teacher} cannot teach {self.recipe.network}: {error}"
            ) from error

    def on_fit_start(self) -> None:
        """Bring the teacher to where the student is."""
        self._mars[0].teacher.to(device=self.device, dtype=cast(torch.dtype, self.dtype))

    def loss_of(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Sum of both losses; both are logged."""
        clips, classes = batch
        rgb, flow = clips.split([clips.shape[1] - FLOW_CHANNELS, FLOW_CHANNELS], dim=1)
        loss = self._mars[0](rgb, flow, classes)
        parts = {"train_cross_entropy": loss.cross_entropy}
        self.log_dict({**parts, "train_feature_error": loss.feature_error})
        return cast(Tensor, loss.total)


def read_teacher(path: Path, recipe: Recipe) -> nn.Module:
    """The network of flow that a file holds.

    Args:
        path: A checkpoint of ``models.train``, which tells its network; or weights alone, of the
            network that ``recipe`` names, without blocks.
        recipe: Of the student.

    Raises:
        CheckpointError: If the file is missing, unreadable, or of a network that sees no flow.
    """
    try:
        content = read_checkpoint(path)
    except CheckpointError:
        content = None  # weights alone; what is no weights either is told of below
    if content is None:
        network = build_network(
            recipe.network, in_channels=FLOW_CHANNELS, num_classes=recipe.spec.num_classes
        )
        weights = read_weights(path)
    else:
        theirs = recipe_of(content, path)
        if theirs.spec.in_channels != FLOW_CHANNELS:
            raise CheckpointError(
                f"{path} was trained on {theirs.dataset}, whose frames have "
                f"{theirs.spec.in_channels} channels; the teacher sees flow, which has "
                f"{FLOW_CHANNELS}. Train it on ucf101_flow or ucf101_flow_holdout."
            )
        network = network_of(theirs)
        weights = {
            name.removeprefix("network."): value
            for name, value in content["state_dict"].items()
            if name.startswith("network.")
        }
    matched = fit_weights(network, weights, str(path))
    # The features do not pass through the classifier, which may know other classes.
    lacking = [
        name
        for name in (*matched.absent, *matched.other_shape)
        if not name.startswith("fc.") and not name.endswith("num_batches_tracked")
    ]
    unused = [name for name in matched.unused if not name.startswith("fc.")]
    if lacking or unused:
        raise CheckpointError(
            f"{path} is not of the teacher's network: {matched}. Take weights of {recipe.network} "
            f"with {FLOW_CHANNELS} channels, or a checkpoint of models.train."
        )
    return network
