"""Products with A of Φ and Ψ that lie side by side, P = [Φ Ψ], and the way back through them.

A = D̂^-½ M̂ D̂^-½ with M̂ = ½ (Φ Ψᵀ + Ψ Φᵀ) = ½ P J Pᵀ, where J exchanges the halves: one product with
P does the work of two with Φ and Ψ, and what comes back is written where it is wanted.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from snl_graph.operators.balanced import balanced_matrix, inverse_root
from snl_graph.operators.layout import empty_as, product


class StackedProducts(ABC):
    """Products with A; in the backward pass the way back, in reverse order.

    Args:
        stack: P = [Φ Ψ] ≥ 0, shape (B, N, 2r).
        kept: In the backward pass, what the forward pass kept.
        d_stack: There the gradient of P is written, shape (B, N, 2r).

    Attributes:
        kept: What the way back needs beside P and the signals.
    """

    def __init__(
        self, stack: Tensor, kept: Sequence[Tensor] = (), d_stack: Tensor | None = None
    ) -> None:
        self.stack, self.kept = stack, list(kept)
        self.d_stack = stack if d_stack is None else d_stack

    @abstractmethod
    def apply(self, z: Tensor) -> Tensor:
        """A Z, shape (B, N, r), in memory as P."""

    @abstractmethod
    def pull(self, z: Tensor, y: Tensor, grad: Tensor, out: Tensor, *, is_last: bool) -> None:
        """Write the gradient of Z to ``out``, and with the last one all that goes to P.

        Args:
            z: Z, shape (B, N, r).
            y: A Z.
            grad: The gradient of A Z.
            out: Where that of Z is written, shape (B, N, r).
            is_last: Whether all products have been pulled then.
        """


class Factors(StackedProducts):
    """A as its factors: A Z = ½ S P J (Pᵀ S Z) with S = D̂^-½.

    Cost: time 8·N·r² a product, twice that back; kept: a number a node, and 2·r² a product.
    """

    def __init__(
        self, stack: Tensor, kept: Sequence[Tensor] = (), d_stack: Tensor | None = None
    ) -> None:
        super().__init__(stack, kept, d_stack)
        if not kept:
            sums = _exchanged(stack.sum(-2, keepdim=True), -1)  # (B, 1, 2r)
            self.kept = [sums, inverse_root(product(stack, sums.mT, stack).mul_(0.5))]
        self.sums, self.root, *self.sides = self.kept
        self._along: Tensor | None = None

    def apply(self, z: Tensor) -> Tensor:
        side = self._side(z * self.root)
        self.kept.append(side)
        return product(self.stack, side, self.stack).mul_(self.root)

    def _side(self, scaled: Tensor) -> Tensor:
        """½ J Pᵀ S Z, shape (B, 2r, r)."""
        return _exchanged(torch.bmm(self.stack.mT, scaled).mul_(0.5), 1)

    def pull(self, z: Tensor, y: Tensor, grad: Tensor, out: Tensor, *, is_last: bool) -> None:
        width = z.shape[-1]
        # [S G, S Z], and for the degrees two columns more; they meet [T to ...] in one product.
        ends = empty_as(self.stack, 2 * width + 2 * is_last)
        scaled = torch.mul(grad, self.root, out=ends[..., :width])
        torch.mul(z, self.root, out=ends[..., width : 2 * width])
        side = self._side(scaled)
        out.baddbmm_(self.stack, side, beta=0).mul_(self.root)
        # Y and Z enter with the same scale s of a node, so s·∂/∂s is ⟨Y, dY⟩ + ⟨Z, dZ⟩.
        along = (y * grad).addcmul_(z, out).sum(-1, keepdim=True)
        is_first = self._along is None
        self._along = along if self._along is None else self._along.add_(along)
        rows = [self.sides.pop().mT, side.mT]
        if is_last:
            # s = d^-½ gives ∂/∂d = −½ s² of it, and M̂ has a ½ more; 0 where a node has degree 0.
            # To dΦ go ∂/∂d_i Σ_j Ψ_j of the node itself and Σ_j ∂/∂d_j Ψ_j of those it meets.
            d_degree = self._along.mul_(self.root.square()).mul_(-0.25)
            ends[..., -2:-1].copy_(d_degree)
            ends[..., -1].fill_(1)
            rows += [self.sums, _exchanged(torch.bmm(d_degree.mT, self.stack), -1)]
        self.d_stack.baddbmm_(ends, torch.cat(rows, 1), beta=0 if is_first else 1)


class Matrix(StackedProducts):
    """A written down: cheaper while there are fewer nodes than channels, or few of both.

    Cost: time 4·N²·r a product, twice that back; kept: A.
    """

    def __init__(
        self, stack: Tensor, kept: Sequence[Tensor] = (), d_stack: Tensor | None = None
    ) -> None:
        super().__init__(stack, kept, d_stack)
        if not kept:
            phi, psi = stack.chunk(2, -1)
            m = torch.bmm(phi, psi.mT)
            a, _, root = balanced_matrix(torch.add(m, m.mT).mul_(0.5))
            self.kept = [a, root]
        self.a, self.root = self.kept
        self._d_a: Tensor | None = None

    def apply(self, z: Tensor) -> Tensor:
        return product(self.a, z, self.stack)

    def pull(self, z: Tensor, y: Tensor, grad: Tensor, out: Tensor, *, is_last: bool) -> None:
        out.baddbmm_(self.a, grad, beta=0)
        if self._d_a is None:
            self._d_a = torch.bmm(grad, z.mT)
        else:
            self._d_a.baddbmm_(grad, z.mT)
        if not is_last:
            return
        # With G the gradient of A and H = G + Gᵀ, ∂/∂d_i is −½ d_i^-1 Σ_j H_ij A_ij, and that of
        # Φ Ψᵀ is ½ (S H S + ∂/∂d 1ᵀ + 1 ∂/∂dᵀ).
        h = torch.add(self._d_a, self._d_a.mT)
        half_d_degree = (h * self.a).sum(-1, keepdim=True).mul_(self.root.square()).mul_(-0.25)
        d_m = h.mul_(self.root * 0.5).mul_(self.root.mT)
        d_m.add_(half_d_degree).add_(half_d_degree.mT)
        for d_factor, other in zip(
            self.d_stack.chunk(2, -1), self.stack.chunk(2, -1)[::-1], strict=True
        ):
            d_factor.baddbmm_(d_m, other, beta=0)


def _exchanged(halves: Tensor, dim: int) -> Tensor:
    """J: the two halves along an axis, exchanged."""
    return halves.roll(halves.shape[dim] // 2, dim)
