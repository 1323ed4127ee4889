"""Weights of trained networks by torchvision's names or from a file, for images and for clips."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import torch
from torch import Tensor, nn
from torchvision.models import Weights, get_model_weights, get_weight

from models.checkpoints import CheckpointError
from models.resnet3d import inflated
from models.weights import Matched, fit_weights, read_weights

FILES = (".safetensors", ".pth", ".pt", ".ckpt", ".tar", ".bin")
"""What a source ends in that is a file; anything else is a name."""


def load_pretrained(network: nn.Module, source: str, *, download: bool = False) -> Matched:
    """Copy into the network what fits of weights that somebody trained, and say what did.

    Weights of a 2-D network go into its 3-D twin too, inflated (see
    :func:`models.resnet3d.inflated`): ``resnet50`` into ``resnet3d50``. A classifier of another
    number of classes is left as it is, and so are inserted blocks.

    Args:
        network: Changed in place.
        source: A ``.safetensors`` file, one that ``torch.save`` wrote, or a name of torchvision:
            ``"ResNet50_Weights.IMAGENET1K_V1"``, or ``"resnet50"`` for its best ones.
        download: Whether torchvision's weights may be fetched where this machine has none.

    Returns:
        What was loaded, what the network has beside it, what had another shape, what was not used.

    Raises:
        CheckpointError: If there are no such weights here, they cannot be read, or nothing of them
            fits; the network is as before. No code of a file is run.
    """
    weights = pretrained_weights(source, download=download)
    return fit_weights(network, inflated(weights, network), source)


def pretrained_weights(source: str, *, download: bool = False) -> dict[str, Tensor]:
    """The weights themselves, by name.

    Args:
        source: As for :func:`load_pretrained`.
        download: Whether they may be fetched.

    Raises:
        CheckpointError: As :func:`load_pretrained` does.
    """
    if source.endswith(FILES) or Path(source).exists():
        return read_weights(Path(source))
    url = torchvision_weights(source).url
    kept = Path(torch.hub.get_dir(), "checkpoints", PurePosixPath(url).name)
    if kept.is_file():
        return read_weights(kept)
    if not download:
        raise CheckpointError(
            f"the weights {source} are not on this machine: {kept} is missing. Allow the download "
            f"(--download), or fetch {url} and put it there."
        )
    weights: dict[str, Tensor] = torch.hub.load_state_dict_from_url(
        url, map_location="cpu", check_hash=True, weights_only=True
    )
    return weights


def torchvision_weights(name: str) -> Weights:
    """Entry of that name in torchvision.

    Raises:
        CheckpointError: If torchvision knows neither weights nor a network of that name.

    Example:
        >>> torchvision_weights("resnet50").name
        'IMAGENET1K_V2'
        >>> torchvision_weights("ResNet50_Weights.IMAGENET1K_V1").meta["num_params"]
        25557032
    """
    try:
        return get_weight(name) if "." in name else get_model_weights(name).DEFAULT
    except (ValueError, AttributeError, KeyError) as error:
        raise CheckpointError(
            f'"{name}" is neither a file nor weights of torchvision. Name a file ending in '
            f"{', '.join(FILES)}, a network such as resnet50, or its weights such as "
            "ResNet50_Weights.IMAGENET1K_V1."
        ) from error
