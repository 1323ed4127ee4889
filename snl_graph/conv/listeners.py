"""Whether messages are sent one by one: somebody needs them, or a graph is too small to fuse."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.nn import MessagePassing

from snl_graph.operators.eager import is_transformed

LEAST_WORK = 2**16
"""Edges times channels where the fused product begins to pay: below, calling it costs more."""

_ROUNDS = ("propagate", "message", "aggregate")
_METHODS = ("message", "aggregate", "update", "message_and_aggregate")


def needs_messages(layer: MessagePassing, base: type[MessagePassing]) -> bool:
    """Whether a layer must send its messages one by one.

    So it is while it is explained (single messages are masked), for hooks on messages, for a
    subclass that makes or sums them another way, for a program that is exported (which shall run
    where this library is not), and for derivatives that the fused product does not have: forward
    ones, and those of ``torch.func``.

    Args:
        layer: The layer.
        base: The class whose messages the fused product sums.
    """
    if layer.explain or torch.compiler.is_exporting() or is_transformed():
        return True
    hooks = (f"_{name}_forward{when}_hooks" for name in _ROUNDS for when in ("", "_pre"))
    if any(getattr(layer, name) for name in hooks):
        return True
    return any(
        name in vars(layer) or getattr(type(layer), name) is not getattr(base, name)
        for name in _METHODS
    )


def is_small(edge_index: Tensor, x: Tensor) -> bool:
    """Whether messages along a list of edges cost less than the fused product takes to prepare.

    Never in a compiled program, which is to serve every size, nor for a sparse matrix, which is
    prepared once.
    """
    if edge_index.layout != torch.strided or torch.compiler.is_compiling():
        return False
    return edge_index.shape[-1] * x.shape[-1] < LEAST_WORK
