"""MARS: an RGB network learns to see what a network of optical flow sees."""

from __future__ import annotations

from typing import NamedTuple, Protocol, cast

import torch
from torch import Tensor, nn


class HasFeatures(Protocol):
    """A network that shows what its classifier ``fc`` sees."""

    fc: nn.Linear

    def features(self, clips: Tensor) -> Tensor:
        """(B, F)."""
        ...


class DistillationLoss(NamedTuple):
    """The loss, its two parts, and the student's scores (B, classes) for the accuracy."""

    total: Tensor
    cross_entropy: Tensor
    feature_error: Tensor
    scores: Tensor


class MarsDistillation(nn.Module):
    """Cross-entropy of the RGB student + α · mean squared error to the flow teacher's features.

    Source: Crasto et al., MARS: Motion-Augmented RGB Stream for Action Recognition, 2019, Eq. 3.
    The features are those before the classifier. The teacher is frozen: no gradient, always in
    evaluation mode. The student alone answers afterwards, without any flow.

    Args:
        student: Network of RGB clips, such as :func:`models.resnet3d.resnext3d101`.
        teacher: Trained network of flow clips, of as wide features; ``in_channels=2``.
        weight: α; the authors use 50.

    Shapes:
        (B, 3, T, H, W), (B, 2, T, H, W), (B,) → scalars.

    Raises:
        ValueError: If the features of the two differ in width, or ``weight`` is negative.
        TypeError: If a network has no ``features`` and ``fc``.

    Example:
        >>> from models.resnet3d import ResNet3d
        >>> student, teacher = ResNet3d([1] * 4), ResNet3d([1] * 4, in_channels=2)
        >>> mars = MarsDistillation(student, teacher)
        >>> rgb, flow = torch.zeros(2, 3, 2, 16, 16), torch.zeros(2, 2, 2, 16, 16)
        >>> mars(rgb, flow, torch.tensor([3, 5])).scores.shape
        torch.Size([2, 400])
    """

    def __init__(self, student: nn.Module, teacher: nn.Module, *, weight: float = 50.0) -> None:
        super().__init__()
        for what, network in (("student", student), ("teacher", teacher)):
            if not hasattr(network, "features") or not hasattr(network, "fc"):
                raise TypeError(
                    f"the {what}, a {type(network).__name__}, needs features(clips) and the "
                    'classifier fc; networks such as "resnext3d101" have them.'
                )
        widths = [cast(HasFeatures, network).fc.in_features for network in (student, teacher)]
        if widths[0] != widths[1]:
            raise ValueError(
                f"student and teacher need features of one width; got {widths[0]} and {widths[1]}."
            )
        if not weight >= 0:
            raise ValueError(f"weight must be at least 0; got {weight}.")
        self.student = student
        self.teacher = teacher.eval().requires_grad_(False)
        self.weight = weight

    def train(self, mode: bool = True) -> MarsDistillation:
        """Switch the student alone: the teacher's running statistics stay as they are."""
        super().train(mode)
        self.teacher.eval()
        return self

    def forward(self, rgb: Tensor, flow: Tensor, classes: Tensor) -> DistillationLoss:
        """The loss of one batch of paired clips."""
        features = cast(HasFeatures, self.student).features(rgb)
        scores: Tensor = cast(HasFeatures, self.student).fc(features)
        with torch.no_grad():
            wanted = cast(HasFeatures, self.teacher).features(flow)
        cross_entropy = nn.functional.cross_entropy(scores, classes)
        error = nn.functional.mse_loss(features, wanted)
        return DistillationLoss(cross_entropy + self.weight * error, cross_entropy, error, scores)
