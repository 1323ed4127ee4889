"""The table of what each task does in a step, and how it measures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from models.checkpoints import recipe_of, require_same_architecture
from models.distillation import Distiller
from models.recipe import Recipe
from models.reidentification import Reidentifier
from models.tasks import Classification, Distillation, Reidentification, Task
from models.training import Classifier, Learner

LEARNERS: dict[type[Task], type[Learner]] = {
    Classification: Classifier,
    Distillation: Distiller,
    Reidentification: Reidentifier,
}


def learner_of(recipe: Recipe) -> Learner:
    """The recipe's network and what it learns, untrained.

    Raises:
        ValueError: If a name, a position or an option is unknown.

    Example:
        >>> type(learner_of(Recipe("preresnet8", "digits"))).__name__
        'Classifier'
    """
    return LEARNERS[type(recipe.learning)](recipe)


def trained_learner(content: dict[str, Any], path: Path) -> Learner:
    """The network of a checkpoint with its weights, and what it has learned.

    Args:
        content: Of the checkpoint, as :func:`~models.checkpoints.read_checkpoint` gives it.
        path: Of the checkpoint, for errors.

    Raises:
        CheckpointError: If the checkpoint cannot be used.
    """
    model = learner_of(recipe_of(content, path))
    require_same_architecture(content, model, path)
    model.load_state_dict(content["state_dict"])
    return model
