"""The form of a clip, and networks that see its frames one by one."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

STAGES = ("layer1", "layer2", "layer3", "layer4")


def check_clips(clips: Tensor, in_channels: int, frames: int = 1) -> None:
    """Raise a ``ValueError`` unless ``clips`` are (B, in_channels, T, H, W) with T ≥ ``frames``."""
    if clips.dim() != 5 or clips.shape[1] != in_channels:
        raise ValueError(
            f"clips have shape (B, {in_channels}, T, H, W); got {tuple(clips.shape)}. "
            "Frames of an image each are stacked on axis 2."
        )
    if clips.shape[2] < frames:
        raise ValueError(
            f"this network needs clips of at least {frames} frames; got {clips.shape[2]}."
        )


class FrameResNet(ResNet):
    """torchvision's ResNet on every frame of a clip, with torchvision's keys.

    Args:
        block: torchvision's ``BasicBlock`` or ``Bottleneck``.
        depths: Blocks in each of the four stages.
        in_channels: Channels of a frame.
        num_classes: Length of the output of ``fc``.
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        depths: Sequence[int],
        *,
        in_channels: int = 3,
        num_classes: int = 400,
    ) -> None:
        super().__init__(block, list(depths), num_classes=num_classes)
        self.in_channels = in_channels
        if in_channels != 3:
            self.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
            nn.init.kaiming_normal_(self.conv1.weight, mode="fan_out", nonlinearity="relu")

    def frame_features(self, clips: Tensor) -> Tensor:
        """Mean of the last map of every frame: (B, C, T, H, W) → (B, T, F)."""
        check_clips(clips, self.in_channels)
        x = clips.transpose(1, 2).flatten(0, 1)  # (B·T, C, H, W)
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for stage in STAGES:
            x = self.get_submodule(stage)(x)
        return x.mean(dim=(-2, -1)).unflatten(0, (clips.shape[0], clips.shape[2]))
