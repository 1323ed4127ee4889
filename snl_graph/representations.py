"""How each representation is made of a kernel, a mask and features."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from snl_graph.grids import Size
from snl_graph.kernels import Kernel, NodeSet, ShardedNodeSet
from snl_graph.masks import CrissCross, Full, Mask, all_pairs
from snl_graph.memory import require_room_for_matrices
from snl_graph.names import lookup
from snl_graph.operators import (
    AffinityOperator,
    DenseOperator,
    EdgeOperator,
    FactoredOperator,
    FactoredShard,
    GridOperator,
    LogDenseOperator,
    LogEdgeOperator,
    LogGridOperator,
    StreamingOperator,
)
from snl_graph.operators.attention import NEVER
from snl_graph.operators.diagonal import accumulation_dtype, full_precision
from snl_graph.operators.grid import lines


@dataclass(frozen=True)
class Pairs:
    """All that defines M = kernel(Φ, Ψ) ⊙ mask before a representation is chosen.

    Args:
        kernel: The kernel.
        mask: Which pairs are joined.
        phi: Φ of the targets, shape (*batch, N, r).
        psi: Ψ of the sources, shape (*batch, N', r).
        size: Spatial size of the targets, of N positions.
        valid: Shape (*batch, N), bool, or None: targets that get weight.
        source_valid: Shape (*batch, N'), bool, or None: sources that give weight.
        node_set: Which nodes belong together; None means those that ``source_valid`` marks.
    """

    kernel: Kernel
    mask: Mask
    phi: Tensor
    psi: Tensor
    size: Size
    valid: Tensor | None = None
    source_valid: Tensor | None = None
    node_set: NodeSet | None = None

    @property
    def nodes(self) -> NodeSet:
        """Which nodes belong together."""
        if isinstance(self.node_set, ShardedNodeSet):
            return replace(self.node_set, valid=self.source_valid)
        return self.node_set or NodeSet(valid=self.source_valid)

    def features(self) -> tuple[Tensor, Tensor]:
        """F_φ(Φ) and F_ψ(Ψ), in their own dtype."""
        return self.kernel.features(self.phi, self.psi, self.nodes)

    def precise_features(self) -> tuple[Tensor, Tensor]:
        """The same in float32 at least, for scores that half precision cannot hold."""
        dtype = accumulation_dtype(self.phi.dtype)
        with full_precision(self.phi.device):
            return self.kernel.features(self.phi.to(dtype), self.psi.to(dtype), self.nodes)

    def joined(self) -> Tensor | None:
        """Which pairs [i, j] have a weight, broadcastable to (*batch, N, N'); None means all."""
        joined = None if self.mask.is_full else self.mask.matrix(self.size, self.phi.device)
        for valid, axis in ((self.valid, -1), (self.source_valid, -2)):
            if valid is not None:
                joined = valid.unsqueeze(axis) if joined is None else joined & valid.unsqueeze(axis)
        return joined

    def joined_on_lines(self, axis: int) -> Tensor | None:
        """Which pairs on the lines along an axis have a weight; None means all.

        Self lies on a line of every axis and counts once, with the last axis. Broadcastable to
        (*batch, *lengths of the other axes, S_axis, S_axis).
        """
        joined = None
        if axis != len(self.size) - 1:
            length = self.size[axis]
            joined = ~torch.eye(length, dtype=torch.bool, device=self.phi.device)
        for valid, is_target in ((self.valid, True), (self.source_valid, False)):
            if valid is not None:
                marks = lines(valid.unsqueeze(-1), self.size, axis)
                marks = marks if is_target else marks.mT
                joined = marks if joined is None else joined & marks
        return joined


def _build_factored(pairs: Pairs) -> AffinityOperator:
    phi, psi = pairs.features()
    if pairs.valid is not None:
        phi = phi.masked_fill(~pairs.valid.unsqueeze(-1), 0)
    if pairs.source_valid is not None:
        psi = psi.masked_fill(~pairs.source_valid.unsqueeze(-1), 0)
    is_nonnegative = pairs.kernel.is_nonnegative
    if isinstance(pairs.node_set, ShardedNodeSet):
        return FactoredShard(phi, psi, pairs.node_set.shards, is_nonnegative=is_nonnegative)
    return FactoredOperator(phi, psi, is_nonnegative=is_nonnegative)


def _build_dense(pairs: Pairs) -> AffinityOperator:
    phi, psi = pairs.precise_features()
    with full_precision(pairs.phi.device):
        scores = phi @ psi.mT
    joined = pairs.joined()
    if pairs.kernel.is_exponential:
        logits = scores if joined is None else scores.masked_fill(~joined, -torch.inf)
        return LogDenseOperator(logits, pairs.phi.dtype)
    matrix = pairs.kernel.link(scores)
    if joined is not None:
        matrix = matrix.masked_fill(~joined, 0)
    return DenseOperator(matrix, is_nonnegative=pairs.kernel.is_nonnegative)


def _build_edges(pairs: Pairs) -> AffinityOperator:
    phi, psi = pairs.precise_features()
    if pairs.mask.is_full:  # the one mask that also joins two sets of nodes
        edge_index = all_pairs(phi.shape[-2], psi.shape[-2], phi.device)
    else:
        edge_index = pairs.mask.edges(pairs.size, phi.device)
    is_joined = None
    for valid, end in ((pairs.valid, 1), (pairs.source_valid, 0)):
        if valid is not None:
            at_edges = valid.index_select(-1, edge_index[end])
            is_joined = at_edges if is_joined is None else is_joined & at_edges
    shape = (phi.shape[-2], psi.shape[-2])
    return edge_operator(pairs.kernel, phi, psi, edge_index, shape, pairs.phi.dtype, is_joined)


def edge_operator(
    kernel: Kernel,
    phi: Tensor,
    psi: Tensor,
    edge_index: Tensor,
    shape: tuple[int, int],
    dtype: torch.dtype,
    is_joined: Tensor | None = None,
) -> EdgeOperator | LogEdgeOperator:
    """M on given edges.

    Args:
        kernel: The kernel.
        phi: F_φ(Φ), shape (*batch, N, r), float32 at least.
        psi: F_ψ(Ψ), shape (*batch, N', r).
        edge_index: Shape (2, E); row 0 = j, row 1 = i.
        shape: (N, N').
        dtype: Type of the weights of an exponential kernel.
        is_joined: Shape (*batch, E), bool, or None: edges that have a weight.

    Cost: O(E·r) time and memory.
    """
    target = phi.index_select(-2, edge_index[1])
    source = psi.index_select(-2, edge_index[0])
    scores = (target * source).sum(-1)
    if kernel.is_exponential:
        logits = scores if is_joined is None else scores.masked_fill(~is_joined, -torch.inf)
        return LogEdgeOperator(edge_index, logits, shape, dtype)
    weight = kernel.link(scores)
    if is_joined is not None:
        weight = weight.masked_fill(~is_joined, 0)
    return EdgeOperator(edge_index, weight, shape, is_nonnegative=kernel.is_nonnegative)


def _build_grid(pairs: Pairs) -> AffinityOperator:
    kernel, size = pairs.kernel, pairs.size
    phi, psi = (features.contiguous() for features in pairs.precise_features())
    blocks = []
    for axis in range(len(size)):
        with full_precision(phi.device):
            block = lines(phi, size, axis) @ lines(psi, size, axis).mT
        joined = pairs.joined_on_lines(axis)
        if not kernel.is_exponential:
            block = kernel.link(block)
        if joined is not None:
            block = block.masked_fill(~joined, -torch.inf if kernel.is_exponential else 0)
        blocks.append(block)
    if kernel.is_exponential:
        return LogGridOperator(blocks, size, pairs.phi.dtype)
    return GridOperator(blocks, size, is_nonnegative=kernel.is_nonnegative)


def _build_streaming(pairs: Pairs) -> AffinityOperator:
    phi, psi = pairs.precise_features()
    left, right = (
        None if valid is None else torch.where(valid, phi.new_zeros(()), NEVER)
        for valid in (pairs.valid, pairs.source_valid)
    )
    is_of_one_set = pairs.phi is pairs.psi and pairs.valid is pairs.source_valid
    return StreamingOperator(
        phi,
        psi,
        left,
        right,
        is_symmetric=is_of_one_set and pairs.kernel.is_symmetric,
        dtype=pairs.phi.dtype,
    )


@dataclass(frozen=True)
class Representation:
    """A way to write M down.

    Args:
        build: Makes the operator.
        mask: The kind of mask it serves; None means every mask. Which kernels it serves, each
            kernel says itself.
    """

    build: Callable[[Pairs], AffinityOperator]
    mask: type[Mask] | None = None

    def serves(self, mask: Mask) -> bool:
        """Whether M under this mask can be written so."""
        return self.mask is None or isinstance(mask, self.mask)


REPRESENTATIONS = {
    "dense": Representation(_build_dense),
    "edges": Representation(_build_edges),
    "factored": Representation(_build_factored, Full),
    "grid": Representation(_build_grid, CrissCross),
    "streaming": Representation(_build_streaming, Full),
}
"""How to write M down, by name."""


def check_representation(name: str, kernel: Kernel, mask: Mask) -> None:
    """Raise a ``ValueError`` unless ``kernel`` and ``mask`` have the representation ``name``."""
    if name == "auto":
        return
    lookup({**REPRESENTATIONS, "auto": None}, name, "representation")
    of_kernel = kernel.representations
    if name not in of_kernel:
        raise ValueError(
            f'kernel {kernel} has no representation "{name}"; it has {_quoted(of_kernel)}. '
            'Use "auto".'
        )
    if not REPRESENTATIONS[name].serves(mask):
        of_both = (choice for choice in of_kernel if REPRESENTATIONS[choice].serves(mask))
        raise ValueError(
            f'mask {mask} has no representation "{name}"; it has {_quoted(of_both)}. Use "auto".'
        )


def check_sharded(name: str, kernel: Kernel, mask: Mask) -> None:
    """Raise a ``ValueError`` unless nodes on several processes can be joined so."""
    if name not in ("auto", "factored"):
        came = f'representation "{name}"'
    elif not kernel.is_inner_product:
        came = f"kernel {kernel}"
    elif not mask.is_full:
        came = f"mask {mask}"
    else:
        return
    raise ValueError(
        f"{came} would need the features of all nodes on every process. Nodes spread over "
        'processes are joined by representation "factored": kernel "dot", "signed_dot" or '
        '"double_softmax" (any inner product) and the full mask.'
    )


def require_room_for_dense(pairs: Pairs, *, needs_square: bool) -> None:
    """Raise a ``ValueError`` if the matrices of the dense form cannot fit into memory.

    Counts those that are there at once for certain: the matrix, and under "sym" also its sum with
    its transpose and half of that. Looks at shapes only.
    """
    shape = (*pairs.phi.shape[:-1], pairs.psi.shape[-2])
    matrices = 3 if needs_square else 1
    require_room_for_matrices(pairs.phi, shape, matrices, lambda: _instead_of_dense(pairs))


def _instead_of_dense(pairs: Pairs) -> str:
    """What a caller whose matrices do not fit can do."""
    others = [
        name
        for name in pairs.kernel.representations
        if REPRESENTATIONS[name].serves(pairs.mask)
        and name != "dense"
        and not (name == "edges" and pairs.mask.is_full)  # which holds more than the matrix
    ]
    if others:
        return f"Use representation {_quoted(others)}."
    return (
        'Join fewer pairs, with a mask such as "window:R", or use a kernel that has '
        'representation "factored" or "streaming".'
    )


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
