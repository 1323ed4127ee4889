"""Kernels: the affinity of every pair of nodes, M = kernel(Φ, Ψ)."""

from __future__ import annotations

from collections.abc import Callable

from snl_graph.kernels.base import ExponentialKernel, InnerProductKernel, Kernel
from snl_graph.kernels.concatenation import Concatenation
from snl_graph.kernels.dot import Dot, SignedDot
from snl_graph.kernels.double_softmax import DoubleSoftmax
from snl_graph.kernels.gaussian import RBF, EmbeddedGaussian, Gaussian
from snl_graph.kernels.nodes import NodeSet, ShardedNodeSet
from snl_graph.names import lookup

KERNELS: dict[str, Callable[[int], Kernel]] = {
    "dot": lambda channels: Dot(),
    "signed_dot": lambda channels: SignedDot(),
    "gaussian": lambda channels: Gaussian(),
    "embedded_gaussian": lambda channels: EmbeddedGaussian(),
    "rbf": lambda channels: RBF(),
    "double_softmax": lambda channels: DoubleSoftmax(),
    "concatenation": Concatenation,
}
"""A kernel by name, of the width r of Φ and Ψ."""


def as_kernel(kernel: Kernel | str, channels: int) -> Kernel:
    """Kernel object of a name.

    Args:
        kernel: A name of ``KERNELS``, or a kernel, which is returned as it is.
        channels: Width r of Φ and Ψ (of one head).

    Raises:
        ValueError: If the name is unknown.
    """
    if isinstance(kernel, Kernel):
        return kernel
    return lookup(KERNELS, kernel, "kernel", Kernel)(channels)


__all__ = [
    "KERNELS",
    "RBF",
    "Concatenation",
    "Dot",
    "DoubleSoftmax",
    "EmbeddedGaussian",
    "ExponentialKernel",
    "Gaussian",
    "InnerProductKernel",
    "Kernel",
    "NodeSet",
    "ShardedNodeSet",
    "SignedDot",
    "as_kernel",
]
