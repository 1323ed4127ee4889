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

from snl_graph.blocks.affinity import FeatureAffinity
from snl_graph.blocks.arrangements import Positions
from snl_graph.blocks.linear import are_plain, has_hooks
from snl_graph.blocks.products import add_times_, times, weight_gradient
from snl_graph.choice import choose
from snl_graph.filters import GraphFilter, Monomial, Polynomial
from snl_graph.grids import Size
from snl_graph.kernels import Dot
from snl_graph.normalizations import Symmetric
from snl_graph.operators.balanced import FactoredProducts, MatrixProducts, plain_product


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
        and not any(has_hooks(module) for module in (affinity, affinity.kernel, filter))
    ):
        return None
    pieces, count = affinity.pieces, nodes.shape[1]
    representation = choose(
        pieces.kernel,
        pieces.mask,
        size,
        (count, count),
        maps[0].out_features,
        is_symmetric=True,
        applications=filter.order,
    )
    weights = (map.weight for map in maps)
    return _FusedFilter.apply(representation == "dense", nodes, *weights)


def _are_default(affinity: FeatureAffinity, filter: GraphFilter) -> bool:
    pieces = affinity.pieces
    return (
        type(affinity.kernel) is Dot
        and pieces.representation == "auto"
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
    """F of X (B, N, C) and the weights; whether A is written down comes first."""

    @staticmethod
    def forward(ctx: Any, is_matrix: bool, nodes: Tensor, *weights: Tensor) -> Tensor:
        w_phi, w_psi, w_g, *taps = weights
        phi = times(nodes, w_phi.t(), nodes).relu_()
        psi = times(nodes, w_psi.t(), nodes).relu_()
        signals = [times(nodes, w_g.t(), nodes)]
        products = (MatrixProducts if is_matrix else FactoredProducts)(phi, psi)
        f = times(signals[0], taps[0].t(), nodes)
        for weight in taps[1:]:
            signals.append(products.apply(signals[-1]))
            add_times_(f, signals[-1], weight.t())
        ctx.is_matrix = is_matrix
        ctx.save_for_backward(nodes, *weights, phi, psi, *signals, *products.kept)
        return f

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        nodes, w_phi, w_psi, w_g, *rest = ctx.saved_tensors
        order = len(ctx.needs_input_grad) - 6
        taps, rest = rest[: order + 1], rest[order + 1 :]
        if torch.is_grad_enabled():  # a second derivative is asked for: by way of autograd
            return None, *_plain_gradients(grad, (nodes, w_phi, w_psi, w_g, *taps))
        phi, psi, *rest = rest
        signals, kept = rest[: order + 1], tuple(rest[order + 1 :])
        products = (MatrixProducts if ctx.is_matrix else FactoredProducts)(phi, psi, kept)
        d_taps = [weight_gradient(grad, signal) for signal in signals]
        d_signal = times(grad, taps[-1], signals[-1])
        for weight, signal in zip(taps[-2::-1], signals[-2::-1], strict=True):
            d_signal = products.pull(signal, d_signal)
            add_times_(d_signal, grad, weight)
        d_nodes = times(d_signal, w_g, nodes) if ctx.needs_input_grad[1] else None
        d_weights = [weight_gradient(d_signal, nodes), *d_taps]
        d_factors = []
        for weight, factor, d_factor in zip(
            (w_phi, w_psi), (phi, psi), products.gradients(), strict=True
        ):
            d_factor = d_factor.masked_fill_(factor == 0, 0)
            if d_nodes is not None:
                add_times_(d_nodes, d_factor, weight)
            d_factors.append(weight_gradient(d_factor, nodes))
        return None, d_nodes, *d_factors, *d_weights


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
