"""Pre-activation residual networks for small images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn


class PreActivationBlock(nn.Module, ABC):
    """Residual block y = shortcut(x) + f(x), with BN and ReLU before every convolution of f.

    Source: He et al., Identity Mappings in Deep Residual Networks, 2016, Fig. 1 (b). Where shape
    changes, the shortcut is a 1×1 convolution of the block's raw input.

    Args:
        in_channels: Channels of x.
        width: Channels of the 3×3 convolutions; the output has ``width * expansion``.
        stride: Of the block, 1 or 2.

    Shapes:
        (B, in_channels, H, W) → (B, width · expansion, ⌈H/stride⌉, ⌈W/stride⌉).
    """

    expansion: ClassVar[int]

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        out_channels = width * self.expansion
        self.residual = self.make_residual(in_channels, width, stride)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)

    @staticmethod
    @abstractmethod
    def make_residual(in_channels: int, width: int, stride: int) -> nn.Sequential:
        """The branch f."""

    def forward(self, x: Tensor) -> Tensor:
        """The sum shortcut(x) + f(x)."""
        total: Tensor = self.shortcut(x) + self.residual(x)
        return total


def _unit(
    in_channels: int, out_channels: int, kernel_size: int, stride: int = 1
) -> list[nn.Module]:
    return [
        nn.BatchNorm2d(in_channels),
        nn.ReLU(),
        nn.Conv2d(in_channels, out_channels, kernel_size, stride, kernel_size // 2, bias=False),
    ]


class BasicBlock(PreActivationBlock):
    """Two 3×3 convolutions."""

    expansion = 1

    @staticmethod
    def make_residual(in_channels: int, width: int, stride: int) -> nn.Sequential:
        """BN-ReLU-conv twice; the first carries the stride."""
        return nn.Sequential(*_unit(in_channels, width, 3, stride), *_unit(width, width, 3))


class Bottleneck(PreActivationBlock):
    """1×1, 3×3 and 1×1 convolutions, the last four times as wide."""

    expansion = 4

    @staticmethod
    def make_residual(in_channels: int, width: int, stride: int) -> nn.Sequential:
        """BN-ReLU-conv three times; the 3×3 carries the stride."""
        return nn.Sequential(
            *_unit(in_channels, width, 1),
            *_unit(width, width, 3, stride),
            *_unit(width, 4 * width, 1),
        )


class PreResNet(nn.Module):
    """Pre-activation ResNet: 3×3 stem, stages of residual blocks, BN-ReLU, mean, linear.

    Source: He et al., 2016, §3 (CIFAR networks). Each stage after the first starts with stride 2.
    Stage s, block b is the submodule ``layer{s}.{b}``, counted from 1 and 0: the paper's "after the
    second residual block of stage 1" is ``layer1.1``.

    Args:
        block: :class:`BasicBlock` or :class:`Bottleneck`.
        depths: Blocks in each stage.
        widths: Width of each stage; with Bottleneck its output has four times as many channels.
        in_channels: Channels of the image.
        num_classes: Length of the output.

    Shapes:
        (B, in_channels, H, W) → (B, num_classes), any H and W.

    Raises:
        ValueError: If ``depths`` and ``widths`` do not pair up, or a number is below 1.

    Example:
        >>> model = PreResNet(BasicBlock, depths=[1, 1, 1])
        >>> model(torch.zeros(2, 3, 8, 10)).shape
        torch.Size([2, 10])
    """

    def __init__(
        self,
        block: type[PreActivationBlock],
        depths: Sequence[int],
        widths: Sequence[int] = (16, 32, 64),
        *,
        in_channels: int = 3,
        num_classes: int = 10,
    ) -> None:
        super().__init__()
        if not depths or len(depths) != len(widths):
            raise ValueError(
                f"depths and widths must name the same stages; got {list(depths)} and "
                f"{list(widths)}. Give one depth and one width a stage."
            )
        if min(*depths, *widths, in_channels, num_classes) < 1:
            raise ValueError(
                f"depths, widths, in_channels and num_classes must be at least 1; got "
                f"{list(depths)}, {list(widths)}, {in_channels}, {num_classes}."
            )
        self.conv1 = nn.Conv2d(in_channels, widths[0], 3, padding=1, bias=False)
        channels = widths[0]
        self.stages: list[str] = []
        for stage, (depth, width) in enumerate(zip(depths, widths, strict=True), start=1):
            blocks: list[nn.Module] = []
            for index in range(depth):
                stride = 2 if stage > 1 and index == 0 else 1
                blocks.append(block(channels, width, stride))
                channels = width * block.expansion
            self.stages.append(f"layer{stage}")
            self.add_module(self.stages[-1], nn.Sequential(*blocks))
        self.bn = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()
        self.fc = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def features(self, x: Tensor) -> Tensor:
        """The last feature map, after BN and ReLU, (B, C, H', W')."""
        x = self.conv1(x)
        for stage in self.stages:
            x = self.get_submodule(stage)(x)
        return torch.relu(self.bn(x))

    def forward(self, x: Tensor) -> Tensor:
        """Class scores (B, num_classes)."""
        scores: Tensor = self.fc(self.features(x).mean(dim=(-2, -1)))
        return scores
