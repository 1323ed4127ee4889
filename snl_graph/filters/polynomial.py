"""Polynomial filters in any basis, with free or tied taps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from snl_graph.checks import whole_number
from snl_graph.filters.base import GraphFilter
from snl_graph.filters.maps import JointMaps
from snl_graph.operators import AffinityOperator


class Basis(nn.Module, ABC):
    """Polynomials P_0, P_1, ... of the operator, one application of A each."""

    @abstractmethod
    def terms(
        self, a: AffinityOperator, z: Tensor, count: int, source: Tensor | None = None
    ) -> Iterator[Tensor]:
        """P_0(A) z, ..., P_{count-1}(A) z, each (*batch, N, C)."""

    @abstractmethod
    def responses(self, lambdas: Tensor, count: int) -> Tensor:
        """P_k as functions of the eigenvalue λ of L = I − A, shape (len(lambdas), count)."""


class NestedBasis(Basis):
    """Polynomials whose sum can be nested, with one application of A for all signals together."""

    @abstractmethod
    def nested(self, a: AffinityOperator, signals: Sequence[Tensor | None]) -> Tensor:
        """Σ_k P_k(A) b_k, shape (*batch, N, C), in len(signals) − 1 applications of A.

        Args:
            a: The operator A, square.
            signals: b_k, (*batch, N, C); None is a zero, but for the last.
        """


class Monomial(NestedBasis):
    """P_k(A) = A^k, so P_k(λ) = (1 − λ)^k.

    Source: Zhu et al., Eq. 8 and 13.
    """

    def terms(
        self, a: AffinityOperator, z: Tensor, count: int, source: Tensor | None = None
    ) -> Iterator[Tensor]:
        yield z
        power = z if source is None else source
        for _ in range(1, count):
            power = a.apply(power)
            yield power

    def nested(self, a: AffinityOperator, signals: Sequence[Tensor | None]) -> Tensor:
        """Horner's rule: b_0 + A (b_1 + A (b_2 + ...))."""
        *others, total = signals
        assert total is not None
        for signal in reversed(others):
            total = a.apply(total)
            total = total if signal is None else total + signal
        return total

    def responses(self, lambdas: Tensor, count: int) -> Tensor:
        powers = [torch.ones_like(lambdas)]  # multiplied out: a complex 0**0 is NaN in torch
        for _ in range(1, count):
            powers.append(powers[-1] * (1 - lambdas))
        return torch.stack(powers, dim=1)


class Chebyshev(NestedBasis):
    """P_k = T_k(L̃) with L̃ = 2 L / λ_max − I and L = I − A, so T_k(2 λ / λ_max − 1).

    Source: Zhu et al., Eq. 6. With the bound λ_max = 2 (the default), L̃ = −A exactly; a smaller
    λ_max is a measured one.

    Args:
        lambda_max: Upper end of the spectrum, a number or a tensor broadcastable to (*batch, N, 1)
            (one value a node, equal within a graph).

    Raises:
        ValueError: If a number ≤ 0 is given.
    """

    def __init__(self, lambda_max: float | Tensor = 2.0) -> None:
        super().__init__()
        if not isinstance(lambda_max, Tensor) and not lambda_max > 0:
            raise ValueError(f"lambda_max must be positive, got {lambda_max}.")
        self.lambda_max = lambda_max

    def terms(
        self, a: AffinityOperator, z: Tensor, count: int, source: Tensor | None = None
    ) -> Iterator[Tensor]:
        before, now = z, z
        yield z
        if count > 1:
            before, now = z, self._scaled_laplacian(a, z, source)
            yield now
        for _ in range(2, count):
            before, now = now, 2 * self._scaled_laplacian(a, now) - before
            yield now

    def nested(self, a: AffinityOperator, signals: Sequence[Tensor | None]) -> Tensor:
        """Clenshaw's recurrence: u_k = b_k + 2 L̃ u_{k+1} − u_{k+2}; the sum is b_0 + L̃ u_1 − u_2.

        Source: Clenshaw, *A note on the summation of Chebyshev series* (1955).
        """
        *others, now = signals
        after: Tensor | None = None
        assert now is not None
        for k, signal in reversed(list(enumerate(others))):
            rest = signal if after is None else -after if signal is None else signal - after
            is_own = after is not None  # nobody else holds it: it may be written over
            now, after = self._plus_scaled_laplacian(rest, a, now, 2 if k else 1, is_own), now
        return now

    def _plus_scaled_laplacian(
        self, total: Tensor | None, a: AffinityOperator, z: Tensor, factor: int, is_own: bool
    ) -> Tensor:
        """``total`` + factor · L̃ z, in the memory of ``total`` where nobody else holds it."""
        if total is None:
            return factor * self._scaled_laplacian(a, z)
        if not isinstance(self.lambda_max, Tensor) and self.lambda_max == 2:
            product, factor = a.apply(z), -factor
        else:
            product = self._scaled_laplacian(a, z)
        if is_own and product.dtype == total.dtype:
            return total.add_(product, alpha=factor)
        return torch.add(total, product, alpha=factor)

    def _scaled_laplacian(
        self, a: AffinityOperator, z: Tensor, source: Tensor | None = None
    ) -> Tensor:
        """L̃ z."""
        product = a.apply(z if source is None else source)
        if not isinstance(self.lambda_max, Tensor) and self.lambda_max == 2:
            return -product
        return (z - product) * (2 / self.lambda_max) - z

    def responses(self, lambdas: Tensor, count: int) -> Tensor:
        if isinstance(self.lambda_max, Tensor) and self.lambda_max.numel() != 1:
            raise ValueError(
                "a response needs one lambda_max; this basis holds one a graph. Ask for each alone."
            )
        scaled = 2 * lambdas / self.lambda_max - 1
        columns = [torch.ones_like(scaled), scaled]
        for _ in range(2, count):
            columns.append(2 * scaled * columns[-1] - columns[-2])
        return torch.stack(columns[:count], dim=1)

    def extra_repr(self) -> str:
        return "" if isinstance(self.lambda_max, Tensor) else f"lambda_max={self.lambda_max}"


