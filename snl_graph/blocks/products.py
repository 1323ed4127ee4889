"""Products of node signals by weights, with their gradients, in the memory layout of the signal.

A convolution finds the same numbers; here each layout of memory has the products that suit it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from snl_graph.operators.layout import is_node_minor


class FanOut(torch.autograd.Function):
    """Z W_i^T of one signal Z (B, N, in) and weights W_i (out_i, in)."""

    @staticmethod
    def forward(ctx: Any, nodes: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(nodes, *weights)
        return tuple(times(nodes, weight.t(), nodes) for weight in weights)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        nodes, *weights = ctx.saved_tensors
        d_nodes = None
        if ctx.needs_input_grad[0]:
            for grad, weight in zip(grads, weights, strict=True):
                if grad is None:
                    continue
                if d_nodes is None:
                    d_nodes = times(grad, weight, nodes)
                else:
                    add_times_(d_nodes, grad, weight)
        d_weights = [
            weight_gradient(grad, nodes) if is_needed and grad is not None else None
            for grad, is_needed in zip(grads, ctx.needs_input_grad[1:], strict=True)
        ]
        return d_nodes, *d_weights


class FanIn(torch.autograd.Function):
    """Σ_i Z_i W_i^T of signals Z_i (B, N, in_i) and weights W_i (out, in_i)."""

    @staticmethod
    def forward(ctx: Any, count: int, *parts: Tensor) -> Tensor:
        ctx.save_for_backward(*parts)
        signals, weights = parts[:count], parts[count:]
        total = times(signals[0], weights[0].t(), signals[0])
        for signal, weight in zip(signals[1:], weights[1:], strict=True):
            add_times_(total, signal, weight.t())
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        parts = ctx.saved_tensors
        count = len(parts) // 2
        is_needed = ctx.needs_input_grad[1:]
        pairs = list(zip(parts[:count], parts[count:], strict=True))
        d_signals = [
            times(grad, weight, signal) if needed else None
            for (signal, weight), needed in zip(pairs, is_needed[:count], strict=True)
        ]
        d_weights = [
            weight_gradient(grad, signal) if needed else None
            for (signal, _), needed in zip(pairs, is_needed[count:], strict=True)
        ]
        return None, *d_signals, *d_weights


def times(signal: Tensor, matrix: Tensor, like: Tensor) -> Tensor:
    """(B, N, a) by (a, b), in memory as ``like``, (B, N, ·), lies."""
    if is_node_minor(like):
        return torch.bmm(_for_each(matrix.t(), signal), signal.mT).mT
    flat = signal.reshape(-1, signal.shape[-1])
    return torch.mm(flat, matrix).view(*signal.shape[:-1], -1)


def add_times_(total: Tensor, signal: Tensor, matrix: Tensor, beta: int = 1) -> None:
    """``total = beta * total + signal @ matrix``.

    The total is one that :func:`times` made, or channels of it; with ``beta=0`` it may be empty.
    """
    if is_node_minor(total):
        total.mT.baddbmm_(_for_each(matrix.t(), signal), signal.mT, beta=beta)
    else:
        flat = signal.reshape(-1, signal.shape[-1])
        total.view(-1, total.shape[-1]).addmm_(flat, matrix, beta=beta)


def _for_each(matrix: Tensor, signal: Tensor) -> Tensor:
    """The matrix for each item of the batch, without a copy."""
    return matrix.expand(signal.shape[0], *matrix.shape)


def weight_gradient(grad: Tensor, signal: Tensor) -> Tensor:
    """Σ_b grad_bᵀ signal_b, shape (out, in)."""
    total = grad.new_empty(grad.shape[-1], signal.shape[-1])
    add_weight_gradient_(total, grad, signal, beta=0)
    return total


def add_weight_gradient_(total: Tensor, grad: Tensor, signal: Tensor, beta: int = 1) -> None:
    """``total = beta * total + Σ_b grad_bᵀ signal_b``, shape (out, in)."""
    if not is_node_minor(signal):
        flat = grad.reshape(-1, grad.shape[-1])
        total.addmm_(flat.t(), signal.reshape(-1, signal.shape[-1]), beta=beta)
    elif signal.device.type == "cpu":  # item by item, without a product of each
        total.addbmm_(grad.mT, signal, beta=beta)
    else:  # at once
        of_all = torch.bmm(grad.mT, signal).sum(0)
        total.copy_(of_all + total if beta else of_all)
