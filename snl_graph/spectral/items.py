"""One item of a batch of operators."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from snl_graph.operators import (
    AffinityOperator,
    AttentionOperator,
    DenseOperator,
    Diagonal,
    EdgeOperator,
    FactoredOperator,
    FactoredShard,
    GridOperator,
    LinearDiagonal,
    LogDenseOperator,
    LogDiagonal,
    LogEdgeOperator,
    LogGridOperator,
    ScaledOperator,
    ShardedOperator,
    StreamingOperator,
    SymmetrizedOperator,
)
from snl_graph.operators.factored import BalancedFactoredOperator

Index = tuple[int, ...]


def for_each_item(a: AffinityOperator, solve: Callable[[AffinityOperator], Any]) -> Any:
    """``solve`` of every item of A, (*batch, N, N), in lists nested as the batch axes are.

    Raises:
        ValueError: If A is not square, or no process holds it.
    """
    require_one_square(a)
    batch = a.shape[:-2]
    if not batch:
        return solve(a)
    found = iter([solve(item(a, i)) for i in itertools.product(*map(range, batch))])

    def nested(axes: torch.Size) -> Any:
        return [nested(axes[1:]) for _ in range(axes[0])] if axes else next(found)

    return nested(batch)


def require_one_square(a: AffinityOperator) -> None:
    """Raise a ``ValueError`` unless A is square and held by this process."""
    if isinstance(a, ShardedOperator | FactoredShard):
        raise ValueError(
            "the nodes of this operator are spread over processes. Gather the features first: "
            "affinity(phi.full_tensor(), ...)."
        )
    if a.shape[-1] != a.shape[-2]:
        raise ValueError(
            f"a spectrum needs a square operator; this one has shape {tuple(a.shape)} (keys and "
            f"values are subsampled, or the graph is bipartite)."
        )


def item(a: AffinityOperator, index: Index) -> AffinityOperator:
    """A of one item of the batch, shape (N, N), in the same representation.

    Cost: none where the numbers are known to lie in batches, otherwise that of the whole batch an
    application.
    """
    if isinstance(a, BalancedFactoredOperator):
        m_hat = item(a.m_hat, index)
        assert isinstance(m_hat, FactoredOperator)
        return BalancedFactoredOperator(m_hat)
    for kind, attributes in _BATCHED.items():
        if isinstance(a, kind):
            chosen = copy.copy(a)
            chosen.shape = a.shape[-2:]
            for name in attributes:
                setattr(chosen, name, _chosen(getattr(a, name), index, a.shape[:-2]))
            if isinstance(a, ScaledOperator) and a.left is a.right:
                chosen.right = chosen.left  # type: ignore[attr-defined]
            return chosen
    return _Item(a, index)


_BATCHED: dict[type[AffinityOperator], tuple[str, ...]] = {
    DenseOperator: ("matrix", "_degree"),
    LogDenseOperator: ("logits", "_degree"),
    EdgeOperator: ("weight", "_degree"),
    LogEdgeOperator: ("logits", "_degree"),
    FactoredOperator: ("phi", "psi", "_degree"),
    GridOperator: ("blocks", "_degree"),
    LogGridOperator: ("logits", "_degree"),
    StreamingOperator: ("phi", "psi", "left", "right", "_degree"),
    AttentionOperator: ("unnormalized", "_degree"),
    ScaledOperator: ("inner", "left", "right", "_degree"),
    SymmetrizedOperator: ("inner", "_degree"),
}


def _chosen(held: Any, index: Index, batch: torch.Size) -> Any:
    if isinstance(held, tuple):
        return tuple(_chosen(part, index, batch) for part in held)
    if isinstance(held, AffinityOperator):
        return item(held, index)
    if isinstance(held, LogDiagonal):
        return LogDiagonal(held.logs.expand(*batch, -1)[index])
    if isinstance(held, Diagonal):
        return LinearDiagonal(held.values.expand(*batch, -1)[index])
    if isinstance(held, Tensor):
        own = held.shape[len(batch) :]
        return held.expand(*batch, *own)[index]
    return held


def first_of_batch(a: AffinityOperator) -> AffinityOperator:
    """A of the first item along the first batch axis, shape (*rest, N, N)."""
    rest = a.shape[1:-2]
    return item(a, (0,)) if not rest else _Item(a, (0,))


class _Item(AffinityOperator):
    """One item of any operator: the others get signals of zeros."""

    def __init__(self, whole: AffinityOperator, index: Index) -> None:
        self.whole, self.index = whole, index
        self.representation = whole.representation  # type: ignore[misc]
        self.shape, self.dtype, self.device = whole.shape[len(index) :], whole.dtype, whole.device
        self.is_symmetric, self.is_nonnegative = whole.is_symmetric, whole.is_nonnegative

    def apply(self, z: Tensor) -> Tensor:
        signals = z.new_zeros(*self.whole.shape[:-2], *z.shape[-2:])
        signals[self.index] = z
        return self.whole.apply(signals)[self.index]

    def _transposed(self) -> _Item:
        return _Item(self.whole.T, self.index)

    def degree(self) -> Tensor:
        return self.whole.degree()[self.index]

    def to_dense(self) -> Tensor:
        return self.whole.to_dense()[self.index]
