"""torchvision's ResNets with the stem that fits the image size."""

from __future__ import annotations

from torch import nn
from torchvision.models import resnet as torchvision_resnet

from snl_graph.names import lookup

ARCHITECTURES = {
    name: getattr(torchvision_resnet, name)
    for name in ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
}


def _cifar_stem(model: torchvision_resnet.ResNet, in_channels: int) -> None:
    model.conv1 = nn.Conv2d(in_channels, 64, 3, stride=1, padding=1, bias=False)
    model.maxpool = nn.Identity()


def _imagenet_stem(model: torchvision_resnet.ResNet, in_channels: int) -> None:
    if in_channels != 3:  # torchvision's own layer otherwise, drawn by its own initialisation
        model.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)


STEMS = {"cifar": _cifar_stem, "imagenet": _imagenet_stem}


def resnet(
    name: str, *, stem: str = "imagenet", in_channels: int = 3, num_classes: int = 1000
) -> torchvision_resnet.ResNet:
    """ResNet of He et al., 2015, as torchvision builds it, untrained.

    The ImageNet stem is a 7×7 convolution of stride 2 and a max-pool. The CIFAR stem is a 3×3
    convolution of stride 1 and no pooling, as published CIFAR baselines of these networks have it.
    The paper's "before the last block of res4" is after ``layer3.4`` (resnet50), ``layer3.21``
    (resnet101) and ``layer3.34`` (resnet152).

    Args:
        name: "resnet18", "resnet34", "resnet50", "resnet101" or "resnet152".
        stem: "imagenet" or "cifar".
        in_channels: Channels of the image.
        num_classes: Length of the output.

    Shapes:
        (B, in_channels, H, W) → (B, num_classes).

    Raises:
        ValueError: If there is no such network or stem.

    Example:
        >>> sum(p.numel() for p in resnet("resnet50").parameters())
        25557032
    """
    adapt = lookup(STEMS, stem, "stem")
    model: torchvision_resnet.ResNet = lookup(ARCHITECTURES, name, "ResNet")(
        num_classes=num_classes
    )
    adapt(model, in_channels)
    if stem == "cifar" or in_channels != 3:
        nn.init.kaiming_normal_(model.conv1.weight, mode="fan_out", nonlinearity="relu")
    return model
