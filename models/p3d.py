"""Pseudo-3D residual networks: 1×3×3 and 3×1×1 convolutions in place of 3×3×3."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from models.clips import check_clips

Map = Callable[[Tensor], Tensor]


def _cascade(spatial: Map, temporal: Map, x: Tensor) -> Tensor:
    """P3D-A: T(S(x))."""
    return temporal(spatial(x))


def _parallel(spatial: Map, temporal: Map, x: Tensor) -> Tensor:
    """P3D-B: S(x) + T(x)."""
    return spatial(x) + temporal(x)


def _both(spatial: Map, temporal: Map, x: Tensor) -> Tensor:
    """P3D-C: S(x) + T(S(x))."""
    y = spatial(x)
    return y + temporal(y)


ARRANGEMENTS: tuple[Callable[[Map, Map, Tensor], Tensor], ...] = (
    _cascade,
    _parallel,
    _both,
)
"""P3D-A, P3D-B and P3D-C, which follow each other from block to block."""


class PseudoBottleneck(nn.Module):
    """1×1×1, then 1×3×3 and 3×1×1 in one of three arrangements, then 1×1×1, with a shortcut.

    Source: Qiu et al., Learning Spatio-Temporal Representation with Pseudo-3D Residual Networks,
    2017, Fig. 2 and 3. Keys are those of the published PyTorch weights.

    Args:
        in_channels: Channels of x.
        width: Channels of the inner convolutions; the output has four times as many.
        stride: Of the two spatial axes.
        number: Of the block in the network, from 0; picks the arrangement.

    Shapes:
        (B, in_channels, T, H, W) → (B, 4·width, T, ⌈H/stride⌉, ⌈W/stride⌉).
    """

    def __init__(self, in_channels: int, width: int, stride: int, number: int) -> None:
        super().__init__()
        step = (1, stride, stride)
        self.conv1 = nn.Conv3d(in_channels, width, 1, step, bias=False)
        self.bn1 = nn.BatchNorm3d(width)
        self.conv2 = nn.Conv3d(width, width, (1, 3, 3), padding=(0, 1, 1), bias=False)
        self.bn2 = nn.BatchNorm3d(width)
        self.conv3 = nn.Conv3d(width, width, (3, 1, 1), padding=(1, 0, 0), bias=False)
        self.bn3 = nn.BatchNorm3d(width)
        self.conv4 = nn.Conv3d(width, 4 * width, 1, bias=False)
        self.bn4 = nn.BatchNorm3d(4 * width)
        self.arrangement = ARRANGEMENTS[number % len(ARRANGEMENTS)]
        self.downsample: nn.Module = nn.Identity()
        if in_channels != 4 * width:
            self.downsample = nn.Sequential(
                nn.Conv3d(in_channels, 4 * width, 1, step, bias=False),
                nn.BatchNorm3d(4 * width),
            )

    def spatial(self, x: Tensor) -> Tensor:
        """S(x): 1×3×3."""
        return torch.relu(self.bn2(self.conv2(x)))

    def temporal(self, x: Tensor) -> Tensor:
        """T(x): 3×1×1."""
        return torch.relu(self.bn3(self.conv3(x)))

    def forward(self, x: Tensor) -> Tensor:
        """relu(shortcut(x) + f(x))."""
        f = torch.relu(self.bn1(self.conv1(x)))
        f = self.arrangement(self.spatial, self.temporal, f)
        return torch.relu(self.downsample(x) + self.bn4(self.conv4(f)))


class FlatBottleneck(nn.Module):
    """1×1, 3×3 and 1×1 convolutions of frames: the blocks of the last stage.

    Args:
        in_channels: Channels of x.
        width: Channels of the 3×3 convolution; the output has four times as many.
        stride: Of the block.

    Shapes:
        (B, in_channels, H, W) → (B, 4·width, ⌈H/stride⌉, ⌈W/stride⌉).
    """

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 1, stride, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv_normal = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn_normal = nn.BatchNorm2d(width)
        self.conv4 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn4 = nn.BatchNorm2d(4 * width)
        self.downsample: nn.Module = nn.Identity()
        if in_channels != 4 * width:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, 4 * width, 1, stride, bias=False),
                nn.BatchNorm2d(4 * width),
            )

    def forward(self, x: Tensor) -> Tensor:
        """relu(shortcut(x) + f(x))."""
        f = torch.relu(self.bn1(self.conv1(x)))
        f = torch.relu(self.bn_normal(self.conv_normal(f)))
        return torch.relu(self.downsample(x) + self.bn4(self.conv4(f)))


class P3D(nn.Module):
    """P3D ResNet: three stages of pseudo-3D blocks, one of plain blocks, mean, linear.

    Source: Qiu et al., 2017, §3.3. P3D-199 is ResNet-152 with a temporal convolution in each of its
    first 47 blocks, 152 + 47 = 199 layers; the paper's block goes after ``layer2.6``. The maps are
    halved in time after the stem and after each of the first three stages.

    Departure: the published network averages 5×5 of the last map, which fixes its input at 160×160
    and scores each remaining frame by itself; here the mean is over all that is left of a clip.

    Args:
        depths: Blocks in each of the four stages.
        in_channels: 3 for RGB, 2 for optical flow.
        num_classes: Length of the output.
        dropout: Before the classifier.

    Shapes:
        (B, in_channels, T, H, W) → (B, num_classes), T ≥ 16.

    Raises:
        ValueError: If there are not four depths, or a clip has another form or is too short.

    Example:
        >>> model = P3D([1, 1, 1, 1], num_classes=5).eval()
        >>> model(torch.zeros(2, 3, 16, 32, 40)).shape
        torch.Size([2, 5])
    """

    def __init__(
        self,
        depths: Sequence[int] = (3, 8, 36, 3),
        *,
        in_channels: int = 3,
        num_classes: int = 400,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if len(depths) != 4 or min(depths) < 1:
            raise ValueError(f"depths are four numbers of blocks ≥ 1; got {list(depths)}.")
        self.in_channels = in_channels
        self.conv1_custom = nn.Conv3d(in_channels, 64, (1, 7, 7), (1, 2, 2), (0, 3, 3), bias=False)
        self.bn1 = nn.BatchNorm3d(64)
        self.maxpool = nn.MaxPool3d((2, 3, 3), 2, (0, 1, 1))
        self.maxpool_2 = nn.MaxPool3d((2, 1, 1), (2, 1, 1))
        channels, number = 64, 0
        for stage, (depth, width) in enumerate(zip(depths, (64, 128, 256, 512), strict=True), 1):
            blocks: list[nn.Module] = []
            for index in range(depth):
                stride = 2 if stage > 1 and index == 0 else 1
                if stage < 4:
                    blocks.append(PseudoBottleneck(channels, width, stride, number))
                else:
                    blocks.append(FlatBottleneck(channels, width, stride))
                channels, number = 4 * width, number + 1
            self.add_module(f"layer{stage}", nn.Sequential(*blocks))
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Conv3d)):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def features(self, clips: Tensor) -> Tensor:
        """What the classifier sees: the mean of the last maps, (B, 2048)."""
        check_clips(clips, self.in_channels, frames=16)
        x = self.maxpool(torch.relu(self.bn1(self.conv1_custom(clips))))
        for stage in ("layer1", "layer2", "layer3"):
            x = self.maxpool_2(self.get_submodule(stage)(x))
        frames = x.transpose(1, 2).flatten(0, 1)  # (B·T', C, H', W')
        y = self.get_submodule("layer4")(frames).mean(dim=(-2, -1))
        return y.unflatten(0, (x.shape[0], x.shape[2])).mean(dim=1)

    def forward(self, clips: Tensor) -> Tensor:
        """Class scores (B, num_classes)."""
        scores: Tensor = self.fc(self.dropout(self.features(clips)))
        return scores


def p3d199(*, in_channels: int = 3, num_classes: int = 400) -> P3D:
    """P3D-199: P3D of ResNet-152."""
    return P3D((3, 8, 36, 3), in_channels=in_channels, num_classes=num_classes)
