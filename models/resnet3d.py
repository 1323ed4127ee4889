"""3-D residual networks for clips: ResNet-50 and ResNeXt-101 with k×k×k convolutions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from models.clips import check_clips

STAGE_WIDTHS = (64, 128, 256, 512)


class Bottleneck3d(nn.Module):
    """1×1×1, 3×3×3 and 1×1×1 convolutions with a shortcut, ReLU after the sum.

    Source: Hara et al., Can Spatiotemporal 3D CNNs Retrace the History of 2D CNNs and ImageNet?,
    2018, Fig. 3. Where the shape changes, the shortcut is a 1×1×1 convolution with BN (type B).

    Args:
        in_channels: Channels of x.
        width: Channels of the 3×3×3 convolution, which carries the stride.
        out_channels: Channels of the output.
        stride: Of all three axes.
        groups: Groups of the 3×3×3 convolution (the cardinality of ResNeXt).

    Shapes:
        (B, in_channels, T, H, W) → (B, out_channels, ⌈T/stride⌉, ⌈H/stride⌉, ⌈W/stride⌉).
    """

    def __init__(
        self, in_channels: int, width: int, out_channels: int, stride: int, groups: int
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm3d(width)
        self.conv2 = nn.Conv3d(width, width, 3, stride, 1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm3d(width)
        self.conv3 = nn.Conv3d(width, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm3d(out_channels)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv3d(in_channels, out_channels, 1, stride, bias=False),
                nn.BatchNorm3d(out_channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        """relu(shortcut(x) + f(x))."""
        f = torch.relu(self.bn1(self.conv1(x)))
        f = torch.relu(self.bn2(self.conv2(f)))
        return torch.relu(self.downsample(x) + self.bn3(self.conv3(f)))


class ResNet3d(nn.Module):
    """3-D ResNet: 7×7×7 stem, max-pool, four stages of bottlenecks, mean over the clip, linear.

    Source: Hara et al., 2018, Table 1, whose state-dict keys it has. The paper's "I3D" is this
    network of depths (3, 4, 6, 3). Stage s, block b is the submodule ``layer{s}.{b}``; res4 of the
    paper is ``layer3``.

    Args:
        depths: Blocks in each of the four stages.
        width: Factor of the 3×3×3 convolutions' widths 64, 128, 256 and 512.
        groups: Groups of the 3×3×3 convolutions.
        in_channels: 3 for RGB, 2 for optical flow.
        num_classes: Length of the output.

    Shapes:
        (B, in_channels, T, H, W) → (B, num_classes), any T, H and W.

    Raises:
        ValueError: If there are not four depths, or a clip has another form.

    Example:
        >>> model = ResNet3d([1, 1, 1, 1], num_classes=5).eval()
        >>> model(torch.zeros(2, 3, 4, 16, 20)).shape
        torch.Size([2, 5])
    """

    def __init__(
        self,
        depths: Sequence[int],
        *,
        width: int = 1,
        groups: int = 1,
        in_channels: int = 3,
        num_classes: int = 400,
    ) -> None:
        super().__init__()
        if len(depths) != len(STAGE_WIDTHS) or min(depths) < 1:
            raise ValueError(f"depths are four numbers of blocks ≥ 1; got {list(depths)}.")
        self.in_channels = in_channels
        self.conv1 = nn.Conv3d(in_channels, 64, 7, (1, 2, 2), 3, bias=False)
        self.bn1 = nn.BatchNorm3d(64)
        self.maxpool = nn.MaxPool3d(3, 2, 1)
        channels = 64
        for stage, (depth, stage_width) in enumerate(
            zip(depths, STAGE_WIDTHS, strict=True), start=1
        ):
            blocks: list[nn.Module] = []
            for index in range(depth):
                stride = 2 if stage > 1 and index == 0 else 1
                out = 4 * stage_width
                blocks.append(Bottleneck3d(channels, width * stage_width, out, stride, groups))
                channels = out
            self.add_module(f"layer{stage}", nn.Sequential(*blocks))
        self.fc = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def features(self, clips: Tensor) -> Tensor:
        """What the classifier sees: the mean of the last map, (B, 2048)."""
        check_clips(clips, self.in_channels)
        x = self.maxpool(torch.relu(self.bn1(self.conv1(clips))))
        for stage in range(1, len(STAGE_WIDTHS) + 1):
            x = self.get_submodule(f"layer{stage}")(x)
        return x.mean(dim=(-3, -2, -1))

    def forward(self, clips: Tensor) -> Tensor:
        """Class scores (B, num_classes)."""
        scores: Tensor = self.fc(self.features(clips))
        return scores


def resnet3d50(*, in_channels: int = 3, num_classes: int = 400) -> ResNet3d:
    """3-D ResNet-50, which the paper calls I3D; its block goes after ``layer3.4``.

    Example:
        >>> sum(p.numel() for p in resnet3d50(num_classes=400).parameters())
        47018576
    """
    return ResNet3d((3, 4, 6, 3), in_channels=in_channels, num_classes=num_classes)


def resnext3d101(*, in_channels: int = 3, num_classes: int = 400) -> ResNet3d:
    """3-D ResNeXt-101 of cardinality 32, both streams of MARS; its block goes after ``layer2.2``.

    Example:
        >>> sum(p.numel() for p in resnext3d101(num_classes=400).parameters())
        48340816
    """
    return ResNet3d(
        (3, 4, 23, 3), width=2, groups=32, in_channels=in_channels, num_classes=num_classes
    )


def inflated(weights: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Weights of a 2-D network for its 3-D twin: kernels repeated in time, divided by their length.

    Source: Carreira & Zisserman, Quo Vadis, Action Recognition?, 2017, §2.4.2: on a clip of equal
    frames, away from its ends, the 3-D network finds what the 2-D one finds on the frame.

    Args:
        weights: State dict of the 2-D network.
        network: The 3-D network; it is not changed.

    Returns:
        The weights, those of shape (out, in, h, w) as (out, in, t, h, w) where the network's entry
        of that name is so; load them with ``load_state_dict``.
    """
    wanted = network.state_dict()
    result: dict[str, Tensor] = {}
    for name, weight in weights.items():
        time = wanted[name].shape[2] if name in wanted and wanted[name].dim() == 5 else 0
        if weight.dim() == 4 and time:
            weight = weight.unsqueeze(2).expand(-1, -1, time, -1, -1) / time
        result[name] = weight
    return result
