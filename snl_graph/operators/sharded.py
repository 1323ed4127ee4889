"""The factored operator over nodes that are spread over processes.

Φ, Ψ and Z stay where they are. The processes exchange Ψ^⊤ Z, of r × C numbers, and the column sums
of Ψ for the degrees: nothing that grows with N.
"""

from __future__ import annotations

from typing import NoReturn

import torch
from torch import Tensor

from snl_graph.operators.base import AffinityOperator, require_square
from snl_graph.operators.diagonal import (
    Diagonal,
    LinearDiagonal,
    accumulation_dtype,
    full_precision,
)
from snl_graph.operators.factored import FactoredOperator
from snl_graph.sharding import NodeShards, is_distributed, node_shards, part_here


class FactoredShard(FactoredOperator):
    """This process's rows of Φ Ψᵀ, or of ½ (Φ Ψᵀ + Ψ Φᵀ): signals of its nodes in, and out.

    Args:
        phi: The rows of Φ that are here, shape (*batch, n, r); n may be 0.
        psi: The rows of Ψ that are here, shape (*batch, n', r).
        shards: The processes.
        is_symmetrized: Whether the operator is the symmetric form.
        is_nonnegative: Whether Φ and Ψ are.

    Cost: time O(n·r·C) an application, memory O(n·r), one all-reduce of r·C numbers an item (2·r·C
    when symmetrised), and another in the backward pass.
    """

    def __init__(
        self,
        phi: Tensor,
        psi: Tensor,
        shards: NodeShards,
        *,
        is_symmetrized: bool = False,
        is_nonnegative: bool = False,
    ) -> None:
        super().__init__(phi, psi, is_symmetrized=is_symmetrized, is_nonnegative=is_nonnegative)
        self.shards = shards

    def apply(self, z: Tensor) -> Tensor:
        if not self.is_symmetric:
            (gathered,) = self.shards.total(self.psi.mT @ z)  # (*batch, r, C)
            return self.phi @ gathered
        gathered, mirrored = self.shards.total(self.psi.mT @ z, self.phi.mT @ z)
        return (self.phi @ gathered + self.psi @ mirrored) / 2

    def row_sums(self) -> Diagonal:
        dtype = accumulation_dtype(self.dtype)
        with full_precision(self.device):
            phi, psi = self.phi.to(dtype), self.psi.to(dtype)
            if not self.is_symmetric:
                (of_psi,) = self.shards.total(psi.sum(-2, keepdim=True))  # (*batch, 1, r)
                return LinearDiagonal((phi * of_psi).sum(-1))
            of_phi, of_psi = self.shards.total(phi.sum(-2, keepdim=True), psi.sum(-2, keepdim=True))
            return LinearDiagonal(((phi * of_psi).sum(-1) + (psi * of_phi).sum(-1)) / 2)

    def balanced(self) -> AffinityOperator:
        return AffinityOperator.balanced(self)

    def _of(self, phi: Tensor, psi: Tensor, *, is_symmetrized: bool) -> FactoredShard:
        return FactoredShard(
            phi,
            psi,
            self.shards,
            is_symmetrized=is_symmetrized,
            is_nonnegative=self.is_nonnegative,
        )

    def _column_sizes(self, *factors: Tensor) -> tuple[Tensor, ...]:
        return self.shards.total(*super()._column_sizes(*factors))

    def to_dense(self) -> NoReturn:
        refuse_to_write_down()


class ShardedOperator(AffinityOperator):
    """An operator on DTensors: signals (*batch, N, C) in, ``Shard`` on their nodes, and out.

    Made by :func:`snl_graph.affinity` of Φ and Ψ that are DTensors.

    Args:
        part: The operator on the nodes of this process.
        shards: The processes.
        shape: (*batch, N, N') of the whole.

    Cost: that of :class:`FactoredShard`.
    """

    def __init__(self, part: AffinityOperator, shards: NodeShards, shape: torch.Size) -> None:
        self.part, self.shards, self.shape = part, shards, shape
        self.representation = part.representation  # type: ignore[misc]
        self.dtype, self.device = part.dtype, part.device
        self.is_nonnegative, self.is_symmetric = part.is_nonnegative, part.is_symmetric

    def apply(self, z: Tensor) -> Tensor:
        """A z, of a DTensor.

        Raises:
            ValueError: If ``z`` is not spread as Φ and Ψ are.
        """
        if not is_distributed(z) or node_shards({"z": (z, [-2])}) != self.shards:
            came = f"on {z.device_mesh}" if is_distributed(z) else "a plain tensor"
            raise ValueError(
                f"this operator takes DTensors with nodes spread over {self.shards.mesh}; z is "
                f"{came}. Use distribute_tensor(z, mesh, [Shard({z.dim() - 2})])."
            )
        if z.shape[-2] != self.shape[-1]:
            raise ValueError(
                f"this operator has shape {tuple(self.shape)} and takes signals (*batch, "
                f"{self.shape[-1]}, C); got {tuple(z.shape)}."
            )
        return self.shards.whole(self.part.apply(z.to_local()), -2, self.shape[-2])

    def row_sums(self) -> Diagonal:
        return self._whole(self.part.row_sums())

    def degree(self) -> Tensor:
        return self.shards.whole(self.part.degree(), -1, self.shape[-2])

    def symmetrized(self) -> ShardedOperator:
        require_square(self)
        return self._of(self.part.symmetrized())

    def scaled(self, left: Diagonal | None, right: Diagonal | None) -> ShardedOperator:
        left_here = _here(left)
        return self._of(self.part.scaled(left_here, left_here if right is left else _here(right)))

    def balanced(self) -> ShardedOperator:
        return self._of(self.part.balanced())

    def row_normalized(self) -> ShardedOperator:
        return self._of(self.part.row_normalized())

    def with_degree(self, degree: Diagonal | None) -> ShardedOperator:
        return self._of(self.part.with_degree(_here(degree)))

    def to(self, dtype: torch.dtype) -> ShardedOperator:
        return self._of(self.part.to(dtype))

    @property
    def T(self) -> ShardedOperator:
        *batch, targets, sources = self.shape
        return ShardedOperator(self.part.T, self.shards, torch.Size((*batch, sources, targets)))

    def _transposed(self) -> ShardedOperator:
        return self.T.with_degree(None)

    def to_dense(self) -> NoReturn:
        refuse_to_write_down()

    def _of(self, part: AffinityOperator) -> ShardedOperator:
        return ShardedOperator(part, self.shards, self.shape)

    def _whole(self, diagonal: Diagonal) -> Diagonal:
        return LinearDiagonal(self.shards.whole(diagonal.values, -1, self.shape[-2]))


def _here(diagonal: Diagonal | None) -> Diagonal | None:
    """This process's part of a diagonal of DTensors."""
    return None if diagonal is None else LinearDiagonal(part_here(diagonal.values))


def refuse_to_write_down() -> NoReturn:
    """Raise the ``ValueError`` of an operator whose matrix no process could hold."""
    raise ValueError(
        "an operator over nodes on several processes is applied, not written down: its matrix has "
        "N² entries. Where N is small, gather first: affinity(phi.full_tensor(), ...)."
    )
