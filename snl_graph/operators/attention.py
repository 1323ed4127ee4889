"""Products with exponentials of scores that are never written down, and their derivatives.

For S_ij = ⟨q_i, k_j⟩ + right_j three products, each of O(N) memory forward and backward:

- :func:`exponential_product`, y_i = Σ_j exp(S_ij + left_i) z_j,
- :func:`log_sums`, log Σ_j exp S_ij,
- :func:`softmax_product`, softmax(S) Z: scaled-dot-product attention as PyTorch has it.

The first two are operations of PyTorch (``torch.library``), so they compile and export as one node.
Their backward passes are written once in terms of the same fused calls; a second derivative is
recomputed block by block.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from snl_graph.operators import blockwise
from snl_graph.operators.fused import fused_attention, of_one_width
from snl_graph.operators.recomputed import recomputed_gradients

NEVER = -1e30
"""The logarithm of a weight that is none. Finite: −∞ times a zero of a feature would be NaN."""


def exponential_product(q: Tensor, k: Tensor, left: Tensor, right: Tensor, z: Tensor) -> Tensor:
    """y_i = Σ_j exp(⟨q_i, k_j⟩ + left_i + right_j) z_j.

    A row whose sum of weights would overflow is cut to the largest one that does not.

    Args:
        q: Shape (*batch, N, r).
        k: Shape (*batch, N', r).
        left: Shape (*batch, N).
        right: Shape (*batch, N').
        z: Shape (*batch, N', C); its batch axes may be others that broadcast.

    Returns:
        Shape (*batch, N, C).

    Cost: one fused call; backward one fused backward call.
    """
    batch = torch.broadcast_shapes(q.shape[:-2], z.shape[:-2])
    q, k, z = (_with_four_axes(x, batch, 2) for x in (q, k, z))
    left, right = (_with_four_axes(x, batch, 1) for x in (left, right))
    y, _ = _exponential_product(q, k, left, right, z)
    return y.reshape(*batch, *y.shape[-2:])


def log_sums(q: Tensor, k: Tensor, right: Tensor) -> Tensor:
    """The log-sum-exps of the rows, log Σ_j exp(⟨q_i, k_j⟩ + right_j), shape (*batch, N).

    Cost: one fused call; backward one fused forward call, two where Q needs a second derivative.
    """
    batch = q.shape[:-2]
    q, k = (_with_four_axes(x, batch, 2) for x in (q, k))
    logs, _ = _log_sums(q, k, _with_four_axes(right, batch, 1))
    return logs.reshape(*batch, logs.shape[-1])


def softmax_product(q: Tensor, k: Tensor, right: Tensor | None, z: Tensor) -> Tensor:
    """softmax(Q Kᵀ + right) Z by ``torch.nn.functional.scaled_dot_product_attention``.

    Args:
        q: Shape (*batch, N, r).
        k: Shape (*batch, N', r).
        right: Shape (*batch, N'), a constant, or None.
        z: Shape (*batch, N', C); its batch axes may be others that broadcast.

    Cost: one fused call; backward one fused backward call, or block by block of rows where scores
    are so large (5e5 in float32) that the fused one is wrong.
    """
    batch = torch.broadcast_shapes(q.shape[:-2], z.shape[:-2])
    q, k, z = (_with_four_axes(x, batch, 2) for x in (q, k, z))
    mask = None if right is None else _with_four_axes(right, batch, 1).detach().unsqueeze(-2)
    needs_graph = torch.is_grad_enabled() and any(x.requires_grad for x in (q, k, z))
    if needs_graph and not torch.compiler.is_compiling():  # which never differentiates twice
        y = _TwiceDifferentiableAttention.apply(q, k, z, mask)
    else:
        y = _attention(q, k, z, mask)
    return y.reshape(*batch, *y.shape[-2:])


def _with_four_axes(x: Tensor, batch: torch.Size, own: int) -> Tensor:
    """``x`` of (*batch, and ``own`` axes) as (B, H, and its own): views, where that can be."""
    x = x.expand(*batch, *x.shape[x.dim() - own :])
    if len(batch) > 2:
        return x.flatten(0, len(batch) - 2)
    return x.unsqueeze(1) if len(batch) == 1 else x if len(batch) == 2 else x[None, None]


# --- Σ_j exp(S_ij + left_i) z_j


@torch.library.custom_op(
    "snl_graph::exponential_product",
    mutates_args=(),
    schema="(Tensor q, Tensor k, Tensor left, Tensor right, Tensor v) -> (Tensor, Tensor)",
)
def _exponential_product(
    q: Tensor, k: Tensor, left: Tensor, right: Tensor, v: Tensor
) -> tuple[Tensor, Tensor]:
    """y, and ``left`` as it was used: lowered where the row's sum of weights overflows."""
    mean, logs = _mean_and_log_sums(q, k, v, right)
    left = torch.minimum(left, _largest_log(q.dtype) - logs)
    # The row's scale times its softmax: neither of the two is out of range where y is not.
    return _heads_last(mean * (left + logs).exp().unsqueeze(-1)), left


@_exponential_product.register_fake
def _(q: Tensor, k: Tensor, left: Tensor, right: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    return _heads_last(v.new_empty(*q.shape[:-1], v.shape[-1])), torch.empty_like(left)


@torch.library.custom_op(
    "snl_graph::exponential_product_backward",
    mutates_args=(),
    schema="(Tensor dy, Tensor q, Tensor k, Tensor left, Tensor right, Tensor v) "
    "-> (Tensor, Tensor, Tensor)",
)
def _exponential_product_backward(
    dy: Tensor, q: Tensor, k: Tensor, left: Tensor, right: Tensor, v: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients by q, k and v; those by left and right are ⟨dy_i, y_i⟩ and ⟨dv_j, v_j⟩."""
    with torch.autocast(device_type=q.device.type, enabled=False):
        kernel = fused_attention(q, k, v)
        if kernel is None:
            dq, dk, dv = blockwise.gradients(dy, q, k, left, right, v)
        else:
            dq, dk, dv = kernel.backward(dy, q, k, v, right, left)
    return _heads_last(dq), _heads_last(dk), _heads_last(dv)


@_exponential_product_backward.register_fake
def _(
    dy: Tensor, q: Tensor, k: Tensor, left: Tensor, right: Tensor, v: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    q, k, v = (_heads_last(torch.empty_like(x)) for x in (q, k, v))
    return q, k, v


def _save_product(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
    ctx.save_for_backward(*inputs, *output)


def _product_gradients(ctx: Any, dy: Tensor, _: Tensor) -> tuple[Tensor, ...]:
    q, k, left, right, v, y, used = ctx.saved_tensors
    left = torch.where(used.detach() < left, used.detach(), left)
    dq, dk, dv = _exponential_product_backward(dy, q, k, left, right, v)
    return dq, dk, (dy * y).sum(-1), (dv * v).sum(-1), dv


def _save_gradients(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
    ctx.save_for_backward(*inputs)


def _second_derivatives(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
    return recomputed_gradients(blockwise.gradients, ctx.saved_tensors, upstream)


_exponential_product.register_autograd(_product_gradients, setup_context=_save_product)
_exponential_product_backward.register_autograd(_second_derivatives, setup_context=_save_gradients)


# --- log Σ_j exp S_ij


@torch.library.custom_op(
    "snl_graph::log_sums",
    mutates_args=(),
    schema="(Tensor q, Tensor k, Tensor right) -> (Tensor, Tensor)",
)
def _log_sums(q: Tensor, k: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """The log-sum-exps, and softmax(S) K, which is their gradient by Q and costs nothing more."""
    mean, logs = _mean_and_log_sums(q, k, k, right)
    return logs.contiguous(), _heads_last(mean)


@_log_sums.register_fake
def _(q: Tensor, k: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    return q.new_empty(q.shape[:-1]), _heads_last(torch.empty_like(q))


def _save_log_sums(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
    ctx.save_for_backward(*inputs, *output)


def _log_sum_gradients(ctx: Any, dlogs: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
    """dq_i = dlogs_i Σ_j P_ij k_j and dk_j = Σ_i P_ij dlogs_i q_i with P = softmax(S)."""
    q, k, right, logs, mean = ctx.saved_tensors
    if torch.is_grad_enabled():  # the saved mean is a constant, and is differentiated here
        mean, _ = _exponential_product(q, k, -logs, right, k)
    dlogs = dlogs.unsqueeze(-1)
    if not ctx.needs_input_grad[2]:
        return dlogs * mean, _exponential_product(k, q, right, -logs, dlogs * q)[0], None
    columns = torch.cat([dlogs * q, dlogs], -1)
    both, _ = _exponential_product(k, q, right, -logs, columns)
    return dlogs * mean, both[..., :-1], both[..., -1]


_log_sums.register_autograd(_log_sum_gradients, setup_context=_save_log_sums)


# --- softmax(S) Z


def _attention(q: Tensor, k: Tensor, z: Tensor, mask: Tensor | None) -> Tensor:
    """Plain attention, in the form that keeps it from falling back to an N×N matrix."""
    width = z.shape[-1]
    q, k, z = of_one_width(q, k, z)
    with torch.autocast(device_type=q.device.type, enabled=False):
        return F.scaled_dot_product_attention(q, k, z, mask, scale=1.0)[..., :width]


class _TwiceDifferentiableAttention(torch.autograd.Function):
    """Attention with the backward of PyTorch where that is sound, and with second derivatives."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, z: Tensor, mask: Tensor | None) -> Tensor:
        ctx.save_for_backward(q, k, z)
        ctx.mask = mask
        ctx.leaves = [
            x.detach().requires_grad_(is_needed)
            for x, is_needed in zip((q, k, z), ctx.needs_input_grad[:3], strict=True)
        ]
        with torch.enable_grad():
            q, k, z = ctx.leaves
            ctx.y = _attention(q, k, z, mask)
        return ctx.y.detach()

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        q, k, _ = ctx.saved_tensors
        if torch.is_grad_enabled() or not _are_resolved(q, k):

            def attention(q: Tensor, k: Tensor, z: Tensor) -> tuple[Tensor]:
                shift = k.new_zeros(k.shape[:-1]) if ctx.mask is None else ctx.mask.squeeze(-2)
                return (blockwise.softmax_product(q, k, z, shift),)

            return *recomputed_gradients(attention, ctx.saved_tensors, (dy,)), None
        wanted = [leaf for leaf in ctx.leaves if leaf.requires_grad]
        found = iter(torch.autograd.grad(ctx.y, wanted, dy, retain_graph=True))
        return *(next(found) if leaf.requires_grad else None for leaf in ctx.leaves), None


# --- what they share


def _are_resolved(q: Tensor, k: Tensor) -> bool:
    """Whether the logarithm of a number of scores is not lost beside them, by |⟨q, k⟩| ≤ ‖q‖ ‖k‖.

    A fused backward pass makes the weights as exp(S_ij − l_i) with l_i = log Σ_j exp S_ij rounded
    to the dtype. Of n equal scores S, as the background of an image has them, l = S + log n; where
    S is so large that this is S again, each weighs 1 instead of 1/n, and the gradient is n times
    too large, in every block anew. Asked on the processor alone: from another device the answer
    would have to be waited for.
    """
    if q.device.type != "cpu" or not (q.numel() and k.numel()):
        return True
    longest = [torch.linalg.vector_norm(x, dim=-1).amax() for x in (q, k)]
    return bool(longest[0] * longest[1] * torch.finfo(q.dtype).eps < 2**-4)  # NaN: False


def _mean_and_log_sums(q: Tensor, k: Tensor, v: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """softmax(S) V and the log-sum-exps of the rows of S."""
    with torch.no_grad(), torch.autocast(device_type=q.device.type, enabled=False):
        kernel = fused_attention(q, k, v)
        if kernel is None:
            return blockwise.mean_and_log_sums(q, k, v, right)
        return kernel.forward(q, k, v, right)


def _heads_last(x: Tensor) -> Tensor:
    """``x`` of (B, H, N, C) in memory as (B, N, H, C), as the kernels have it."""
    return x.transpose(1, 2).contiguous().transpose(1, 2)


def _largest_log(dtype: torch.dtype) -> float:
    return math.log(torch.finfo(dtype).max) - 1
