"""Re-identification as Lightning trains and measures it."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from models.data import rank
from models.mars import HasFeatures
from models.recipe import Recipe
from models.tasks import Reidentification
from models.training import Learner
from models.triplets import batch_hard_triplet_loss

TrainBatch = tuple[Tensor, Tensor, Tensor, Tensor]
"""Clips (B, C, T, H, W), persons as classes, cameras, whether they are queries: no one is."""

TestBatch = tuple[Tensor, Tensor, Tensor, Tensor]
"""Clips (B, V, C, T, H, W), persons, cameras, whether they are queries."""


class Reidentifier(Learner):
    """Cross-entropy of identities + batch-hard triplet loss; a search among the test tracklets.

    Source: Gao & Nevatia, Revisiting Temporal Modeling for Video-based Person ReID, 2018, §3.3.
    Tracklets are compared by the Euclidean distance of ``network.features``, averaged over the
    ``test_clips`` of each.

    Measures ``test_rank1``, ``test_mAP`` (fractions of 1) and ``test_loss``, the triplet loss of
    the queries against their farthest right and nearest wrong answer in the gallery.

    Where several processes train together, each finds triplets in its own part of a batch.

    Args:
        recipe: The recipe.
        network: Network to train in place of the recipe's own; it needs ``features`` and ``fc``.

    Raises:
        ValueError: If the network has no features to compare.

    Shapes:
        (B, C, T, H, W) → (B, persons).
    """

    def __init__(self, recipe: Recipe, network: nn.Module | None = None) -> None:
        super().__init__(recipe, network)
        self.require_features("re-identification")
        self.margin = cast(Reidentification, recipe.learning).margin
        self._seen: list[tuple[Tensor, ...]] = []

    def features(self, clips: Tensor) -> Tensor:
        """What tracklets are compared by: (B, V, C, T, H, W) → (B, F), the mean over V clips."""
        found = cast(HasFeatures, self.network).features(clips.flatten(0, 1))
        return found.unflatten(0, clips.shape[:2]).mean(dim=1)

    def loss_of(self, batch: TrainBatch) -> Tensor:
        """Sum of both losses; both are logged."""
        clips, persons, *_ = batch
        network = cast(HasFeatures, self.network)
        features = network.features(clips)
        cross_entropy = nn.functional.cross_entropy(network.fc(features), persons)
        triplet = batch_hard_triplet_loss(features, persons, self.margin)
        self.log_dict({"train_cross_entropy": cross_entropy, "train_triplet": triplet})
        return cross_entropy + triplet

    def validation_step(self, batch: TestBatch, index: int) -> None:
        """Keep the features of one batch."""
        clips, persons, cameras, queries = batch
        self._seen.append((self.features(clips), persons, cameras, queries))

    def on_validation_epoch_end(self) -> None:
        """Search the gallery for every query, and log what was found."""
        features, persons, cameras, queries = map(
            self._of_all_processes, zip(*self._seen, strict=True)
        )
        self._seen.clear()
        asked = queries.bool()
        distances = torch.cdist(features[asked].float(), features[~asked].float())
        which = (persons[asked], persons[~asked], cameras[asked], cameras[~asked])
        found = rank(distances.cpu(), *(values.cpu() for values in which))
        measured = {"test_rank1": found.rank1, "test_mAP": found.mean_average_precision}
        self.log_dict(measured, prog_bar=True)
        self.log("test_loss", search_loss(distances, *which, margin=self.margin))

    def _of_all_processes(self, parts: tuple[Tensor, ...]) -> Tensor:
        """One tensor in the order of the data set, each item once: (n_r, ...) of process r."""
        own = torch.cat(parts)
        if self.trainer.world_size == 1:
            return own
        # Lightning deals the items out in turn, and repeats the first ones until all have as many.
        every = cast(Tensor, self.all_gather(own)).transpose(0, 1).flatten(0, 1)
        trainer = self.trainer
        loader: Any = trainer.test_dataloaders if trainer.testing else trainer.val_dataloaders
        return every[: len(loader.dataset)]


def search_loss(
    distances: Tensor,
    query_persons: Tensor,
    gallery_persons: Tensor,
    query_cameras: Tensor,
    gallery_cameras: Tensor,
    *,
    margin: float,
) -> Tensor:
    """Mean over the queries of max(0, margin + farthest right answer − nearest wrong one).

    Right are the query's person before another camera; wrong are other persons. Queries without a
    right answer are left out.

    Args:
        distances: (Q, G).
        query_persons: (Q,).
        gallery_persons: (G,).
        query_cameras: (Q,).
        gallery_cameras: (G,).
        margin: Of the triplet loss.
    """
    same = query_persons[:, None] == gallery_persons[None, :]
    right = same & (query_cameras[:, None] != gallery_cameras[None, :])
    farthest = distances.where(right, -torch.inf).amax(dim=1)
    nearest = distances.where(~same, torch.inf).amin(dim=1)
    return (margin + farthest - nearest).clamp(min=0)[right.any(dim=1)].mean()
