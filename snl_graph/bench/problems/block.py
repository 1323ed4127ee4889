"""A block of Table 1 on one feature map."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from snl_graph.bench.contenders import Contender, Problem
from snl_graph.bench.floor import floor_of, plain_floor
from snl_graph.bench.messages import batched_edges, chebyshev_block, loop_free, message_product
from snl_graph.bench.naive import block_output, dense_block
from snl_graph.bench.problems.sizes import (
    MESSAGES,
    NAIVE,
    dense_bytes,
    edge_bytes,
    representations_of,
)
from snl_graph.blocks import ROWS, NonlocalBlock, Row, nonlocal_block
from snl_graph.grids import num_positions
from snl_graph.kernels import as_kernel
from snl_graph.masks import Mask, as_mask
from snl_graph.names import lookup

FLOOR, PLAIN_FLOOR = "floor", "floor, written out"
CHEBYSHEV, WITHOUT_LOOPS = "ChebConv (PyG)", "naive dense without loops"


@dataclass(frozen=True)
class BlockProblem(Problem):
    """Y of X by a block with its default pieces and C_s = C/2.

    Args:
        block: A row of Table 1.
        batch: B.
        channels: C.
        size: Spatial size of the map.
        dtype: Name of the dtype.
    """

    block: str
    batch: int
    channels: int
    size: tuple[int, ...]
    dtype: str = "float32"

    def __post_init__(self) -> None:
        lookup(ROWS, self.block, "block")
        if min(self.batch, self.channels, *self.size) < 1:
            raise ValueError(
                f"batch, channels and lengths are whole numbers ≥ 1; got {self.batch}, "
                f"{self.channels} and {self.size}."
            )

    @property
    def row(self) -> Row:
        """The row of the table."""
        return ROWS[self.block]

    @property
    def mask(self) -> Mask:
        """The mask of the row."""
        return as_mask(self.row.mask)

    @property
    def nodes(self) -> int:
        """Positions N of the map."""
        return num_positions(self.size)

    @property
    def names(self) -> tuple[str, ...]:
        held = representations_of(as_kernel(self.row.kernel, 1), self.mask)
        # With few channels some node has degree 0, and there ChebConv's gradients are NaN.
        has_chebyshev = self.block == "snl" and self.channels >= 32
        chebyshev = (WITHOUT_LOOPS, CHEBYSHEV) if has_chebyshev else ()
        return (NAIVE, *held, MESSAGES, *chebyshev, PLAIN_FLOOR, FLOOR)

    def auto(self) -> str:
        """The representation that "auto" takes; looks at sizes only."""
        with FakeTensorMode():
            block = nonlocal_block(self.block, self.channels)
            x = torch.empty(self.batch, self.channels, *self.size)
            return block.affinity_of(x).representation

    def reference_of(self, name: str) -> str:
        of_others = {FLOOR: PLAIN_FLOOR, CHEBYSHEV: WITHOUT_LOOPS}
        return name if name in of_others.values() else of_others.get(name, NAIVE)

    def contender(self, name: str) -> Contender:
        lookup(dict.fromkeys(self.names), name, "contender")
        dtype = getattr(torch, self.dtype)
        representation = name if name in self._representations else "auto"
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            block = nonlocal_block(self.block, self.channels, representation=representation)
            block = block.to(dtype)
            x = torch.randn(self.batch, self.channels, *self.size, dtype=dtype)
            upstream = torch.randn_like(x)
        x.requires_grad_()
        return Contender(
            name,
            self._output(name, block, x),
            [x, *block.parameters()],
            upstream,
            reference=self.reference_of(name),
            is_timed=name not in (PLAIN_FLOOR, WITHOUT_LOOPS),
        )

    @property
    def _representations(self) -> tuple[str, ...]:
        return representations_of(as_kernel(self.row.kernel, 1), self.mask)

    def _output(self, name: str, block: NonlocalBlock, x: Tensor) -> Callable[[], Tensor]:
        if name == NAIVE:
            return partial(dense_block, block, x)
        if name == WITHOUT_LOOPS:
            return partial(dense_block, block, x, has_loops=False)
        if name == PLAIN_FLOOR:
            return partial(plain_floor, block, x)
        if name == FLOOR:
            return partial(floor_of(block), x)
        if name == MESSAGES:
            edges = batched_edges(self.mask, self._operator_size, self.batch)
            product = partial(
                message_product, self.row.kernel, self.row.normalization, edge_index=edges
            )
            return lambda: block_output(block, x, product)
        if name == CHEBYSHEV:
            edges = loop_free(batched_edges(self.mask, self.size, self.batch))
            return partial(chebyshev_block, block, x, edges)
        return partial(block, x)

    @property
    def _operator_size(self) -> tuple[int, ...]:
        """Of the nodes: the positions, or the (position, channel) pairs."""
        return (self.nodes * self._hidden,) if self.row.nodes_are_channels else self.size

    @property
    def _hidden(self) -> int:
        return max(self.channels // 2, 1)

    def bytes_needed(self, name: str, mode: str) -> int:
        width = 1 if self.row.nodes_are_channels else self._hidden
        channels = width if self.row.is_projected else self.channels
        if name in (NAIVE, WITHOUT_LOOPS, "dense"):
            return dense_bytes(self.batch, num_positions(self._operator_size), mode)
        if name in (MESSAGES, CHEBYSHEV, "edges"):
            edges = self.mask.num_edges(self._operator_size)
            return edge_bytes(self.batch, edges, width, channels, mode)
        return 0

    def small(self, dtype: str) -> Self:
        size = tuple(min(length, 3 + axis) for axis, length in enumerate(self.size))
        batch, channels = min(self.batch, 2), min(self.channels, 32)
        return replace(self, batch=batch, channels=channels, size=size, dtype=dtype)

    def at(self, size: tuple[int, ...]) -> Self:
        """The same on a map of another size."""
        return replace(self, size=size)
