"""Kernels: M = link(F_φ(Φ) F_ψ(Ψ)ᵀ), feature maps of the nodes and a pointwise link."""

from __future__ import annotations

from abc import ABC, abstractmethod
from numbers import Real
from typing import ClassVar

from torch import Tensor, nn

from snl_graph.kernels.nodes import NodeSet


class Kernel(nn.Module, ABC):
    """The affinity of a pair of nodes, in a form that every representation can use.

    A kernel is two feature maps and a link, M_ij = link(⟨F_φ(φ)_i, F_ψ(ψ)_j⟩). A link that is the
    identity makes M a product of factors; an exponential one gives it a logarithm.

    Attributes:
        is_nonnegative: Whether M_ij ≥ 0 for every input, which "sym" needs.
        is_exponential: Whether link = exp.
        is_inner_product: Whether link is the identity.
        is_embedded: Whether Φ and Ψ are learned projections; False means Φ = Ψ = X.
        is_symmetric: Whether M is known to equal its transpose wherever Φ = Ψ.
    """

    is_nonnegative: ClassVar[bool] = True
    is_exponential: ClassVar[bool] = False
    is_inner_product: ClassVar[bool] = False
    is_embedded: ClassVar[bool] = True
    is_symmetric: ClassVar[bool] = False

    @property
    def representations(self) -> tuple[str, ...]:
        """Names of the representations that this kernel has."""
        if self.is_inner_product:
            return ("dense", "edges", "grid", "factored")
        if self.is_exponential:
            return ("dense", "edges", "grid", "streaming")
        return ("dense", "edges", "grid")

    @abstractmethod
    def features(self, phi: Tensor, psi: Tensor, nodes: NodeSet) -> tuple[Tensor, Tensor]:
        """F_φ(Φ) and F_ψ(Ψ), shapes (*batch, N, r) → (*batch, N, r')."""

    def link(self, scores: Tensor) -> Tensor:
        """M_ij of the inner products; never called for an exponential kernel."""
        return scores


def require_scale(scale: object, *names: str) -> None:
    """Raise a ``ValueError`` unless ``scale`` is a number, a tensor or one of these names."""
    if isinstance(scale, str):
        is_known = scale in names
    else:
        is_known = isinstance(scale, Real | Tensor) and not isinstance(scale, bool)
    if not is_known:
        *others, last = [f'"{name}"' for name in names]
        came = f'"{scale}"' if isinstance(scale, str) else repr(scale)
        raise ValueError(f"scale is {', '.join(['a number', *others])} or {last}; got {came}.")


class InnerProductKernel(Kernel):
    """M = F_φ(Φ) F_ψ(Ψ)ᵀ."""

    is_inner_product = True


class ExponentialKernel(Kernel):
    """M = exp(F_φ(Φ) F_ψ(Ψ)ᵀ)."""

    is_exponential = True
