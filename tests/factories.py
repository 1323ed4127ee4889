"""One line a kernel, mask, normalisation and representation: a new one joins here and is tested.

Each entry says how the library makes a thing and what it should be by a formula of ``oracles``.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from snl_graph.kernels import (
    RBF,
    Concatenation,
    Dot,
    DoubleSoftmax,
    EmbeddedGaussian,
    Gaussian,
    Kernel,
    SignedDot,
)
from snl_graph.masks import BooleanMatrix, CrissCross, EdgeList, Full, Mask, Window
from tests import oracles

WIDTH = 3
"""r, the width of Φ and Ψ."""

KernelFormula = Callable[[Kernel, Tensor, Tensor, Tensor | None], Tensor]


@dataclass(frozen=True)
class KernelCase:
    """A kernel and the formula of its M, given Φ, Ψ and the valid sources of one item."""

    make: Callable[[], Kernel]
    formula: KernelFormula
    representations: tuple[str, ...] = ("dense", "edges", "grid")
    is_nonnegative: bool = True


@dataclass(frozen=True)
class MaskCase:
    """A mask on a grid, and the pairs it should join."""

    make: Callable[[tuple[int, ...]], Mask]
    joined: Callable[[tuple[int, ...]], Tensor]
    representations: tuple[str, ...] = ("dense", "edges")


def _pairwise(formula: Callable[[Tensor, Tensor], Tensor]) -> KernelFormula:
    return lambda kernel, phi, psi, valid: oracles.pairs_of(phi, psi, formula)


def _scaled_by_nodes(power: float) -> KernelFormula:
    def formula(kernel: Kernel, phi: Tensor, psi: Tensor, valid: Tensor | None) -> Tensor:
        count = len(psi) if valid is None else max(int(valid.sum()), 1)
        return oracles.pairs_of(phi, psi, oracles.signed_dot) * count**power

    return formula


def _concatenation(kernel: Kernel, phi: Tensor, psi: Tensor, valid: Tensor | None) -> Tensor:
    weight = kernel.get_parameter("weight").to(phi.dtype)
    return oracles.pairs_of(phi, psi, lambda p, q: oracles.concatenation(p, q, weight))


INNER_PRODUCT = ("dense", "edges", "grid", "factored")
EXPONENTIAL = ("dense", "edges", "grid", "streaming")
EXPONENTIAL = ("dense", "edges", "grid", "streaming")

KERNELS = {
    "dot": KernelCase(Dot, _pairwise(oracles.dot), INNER_PRODUCT),
    "signed_dot": KernelCase(SignedDot, _pairwise(oracles.signed_dot), INNER_PRODUCT, False),
    "signed_dot 1/n": KernelCase(
        lambda: SignedDot("1/n"), _scaled_by_nodes(-1), INNER_PRODUCT, False
    ),
    "signed_dot 1/sqrt(n)": KernelCase(
        lambda: SignedDot("1/sqrt(n)"), _scaled_by_nodes(-0.5), INNER_PRODUCT, False
    ),
    "gaussian": KernelCase(Gaussian, _pairwise(oracles.gaussian), EXPONENTIAL),
    "embedded_gaussian": KernelCase(EmbeddedGaussian, _pairwise(oracles.gaussian), EXPONENTIAL),
    "embedded_gaussian 1/sqrt(r)": KernelCase(
        lambda: EmbeddedGaussian("1/sqrt(r)"),
        _pairwise(lambda p, q: oracles.gaussian(p, q, len(p) ** -0.5)),
        EXPONENTIAL,
    ),
    "rbf": KernelCase(
        lambda: RBF(0.3), _pairwise(lambda p, q: oracles.rbf(p, q, 0.3)), EXPONENTIAL
    ),
    "double_softmax": KernelCase(
        DoubleSoftmax,
        lambda kernel, phi, psi, valid: oracles.double_softmax(phi, psi, valid),
        INNER_PRODUCT,
    ),
    "concatenation": KernelCase(lambda: Concatenation(WIDTH), _concatenation),
}


@functools.cache
def _some_pairs(count: int) -> Tensor:
    """A directed graph with an isolated node (the last), a node without input and a self-loop."""
    generator = torch.Generator().manual_seed(count)
    matrix = torch.rand(count, count, generator=generator) < 0.4
    matrix[0, :2] = True
    matrix[-1] = matrix[:, -1] = matrix[1:2] = False
    return matrix


def _count(size: tuple[int, ...]) -> int:
    return functools.reduce(lambda a, b: a * b, size, 1)


MASKS = {
    "full": MaskCase(
        lambda size: Full(),
        lambda size: torch.ones(2 * (_count(size),)).bool(),
        ("dense", "edges", "factored", "streaming"),
    ),
    "criss_cross": MaskCase(
        lambda size: CrissCross(),
        lambda size: oracles.joined_pairs(size, oracles.criss_cross),
        ("dense", "edges", "grid"),
    ),
    "window": MaskCase(
        lambda size: Window(1), lambda size: oracles.joined_pairs(size, oracles.window(1))
    ),
    "edge_list": MaskCase(
        lambda size: EdgeList(_some_pairs(_count(size)).nonzero().flip(1).T),
        lambda size: _some_pairs(_count(size)),
    ),
    "boolean_matrix": MaskCase(
        lambda size: BooleanMatrix(_some_pairs(_count(size))),
        lambda size: _some_pairs(_count(size)),
    ),
}

NORMALIZATIONS = ("sym", "rw", "none")

REPRESENTATIONS = ("auto", "dense", "edges", "factored", "streaming", "grid")

GRIDS: dict[tuple[int, ...], tuple[int, ...]] = {(5,): (), (2, 4): (2,), (2, 3, 1): (2, 1)}
"""Sizes of one-, two- and three-dimensional grids, each with the batch axes it is tried with."""


def representations_of(kernel: str, mask: str) -> tuple[str, ...]:
    """Names of the representations that this kernel has under this mask."""
    return tuple(
        name for name in KERNELS[kernel].representations if name in MASKS[mask].representations
    )


@dataclass(frozen=True)
class Case:
    """One operator of the library: names of its pieces."""

    kernel: str
    mask: str
    normalization: str
    representation: str

    def __str__(self) -> str:
        return "-".join((self.kernel, self.mask, self.normalization, self.representation))

    @property
    def exists(self) -> bool:
        has = {"auto", *representations_of(self.kernel, self.mask)}
        is_signed = self.normalization == "sym" and not KERNELS[self.kernel].is_nonnegative
        return self.representation in has and not is_signed

    def matrix(
        self, kernel: Kernel, phi: Tensor, psi: Tensor, size: tuple[int, ...]
    ) -> tuple[Tensor, Tensor]:
        """A and its degrees by the naive formulas, each item by itself."""
        joined = MASKS[self.mask].joined(size)

        def affinity(phi: Tensor, psi: Tensor) -> Tensor:
            return KERNELS[self.kernel].formula(kernel, phi, psi, None) * joined

        m = oracles.batched(affinity, phi, psi)
        a = oracles.batched(lambda item: oracles.normalized(item, self.normalization), m)
        return a, oracles.batched(lambda item: oracles.degrees(item, self.normalization), m)


def all_cases() -> Iterator[Case]:
    for pieces in itertools.product(KERNELS, MASKS, NORMALIZATIONS, REPRESENTATIONS):
        yield Case(*pieces)
