"""torchvision's ResNets with a nonlocal block, built as torchvision builds its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from snl_graph.backbones.table import POSITIONS
from snl_graph.insert import insert_block
from snl_graph.names import lookup

if TYPE_CHECKING:
    from torchvision.models import WeightsEnum


def snl_resnet18(**options: Any) -> nn.Module:
    """ResNet-18 with a nonlocal block before the last block of res4: :func:`snl_resnet`."""
    return snl_resnet("resnet18", **options)


def snl_resnet34(**options: Any) -> nn.Module:
    """ResNet-34 with a nonlocal block before the last block of res4: :func:`snl_resnet`."""
    return snl_resnet("resnet34", **options)


def snl_resnet50(**options: Any) -> nn.Module:
    """ResNet-50 with a nonlocal block before the last block of res4: :func:`snl_resnet`."""
    return snl_resnet("resnet50", **options)


def snl_resnet101(**options: Any) -> nn.Module:
    """ResNet-101 with a nonlocal block before the last block of res4: :func:`snl_resnet`."""
    return snl_resnet("resnet101", **options)


def snl_resnet152(**options: Any) -> nn.Module:
    """ResNet-152 with a nonlocal block before the last block of res4: :func:`snl_resnet`."""
    return snl_resnet("resnet152", **options)


def snl_resnet(
    name: str,
    *,
    weights: WeightsEnum | str | None = None,
    download: bool = False,
    progress: bool = True,
    block: str | nn.Module = "snl",
    block_options: Mapping[str, Any] | None = None,
    **kwargs: Any,
) -> nn.Module:
    """A ResNet of torchvision with a nonlocal block before the last block of res4.

    Source: Zhu et al., Table 6. The keys of the state dictionary are torchvision's; the block adds
    ``layer3.{i}.inserted.0.*``.

    Args:
        name: A key of :data:`~snl_graph.backbones.table.POSITIONS`, such as "resnet50".
        weights: torchvision's name of trained weights ("IMAGENET1K_V2", "DEFAULT") or a member of
            its enumeration; None starts from random numbers. With weights the block starts as the
            identity, so the outputs are torchvision's, bit for bit.
        download: Whether the weights may be fetched where torch.hub's folder lacks them. Nothing is
            downloaded unasked.
        progress: Whether to show the download.
        block: A row of Table 1, or a module.
        block_options: Of :func:`~snl_graph.nonlocal_block`.
        **kwargs: Of torchvision's builder, such as ``num_classes``.

    Raises:
        ValueError: If there is no such network, weights or option.
        FileNotFoundError: If the weights are not on this machine and ``download`` is false.
        ImportError: If torchvision is not installed.

    Example:
        >>> net = snl_resnet18(num_classes=10)
        >>> net(torch.zeros(1, 3, 64, 64)).shape
        torch.Size([1, 10])
        >>> from snl_graph import inserted_blocks
        >>> list(inserted_blocks(net))
        ['layer3.0']
    """
    after = lookup(POSITIONS, name, "network")
    try:
        from torchvision.models import get_model_builder, get_model_weights
    except ImportError as error:
        raise ImportError(
            f'snl_{name} needs torchvision: pip install "snl-graph[backbones]".'
        ) from error

    options = {"zero_init": weights is not None, **(block_options or {})}
    if weights is None:
        return insert_block(get_model_builder(name)(**kwargs), after, block, **options)
    entry = _entry(get_model_weights(name), weights)
    count = len(entry.meta["categories"])
    if kwargs.setdefault("num_classes", count) != count:
        raise ValueError(
            f"the weights {entry} tell {count} classes, not {kwargs['num_classes']}. Leave "
            "num_classes out and replace net.fc."
        )
    _check_is_here(entry, download)
    net = get_model_builder(name)(**kwargs)
    net.load_state_dict(entry.get_state_dict(progress=progress, check_hash=True, weights_only=True))
    return insert_block(net, after, block, **options)


def _entry(choices: type[WeightsEnum], weights: WeightsEnum | str) -> WeightsEnum:
    if isinstance(weights, choices):
        return weights
    if not isinstance(weights, str):
        raise TypeError(f"weights are a name or one of {choices.__name__}, got {weights!r}.")
    short = weights.removeprefix(f"{choices.__name__}.")
    return lookup(choices.__members__, short, choices.__name__)


def _check_is_here(entry: WeightsEnum, download: bool) -> None:
    kept = Path(torch.hub.get_dir(), "checkpoints", PurePosixPath(entry.url).name)
    if not download and not kept.is_file():
        raise FileNotFoundError(
            f"the weights {entry} are not on this machine: {kept} is missing. Pass download=True, "
            f"or put {entry.url} there."
        )
