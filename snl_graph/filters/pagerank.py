"""Generalised PageRank: one tap, the weights of its powers learned as numbers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from snl_graph.checks import whole_number
from snl_graph.filters.base import GraphFilter
from snl_graph.filters.options import require_powers
from snl_graph.filters.polynomial import Monomial
from snl_graph.filters.positive import coefficient_dtype
from snl_graph.operators import AffinityOperator

_BASIS = Monomial()


class GeneralizedPageRank(GraphFilter):
    """g(λ) = Σ_k γ_k (1 − λ)^k, k = 0 .. K−1: one learned matrix, and a learned number a power.

    Source: Chien, Peng, Li, Milenkovic (2021), GPR-GNN, Eq. 2. The numbers start as those of a
    personalised PageRank cut after K terms, γ_k = α (1 − α)^k and γ_{K−1} = (1 − α)^{K−1}, whose
    sum is 1.

    Args:
        K: Number of powers, so the order is K − 1.
        alpha: α, the probability to return, 0 < α ≤ 1. Small values look far.
        learnable: Whether γ is learned.

    Raises:
        ValueError: If K or α is out of range.

    Cost: K − 1 applications of A, and one matrix W whatever K.

    Example:
        >>> GeneralizedPageRank(3, alpha=0.5).gamma
        Parameter containing:
        tensor([0.5000, 0.2500, 0.2500], requires_grad=True)
    """

    taps = (0,)
    gamma: nn.Parameter | None

    def __init__(self, K: int = 10, *, alpha: float = 0.1, learnable: bool = True) -> None:
        super().__init__()
        K = whole_number(K, "K")
        self.order = K - 1
        if not 0 < alpha <= 1:
            raise ValueError(f"alpha is a probability above 0; got {alpha!r}.")
        self.start = tuple((alpha if k < K - 1 else 1.0) * (1 - alpha) ** k for k in range(K))
        self.register_parameter(
            "gamma", nn.Parameter(torch.tensor(self.start)) if learnable else None
        )

    def reset_parameters(self) -> None:
        """Go back to the personalised PageRank of the start."""
        if self.gamma is not None:
            with torch.no_grad():
                self.gamma.copy_(torch.tensor(self.start))

    def weights(self, like: Tensor) -> Tensor:
        """γ, shape (K,), on the device and in the real dtype of ``like``, float32 at least."""
        dtype = coefficient_dtype(like)
        if self.gamma is None:
            return torch.tensor(self.start, dtype=dtype, device=like.device)
        return self.gamma.to(like.device, dtype)

    def signals(self, a: AffinityOperator, z: Tensor, source: Tensor | None = None) -> list[Tensor]:
        require_powers(self.order, source)
        terms = _BASIS.terms(a, z, self.order + 1, source)
        weights = self.weights(z).unbind()
        # A factor without axes leaves the dtype of the signal as it is.
        total = weights[0] * next(terms)
        for weight, term in zip(weights[1:], terms, strict=True):
            total = total + weight * term
        return [total]

    def response(self, lambdas: Tensor) -> Tensor:
        total = torch.zeros_like(lambdas)
        for weight in self.weights(lambdas).flip(0).unbind():
            total = total * (1 - lambdas) + weight
        return total.unsqueeze(-1)

    def extra_repr(self) -> str:
        return f"K={self.order + 1}{'' if self.gamma is None else ', learnable'}"
