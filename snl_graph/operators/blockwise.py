"""Exponential products by blocks of rows, in plain PyTorch: O(N·block) memory on any device.

The formulas of :mod:`snl_graph.operators.attention` as they are read, differentiable any number of
times. They serve where there is no fused kernel, and the second derivatives, which no kernel has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

T = TypeVar("T")

ENTRIES = 2**22
"""Numbers of a block of the N×N matrix that is held at a time."""


def mean_and_log_sums(q: Tensor, k: Tensor, v: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """softmax(S) V and the log-sum-exps of the rows of S = Q Kᵀ + shift."""
    outs, logs = [], []
    for rows in _blocks(q, k):
        scores = _scores(q[..., rows, :], k, shift)
        logs.append(scores.logsumexp(-1))
        outs.append(scores.softmax(-1) @ v)
    return torch.cat(outs, -2), torch.cat(logs, -1)


def softmax_product(q: Tensor, k: Tensor, v: Tensor, shift: Tensor) -> Tensor:
    """softmax(Q Kᵀ + shift) V, each block recomputed when it is differentiated."""

    def block(rows: slice, q: Tensor, k: Tensor, v: Tensor, shift: Tensor) -> Tensor:
        return _scores(q[..., rows, :], k, shift).softmax(-1) @ v

    return torch.cat([_recomputed(block, rows, q, k, v, shift) for rows in _blocks(q, k)], -2)


def gradients(
    dy: Tensor, q: Tensor, k: Tensor, left: Tensor, right: Tensor, v: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients by Q, K and V of y_i = Σ_j exp(⟨q_i, k_j⟩ + left_i + right_j) v_j.

    Each block is recomputed when the gradients are differentiated themselves.
    """

    def block(
        rows: slice, dy: Tensor, q: Tensor, k: Tensor, left: Tensor, right: Tensor, v: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        dy, q, left = dy[..., rows, :], q[..., rows, :], left[..., rows]
        weights = (_scores(q, k, right) + left.unsqueeze(-1)).exp()
        inner = weights * (dy @ v.mT)
        return inner @ k, inner.mT @ q, weights.mT @ dy

    dq, dk, dv = [], torch.zeros_like(k), torch.zeros_like(v)
    for rows in _blocks(q, k):
        parts = _recomputed(block, rows, dy, q, k, left, right, v)
        dq.append(parts[0])
        dk, dv = dk + parts[1], dv + parts[2]
    return torch.cat(dq, -2), dk, dv


def _scores(q: Tensor, k: Tensor, shift: Tensor) -> Tensor:
    return q @ k.mT + shift.unsqueeze(-2)


def _blocks(q: Tensor, k: Tensor) -> Iterator[slice]:
    """Rows of Q in blocks of at most ``ENTRIES`` scores, one block at least."""
    height = max(1, ENTRIES // max(1, q.shape[:-2].numel() * k.shape[-2]))
    for start in range(0, max(1, q.shape[-2]), height):
        yield slice(start, start + height)


def _recomputed(block: Callable[..., T], *arguments: Any) -> T:
    if not torch.is_grad_enabled():
        return block(*arguments)
    made: T = checkpoint(block, *arguments, use_reentrant=False, preserve_rng_state=False)
    return made
