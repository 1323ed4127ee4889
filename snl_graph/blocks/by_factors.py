"""F by way of the factors of A, and the way back, a tile of the nodes after the other.

A = D̂^-½ M̂ D̂^-½ with M̂ = ½ (Φ Ψᵀ + Ψ Φᵀ) = ½ P J Pᵀ, where P = [Φ Ψ] and J exchanges the halves: one
product with P does the work of two with Φ and Ψ. All that a product with A needs of the whole graph
is Pᵀ S Z with S = D̂^-½, a sum over tiles; all else is done while a tile lies in the cache.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from snl_graph.blocks.products import add_times_, add_weight_gradient_
from snl_graph.operators.balanced import inverse_root
from snl_graph.operators.layout import empty_as, product

Tile = tuple[int, int] | None
"""First node and number of nodes; None for all."""


def filter_by_factors(
    nodes: Tensor, projection: Tensor, taps: Sequence[Tensor], out: Tensor, tile: int
) -> list[Tensor]:
    """Write F = Σ_k A^k Z W_k of some items of the batch.

    Args:
        nodes: X, shape (B, N, C).
        projection: [W_φ; W_ψ; W_g], shape (3 r, C).
        taps: W_k, each (C, r).
        out: Where F is written, shape (B, N, C), in memory as ``nodes``.
        tile: How many nodes are taken at a time.

    Returns:
        What :func:`pull_by_factors` needs beside its arguments.

    Cost: time 8·N·r² a product with A, and (3 + K)·2·N·C·r; kept: 3 r + 1 numbers a node, r more a
    product, and 2 r² a product.
    """
    order = len(taps) - 1
    parts = empty_as(nodes, projection.shape[0])
    stack, z = split(parts)
    tiles = _tiles(nodes, tile)
    sums = parts.new_zeros(len(parts), 1, stack.shape[-1])
    for at in tiles:
        x, xyz, p = _of(at, nodes, parts, stack)
        add_times_(xyz, x, projection.t(), beta=0)
        sums.add_(p.relu_().sum(-2, keepdim=True))
    sums = _exchanged(sums, -1)  # D̂ = ½ P J Pᵀ 1
    root, side = empty_as(nodes, 1), _no_side(parts)
    for at in tiles:
        p, s, signal = _of(at, stack, root, z)
        s.copy_(inverse_root(product(p, sums.mT, p).mul_(0.5)))
        _gather(side, p, signal * s)
    signals, sides = [z], [_exchanged(side, 1)]
    for k in range(1, order + 1):
        signals.append(empty_as(nodes, z.shape[-1]))
        side = _no_side(parts)
        for at in tiles:
            p, s, before, signal, f = _of(at, stack, root, *signals[-2:], out)
            signal.baddbmm_(p, sides[-1], beta=0).mul_(s)
            if k == 1:
                add_times_(f, before, taps[0].t(), beta=0)
            add_times_(f, signal, taps[k].t())
            if k < order:
                _gather(side, p, signal * s)
        if k < order:
            sides.append(_exchanged(side, 1))
    return [parts, sums, root, *signals[1:], *sides]


def pull_by_factors(
    nodes: Tensor,
    projection: Tensor,
    taps: Sequence[Tensor],
    kept: Sequence[Tensor],
    grad: Tensor,
    d_nodes: Tensor | None,
    d_weights: Sequence[Tensor],
    beta: int,
    tile: int,
) -> None:
    """The way back through :func:`filter_by_factors`.

    Args:
        nodes: X, shape (B, N, C).
        projection: [W_φ; W_ψ; W_g].
        taps: W_k.
        kept: What the way there returned.
        grad: The gradient of F.
        d_nodes: Where that of X is written, if anywhere.
        d_weights: To these those of ``projection`` and ``taps`` are added.
        beta: 0 while ``d_weights`` are empty, else 1.
        tile: How many nodes are taken at a time.

    Cost: twice that of the way there.
    """
    order = len(taps) - 1
    (parts, sums, root, *rest), tiles = kept, _tiles(nodes, tile)
    stack, z = split(parts)
    signals, sides = [z, *rest[:order]], rest[order:]
    d_stack = empty_as(nodes, stack.shape[-1]) if order > 1 else None
    d_signal, along = torch.empty_like(signals[-1]), torch.zeros_like(root)
    back, met = _no_side(parts), torch.zeros_like(sums)
    for at in tiles:
        p, s, g, d_y = _of(at, stack, root, grad, d_signal)
        add_times_(d_y, g, taps[-1], beta=0)
        _gather(back, p, d_y * s)
    for k in range(order, 0, -1):
        side, back = _exchanged(back, 1), _no_side(parts)
        is_last = k == 1
        out = torch.empty_like(d_signal)
        rows = torch.cat([sides[k - 1].mT, side.mT], 1)
        for at in tiles:
            p, s, g, y, d_y = _of(at, stack, root, grad, signals[k], d_signal)
            x, d_x, d_s = _of(at, signals[k - 1], out, along)
            d_x.baddbmm_(p, side, beta=0).mul_(s)
            # Y = A X and X enter with the same scale s of a node: s·∂/∂s is ⟨Y, dY⟩ + ⟨X, dX⟩.
            d_s.add_((y * d_y).addcmul_(x, d_x).sum(-1, keepdim=True))
            add_times_(d_x, g, taps[k - 1])
            if is_last:
                # s = d^-½ gives ∂/∂d = −½ s² of it, and M̂ has a ½ more; 0 at a node of degree 0.
                met.baddbmm_(d_s.mul_(s.square()).mul_(-0.25).mT, p)
            elif d_stack is not None:
                (d_p,) = _of(at, d_stack)
                d_p.baddbmm_(_ends(d_y, x, s), rows, beta=int(k < order))
                _gather(back, p, d_x * s)
        d_y_last, d_signal = d_signal, out
    # To dΦ go ∂/∂d_i Σ_j Ψ_j of the node itself and Σ_j ∂/∂d_j Ψ_j of those it meets.
    rows = torch.cat([rows, sums, _exchanged(met, -1)], 1)
    for at in tiles:
        x, g, p, s, d_y, d_degree = _of(at, nodes, grad, stack, root, d_y_last, along)
        d_z, *here = _of(at, d_signal, *signals)
        d_parts = empty_as(x, parts.shape[-1])
        d_p, d_last = split(d_parts)
        d_last.copy_(d_z)
        if d_stack is not None:
            (d_before,) = _of(at, d_stack)
            d_p.copy_(d_before)
        d_p.baddbmm_(_ends(d_y, here[0], s, d_degree), rows, beta=int(order > 1))
        # That of relu, in place.
        torch.ops.aten.threshold_backward.grad_input(d_p, p, 0, grad_input=d_p)
        if d_nodes is not None:
            (d_x,) = _of(at, d_nodes)
            add_times_(d_x, d_parts, projection, beta=0)
        add_weight_gradient_(d_weights[0], d_parts, x, beta)
        for d_tap, signal in zip(d_weights[1:], here, strict=True):
            add_weight_gradient_(d_tap, g, signal, beta)
        beta = 1


def split(parts: Tensor) -> tuple[Tensor, Tensor]:
    """P = [Φ Ψ] and Z, views of [Φ Ψ Z]."""
    width = parts.shape[-1] // 3
    return parts[..., : 2 * width], parts[..., 2 * width :]


def _tiles(nodes: Tensor, tile: int) -> list[Tile]:
    count = nodes.shape[1]
    if count <= tile:
        return [None]
    return [(first, min(tile, count - first)) for first in range(0, count, tile)]


def _of(at: Tile, *signals: Tensor) -> Sequence[Tensor]:
    """A tile of each signal. A view costs as much as a small product, so all nodes take none."""
    return signals if at is None else [signal.narrow(1, *at) for signal in signals]


def _no_side(parts: Tensor) -> Tensor:
    width = parts.shape[-1] // 3
    return parts.new_zeros(len(parts), 2 * width, width)


def _gather(side: Tensor, stack: Tensor, scaled: Tensor) -> None:
    """Add ½ Pᵀ S Z of a tile."""
    side.baddbmm_(stack.mT, scaled, alpha=0.5)


def _ends(grad: Tensor, z: Tensor, root: Tensor, d_degree: Tensor | None = None) -> Tensor:
    """[S G, S Z] of a tile, and [∂/∂d, 1] beside them."""
    width = z.shape[-1]
    ends = empty_as(grad, 2 * width + 2 * (d_degree is not None))
    torch.mul(grad, root, out=ends[..., :width])
    torch.mul(z, root, out=ends[..., width : 2 * width])
    if d_degree is not None:
        ends[..., -2:-1].copy_(d_degree)
        ends[..., -1].fill_(1)
    return ends


def _exchanged(halves: Tensor, dim: int) -> Tensor:
    """J: the two halves along an axis, exchanged."""
    return halves.roll(halves.shape[dim] // 2, dim)
