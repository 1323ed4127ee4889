"""Residual networks with the paper's block in them, by one name each, for torchvision and timm."""

from snl_graph.backbones.residual import (
    snl_resnet18,
    snl_resnet34,
    snl_resnet50,
    snl_resnet101,
    snl_resnet152,
)

__all__ = ["snl_resnet18", "snl_resnet34", "snl_resnet50", "snl_resnet101", "snl_resnet152"]
