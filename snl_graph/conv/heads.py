"""Channels split into heads."""

from __future__ import annotations

from torch import Tensor


def split_heads(x: Tensor, heads: int) -> Tensor:
    """Shape (*batch, N, C) → (*batch, H, N, C / H), or unchanged for one head.

    Raises:
        ValueError: If ``heads`` does not divide C.
    """
    if heads == 1:
        return x
    if x.shape[-1] % heads:
        raise ValueError(
            f"{x.shape[-1]} channels cannot be split into {heads} heads: each takes its own part. "
            "Choose heads that divide the channels."
        )
    return x.unflatten(-1, (heads, -1)).movedim(-2, -3)


def join_heads(x: Tensor, heads: int) -> Tensor:
    """Shape (*batch, H, N, C / H) → (*batch, N, C), the inverse of :func:`split_heads`."""
    return x if heads == 1 else x.movedim(-3, -2).flatten(-2)
