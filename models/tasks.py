"""What a run learns, by name: classes, classes with a teacher's features, or telling persons apart.

A task holds the options of a recipe that only it has. What it does in a step is in
:mod:`models.learners`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from models.data import ClipSpec, DatasetSpec, TrackletSpec
from snl_graph.names import lookup


@dataclass(frozen=True)
class Task:
    """Options of one kind of training, and what they ask of its data.

    Attributes:
        takes: Kind of data set it needs.
        leaves: Kind of data set that is for another task, though it is one of ``takes``.
    """

    takes: ClassVar[type[DatasetSpec]] = DatasetSpec
    leaves: ClassVar[tuple[type[DatasetSpec], ...]] = ()

    def check(self, dataset: str, spec: DatasetSpec, batch_size: int) -> None:
        """Raise a :class:`ValueError` where data and task do not go together.

        Args:
            dataset: Name of the data set.
            spec: The data set itself.
            batch_size: Of the recipe.
        """
        if not isinstance(spec, self.takes) or isinstance(spec, self.leaves):
            name = next(name for name, kind in TASKS.items() if kind is type(self))
            raise ValueError(
                f'the data set "{dataset}" is of no use for the task "{name}". Data sets of '
                f"tracklets go with the task reidentification, of videos with classification or "
                f"distillation, of images with classification."
            )

    def data_options(self) -> dict[str, Any]:
        """Options for the data module."""
        return {}

    def small(self, batch_size: int) -> Task:
        """The same where a batch has so few items, for a dry run."""
        return self


@dataclass(frozen=True)
class Classification(Task):
    """Cross-entropy; Top-1 and Top-5 accuracy."""

    leaves: ClassVar[tuple[type[DatasetSpec], ...]] = (TrackletSpec,)


@dataclass(frozen=True)
class Distillation(Classification):
    """Cross-entropy and the distance to the features of a teacher that sees optical flow (MARS).

    Args:
        teacher: Checkpoint of a network trained with flow, or its weights alone.
        weight: α, of the mean squared error of the features.
    """

    teacher: str | None = None
    weight: float = 50.0

    takes: ClassVar[type[DatasetSpec]] = ClipSpec

    def check(self, dataset: str, spec: DatasetSpec, batch_size: int) -> None:
        super().check(dataset, spec, batch_size)
        if not self.weight >= 0:
            raise ValueError(f"the weight of distillation must be at least 0; got {self.weight}.")

    def data_options(self) -> dict[str, Any]:
        return {"with_flow": True}


@dataclass(frozen=True)
class Reidentification(Task):
    """Cross-entropy of identities and triplet loss; rank-1 and mean average precision.

    Args:
        margin: Of the triplet loss.
        tracklets: Of each person in a batch, K; ``batch_size`` is P persons · K.
    """

    margin: float = 0.3
    tracklets: int = 4

    takes: ClassVar[type[DatasetSpec]] = TrackletSpec

    def check(self, dataset: str, spec: DatasetSpec, batch_size: int) -> None:
        super().check(dataset, spec, batch_size)
        if not self.margin >= 0:
            raise ValueError(f"the margin of triplets must be at least 0; got {self.margin}.")
        if self.tracklets < 2 or batch_size < 2 * self.tracklets or batch_size % self.tracklets:
            raise ValueError(
                f"triplets need two tracklets of each person and two persons a batch; got "
                f"tracklets={self.tracklets} and batch_size={batch_size}. Take a multiple of "
                f"tracklets, such as 4 and 32: eight persons with four each."
            )

    def data_options(self) -> dict[str, Any]:
        return {"tracklets": self.tracklets}

    def small(self, batch_size: int) -> Task:
        return replace(self, tracklets=min(self.tracklets, batch_size // 2))


TASKS: dict[str, type[Task]] = {
    "classification": Classification,
    "distillation": Distillation,
    "reidentification": Reidentification,
}
"""Tasks by name."""


def task_of(name: str, options: Mapping[str, Any]) -> Task:
    """The task of that name with those options.

    Raises:
        ValueError: If there is no such task or option; lists the choices.

    Example:
        >>> task_of("reidentification", {"margin": 0.2})
        Reidentification(margin=0.2, tracklets=4)
    """
    kind = lookup(TASKS, name, "task")
    known = {field.name: None for field in dataclasses.fields(kind)}
    for option in options:
        if not known:
            raise ValueError(f'the task "{name}" has no options; got "{option}" in task_options.')
        lookup(known, option, f"option of the task {name}")
    return kind(**options)
