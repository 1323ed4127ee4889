"""The table of reference networks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn

from models.p3d import p3d199
from models.preresnet import BasicBlock, Bottleneck, PreResNet
from models.reid import ResNet50TemporalPooling
from models.resnet import ARCHITECTURES, resnet
from models.resnet3d import resnet3d50, resnext3d101
from models.vtn import VideoTransformer
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
    # What the paper calls "I3D", and the two streams of MARS.
    "resnet3d50": resnet3d50,
    "resnext3d101": resnext3d101,
    "p3d199": p3d199,
    "vtn": VideoTransformer,
    "vtn_snl": partial(VideoTransformer, "snl"),
    "resnet50tp": ResNet50TemporalPooling,
}
"""Networks by name. The number is the count of layers with weights along the longest path."""

VIDEO_NETWORKS = ("resnet3d50", "resnext3d101", "p3d199", "vtn", "vtn_snl", "resnet50tp")
"""Those of them that take clips (B, C, T, H, W)."""

POSITIONS: dict[str, tuple[str, ...]] = {
    "preresnet83": ("layer1.1",),
    **dict.fromkeys(("resnet50", "resnet50_cifar", "resnet3d50", "resnet50tp"), ("layer3.4",)),
    "resnet101": ("layer3.21",),
    "resnet152": ("layer3.34",),
    "p3d199": ("layer2.6",),
    "resnext3d101": ("layer2.2",),
}
"""Where the paper puts its block; ``vtn_snl`` has its blocks built in."""


def build_network(name: str, *, in_channels: int = 3, num_classes: int = 10) -> nn.Module:
    """Untrained network of the table :data:`NETWORKS`.

    Args:
        name: Its name there; ``resnet50_cifar`` is ``resnet50`` with the CIFAR stem.
        in_channels: Channels of an image or frame.
        num_classes: Length of the output.

    Shapes:
        (B, in_channels, H, W), of the video networks (B, in_channels, T, H, W) → (B, num_classes).

    Raises:
        ValueError: If there is no such network; lists the choices.

    Example:
        >>> sum(p.numel() for p in build_network("preresnet20").parameters())
        272282
    """
    return lookup(NETWORKS, name, "network")(in_channels=in_channels, num_classes=num_classes)
