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
"""Lanczos steps, each one product with A."""

PROBES = 4
"""Start vectors side by side: one alone may by chance hardly see the upper end."""

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
        """Shape (*batch, N, P) → (*batch, G, P)."""
        if self.batch is None:
            return values.sum(-2, keepdim=True)
        return scatter(values, self.batch, dim=-2, dim_size=self.num_graphs, reduce="sum")

    def spread(self, values: Tensor) -> Tensor:
        """Shape (*batch, G, P) → (*batch, N, P), or (*batch, 1, P) for one graph."""
        return values if self.batch is None else values.index_select(-2, self.batch)

    def places(self, count: int, device: torch.device) -> Tensor:
        """Position of each node within its graph, shape (N,)."""
        position = torch.arange(count, device=device)
        if self.batch is None:
            return position
        first = scatter(position, self.batch, dim_size=self.num_graphs, reduce="min")
        return position - first.index_select(0, self.batch)


@torch.no_grad()
def estimate_lambda_max(
    a: AffinityOperator,
    batch: Tensor | None = None,
    num_graphs: int = 1,
    valid: Tensor | None = None,
) -> Tensor:
    """λ_max of L = I − A from above, of each graph by itself.

    ``STEPS`` Lanczos steps from ``PROBES`` fixed start vectors, all graphs at once. Each gives the
    largest Ritz value θ and the norm r of its residual ‖L u − θ u‖; the estimate is the largest
    θ + r, at most 2. θ never exceeds λ_max, and some eigenvalue lies within r of it (Parlett, *The
    Symmetric Eigenvalue Problem*, §4.5): the estimate bounds λ_max from above once a probe has
    found the upper end of the spectrum. How often and by how much it errs is measured in
    ``tests/conv/test_lambda_max.py``. The start vectors depend on the positions of nodes in their
    graph alone: a graph has the same estimate in any batch, and a permutation of a graph that 20
    steps do not resolve changes the estimate within its error.

    Nothing synchronises with a device: the Ritz matrix is squared, never handed to an eigensolver.

    Args:
        a: A, symmetric, with eigenvalues in [-1, 1]; shape (*batch, N, N).
        batch: Graph of each node, shape (N,), or None for one graph.
        num_graphs: Number of graphs.
        valid: Shape broadcastable to (*batch, N), bool: real nodes of padded items.

    Returns:
        Shape (*batch, N, 1), or (*batch, 1, 1) where ``batch`` is None; without a gradient, and
        at least 0.01. A graph without edges has λ_max = 1.

    Cost: 20 products with 4 signals.
    """
    dtype = accumulation_dtype(a.dtype)
    graphs = _GraphSums(batch, num_graphs)
    with torch.autocast(device_type=a.device.type, enabled=False):
        start = _start_vectors(graphs.places(a.shape[-1], a.device)).to(dtype)
        start = start.expand(*a.shape[:-1], PROBES)
        if valid is not None:
            start = start * valid.unsqueeze(-1)
        diagonal, off_diagonal = _lanczos(a, start, graphs)
        upper = _upper_end(diagonal, off_diagonal).amax(-1, keepdim=True)
    # Rounding of A itself moves its spectrum by a few units in its last place.
    upper = upper + 4 * torch.finfo(a.dtype).eps
    return graphs.spread(upper.clamp(LEAST, BOUND))


def _start_vectors(place: Tensor) -> Tensor:
    """Numbers in [-½, ½) that look random but are fixed, shape (N, P)."""
    mask = 0x7FFFFFFF
    bits = (place.unsqueeze(-1) * PROBES + torch.arange(1, PROBES + 1, device=place.device)) & mask
    bits = (bits * 0x2C1B3C6D) & mask
    bits = ((bits ^ (bits >> 12)) * 0x297A2D39) & mask
    bits = bits ^ (bits >> 15)
    return bits / (mask + 1) - 0.5


def _lanczos(a: AffinityOperator, start: Tensor, graphs: _GraphSums) -> tuple[Tensor, Tensor]:
    """Diagonal and off-diagonal of the Ritz matrices, (*batch, G, P, STEPS).

    Vectors are not orthogonalised anew: rounding then brings copies of Ritz values that have
    converged, which does no harm to the largest of them (Parlett, §13.3).
    """
    tolerance = torch.finfo(start.dtype).eps ** 0.75
    vector, _ = _unit(start, graphs, torch.finfo(start.dtype).tiny)
    before, norm = torch.zeros_like(vector), torch.zeros_like(graphs.total(vector))
    diagonal, off_diagonal = [], []
    for _ in range(STEPS):
        rest = vector - a.apply(vector.to(a.dtype)).to(vector.dtype) - graphs.spread(norm) * before
        diagonal.append(graphs.total(vector * rest))
        rest = rest - graphs.spread(diagonal[-1]) * vector
        before = vector
        vector, norm = _unit(rest, graphs, tolerance)
        off_diagonal.append(norm)
    return torch.stack(diagonal, -1), torch.stack(off_diagonal, -1)


def _unit(vector: Tensor, graphs: _GraphSums, tolerance: float) -> tuple[Tensor, Tensor]:
    """The vector of each graph with norm 1, and its norm; both 0 where it is within tolerance."""
    norm = graphs.total(vector.square()).sqrt()
    is_alive = norm > tolerance
    inverse = torch.where(is_alive, 1 / torch.where(is_alive, norm, 1), 0)
    return vector * graphs.spread(inverse), torch.where(is_alive, norm, 0)


def _upper_end(diagonal: Tensor, off_diagonal: Tensor) -> Tensor:
    """Largest Ritz value and the norm of its residual, added; shape (*batch, G, P)."""
    inner, last = off_diagonal[..., :-1], off_diagonal[..., -1]
    ritz = torch.diag_embed(diagonal) + torch.diag_embed(inner, 1) + torch.diag_embed(inner, -1)
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
    outside = (last * vector[..., -1, 0]).square()
    return value + (inside + outside).sqrt()
