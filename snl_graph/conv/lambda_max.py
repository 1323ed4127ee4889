"""The upper end λ_max of the spectrum of L = I − A: measured, and put to use."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.utils import scatter

from snl_graph.operators import AffinityOperator
from snl_graph.operators.diagonal import accumulation_dtype

BOUND = 2.0
"""λ_max ≤ 2 under symmetric normalisation (Zhu et al., Property 2)."""

LEAST = 1e-2
"""The least estimate: L = 0 has λ_max = 0, which nothing can be divided by."""

STEPS = 20
"""Lanczos steps, each one product with one signal a graph."""

SQUARINGS = 16
"""Squarings of the Ritz matrix: 2^16 steps of the power method on a STEPS × STEPS matrix."""


class RescaledOperator(AffinityOperator):
    """I − ρ (I − A): the operator whose Laplacian is ρ L.

    T_k(2 ρ L / 2 − I) with ρ = 2 / λ_max is the Chebyshev basis of λ_max, from the basis of 2.

    Args:
        inner: A, square.
        ratio: ρ, a number or broadcastable to (*batch, N, 1), equal within a graph.
    """

    def __init__(self, inner: AffinityOperator, ratio: float | Tensor) -> None:
        self.inner, self.ratio = inner, ratio
        self.representation = inner.representation  # type: ignore[misc]
        self.shape, self.dtype, self.device = inner.shape, inner.dtype, inner.device
        self.is_symmetric = inner.is_symmetric  # ρ is constant where A joins nodes: they commute

    def apply(self, z: Tensor) -> Tensor:
        product = self.inner.apply(z)
        ratio = self.ratio.to(z.dtype) if isinstance(self.ratio, Tensor) else self.ratio
        return z + ratio * (product - z)

    def _transposed(self) -> RescaledOperator:
        return RescaledOperator(self.inner.T, self.ratio)


class _GraphSums:
    """Sums over the nodes of each graph, and values of graphs at their nodes."""

    def __init__(self, batch: Tensor | None, num_graphs: int) -> None:
        self.batch, self.num_graphs = batch, num_graphs

    def total(self, values: Tensor) -> Tensor:
        """Shape (*batch, N) → (*batch, G)."""
        if self.batch is None:
            return values.sum(-1, keepdim=True)
        return scatter(values, self.batch, dim=-1, dim_size=self.num_graphs, reduce="sum")

    def spread(self, values: Tensor) -> Tensor:
        """Shape (*batch, G) → (*batch, N), or (*batch, 1) for one graph."""
        return values if self.batch is None else values.index_select(-1, self.batch)

    def places(self, count: int, device: torch.device) -> Tensor:
        """Position of each node within its graph, shape (N,)."""
        position = torch.arange(count, device=device)
        if self.batch is None:
            return position
        first = scatter(
            position, self.batch, dim=0, dim_size=self.num_graphs, reduce="min"
        )  # a graph without nodes gets 0, which nobody reads
        return position - first.index_select(0, self.batch)


@torch.no_grad()
def estimate_lambda_max(
    a: AffinityOperator,
    batch: Tensor | None = None,
    num_graphs: int = 1,
    valid: Tensor | None = None,
) -> Tensor:
    """λ_max of L = I − A from above, of each graph by itself.

    ``STEPS`` Lanczos steps from a fixed start vector, all graphs at once, give the largest Ritz
    value θ and the norm r of its residual ‖L u − θ u‖; the estimate is θ + r, at most 2. θ never
    exceeds λ_max and some eigenvalue lies within r of it, so the estimate is an upper bound once
    the Ritz value has found the upper end of the spectrum (Parlett, *The Symmetric Eigenvalue
    Problem*, §4.5 and 13.2); a graph of at most ``STEPS`` nodes is solved exactly. The start
    vector depends on the positions of the nodes, so a permutation of a larger graph may change
    the estimate within r.

    Nothing synchronises with a device: the Ritz matrix is squared, never handed to an eigensolver.

    Args:
        a: A, symmetric, with eigenvalues in [-1, 1]; shape (*batch, N, N).
        batch: Graph of each node, shape (N,), or None for one graph.
        num_graphs: Number of graphs.
        valid: Shape broadcastable to (*batch, N), bool: real nodes of padded items.

    Returns:
        Shape (*batch, N, 1), or (*batch, 1, 1) where ``batch`` is None; without a gradient, and
        at least 0.01. A graph without edges has λ_max = 1.

    Cost: 20 products with one signal, memory O(20·N).
    """
    dtype = accumulation_dtype(a.dtype)
    graphs = _GraphSums(batch, num_graphs)
    with torch.autocast(device_type=a.device.type, enabled=False):
        start = _start_vector(graphs.places(a.shape[-1], a.device)).to(dtype).expand(a.shape[:-1])
        if valid is not None:
            start = start * valid
        alphas, betas = _lanczos(a, start, graphs)
        upper = _upper_end(alphas, betas)
    # Rounding of A itself moves its spectrum by a few units in its last place.
    upper = upper + 4 * torch.finfo(a.dtype).eps
    return graphs.spread(upper.clamp(LEAST, BOUND)).unsqueeze(-1)


def _start_vector(place: Tensor) -> Tensor:
    """Numbers in [-½, ½) that look random but are fixed: a graph has the same ones in any batch."""
    mask = 0x7FFFFFFF
    bits = ((place + 1) * 0x2C1B3C6D) & mask
    bits = ((bits ^ (bits >> 12)) * 0x297A2D39) & mask
    bits = bits ^ (bits >> 15)
    return bits / (mask + 1) - 0.5


def _lanczos(
    a: AffinityOperator, start: Tensor, graphs: _GraphSums
) -> tuple[list[Tensor], list[Tensor]]:
    """Diagonal and off-diagonal of the Ritz matrix of each graph, (*batch, G) a step."""
    tolerance = torch.finfo(start.dtype).eps ** 0.75
    vector, _ = _unit(start, graphs, torch.finfo(start.dtype).tiny)
    basis, alphas, betas = [], [], []
    for _ in range(STEPS):
        basis.append(vector)
        product = a.apply(vector.unsqueeze(-1).to(a.dtype)).squeeze(-1).to(vector.dtype)
        rest = vector - product
        alphas.append(graphs.total(vector * rest))
        known = torch.stack(basis)
        for _ in range(2):  # twice is enough (Parlett, §6.9)
            rest = rest - (graphs.spread(graphs.total(known * rest)) * known).sum(0)
        vector, norm = _unit(rest, graphs, tolerance)
        betas.append(norm)
    return alphas, betas


def _unit(vector: Tensor, graphs: _GraphSums, tolerance: float) -> tuple[Tensor, Tensor]:
    """The vector of each graph with norm 1, and its norm; both 0 where it is within tolerance."""
    norm = graphs.total(vector.square()).sqrt()
    is_alive = norm > tolerance
    inverse = torch.where(is_alive, 1 / torch.where(is_alive, norm, 1), 0)
    return vector * graphs.spread(inverse), torch.where(is_alive, norm, 0)


def _upper_end(alphas: list[Tensor], betas: list[Tensor]) -> Tensor:
    """Largest Ritz value and the norm of its residual, added; shape (*batch, G)."""
    off = torch.stack(betas[:-1], -1)
    ritz = torch.diag_embed(torch.stack(alphas, -1))
    ritz = ritz + torch.diag_embed(off, 1) + torch.diag_embed(off, -1)
    # L is positive semi-definite, so high powers of the Ritz matrix keep its upper end alone.
    power = ritz
    for _ in range(SQUARINGS):
        power = power @ power
        peak = power.abs().amax((-2, -1), keepdim=True)
        power = power / torch.where(peak > 0, peak, 1)
    largest = power.diagonal(dim1=-2, dim2=-1).argmax(-1)
    column = largest[..., None, None].expand(*power.shape[:-1], 1)
    vector = power.gather(-1, column)
    norm = vector.norm(dim=-2, keepdim=True)
    vector = vector / torch.where(norm > 0, norm, 1)
    image = ritz @ vector
    value = (vector * image).sum((-2, -1))
    inside = (image - value[..., None, None] * vector).square().sum((-2, -1))
    outside = (betas[-1] * vector[..., -1, 0]).square()
    return value + (inside + outside).sqrt()
