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
from snl_graph.blocks.linear import are_plain, has_hooks
from snl_graph.blocks.products import add_times_, add_weight_gradient_, times
from snl_graph.blocks.stacked import Factors, Matrix, StackedProducts
from snl_graph.choice import DENSE_UP_TO, choose
from snl_graph.filters import GraphFilter, Monomial, Polynomial
from snl_graph.grids import Size
from snl_graph.kernels import Dot
from snl_graph.normalizations import Symmetric
from snl_graph.operators.balanced import plain_product
from snl_graph.operators.layout import empty_as, is_node_minor

IN_CACHE = 2**20
"""Bytes of signals that lie close to a processor core while they are worked on."""


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
        ctx.kind, ctx.taps = Matrix if is_matrix else Factors, len(taps)
        f = empty_as(nodes, taps[0].shape[0])
        ctx.shares = _shares(nodes, projection.shape[0], is_matrix)
        kept = [
            part
            for items in ctx.shares
            for part in _filter(ctx.kind, nodes[items], projection, taps, f[items])
        ]
        ctx.save_for_backward(nodes, w_phi, w_psi, w_g, *taps, projection, *kept)
        return f

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        nodes, w_phi, w_psi, w_g, *rest = ctx.saved_tensors
        taps, (projection, *kept) = rest[: ctx.taps], rest[ctx.taps :]
        if torch.is_grad_enabled():  # a second derivative is asked for: by way of autograd
            return None, *_plain_gradients(grad, (nodes, w_phi, w_psi, w_g, *taps))
        d_nodes = empty_as(nodes, nodes.shape[-1]) if ctx.needs_input_grad[1] else None
        d_weights = [torch.zeros_like(weight) for weight in (projection, *taps)]
        each = len(kept) // len(ctx.shares)
        for number, items in enumerate(ctx.shares):
            _pull(
                ctx.kind,
                nodes[items],
                projection,
                taps,
                kept[number * each : (number + 1) * each],
                grad[items],
                None if d_nodes is None else d_nodes[items],
                d_weights,
            )
        d_projection, *d_taps = d_weights
        return None, d_nodes, *d_projection.chunk(3), *d_taps


def _shares(nodes: Tensor, width: int, is_matrix: bool) -> list[slice]:
    """Slices of the batch, each with as many items as the cache holds signals of.

    Where A is written down there are fewer nodes than channels: what fills the cache then are the
    weights, which every share would read again.
    """
    batch, count, _ = nodes.shape
    size = batch
    if nodes.device.type == "cpu" and not is_matrix and is_node_minor(nodes):
        size = max(IN_CACHE // (count * width * nodes.element_size()), 1)
    return [slice(first, first + size) for first in range(0, batch, size)]


def _filter(
    kind: type[StackedProducts],
    nodes: Tensor,
    projection: Tensor,
    taps: Sequence[Tensor],
    out: Tensor,
) -> list[Tensor]:
    """Write F of some items to ``out``, and return what the way back needs."""
    parts = times(nodes, projection.t(), nodes)  # [Φ Ψ Z], (B, N, 3 C_s)
    stack, z = _split(parts)
    products = kind(stack.relu_())
    add_times_(out, z, taps[0].t(), beta=0)
    signals = [z]
    for weight in taps[1:]:
        signals.append(products.apply(signals[-1]))
        add_times_(out, signals[-1], weight.t())
    return [parts, *signals[1:], *products.kept]


def _pull(
    kind: type[StackedProducts],
    nodes: Tensor,
    projection: Tensor,
    taps: Sequence[Tensor],
    kept: Sequence[Tensor],
    grad: Tensor,
    d_nodes: Tensor | None,
    d_weights: Sequence[Tensor],
) -> None:
    """Write the gradient of some items to ``d_nodes``, and add theirs of the weights."""
    parts, *rest = kept
    stack, z = _split(parts)
    signals = [z, *rest[: len(taps) - 1]]
    d_parts = torch.empty_like(parts)
    d_stack, d_z = _split(d_parts)
    products = kind(stack, rest[len(taps) - 1 :], d_stack)
    d_signal = times(grad, taps[-1], nodes)
    for k in range(len(taps) - 1, 0, -1):
        out = d_z if k == 1 else torch.empty_like(d_signal)
        products.pull(signals[k - 1], signals[k], d_signal, out, is_last=k == 1)
        add_times_(out, grad, taps[k - 1])
        d_signal = out
    # That of relu, in place.
    torch.ops.aten.threshold_backward.grad_input(d_stack, stack, 0, grad_input=d_stack)
    if d_nodes is not None:
        add_times_(d_nodes, d_parts, projection, beta=0)
    d_projection, *d_taps = d_weights
    add_weight_gradient_(d_projection, d_parts, nodes)
    for d_tap, signal in zip(d_taps, signals, strict=True):
        add_weight_gradient_(d_tap, grad, signal)


def _split(parts: Tensor) -> tuple[Tensor, Tensor]:
    """[Φ Ψ] and Z, views of [Φ Ψ Z]."""
    width = parts.shape[-1] // 3
    return parts[..., : 2 * width], parts[..., 2 * width :]


def _plain_gradients(grad: Tensor, inputs: tuple[Tensor, ...]) -> list[Tensor | None]:
    """The same gradients in operations that autograd can differentiate again."""
    nodes, w_phi, w_psi, w_g, *taps = inputs
    phi, psi = (nodes @ w_phi.t()).relu(), (nodes @ w_psi.t()).relu()
    signal = nodes @ w_g.t()
    f = signal @ taps[0].t()
    for weight in taps[1:]:
        signal = plain_product(phi, psi, signal)
        f = f + signal @ weight.t()
    wanted = [tensor for tensor in inputs if tensor.requires_grad]
    found = iter(torch.autograd.grad(f, wanted, grad, create_graph=True))
    return [next(found) if tensor.requires_grad else None for tensor in inputs]
