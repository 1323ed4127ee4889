"""Feature maps as node sets: one ``flatten`` and one ``unflatten`` for 1-, 2- and 3-D maps.

Positions are numbered row-major: the last spatial axis runs fastest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

Size = tuple[int, ...]


def num_positions(size: Sequence[int]) -> int:
    """Number of positions N of a grid, e.g. H·W."""
    return math.prod(size)


def flatten(feature_map: Tensor) -> tuple[Tensor, Size]:
    """Node signals (B, N, C) of a feature map (B, C, *spatial), a view in its own memory layout.

    Args:
        feature_map: Shape (B, C, *spatial), one to three spatial axes.

    Returns:
        The signals and the spatial size.

    Raises:
        ValueError: If the rank is wrong or a spatial axis is empty.

    Example:
        >>> import torch
        >>> nodes, size = flatten(torch.zeros(2, 8, 5, 7))
        >>> nodes.shape, size
        (torch.Size([2, 35, 8]), (5, 7))
    """
    if not 3 <= feature_map.dim() <= 5:
        raise ValueError(
            "a feature map has shape (B, C, *spatial) with one to three spatial axes; got "
            f"{tuple(feature_map.shape)}. A single image needs a batch axis: x.unsqueeze(0)."
        )
    require_positions(feature_map)
    return flattened(feature_map)


def flattened(feature_map: Tensor) -> tuple[Tensor, Size]:
    """:func:`flatten` of what is known to be a map, or the part of one that a process holds."""
    return feature_map.flatten(2).mT, tuple(feature_map.shape[2:])


def require_positions(feature_map: Tensor) -> None:
    """Raise a ``ValueError`` if a spatial axis is empty, a ``TypeError`` if a map is not dense."""
    if feature_map.layout != torch.strided or feature_map.is_nested:
        kind = "nested" if feature_map.is_nested else "sparse"
        raise TypeError(
            f"a feature map is one dense tensor (B, C, *spatial); this one is {kind}. Use "
            + ("x.to_padded_tensor(0.0), and valid." if kind == "nested" else "x.to_dense().")
        )
    size = tuple(feature_map.shape[2:])
    if 0 in size:
        raise ValueError(f"a feature map needs at least one position; its size is {size}.")


def unflatten(nodes: Tensor, size: Sequence[int]) -> Tensor:
    """Feature map (B, C, *size) of node signals (B, N, C); the inverse of :func:`flatten`.

    Raises:
        ValueError: If N is not the number of positions of ``size``.
    """
    if nodes.shape[-2] != num_positions(size):
        raise ValueError(
            f"{nodes.shape[-2]} nodes do not fill a grid of size {tuple(size)}, which has "
            f"{num_positions(size)} positions."
        )
    # Nodes first, channels after: the other order gives the map of a batch of one a batch stride by
    # which PyTorch's batch norm does not know its layout, and then its gradients are wrong.
    return nodes.unflatten(-2, tuple(size)).movedim(-1, -1 - len(size))
