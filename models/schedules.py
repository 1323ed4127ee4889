"""Optimisers and learning-rate schedules by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from models.recipe import Recipe


def _sgd(groups: list[dict[str, Any]], recipe: Recipe) -> torch.optim.Optimizer:
    return torch.optim.SGD(
        groups,
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        dampening=recipe.dampening,
        weight_decay=recipe.weight_decay,
    )


def _adam(groups: list[dict[str, Any]], recipe: Recipe) -> torch.optim.Optimizer:
    return torch.optim.Adam(groups, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)


def _adamw(groups: list[dict[str, Any]], recipe: Recipe) -> torch.optim.Optimizer:
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)


OPTIMIZERS: dict[str, Callable[[list[dict[str, Any]], Recipe], torch.optim.Optimizer]] = {
    "sgd": _sgd,
    "adam": _adam,
    "adamw": _adamw,
}


def _multi_step(epoch: float, recipe: Recipe) -> float:
    passed = sum(epoch >= milestone for milestone in recipe.milestones)
    return float(recipe.gamma**passed)


def _cosine(epoch: float, recipe: Recipe) -> float:
    length = max(recipe.epochs - recipe.warmup_epochs, 1e-9)
    progress = min(max(epoch - recipe.warmup_epochs, 0) / length, 1)
    return 0.5 * (1 + math.cos(math.pi * progress))


SCHEDULES: dict[str, Callable[[float, Recipe], float]] = {
    "multi_step": _multi_step,
    "cosine": _cosine,
}


def learning_rate_factor(epoch: float, recipe: Recipe) -> float:
    """Learning rate after ``epoch`` epochs (a fraction within one), relative to the recipe's.

    min(1, epoch / warmup_epochs) times the schedule's own factor: ``gamma`` to the number of
    milestones passed, or half a cosine over the epochs after the warm-up.

    Example:
        >>> from models.recipe import Recipe
        >>> recipe = Recipe("preresnet8", "digits", epochs=300, warmup_epochs=10,
        ...                 milestones=(150, 250))
        >>> [round(learning_rate_factor(epoch, recipe), 4) for epoch in (0, 5, 10, 149.9, 150, 250)]
        [0.0, 0.5, 1.0, 1.0, 0.1, 0.01]
    """
    warm_up = min(1.0, epoch / recipe.warmup_epochs) if recipe.warmup_epochs else 1.0
    return warm_up * SCHEDULES[recipe.schedule](epoch, recipe)
