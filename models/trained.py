"""The network of a checkpoint, for programs that know a factory and a state dict."""

from __future__ import annotations

from typing import Any

from torch import nn

from models.recipe import Recipe
from models.training import network_of


def network(recipe: dict[str, Any]) -> nn.Module:
    """Untrained network with its blocks, as the recipe inside a checkpoint describes it.

    ``snl-graph explore IMAGE --model models.trained:network --checkpoint last.ckpt`` takes the
    recipe from the checkpoint's ``hyper_parameters``, and then its weights.

    Args:
        recipe: What :meth:`~models.recipe.Recipe.to_dict` gave.

    Raises:
        TypeError, ValueError: If the recipe is of another version.

    Example:
        >>> from snl_graph import inserted_blocks
        >>> recipe = {"network": "preresnet8", "block": "snl", "after": ["layer2.0"]}
        >>> sorted(inserted_blocks(network({"dataset": "digits", **recipe})))
        ['layer2.0']
    """
    return network_of(Recipe.from_dict(recipe))