class Polynomial(GraphFilter):
    """g_t(λ) = Σ_k c_tk P_k(λ), k = 0 .. K−1.

    Source: Zhu et al., Eq. 6–8. Free taps have one learned matrix a polynomial (c = identity, as in
    snl and gsnl); tied taps share one (ns: A Z W − Z W is c_1 = (−1, 1)).

    Args:
        K: Number of polynomials, ≥ 1, so the order is K − 1.
        basis: The polynomials; monomials by default.
        taps: c_tk by name t, each of length K; None means free taps 0 .. K−1.

    Raises:
        ValueError: If K < 1 or a row of ``taps`` has another length.

    Cost: K − 1 applications of A.

    Example:
        >>> import torch
        >>> Polynomial(2, taps={1: (-1.0, 1.0)}).response(torch.tensor([0.0, 0.5]))
        tensor([[ 0.0000],
                [-0.5000]])
    """

    def __init__(
        self,
        K: int = 2,
        basis: Basis | None = None,
        taps: Mapping[int, tuple[float, ...]] | None = None,
    ) -> None:
        super().__init__()
        K = whole_number(K, "K")
        if basis is not None and not isinstance(basis, Basis):
            raise TypeError(
                f"basis must be an object, such as Chebyshev(); got {basis!r}. A filter by name is "
                'as_filter("chebyshev", K).'
            )
        if taps is None:
            taps = {k: tuple(float(k == other) for other in range(K)) for k in range(K)}
        for name, coefficients in taps.items():
            if not isinstance(coefficients, Sequence):
                raise TypeError(
                    f"a tap is its {K} coefficients by its number, such as "
                    f"{{1: (-1.0, 1.0)}}; got {{{name!r}: {coefficients!r}}}."
                )
            if len(coefficients) != K:
                raise ValueError(
                    f"tap {name} has {len(coefficients)} coefficients; K is {K}. Give one of each "
                    "polynomial."
                )
        self.basis = Monomial() if basis is None else basis
        self.coefficients = dict(taps)
        self.has_free_taps = all(
            row == tuple(float(k == other) for other in range(K)) and k == name
            for k, (name, row) in enumerate(self.coefficients.items())
        )
        self.taps = tuple(taps)
        self.order = K - 1

    @property
    def K(self) -> int:
        """Number of polynomials."""
        return self.order + 1

    def signals(self, a: AffinityOperator, z: Tensor, source: Tensor | None = None) -> list[Tensor]:
        if source is not None and self.order > 1:
            raise ValueError(
                f"a rectangular affinity has no powers, so K is at most 2; this filter has K = "
                f"{self.K}."
            )
        terms = list(self.basis.terms(a, z, self.K, source))
        return [_combination(row, terms) for row in self.coefficients.values()]

    def _narrow(self, a: AffinityOperator, z: Tensor, weights: JointMaps) -> Tensor | None:
        columns = list(zip(*self.coefficients.values(), strict=True))  # by k
        while columns and not any(columns[-1]):
            columns.pop()
        if not columns:
            return None
        if not isinstance(self.basis, NestedBasis):
            return super()._narrow(a, z, weights)
        images = weights.images(z)
        parts = [images[tap].to(z.dtype) for tap in self.taps]
        signals = [_combination(column, parts) if any(column) else None for column in columns]
        return self.basis.nested(a, signals).to(images[self.taps[0]].dtype)

    def response(self, lambdas: Tensor) -> Tensor:
        rows = torch.tensor(
            list(self.coefficients.values()), dtype=lambdas.dtype, device=lambdas.device
        )
        return self.basis.responses(lambdas, self.K) @ rows.T.to(lambdas.dtype)

    def extra_repr(self) -> str:
        return f"K={self.K}, taps={self.taps}"


def _combination(coefficients: tuple[float, ...], terms: list[Tensor]) -> Tensor:
    """Σ_k c_k terms_k without a product where c_k is 0 or ±1."""
    total: Tensor | None = None
    for coefficient, term in zip(coefficients, terms, strict=True):
        if coefficient == 0:
            continue
        part = term if coefficient == 1 else term * coefficient
        total = part if total is None else total + part
    return torch.zeros_like(terms[0]) if total is None else total
