"""Table 1 of the paper as data: a row picks pieces of one formula.

F = Σ_k P_k(A) Z W_k with A = normalise(kernel(Φ, Ψ) ⊙ mask). No row has code of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One nonlocal block.

    Args:
        source: Who proposed it.
        kernel: Default kernel.
        normalization: Default normalisation.
        taps: Coefficients of A^0, A^1, ... of each learned matrix W_k, by the name k; None means
            one free matrix a power.
        K: Number of powers where the taps are free and the caller does not say.
        mask: Default mask.
        is_projected: Whether Z = X W_g; otherwise Z = X.
        nodes_are_channels: Whether every (position, channel) pair is a node.
        any_K: Whether the caller may choose K.
    """

    source: str
    kernel: str
    normalization: str
    taps: Mapping[int, tuple[float, ...]] | None
    K: int = 2
    mask: str = "full"
    is_projected: bool = True
    nodes_are_channels: bool = False
    any_K: bool = False


A_Z_W: Mapping[int, tuple[float, ...]] = {1: (0.0, 1.0)}

ROWS: dict[str, Row] = {
    "nl": Row("Wang et al. (2018), Nonlocal Block", "embedded_gaussian", "rw", A_Z_W),
    "ns": Row("Tao et al. (2018), Nonlocal Stage", "embedded_gaussian", "rw", {1: (-1.0, 1.0)}),
    "a2": Row("Chen et al. (2018), Double Attention", "double_softmax", "none", A_Z_W),
    "cgnl": Row(
        "Yue et al. (2018), Compact Generalized Nonlocal",
        "signed_dot",
        "none",
        A_Z_W,
        nodes_are_channels=True,
    ),
    "cc": Row(
        "Huang et al. (2019), Criss-Cross Attention",
        "embedded_gaussian",
        "rw",
        A_Z_W,
        mask="criss_cross",
        is_projected=False,
    ),
    "snl": Row("Zhu et al., Spectral Nonlocal Block, Eq. 13", "dot", "sym", None),
    "gsnl": Row("Zhu et al., Eq. 8 with K terms", "dot", "sym", None, K=3, any_K=True),
}
"""The rows of Table 1 by name, and the general form ``gsnl``."""
