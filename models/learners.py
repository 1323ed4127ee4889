"""The table of what each task does in a step, and how it measures."""

from __future__ import annotations

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
