"""Spectral filters: F = Σ_t g_t(L) Z W_t, each knowing its response g_t(λ)."""

from __future__ import annotations

from collections.abc import Callable

from snl_graph.filters.accuracy import (
    approximate_response,
    approximation_error,
    error_by_steps,
    exact_signals,
)
from snl_graph.filters.approximated import Approximated
from snl_graph.filters.arma import ARMA
from snl_graph.filters.base import GraphFilter
from snl_graph.filters.bernstein import Bernstein
from snl_graph.filters.cayley import Cayley
from snl_graph.filters.heat import Heat
from snl_graph.filters.jacobi import Jacobi
from snl_graph.filters.pagerank import GeneralizedPageRank
from snl_graph.filters.polynomial import Basis, Chebyshev, Monomial, Polynomial
from snl_graph.filters.series import ChebyshevApproximation, ChebyshevSeries
from snl_graph.filters.wavelets import MexicanHat, Meyer
from snl_graph.names import lookup

BASES: dict[str, Callable[[], Basis]] = {"monomial": Monomial, "chebyshev": Chebyshev}
"""Polynomial bases by name."""

FILTERS: dict[str, Callable[[int], GraphFilter]] = {
    "monomial": lambda K: Polynomial(K, Monomial()),
    "chebyshev": lambda K: Polynomial(K, Chebyshev()),
    "cayley": Cayley,
    "wavelet": MexicanHat,
    "meyer": Meyer,
    "heat": Heat,
    "arma": ARMA,
    "bernstein": Bernstein,
    "jacobi": Jacobi,
    "gpr": GeneralizedPageRank,
}
"""Filters by name, made of K."""


def as_basis(basis: Basis | str) -> Basis:
    """Basis object of a name.

    Raises:
        ValueError: If the name is unknown.
    """
    return basis if isinstance(basis, Basis) else lookup(BASES, basis, "basis", Basis)()


def as_filter(filter: GraphFilter | str, K: int) -> GraphFilter:
    """Filter object of a name, made of K; an object is returned as it is.

    Raises:
        ValueError: If the name is unknown.
    """
    if isinstance(filter, GraphFilter):
        return filter
    return lookup(FILTERS, filter, "filter", GraphFilter)(K)


__all__ = [
    "ARMA",
    "BASES",
    "FILTERS",
    "Approximated",
    "Basis",
    "Bernstein",
    "Cayley",
    "Chebyshev",
    "ChebyshevApproximation",
    "ChebyshevSeries",
    "GeneralizedPageRank",
    "GraphFilter",
    "Heat",
    "Jacobi",
    "MexicanHat",
    "Meyer",
    "Monomial",
    "Polynomial",
    "approximate_response",
    "approximation_error",
    "as_basis",
    "as_filter",
    "error_by_steps",
    "exact_signals",
]
