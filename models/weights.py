"""Weights of a trained network as the start of another, and what of them fits."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.checkpoints import CheckpointError, require_intact

_WRAPPERS = ("state_dict", "model", "model_state_dict", "network")
_PREFIXES = ("module.", "network.", "model.", "backbone.")
"""What training programs put around a state dictionary, and before its names."""


@dataclass(frozen=True)
class Matched:
    """Which weights of a file fit a network, by name.

    Attributes:
        loaded: In both, of one shape.
        absent: In the network alone: they keep their first values.
        other_shape: In both, of different shapes; not loaded.
        unused: In the file alone.
    """

    loaded: frozenset[str]
    absent: tuple[str, ...]
    other_shape: tuple[str, ...]
    unused: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"{len(self.loaded)} weights loaded"]
        for what, names in (
            ("not in the file", self.absent),
            ("of another shape", self.other_shape),
            ("not used", self.unused),
        ):
            if names:
                more = f" and {len(names) - 3} more" if len(names) > 3 else ""
                lines.append(f"{len(names)} {what}: {', '.join(names[:3])}{more}")
        return "; ".join(lines)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Weights by name from a ``.safetensors`` file or one that ``torch.save`` wrote.

    Runs no code from the file. Of a checkpoint, the weights alone are taken; the prefixes that
    training programs put before all names are taken off.

    Raises:
        CheckpointError: If the file is missing, cannot be read, or holds something else.
    """
    if not path.is_file():
        raise CheckpointError(f"no weights at {path}; expected a .safetensors, .pth or .ckpt file.")
    try:
        content = _read(path)
    except ImportError as error:
        raise CheckpointError(f"{path} needs the package safetensors: install it.") from error
    except Exception as error:
        # safetensors, zip files and pickles have no error in common but Exception.
        reason = str(error) if " " in str(error) else "it is of another kind"
        if isinstance(error, pickle.UnpicklingError):
            reason = "it would run code, or is of another kind"
        raise CheckpointError(
            f"{path} cannot be read as weights ({path.stat().st_size:,} bytes): {reason[:200]}. "
            f"Save it anew as a plain state dictionary, or as .safetensors."
        ) from error
    for wrapper in _WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict) or not content:
        raise CheckpointError(f"{path} holds no weights by name, but {type(content).__name__}.")
    weights = {name: value for name, value in content.items() if isinstance(value, Tensor)}
    for prefix in _PREFIXES:
        if weights and all(name.startswith(prefix) for name in weights):
            weights = {name.removeprefix(prefix): value for name, value in weights.items()}
    return weights


def _read(path: Path) -> Any:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    require_intact(path)
    return torch.load(path, map_location="cpu", weights_only=True)


def load_weights(network: nn.Module, path: Path) -> Matched:
    """Copy into the network what the file has under the same name and of the same shape.

    The names of a network do not change when blocks are inserted, so weights of the network
    without blocks fit it with them.

    Raises:
        CheckpointError: If the file cannot be read or nothing of it fits; the network is as before.
    """
    return fit_weights(network, read_weights(path), str(path))


def fit_weights(network: nn.Module, theirs: Mapping[str, Tensor], source: str) -> Matched:
    """Copy into the network the weights of the same name and shape.

    Args:
        network: Changed in place.
        theirs: Weights by name.
        source: Where they are from, for the error.

    Raises:
        CheckpointError: If nothing of them fits; the network is as before.
    """
    ours = network.state_dict()
    same = {name for name in ours if name in theirs and theirs[name].shape == ours[name].shape}
    if not any(name in same for name, _ in network.named_parameters()):
        raise CheckpointError(
            f"nothing in {source} fits: it has {', '.join(list(theirs)[:3])} …, the network "
            f"{', '.join(list(ours)[:3])} …. Choose the network whose weights these are."
        )
    network.load_state_dict({name: theirs[name] for name in same}, strict=False)
    return Matched(
        loaded=frozenset(same),
        absent=tuple(name for name in ours if name not in theirs),
        other_shape=tuple(name for name in ours if name in theirs and name not in same),
        unused=tuple(name for name in theirs if name not in ours),
    )
