"""The formulas of the library written out naively: the oracle of every fast form.

Nothing here imports the library. Matrices are one item's, without batch axes; every entry is what
the formula says of one pair of nodes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def pairs_of(phi: Tensor, psi: Tensor, formula: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """M_ij = formula(φ_i, ψ_j), one pair after the other, shape (N, N')."""
    rows = [torch.stack([formula(p, q) for q in psi]) for p in phi]
    return torch.stack(rows)


def dot(p: Tensor, q: Tensor) -> Tensor:
    return (p.clamp(min=0) * q.clamp(min=0)).sum()


def signed_dot(p: Tensor, q: Tensor) -> Tensor:
    return (p * q).sum()


def gaussian(p: Tensor, q: Tensor, scale: float = 1.0) -> Tensor:
    return torch.exp(scale * (p * q).sum())


def rbf(p: Tensor, q: Tensor, gamma: float = 1.0) -> Tensor:
    return torch.exp(-gamma * ((p - q) ** 2).sum())


def concatenation(p: Tensor, q: Tensor, weight: Tensor) -> Tensor:
    """Wang et al., Eq. 5, with w = (w_φ, w_ψ) as the rows of ``weight``."""
    return torch.clamp((weight.flatten() * torch.cat([p, q])).sum(), min=0)


def double_softmax(phi: Tensor, psi: Tensor, valid: Tensor | None = None) -> Tensor:
    """Eq. 10: first softmax over channels, second over the (valid) nodes."""
    mixture = phi.exp() / phi.exp().sum(1, keepdim=True)
    gathered = psi.exp() if valid is None else psi.exp() * valid[:, None]
    total = gathered.sum(0, keepdim=True)
    return mixture @ (gathered / torch.where(total == 0, 1, total)).T


def joined_pairs(
    size: Sequence[int], joins: Callable[[tuple[int, ...], tuple[int, ...]], bool]
) -> Tensor:
    """Mask of a rule on the coordinates of target and source, numbered row by row, (N, N)."""
    positions = list(itertools.product(*(range(length) for length in size)))
    return torch.tensor([[joins(i, j) for j in positions] for i in positions])


def criss_cross(i: tuple[int, ...], j: tuple[int, ...]) -> bool:
    """Eq. 12: same row or same column; at most one coordinate differs."""
    return sum(a != b for a, b in zip(i, j, strict=True)) <= 1


def window(radius: int) -> Callable[[tuple[int, ...], tuple[int, ...]], bool]:
    """Chebyshev distance at most ``radius``."""
    return lambda i, j: max(abs(a - b) for a, b in zip(i, j, strict=True)) <= radius


def symmetrized(m: Tensor) -> Tensor:
    return (m + m.T) / 2


def degrees(m: Tensor, normalization: str) -> Tensor:
    return (symmetrized(m) if normalization == "sym" else m).sum(1)


def normalized(m: Tensor, normalization: str) -> Tensor:
    """Eq. 13 ("sym"), Eq. 3 ("rw") or M itself; rows of degree exactly 0 are 0."""
    if normalization == "none":
        return m
    d = degrees(m, normalization)
    safe = torch.where(d == 0, 1, d)
    if normalization == "rw":
        return m / safe[:, None]
    return symmetrized(m) / (safe[:, None] * safe[None, :]).sqrt()


def normalized_logits(logits: Tensor, normalization: str) -> Tensor:
    """The same of M = exp(logits), −∞ where no pair is joined, without ever leaving logarithms."""
    row = torch.logsumexp(logits, 1)
    if normalization == "rw":
        return torch.exp(logits - torch.where(row == -math.inf, 0, row)[:, None])
    column = torch.logsumexp(logits, 0)
    degree = torch.logaddexp(row, column) - math.log(2)
    degree = torch.where(degree == -math.inf, 0, degree)
    m = logits - (degree[:, None] + degree[None, :]) / 2
    return (m.exp() + m.T.exp()) / 2


def edge_matrix(edge_index: Tensor, weight: Tensor, shape: tuple[int, int]) -> Tensor:
    """A of an edge list, A_ij += w of every edge j → i, shape (N, N')."""
    matrix = [[weight.new_zeros(()) for _ in range(shape[1])] for _ in range(shape[0])]
    for (source, target), value in zip(edge_index.T.tolist(), weight, strict=True):
        matrix[target][source] = matrix[target][source] + value
    return torch.stack([torch.stack(row) for row in matrix])


def batched(formula: Callable[..., Tensor], *arguments: Tensor | None, axes: int = 2) -> Tensor:
    """``formula`` of every item; an argument is None, or (*batch, and ``axes`` axes of its own)."""
    first = next(argument for argument in arguments if argument is not None)
    batch = first.shape[: first.dim() - axes]
    flat = [
        [None] * math.prod(batch) if a is None else list(a.reshape(-1, *a.shape[len(batch) :]))
        for a in arguments
    ]
    items = [formula(*item) for item in zip(*flat, strict=True)]
    return torch.stack(items).unflatten(0, batch) if batch else items[0]
