"""Where a backbone has its block."""

from __future__ import annotations

POSITIONS = {
    "resnet18": "layer3.0",
    "resnet34": "layer3.4",
    "resnet50": "layer3.4",
    "resnet101": "layer3.21",
    "resnet152": "layer3.34",
}
"""The submodule before the block: the last but one of res4, as Zhu et al. have it in ResNet-50."""
