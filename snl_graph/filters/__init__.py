"""Spectral filters: F = Σ_t g_t(L) Z W_t, each knowing its response g_t(λ)."""

from __future__ import annotations

from collections.abc import Callable

from snl_graph.filters.base import GraphFilter
from snl_graph.filters.polynomial import Basis, Chebyshev, Monomial, Polynomial
from snl_graph.names import lookup

BASES: dict[str, Callable[[], Basis]] = {"monomial": Monomial, "chebyshev": Chebyshev}
"""Polynomial bases by name."""

FILTERS: dict[str, Callable[[int], GraphFilter]] = {
    "monomial": lambda K: Polynomial(K, Monomial()),
    "chebyshev": lambda K: Polynomial(K, Chebyshev()),
}
"""Filters with K free taps, by name."""


def as_basis(basis: Basis | str) -> Basis:
    """Basis object of a name.

    Raises:
        ValueError: If the name is unknown.
    """
    return basis if isinstance(basis, Basis) else lookup(BASES, basis, "basis")()


def as_filter(filter: GraphFilter | str, K: int) -> GraphFilter:
    """Filter object of a name, with K taps; an object is returned as it is.

    Raises:
        ValueError: If the name is unknown.
    """
    return filter if isinstance(filter, GraphFilter) else lookup(FILTERS, filter, "filter")(K)


__all__ = [
    "BASES",
    "FILTERS",
    "Basis",
    "Chebyshev",
    "GraphFilter",
    "Monomial",
    "Polynomial",
    "as_basis",
    "as_filter",
]
