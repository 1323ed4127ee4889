"""Normalisation layers of a whole network, by name."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import nn


def group_norm(channels: int) -> nn.GroupNorm:
    """Group norm of at most 32 groups (Wu & He, 2018), each of two channels at least.

    Example:
        >>> [group_norm(channels).num_groups for channels in (16, 64, 256)]
        [8, 32, 32]
    """
    return nn.GroupNorm(math.gcd(32, max(channels // 2, 1)), channels)


def _keep(network: nn.Module) -> None:
    """Networks are built with batch norm."""


def _to_group(network: nn.Module) -> None:
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.modules.batchnorm._BatchNorm):
                norm = group_norm(child.num_features)
                norm.load_state_dict({"weight": child.weight, "bias": child.bias})
                setattr(parent, name, norm)


NORMS: dict[str, Callable[[nn.Module], None]] = {"batch": _keep, "group": _to_group}
"""What turns every batch norm of a network into another layer, in place.

With group norm, an image's scores do not depend on the rest of its batch, so that processes which
share a batch give what one process gives; their batch norms see a share of the batch each.
"""
