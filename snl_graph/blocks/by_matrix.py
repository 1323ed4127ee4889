"""F by way of A written down, and the way back: for fewer nodes than channels, or few of both."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from snl_graph.blocks.by_factors import split
from snl_graph.blocks.products import add_times_, add_weight_gradient_, times
from snl_graph.operators.balanced import balanced_matrix
from snl_graph.operators.layout import product


def filter_by_matrix(
    nodes: Tensor, projection: Tensor, taps: Sequence[Tensor], out: Tensor
) -> list[Tensor]:
    """Write F; arguments and result as of :func:`~snl_graph.blocks.by_factors.filter_by_factors`.

    Cost: time 4·N²·r a product with A; kept: A, 3 r + 1 numbers a node, and r more a product.
    """
    parts = times(nodes, projection.t(), nodes)
    stack, z = split(parts)
    phi, psi = stack.relu_().chunk(2, -1)
    m = torch.bmm(phi, psi.mT)
    a, _, root = balanced_matrix(torch.add(m, m.mT).mul_(0.5))
    add_times_(out, z, taps[0].t(), beta=0)
    signals = [z]
    for weight in taps[1:]:
        signals.append(product(a, signals[-1], stack))
        add_times_(out, signals[-1], weight.t())
    return [parts, a, root, *signals[1:]]


def pull_by_matrix(
    nodes: Tensor,
    projection: Tensor,
    taps: Sequence[Tensor],
    kept: Sequence[Tensor],
    grad: Tensor,
    d_nodes: Tensor | None,
    d_weights: Sequence[Tensor],
) -> None:
    """The way back, as :func:`~snl_graph.blocks.by_factors.pull_by_factors` with ``beta=0``."""
    parts, a, root, *rest = kept
    stack, z = split(parts)
    signals = [z, *rest]
    d_parts = torch.empty_like(parts)
    d_stack, d_z = split(d_parts)
    d_signal, d_a = times(grad, taps[-1], nodes), torch.empty_like(a)
    for k in range(len(taps) - 1, 0, -1):
        out = d_z if k == 1 else torch.empty_like(d_signal)
        out.baddbmm_(a, d_signal, beta=0)
        d_a.baddbmm_(d_signal, signals[k - 1].mT, beta=int(k < len(taps) - 1))
        add_times_(out, grad, taps[k - 1])
        d_signal = out
    # With G the gradient of A and H = G + Gᵀ, ∂/∂d_i is −½ d_i^-1 Σ_j H_ij A_ij, and that of
    # Φ Ψᵀ is ½ (S H S + ∂/∂d 1ᵀ + 1 ∂/∂dᵀ).
    h = torch.add(d_a, d_a.mT)
    half_d_degree = (h * a).sum(-1, keepdim=True).mul_(root.square()).mul_(-0.25)
    d_m = h.mul_(root * 0.5).mul_(root.mT)
    d_m.add_(half_d_degree).add_(half_d_degree.mT)
    for d_factor, other in zip(d_stack.chunk(2, -1), stack.chunk(2, -1)[::-1], strict=True):
        d_factor.baddbmm_(d_m, other, beta=0)
    # That of relu, in place.
    torch.ops.aten.threshold_backward.grad_input(d_stack, stack, 0, grad_input=d_stack)
    if d_nodes is not None:
        add_times_(d_nodes, d_parts, projection, beta=0)
    add_weight_gradient_(d_weights[0], d_parts, nodes, beta=0)
    for d_tap, signal in zip(d_weights[1:], signals, strict=True):
        add_weight_gradient_(d_tap, grad, signal, beta=0)
