"""Row and column sums of exp(Q Kᵀ) in one sweep over tiles that stay in the cache.

A fused attention call gives the sums of the rows alone, and multiplies by values that nobody asked
for; one sweep of matrix products and exponentials costs less than half of two such calls. It has no
shift to guard the exponentials, so it serves scores that a bound shows to be moderate.
"""

from __future__ import annotations

import torch
from torch import Tensor

from snl_graph.operators.attention import log_sums

TILE = 512
"""Rows and columns of a tile: 1 MiB in float32."""

MODERATE = 60.0
"""Scores up to this size: their exponentials, and sums of 10¹² of them, are far inside float32."""


@torch.library.custom_op(
    "snl_graph::row_and_column_log_sums",
    mutates_args=(),
    schema="(Tensor q, Tensor k) -> (Tensor, Tensor)",
)
def row_and_column_log_sums(q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
    """The log-sum-exps of the rows and of the columns of Q Kᵀ; without derivatives.

    Args:
        q: Shape (*batch, N, r).
        k: Shape (*batch, N', r).

    Returns:
        Shapes (*batch, N) and (*batch, N').

    Cost: O(N²·r) time, one matrix product and one exponential an entry; O(N) memory. Where scores
    may be large, or off the processor, two fused attention calls.
    """
    with torch.no_grad(), torch.autocast(device_type=q.device.type, enabled=False):
        if q.numel() and k.numel() and q.device.type == "cpu" and _are_moderate(q, k):
            count = q.shape[:-2].numel()
            rows, columns = _swept(q.reshape(count, *q.shape[-2:]), k.reshape(count, *k.shape[-2:]))
            return rows.reshape(q.shape[:-1]), columns.reshape(k.shape[:-1])
        rows = log_sums(q, k, k.new_zeros(k.shape[:-1]))
        return rows, log_sums(k, q, q.new_zeros(q.shape[:-1]))


@row_and_column_log_sums.register_fake
def _(q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
    return q.new_empty(q.shape[:-1]), k.new_empty(k.shape[:-1])


def _are_moderate(q: Tensor, k: Tensor) -> bool:
    """Whether no score exceeds :data:`MODERATE`, by |⟨q, k⟩| ≤ ‖q‖ ‖k‖; looks at the numbers."""
    longest = (
        torch.linalg.vector_norm(q, dim=-1).amax() * torch.linalg.vector_norm(k, dim=-1).amax()
    )
    return bool(longest < MODERATE)  # False too where it is NaN


def _swept(q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
    """The same of items (B, N, r), several small ones at a time."""
    items, targets, sources = q.shape[0], q.shape[1], k.shape[1]
    rows, columns = q.new_zeros(items, targets), k.new_zeros(items, sources)
    at_a_time = max(1, TILE**2 // (targets * sources))
    for item in range(0, items, at_a_time):
        some = slice(item, item + at_a_time)
        for i in range(0, targets, TILE):
            for j in range(0, sources, TILE):
                target, source = slice(i, i + TILE), slice(j, j + TILE)
                weights = (q[some, target] @ k[some, source].mT).exp_()
                rows[some, target] += weights.sum(-1)
                columns[some, source] += weights.sum(-2)
    return rows.log_(), columns.log_()
