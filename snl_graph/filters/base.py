"""A spectral filter is its frequency response."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

from torch import Tensor, nn

from snl_graph.filters.maps import JointMaps
from snl_graph.operators import AffinityOperator


class GraphFilter(nn.Module, ABC):
    """F = Σ_t g_t(L) Z W_t with L = I − A: fixed responses g_t, one learned matrix W_t a tap.

    Source: Zhu et al., Theorem 1 and Eq. 8.

    Attributes:
        taps: Name of each learned matrix, e.g. (0, 1) for snl or (1,) for nl.
        order: Highest power of A that is needed, so how often A is applied.
    """

    taps: tuple[int, ...]
    order: int

    @abstractmethod
    def signals(self, a: AffinityOperator, z: Tensor, source: Tensor | None = None) -> list[Tensor]:
        """g_t(L) z of each tap.

        Args:
            a: The operator A, shape (*batch, N, N').
            z: Signal at the targets, (*batch, N, C).
            source: Signal at the sources, (*batch, N', C); None means ``z``. A rectangular A
                allows order 1 at most.

        Returns:
            One signal (*batch, N, C) a tap.
        """

    @abstractmethod
    def response(self, lambdas: Tensor) -> Tensor:
        """g_t(λ), shape (len(lambdas), taps), at eigenvalues λ of L = I − A."""

    def forward(
        self,
        a: AffinityOperator,
        z: Tensor,
        weights: Mapping[int, Callable[[Tensor], Tensor]],
        source: Tensor | None = None,
    ) -> Tensor:
        """F = Σ_t g_t(L) Z W_t, shape (*batch, N, C').

        Args:
            a: The operator A.
            z: Signal at the targets, (*batch, N, C).
            weights: The map Z ↦ Z W_t of each tap. :class:`~snl_graph.filters.maps.JointMaps` may
                be taken before A is applied, where their images are narrower than Z.
            source: Signal at the sources; None means ``z``.
        """
        if isinstance(weights, JointMaps) and source is None and weights.width < z.shape[-1]:
            narrow = self._narrow(a, z, weights)
            if narrow is not None:
                return narrow
        signals = self.signals(a, z, source)
        terms = [weights[tap](signal) for tap, signal in zip(self.taps, signals, strict=True)]
        return sum(terms[1:], start=terms[0])

    def _narrow(self, a: AffinityOperator, z: Tensor, weights: JointMaps) -> Tensor | None:
        """F with A applied to the images Z W_t alone; None if that takes more products."""
        if len(self.taps) > 1:
            return None
        image = weights[self.taps[0]](z)
        return self.signals(a, image.to(z.dtype))[0].to(image.dtype)
