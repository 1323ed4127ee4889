"""Read a checkpoint, and tell whether it belongs to a network, before anything is changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zipfile import ZipFile, is_zipfile

import torch
from torch import nn

from models.recipe import Recipe

FINISHED_EPOCHS = "finished_epochs"
"""Entry of a checkpoint: how many passes over the training part had come to their end."""


class CheckpointError(ValueError):
    """A checkpoint is missing, unreadable, of another network, or cannot be written."""


def require_intact(path: Path) -> None:
    """Raise a ``ValueError`` if a file of ``torch.save`` has other bytes than were written.

    PyTorch writes a checksum of each tensor and does not compare it when it reads. Files without
    checksums, of other formats, pass.
    """
    if is_zipfile(path):
        with ZipFile(path) as archive:
            spoilt = archive.testzip()
        if spoilt is not None:
            raise ValueError(f"{spoilt} in it does not have its checksum")


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Content of a checkpoint that ``models.train`` wrote; runs no code from the file.

    Raises:
        CheckpointError: If it is missing, corrupt, truncated, or not one of ours.
    """
    if not path.is_file():
        raise CheckpointError(
            f"no checkpoint at {path}; expected a file that models.train wrote, "
            f"such as runs/digits/version_0/checkpoints/last.ckpt."
        )
    try:
        require_intact(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a broken file can fail in any way
        raise CheckpointError(
            f"{path} cannot be read as a checkpoint ({path.stat().st_size:,} bytes): it is "
            f"corrupt, truncated or of another kind. Use another one, or train again."
        ) from error
    if not isinstance(content, dict) or not {"state_dict", "hyper_parameters"} <= content.keys():
        raise CheckpointError(
            f"{path} is no checkpoint of models.train: expected the entries state_dict and "
            f"hyper_parameters. Weights alone cannot be resumed or evaluated."
        )
    return content


def progress_of(content: dict[str, Any]) -> tuple[int, int]:
    """Finished epochs and steps of the optimiser of a checkpoint."""
    # Versions that wrote at the end of an epoch alone told no more than its number.
    return content.get(FINISHED_EPOCHS, content["epoch"] + 1), content["global_step"]


def is_in_a_pass(content: dict[str, Any]) -> bool:
    """Whether a checkpoint was written in the middle of a pass over the training part."""
    passes = content["loops"]["fit_loop"]["epoch_progress"]["current"]
    return bool(passes["started"] > passes["processed"])


def recipe_of(content: dict[str, Any], path: Path) -> Recipe:
    """The recipe that a checkpoint was trained with.

    Raises:
        CheckpointError: If it names none, or one that this version does not know.
    """
    try:
        return Recipe.from_dict(content["hyper_parameters"]["recipe"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path} holds no recipe that this version can read: {str(error).rstrip('.')}. "
            f"Evaluate it with the version that wrote it."
        ) from error


def require_same_architecture(content: dict[str, Any], model: nn.Module, path: Path) -> None:
    """Raise a :class:`CheckpointError` unless every weight of the checkpoint fits the model.

    Args:
        content: Of the checkpoint.
        model: What the weights would be loaded into; it is not changed.
        path: Of the checkpoint, for the error.
    """
    theirs = {key: tuple(value.shape) for key, value in content["state_dict"].items()}
    ours = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    if theirs == ours:
        return
    facts = []
    for key in sorted(theirs.keys() | ours.keys()):
        if theirs.get(key) != ours.get(key):
            facts.append(
                f"{key}: {theirs.get(key, 'absent')} there, {ours.get(key, 'absent')} here"
            )
    more = f"; and {len(facts) - 3} more" if len(facts) > 3 else ""
    trained = recipe_of(content, path)
    place = f' with "{trained.block}" after {", ".join(trained.after)}' if trained.block else ""
    raise CheckpointError(
        f"{path} is of another architecture: {trained.network}{place} on {trained.dataset}. "
        f"{'; '.join(facts[:3])}{more}. Resume with the recipe it was trained with; "
        f"nothing was changed."
    )


def require_same_course(content: dict[str, Any], recipe: Recipe, path: Path) -> None:
    """Raise a :class:`CheckpointError` if a recipe cannot go on from where a checkpoint is.

    The optimiser's state is that of one optimiser and its groups of parameters; in the middle of a
    pass, the place in it is that of one order of the data, in batches of one size. All else may
    change, the learning rate for instance.

    Args:
        content: Of the checkpoint.
        recipe: To go on with.
        path: Of the checkpoint, for the error.
    """
    before = recipe_of(content, path)
    kept = ["optimizer"]
    if is_in_a_pass(content):
        kept += ["dataset", "split", "batch_size", "accumulate", "seed"]
    values = {name: (getattr(before, name), getattr(recipe, name)) for name in kept}
    values["the patterns of rates"] = list(before.rates), list(recipe.rates)
    changed = [f"{name}: {a!r} there, {b!r} here" for name, (a, b) in values.items() if a != b]
    if changed:
        where = " and is of the middle of an epoch" if is_in_a_pass(content) else ""
        raise CheckpointError(
            f"{path} was trained otherwise{where}. {'; '.join(changed)}. Leave these as they were, "
            f"or start anew from its weights: --pretrained {path}"
        )
