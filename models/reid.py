"""ResNet-50 with temporal pooling for video re-identification."""

from __future__ import annotations

from torch import Tensor
from torchvision.models.resnet import Bottleneck

from models.clips import FrameResNet


class ResNet50TemporalPooling(FrameResNet):
    """ResNet-50 on every frame, the mean over frames, and a linear classifier of identities.

    Source: Gao & Nevatia, Revisiting Temporal Modeling for Video-based Person ReID, 2018, §3.2
    ("ResNet50tp" of the paper's Table 9). Keys are torchvision's, so ImageNet weights load as they
    are. Its block goes after ``layer3.4`` and sees each frame by itself.

    Args:
        in_channels: Channels of a frame.
        num_classes: Identities of the training part; MARS has 625.

    Shapes:
        (B, in_channels, T, H, W) → (B, num_classes).

    Example:
        >>> sum(p.numel() for p in ResNet50TemporalPooling(num_classes=625).parameters())
        24788657
    """

    def __init__(self, *, in_channels: int = 3, num_classes: int = 625) -> None:
        super().__init__(Bottleneck, (3, 4, 6, 3), in_channels=in_channels, num_classes=num_classes)

    def features(self, clips: Tensor) -> Tensor:
        """What tracklets are compared by, and the triplet loss sees: (B, 2048)."""
        return self.frame_features(clips).mean(dim=1)

    def forward(self, clips: Tensor) -> Tensor:
        """Scores of the identities (B, num_classes)."""
        scores: Tensor = self.fc(self.features(clips))
        return scores
