"""The table of reference networks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn

from models.preresnet import BasicBlock, Bottleneck, PreResNet
from models.resnet import ARCHITECTURES, resnet
from snl_graph.names import lookup

NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "preresnet8": partial(PreResNet, BasicBlock, (1, 1, 1)),
    "preresnet20": partial(PreResNet, BasicBlock, (3, 3, 3)),
    "preresnet56": partial(PreResNet, BasicBlock, (9, 9, 9)),
    "preresnet110": partial(PreResNet, BasicBlock, (18, 18, 18)),
    # What the paper calls "PreResNet56": Bottleneck [9, 9, 9], which has 83 layers.
    "preresnet83": partial(PreResNet, Bottleneck, (9, 9, 9)),
    "preresnet164": partial(PreResNet, Bottleneck, (18, 18, 18)),
    **{name: partial(resnet, name, stem="imagenet") for name in ARCHITECTURES},
    **{f"{name}_cifar": partial(resnet, name, stem="cifar") for name in ARCHITECTURES},
}
"""Networks by name. The number is the count of layers with weights along the longest path."""


def build_network(name: str, *, in_channels: int = 3, num_classes: int = 10) -> nn.Module:
    """Untrained network of the table :data:`NETWORKS`.

    Args:
        name: Its name there; ``resnet50_cifar`` is ``resnet50`` with the CIFAR stem.
        in_channels: Channels of the image.
        num_classes: Length of the output.

    Shapes:
        (B, in_channels, H, W) → (B, num_classes).

    Raises:
        ValueError: If there is no such network; lists the choices.

    Example:
        >>> sum(p.numel() for p in build_network("preresnet20").parameters())
        272282
    """
    return lookup(NETWORKS, name, "network")(in_channels=in_channels, num_classes=num_classes)
