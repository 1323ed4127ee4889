"""An operator of given Φ, Ψ, made and applied once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import torch
from torch import Tensor

from snl_graph.affinity import affinity
from snl_graph.bench.contenders import FORWARD, Contender, Problem
from snl_graph.bench.messages import batched_edges, message_product
from snl_graph.bench.naive import affinity_matrix
from snl_graph.bench.problems.sizes import (
    MESSAGES,
    NAIVE,
    dense_bytes,
    edge_bytes,
    representations_of,
)
from snl_graph.grids import num_positions
from snl_graph.kernels import as_kernel
from snl_graph.masks import as_mask
from snl_graph.names import lookup

FOUR_CALLS = "four attention calls"
_attention = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu


@dataclass(frozen=True)
class AffinityProblem(Problem):
    """A Z with A = normalise(kernel(Φ, Ψ) ⊙ mask), from Φ, Ψ and Z.

    Args:
        kernel: Name of a kernel without weights.
        normalization: "sym", "rw" or "none".
        mask: Name of a mask.
        batch: B.
        size: Spatial size; (N,) for nodes without a grid.
        width: r of Φ and Ψ.
        channels: C of Z.
        dtype: Name of the dtype.
    """

    kernel: str
    normalization: str
    mask: str
    batch: int
    size: tuple[int, ...]
    width: int
    channels: int
    dtype: str = "float32"

    @property
    def nodes(self) -> int:
        """N."""
        return num_positions(self.size)

    @property
    def names(self) -> tuple[str, ...]:
        has_calls = "streaming" in self._representations and self.normalization == "sym"
        calls = (FOUR_CALLS,) if has_calls and self.width == self.channels else ()
        return (NAIVE, *self._representations, MESSAGES, *calls)

    @property
    def _representations(self) -> tuple[str, ...]:
        return representations_of(as_kernel(self.kernel, self.width), as_mask(self.mask))

    def reference_of(self, name: str) -> str:
        return NAIVE

    def contender(self, name: str) -> Contender:
        lookup(dict.fromkeys(self.names), name, "contender")
        dtype = getattr(torch, self.dtype)
        generator = torch.Generator().manual_seed(0)
        draw = partial(torch.randn, dtype=dtype, generator=generator)
        phi, psi = (
            draw(self.batch, self.nodes, self.width) / self.width**0.25 for _ in range(2)
        )  # scores of variance 1
        z, upstream = (draw(self.batch, self.nodes, self.channels) for _ in range(2))
        inputs = [tensor.requires_grad_() for tensor in (phi, psi, z)]
        if name == FOUR_CALLS:
            shifts = _shifts(phi.detach(), psi.detach())
            calls = partial(_four_calls, phi, psi, z, shifts)
            finish = partial(_combined, shifts)
            return Contender(name, calls, inputs, upstream, NAIVE, modes=(FORWARD,), finish=finish)
        return Contender(name, self._output(name, phi, psi, z), inputs, upstream, NAIVE)

    def _output(self, name: str, phi: Tensor, psi: Tensor, z: Tensor) -> Callable[[], Tensor]:
        mask = as_mask(self.mask)
        if name == NAIVE:
            joined = None if mask.is_full else mask.matrix(self.size)
            return lambda: affinity_matrix(self.kernel, self.normalization, phi, psi, joined) @ z
        if name == MESSAGES:
            # One item after the other: the messages of all at once may not fit into memory.
            edges = batched_edges(mask, self.size, 1)
            product = partial(message_product, self.kernel, self.normalization, edge_index=edges)
            items = [(phi[i, None], psi[i, None], z[i, None]) for i in range(self.batch)]
            return lambda: torch.cat([product(p, q)(signal) for p, q, signal in items])
        made = partial(
            affinity,
            kernel=self.kernel,
            mask=mask,
            normalization=self.normalization,
            representation=name,
            size=self.size,
        )
        return lambda: made(phi, psi).apply(z)

    def bytes_needed(self, name: str, mode: str) -> int:
        if name in (NAIVE, "dense"):
            return dense_bytes(self.batch, self.nodes, mode)
        if name in (MESSAGES, "edges"):
            edges = as_mask(self.mask).num_edges(self.size)
            batch = 1 if name == MESSAGES and mode == FORWARD else self.batch
            return edge_bytes(batch, edges, self.width, self.channels, mode)
        return 0

    def small(self, dtype: str) -> Self:
        size = tuple(min(length, 4 + axis) for axis, length in enumerate(self.size))
        width, channels = min(self.width, 8), min(self.channels, 8)
        batch = min(self.batch, 2)
        return replace(self, batch=batch, size=size, width=width, channels=channels, dtype=dtype)

    def at(self, size: tuple[int, ...]) -> Self:
        """The same with another number of nodes."""
        return replace(self, size=size)


def _shifts(phi: Tensor, psi: Tensor) -> Tensor:
    """−½ log d̂ of the symmetrised exponential of Φ Ψᵀ, shape (B, N)."""
    rows, columns = (_heads(phi, psi, psi)[1], _heads(psi, phi, phi)[1])
    degree = torch.logaddexp(rows, columns) - torch.log(torch.tensor(2.0, dtype=phi.dtype))
    return -degree.squeeze(1) / 2


def _heads(q: Tensor, k: Tensor, v: Tensor, shift: Tensor | None = None) -> Any:
    mask = None if shift is None else shift[:, None, None]
    return _attention(q[:, None], k[:, None], v[:, None], attn_mask=mask, scale=1.0)


def _four_calls(phi: Tensor, psi: Tensor, z: Tensor, shifts: Tensor) -> list[Any]:
    """The log-sum-exps of rows and columns, and both products with Z; their results unused."""
    return [
        _heads(phi, psi, psi),
        _heads(psi, phi, phi),
        _heads(phi, psi, z, shifts),
        _heads(psi, phi, z, shifts),
    ]


def _combined(shifts: Tensor, calls: list[Any]) -> Tensor:
    """A Z of the results of the calls."""
    terms = (out * (logs + shifts[:, None]).exp().unsqueeze(-1) for out, logs in calls[2:])
    return sum(terms, start=torch.zeros(())).squeeze(1) / 2
