"""F of the paper's block as one function of X and the weights, with one backward pass.

Eq. 13 with rectified dot products, symmetric normalisation and free powers of A, the defaults of
``snl`` and ``gsnl``, from X to F. On a small map the calls of many small functions cost more than
their numbers; on a large one every product is accumulated where it lies, which spares passes over
memory. It gives what the pieces of this library give, and takes their place where nothing else was
asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from snl_graph.blocks.affinity import AffinityPieces, FeatureAffinity
from snl_graph.blocks.arrangements import Positions
from snl_graph.blocks.by_factors import filter_by_factors, pull_by_factors
from snl_graph.blocks.by_matrix import filter_by_matrix, pull_by_matrix
from snl_graph.blocks.linear import are_plain
from snl_graph.choice import DENSE_UP_TO, choose
from snl_graph.filters import GraphFilter, Monomial, Polynomial
from snl_graph.grids import Size
from snl_graph.kernels import Dot
from snl_graph.normalizations import Symmetric
from snl_graph.operators.balanced import plain_product
from snl_graph.operators.eager import has_hooks
from snl_graph.operators.layout import empty_as
from snl_graph.operators.recomputed import recomputed_gradients

IN_CACHE = 2**21
"""Bytes of signals that lie close to a processor core while they are worked on."""
LEAST_TILE = 4096
"""Nodes that are worth a product of their own."""


def fused_filter(
    nodes: Tensor,
    size: Size,
    affinity: FeatureAffinity,
    filter: GraphFilter,
    maps: Sequence[nn.Module | None],
) -> Tensor | None:
    """F = Σ_k A^k Z W_k of Φ = relu(X W_φ), Ψ = relu(X W_ψ) and Z = X W_g.

    Source: Zhu et al., Eq. 8 and 13.

    Args:
        nodes: X, shape (B, N, C).
        size: Spatial size of the N positions.
        affinity: The pieces of A.
        filter: The filter.
        maps: W_φ, W_ψ, W_g, each (C_s, C), and W_k for k = 0 .. K−1, each (C, C_s).

    Returns:
        Shape (B, N, C), in memory as ``nodes``. None if the pieces are not the default ones, or one
        of them was replaced or is watched by a hook.

    Cost: that of the products with A, and (3 + K)·2·N·C·C_s, twice that backward; kept for
    backward: X, Φ, Ψ and A^k Z, and A where it is written down.
    """
    if not (
        _are_default(affinity, filter)
        and are_plain(maps, nodes)
        and maps[0].out_features == maps[2].out_features  # Φ, Ψ and Z lie side by side in thirds
        and not any(has_hooks(module) for module in (affinity, affinity.kernel, filter))
    ):
        return None
    representation = _representation(
        nodes.shape[1], size, maps[0].out_features, affinity.pieces, filter.order
    )
    if representation not in ("dense", "factored"):
        return None
    weights = (map.weight for map in maps)
    return _FusedFilter.apply(representation == "dense", nodes, *weights)


def _representation(
    count: int, size: Size, width: int, pieces: AffinityPieces, applications: int
) -> str:
    """What was asked for, or what "auto" takes; nothing where there may be no room for it."""
    if pieces.representation == "dense" and count**2 > DENSE_UP_TO:
        return ""
    if pieces.representation != "auto":
        return pieces.representation
    return choose(
        pieces.kernel,
        pieces.mask,
        size,
        (count, count),
        width,
        is_symmetric=True,
        applications=applications,
    )


def _are_default(affinity: FeatureAffinity, filter: GraphFilter) -> bool:
    pieces = affinity.pieces
    return (
        type(affinity.kernel) is Dot
        and pieces.mask.is_full
        and type(pieces.normalization) is Symmetric
        and type(pieces.arrangement) is Positions
        and pieces.arrangement.heads == 1
        and pieces.subsampling.is_identity
        and type(filter) is Polynomial
        and type(filter.basis) is Monomial
        and filter.has_free_taps
        and filter.order > 0
    )


class _FusedFilter(torch.autograd.Function):
    """F of X (B, N, C) and the weights; whether A is written down comes first.

    The items of a batch are taken a few at a time: what lies between X and F then stays in the
    cache, and little memory is asked for anew.
    """

    @staticmethod
    def forward(
        ctx: Any,
        is_matrix: bool,
        nodes: Tensor,
        w_phi: Tensor,
        w_psi: Tensor,
        w_g: Tensor,
        *taps: Tensor,
    ) -> Tensor:
        projection = torch.cat([w_phi, w_psi, w_g])
        f = empty_as(nodes, taps[0].shape[0])
        kept: list[Tensor] = []
        ctx.is_matrix, ctx.order = is_matrix, len(taps) - 1
        if is_matrix:
            kept = filter_by_matrix(nodes, projection, taps, f)
        else:
            ctx.shares, ctx.tile = _shares(nodes, projection.shape[0])
            for items in ctx.shares:
                kept += filter_by_factors(nodes[items], projection, taps, f[items], ctx.tile)
        ctx.save_for_backward(nodes, w_phi, w_psi, w_g, *taps, projection, *kept)
        return f

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        nodes, w_phi, w_psi, w_g, *rest = ctx.saved_tensors
        taps, (projection, *kept) = rest[: ctx.order + 1], rest[ctx.order + 1 :]
        if torch.is_grad_enabled():  # a second derivative is asked for: by way of autograd
            inputs = (nodes, w_phi, w_psi, w_g, *taps)
            return None, *recomputed_gradients(_plain_filter, inputs, grad)
        d_nodes = empty_as(nodes, nodes.shape[-1]) if ctx.needs_input_grad[1] else None
        d_weights = [torch.empty_like(weight) for weight in (projection, *taps)]
        if ctx.is_matrix:
            pull_by_matrix(nodes, projection, taps, kept, grad, d_nodes, d_weights)
        else:
            each = len(kept) // len(ctx.shares)
            for number, items in enumerate(ctx.shares):
                pull_by_factors(
                    nodes[items],
                    projection,
                    taps,
                    kept[number * each : (number + 1) * each],
                    grad[items],
                    None if d_nodes is None else d_nodes[items],
                    d_weights,
                    int(number > 0),
                    ctx.tile,
                )
        d_projection, *d_taps = d_weights
        return None, d_nodes, *d_projection.chunk(3), *d_taps


def _shares(nodes: Tensor, width: int) -> tuple[list[slice], int]:
    """Slices of the batch and a number of nodes, so that the cache holds as much of a signal."""
    batch, count, _ = nodes.shape
    if nodes.device.type != "cpu":  # where many small products are slower than a large one
        return [slice(0, batch)], count
    held = IN_CACHE // (width * nodes.element_size())  # nodes
    size = max(held // count, 1)
    parts = -(-count // max(held, LEAST_TILE))
    return [slice(first, first + size) for first in range(0, batch, size)], -(-count // parts)


def _plain_filter(
    nodes: Tensor, w_phi: Tensor, w_psi: Tensor, w_g: Tensor, *taps: Tensor
) -> Tensor:
    """F in operations that autograd can differentiate again."""
    phi, psi = (nodes @ w_phi.t()).relu(), (nodes @ w_psi.t()).relu()
    signal = nodes @ w_g.t()
    f = signal @ taps[0].t()
    for weight in taps[1:]:
        signal = plain_product(phi, psi, signal)
        f = f + signal @ weight.t()
    return f
