"""How the attention maps of a block look: their entropy, and whether they depend on the query."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from snl_graph.operators import AffinityOperator
from snl_graph.operators.diagonal import accumulation_dtype


@dataclass(frozen=True)
class Maps:
    """Two numbers of a sample of the rows of A.

    Attributes:
        entropy: Mean entropy of a row over log N', 0 .. 1; None without a row that is not zero, or
            if N' = 1.
        query_dependence: Mean total variation distance between the rows and their mean; None
            without a row that is not zero.
    """

    entropy: float | None
    query_dependence: float | None


def sampled_rows(a: AffinityOperator, count: int) -> Tensor:
    """Rows of A at ``count`` positions drawn once and for all, (*batch, rows, N').

    Positions at equal distances would all lie in one column of some maps.

    Cost: one product of Aᵀ with ``count`` signals.
    """
    n = a.shape[-2]
    drawn = torch.randperm(n, generator=torch.Generator().manual_seed(0))[:count].sort().values
    picked = torch.zeros(n, len(drawn), dtype=a.dtype)
    picked[drawn, torch.arange(len(drawn))] = 1
    columns = a.T.apply(picked.to(a.device).expand(*a.shape[:-2], *picked.shape))
    return columns.mT.to(accumulation_dtype(a.dtype))


def maps_of(rows: Tensor) -> Maps:
    """Entropy and dependence on the query, means over all graphs of a batch.

    Rows count by the sizes of their entries, p_ij = |A_ij| / Σ_j |A_ij|; rows of zeros, as of
    padding, do not count.

    Source: that trained maps can be the same for every query is an observation of Cao et al.,
    *GCNet: Non-local Networks Meet Squeeze-Excitation Networks and Beyond* (arXiv:1904.11492).

    Args:
        rows: Shape (*batch, rows, N'), finite.
    """
    size = rows.abs()
    total = size.sum(-1, keepdim=True)
    is_row = (total > 0).to(rows.dtype)  # (*batch, rows, 1)
    if not is_row.any():
        return Maps(None, None)
    p = size / total.where(total > 0, 1)
    mean = p.sum(-2, keepdim=True) / is_row.sum(-2, keepdim=True).clamp(min=1)
    distance = (p - mean).abs().sum(-1, keepdim=True) / 2 * is_row
    entropy = -torch.special.xlogy(p, p).sum(-1) / math.log(max(rows.shape[-1], 2))
    count = float(is_row.sum())
    mean_entropy = float(entropy.sum()) / count if rows.shape[-1] > 1 else None
    return Maps(mean_entropy, float(distance.sum()) / count)
