"""The formulas written out plainly, with every matrix: what people write, and what they pay.

    M = kernel(Φ, Ψ) ⊙ mask,  A = normalise(M),  F = Σ_t (Σ_k c_tk A^k Z) W_t,  Y = X + BN(F)

1×1 convolutions are those of PyTorch, products of matrices are ``@``; nothing here is slow on
purpose.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from snl_graph.blocks import NonlocalBlock
from snl_graph.blocks.table import ROWS
from snl_graph.filters import Polynomial

KERNELS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "dot": lambda phi, psi: phi.relu() @ psi.relu().mT,
    "signed_dot": lambda phi, psi: phi @ psi.mT,
    "gaussian": lambda phi, psi: (phi @ psi.mT).exp(),
    "embedded_gaussian": lambda phi, psi: (phi @ psi.mT).exp(),
    "double_softmax": lambda phi, psi: phi.softmax(-1) @ psi.softmax(-2).mT,
}
"""M of Φ and Ψ, (*batch, N, r) → (*batch, N, N), by the name of the kernel."""

ATTENTION = {"gaussian", "embedded_gaussian"}
"""Kernels whose random walk is a softmax, as everybody writes it."""


def affinity_matrix(
    kernel: str, normalization: str, phi: Tensor, psi: Tensor, mask: Tensor | None = None
) -> Tensor:
    """A, shape (*batch, N, N).

    Args:
        kernel: A name of :data:`KERNELS`.
        normalization: "sym", "rw" or "none".
        phi: Φ, shape (*batch, N, r).
        psi: Ψ, shape (*batch, N, r).
        mask: Shape (N, N), bool: joined pairs; None joins all.
    """
    if normalization == "rw" and kernel in ATTENTION:
        scores = phi @ psi.mT
        return (scores if mask is None else scores.masked_fill(~mask, -torch.inf)).softmax(-1)
    m = KERNELS[kernel](phi, psi)
    if mask is not None:
        m = m * mask
    return normalized(m, normalization)


def normalized(m: Tensor, normalization: str) -> Tensor:
    """A of M: Eq. 13 ("sym"), Eq. 3 ("rw"), or M itself."""
    if normalization == "sym":
        m = (m + m.mT) / 2
        root = inverse_root(m.sum(-1))
        return m * root.unsqueeze(-1) * root.unsqueeze(-2)
    return m / m.sum(-1, keepdim=True) if normalization == "rw" else m


def inverse_root(degree: Tensor) -> Tensor:
    """d^-½, and 0 for a node of degree 0."""
    is_isolated = degree == 0
    return degree.masked_fill(is_isolated, 1).rsqrt().masked_fill(is_isolated, 0)


def convolved(features: Tensor, weight: Tensor) -> Tensor:
    """The 1×1 convolution of (B, C, N) by (out, in)."""
    return F.conv1d(features, weight.unsqueeze(-1))


def block_output(
    block: NonlocalBlock,
    x: Tensor,
    product_of: Callable[[Tensor, Tensor], Callable[[Tensor], Tensor]],
) -> Tensor:
    """Y = X + BN(F) with the weights of ``block``.

    Args:
        block: A block of one unit and default pieces.
        x: X, shape (B, C, *spatial).
        product_of: Makes Z ↦ A Z of Φ and Ψ, all of shape (B, nodes, width).
    """
    row, unit = ROWS[block.name], block._units[0]
    features = x.flatten(2)
    phi, psi = (
        convolved(features, projection.weight)
        for projection in (block.affinity.phi, block.affinity.psi)
        if projection is not None
    )
    z = features if unit.g is None else convolved(features, unit.g.weight)
    length = z.shape[-1]
    if row.nodes_are_channels:
        phi, psi, signal = (part.flatten(1).unsqueeze(-1) for part in (phi, psi, z))
    else:
        phi, psi, signal = phi.mT, psi.mT, z.mT
    product = product_of(phi, psi)
    powers = [signal]
    assert isinstance(unit.filter, Polynomial)
    for _ in range(unit.filter.order):
        powers.append(product(powers[-1]))
    f: Tensor | None = None
    for tap, coefficients in unit.filter.coefficients.items():
        term = _sum_of(coefficients, powers)
        term = term.reshape(len(x), -1, length) if row.nodes_are_channels else term.mT
        term = convolved(term, unit.w.get_parameter(f"{tap}.weight"))
        f = term if f is None else f + term
    assert f is not None
    bn = unit.bn
    f = F.batch_norm(f, None, None, bn.weight, bn.bias, training=True)  # type: ignore[arg-type]
    return x + f.view_as(x)


def _sum_of(coefficients: tuple[float, ...], powers: list[Tensor]) -> Tensor:
    terms = [p if c == 1 else c * p for c, p in zip(coefficients, powers, strict=True) if c]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def dense_block(block: NonlocalBlock, x: Tensor, *, has_loops: bool = True) -> Tensor:
    """Y with A as a matrix.

    Args:
        block: See :func:`block_output`.
        x: Shape (B, C, *spatial).
        has_loops: Whether a node is joined to itself.
    """
    row, pieces = ROWS[block.name], block.affinity.pieces
    size = tuple(x.shape[2:])
    mask = None if pieces.mask.is_full else pieces.mask.matrix(size)
    if not has_loops:
        nodes = x.shape[2:].numel()
        mask = ~torch.eye(nodes, dtype=torch.bool)

    def product_of(phi: Tensor, psi: Tensor) -> Callable[[Tensor], Tensor]:
        a = affinity_matrix(row.kernel, row.normalization, phi, psi, mask)
        return lambda z: a @ z

    return block_output(block, x, product_of)
