"""Normalisations: A = normalise(M)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from snl_graph.names import lookup
from snl_graph.operators import AffinityOperator


class Normalization(ABC):
    """A map from an affinity M to the operator A that the filter uses."""

    needs_nonnegative: ClassVar[bool] = False
    needs_square: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, m: AffinityOperator) -> AffinityOperator:
        """A of M; records the degrees it used."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class Symmetric(Normalization):
    """A = D̂^-½ M̂ D̂^-½ with M̂ = (M + Mᵀ)/2: real spectrum in [-1, 1].

    Source: Zhu et al., Eq. 13. Self-loops stay. Departure: an isolated node keeps a zero row; the
    paper assumes there are none.
    """

    needs_nonnegative = True
    needs_square = True

    def __call__(self, m: AffinityOperator) -> AffinityOperator:
        if not m.is_nonnegative:
            raise ValueError(
                "symmetric normalisation needs a non-negative affinity; this one may be negative. "
                'Use a non-negative kernel, or normalization="none".'
            )
        return m.symmetrized().balanced()


class RandomWalk(Normalization):
    """A = D^-1 M: the rows of A sum to 1, but for isolated nodes, whose rows are 0.

    Source: Zhu et al., Eq. 3. With a signed M the division is by the degree as it comes, whatever
    its sign.
    """

    def __call__(self, m: AffinityOperator) -> AffinityOperator:
        return m.row_normalized()


class Unnormalized(Normalization):
    """A = M."""

    def __call__(self, m: AffinityOperator) -> AffinityOperator:
        return m


NORMALIZATIONS: dict[str, Callable[[], Normalization]] = {
    "sym": Symmetric,
    "rw": RandomWalk,
    "none": Unnormalized,
}
"""Normalisations by name."""


def as_normalization(normalization: Normalization | str) -> Normalization:
    """Normalisation object of a name ("sym", "rw", "none").

    Raises:
        ValueError: If the name is unknown.
    """
    if isinstance(normalization, Normalization):
        return normalization
    return lookup(NORMALIZATIONS, normalization, "normalization", Normalization)()
