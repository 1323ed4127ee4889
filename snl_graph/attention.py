"""Attention maps of a block: rows of A as maps over the positions it looks at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn

from snl_graph.blocks import NonlocalBlock
from snl_graph.blocks.arrangements import Positions, PositionsTimesChannels
from snl_graph.grids import Size, num_positions, require_positions
from snl_graph.insert import inserted_blocks
from snl_graph.operators import AffinityOperator
from snl_graph.probe import undisturbed, visit

_COLUMNS = 512  # rows of A taken in one application, which bounds the memory


@dataclass(frozen=True)
class View:
    """One way to look at a block: which pass of its recurrence, and which head.

    Attributes:
        number: Pass, counted from 0; None for all passes one after another, A_R ⋯ A_1.
        head: Head or channel group, counted from 0; None for the mean of all.
        label: In words, "pass 2, head 1"; "" where the block has one pass and one head.
    """

    number: int | None
    head: int | None
    label: str


@dataclass(frozen=True)
class BlockAttention:
    """The operators that a block made of one input, pass by pass; :func:`attention_of` makes it.

    Attributes:
        passes: A of every pass, shape ([1,] [heads,] N, N').
        size: Spatial size of the positions that look.
        source_size: Spatial size of the positions that are looked at; smaller where the block pools
            its keys.
        heads: Number of heads, or of channel groups.
        part: What a head is called: "head" or "group".
        channels: Channels of one group where nodes are (position, channel) pairs, otherwise 1.
    """

    passes: tuple[AffinityOperator, ...]
    size: Size
    source_size: Size
    heads: int = 1
    part: str = "head"
    channels: int = 1

    @property
    def views(self) -> list[View]:
        """Everything there is to look at, the whole block first."""
        views = []
        # Pooled keys have no place in the next pass; of channel pairs only a summary is shown.
        if len(self.passes) > 1 and self.source_size == self.size and self.channels == 1:
            views.append(View(None, None, f"all {len(self.passes)} passes"))
        for number in range(len(self.passes)):
            of_pass = f"pass {number + 1}" if len(self.passes) > 1 else ""
            if self.heads > 1:
                mean = f"mean of {self.heads} {self.part}s"
                views.append(View(number, None, _joined(of_pass, mean)))
            for head in range(self.heads):
                one = f"{self.part} {head + 1}" if self.heads > 1 else ""
                views.append(View(number, head, _joined(of_pass, one)))
        return views

    def rows(self, positions: Sequence[int] | Tensor) -> dict[View, Tensor]:
        """Rows A_i· of the given positions under every view.

        Row i holds what every position j gives to i. Where nodes are (position, channel) pairs it
        is what a signal that is 1 at every channel of j gives to the mean channel of i. Several
        passes are composed as A_R ⋯ A_1 of the means over heads (as attention rollout does): the
        paths through every pass, without the residual ones.

        Args:
            positions: Numbers of positions, row-major, shape (n,).

        Returns:
            For each view (n, N'), in the dtype of A.

        Raises:
            ValueError: If a position is outside the map.

        Cost: one application of Aᵀ to n signals a pass; A is never written down.
        """
        chosen = torch.as_tensor(positions, dtype=torch.long)
        if chosen.dim() != 1:
            raise ValueError(f"positions have shape (n,); got {tuple(chosen.shape)}.")
        n = num_positions(self.size)
        if chosen.numel() and not 0 <= int(chosen.min()) <= int(chosen.max()) < n:
            raise ValueError(
                f"positions lie in 0 .. {n - 1} on a map of size {self.size}; got "
                f"{int(chosen.min())} to {int(chosen.max())}."
            )
        parts = [self._rows(part) for part in chosen.split(_COLUMNS)]
        return {view: torch.cat([part[view] for part in parts]) for view in self.views}

    def _rows(self, chosen: Tensor) -> dict[View, Tensor]:
        first = self.passes[0]
        pick = torch.zeros(len(chosen), num_positions(self.size), dtype=first.dtype)
        pick[torch.arange(len(chosen)), chosen] = 1
        pick = pick.to(first.device)
        by_pass = [self._through(a, pick) for a in self.passes]  # each (heads, n, N')
        found = {}
        for view in self.views:
            if view.number is None:
                found[view] = reduce(
                    lambda rows, a: self._through(a, rows).mean(0), reversed(self.passes), pick
                )
            elif view.head is None:
                found[view] = by_pass[view.number].mean(0)
            else:
                found[view] = by_pass[view.number][view.head]
        return found

    def _through(self, a: AffinityOperator, rows: Tensor) -> Tensor:
        """Rows (n, N) times A, (heads, n, N')."""
        with torch.no_grad():
            signals = (
                rows.repeat(1, self.channels) / self.channels
            )  # channels of a group come first
            leading = a.shape[:-2]
            columns = a.T.apply(signals.mT.expand(*leading, *signals.mT.shape))
            out = columns.mT.reshape(-1, len(rows), self.channels, num_positions(self.source_size))
            return out.sum(-2)


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


def attention_of(block: nn.Module, x: Tensor) -> BlockAttention:
    """Everything a block looks at in one input: all passes, all heads.

    The block runs once, in evaluation mode, and is left as it was.

    Args:
        block: A :class:`~snl_graph.NonlocalBlock`, or any module whose ``affinity_of(x)`` is an
            operator (1, N, N) over the positions of ``x``.
        x: Feature map (1, C, *spatial) that enters it; one to three spatial axes.

    Raises:
        TypeError: If the block has no affinity.
        ValueError: If ``x`` is not one feature map, or has no position.

    Example:
        >>> import snl_graph
        >>> block = snl_graph.nonlocal_block("cc", 8, recurrence=2)
        >>> seen = attention_of(block, torch.randn(1, 8, 5, 7))
        >>> [view.label for view in seen.views]
        ['all 2 passes', 'pass 1', 'pass 2']
        >>> {rows.shape for rows in seen.rows([0, 34]).values()}
        {torch.Size([2, 35])}
    """
    affinity_of = getattr(block, "affinity_of", None)
    if affinity_of is None:
        raise TypeError(
            f"{type(block).__name__} has no affinity_of(x); expected a nonlocal block. Those of a "
            "network: block_inputs(model, x)."
        )
    if not isinstance(x, Tensor) or not 3 <= x.dim() <= 5 or x.shape[0] != 1:
        came = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
        raise ValueError(
            f"attention is looked at in one feature map (1, C, *spatial); got {came}. Of a batch "
            "pass one item: x[:1]."
        )
    require_positions(x)
    size = tuple(x.shape[2:])
    if not isinstance(block, NonlocalBlock):
        with torch.no_grad():
            return _of_operators((affinity_of(x),), size, size)
    seen = visit(block, block.affinity, x)
    if seen.failure is not None:
        raise seen.failure
    pieces = block.affinity.pieces
    subsampling = pieces.subsampling
    sources = size if subsampling.is_identity else subsampling.pooled_size(size)
    if isinstance(pieces.arrangement, PositionsTimesChannels):
        groups = pieces.arrangement.groups
        channels = seen.outputs[0].shape[-1] // num_positions(sources)
        return BlockAttention(tuple(seen.outputs), size, sources, groups, "group", channels)
    heads = pieces.arrangement.heads if isinstance(pieces.arrangement, Positions) else 1
    return BlockAttention(tuple(seen.outputs), size, sources, heads)


def _of_operators(
    passes: tuple[AffinityOperator, ...], size: Size, sources: Size
) -> BlockAttention:
    n = num_positions(size)
    for a in passes:
        if tuple(a.shape[-2:]) != (n, n) or a.shape[:-2].numel() != 1:
            raise ValueError(
                f"a map of size {size} needs an affinity of shape {(1, n, n)}; got "
                f"{tuple(a.shape)}."
            )
    return BlockAttention(passes, size, sources)


def block_inputs(model: nn.Module, x: Any) -> dict[str, tuple[nn.Module, Tensor]]:
    """Every nonlocal block of a network with the feature map that enters it.

    The network runs once, in evaluation mode and without gradients, and is left as it was.

    Args:
        model: Any network with blocks, inserted or built in.
        x: One input of it: a tensor, or a tuple of positional arguments.

    Returns:
        (block, feature map) by name: of inserted blocks the name that
        :func:`~snl_graph.inserted_blocks` gives, of others the name of the submodule.

    Raises:
        ValueError: If the model has no block, or its forward pass reaches none.

    Example:
        >>> import snl_graph
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
        >>> net = snl_graph.insert_block(net, "0", "snl")
        >>> seen = block_inputs(net, torch.zeros(1, 3, 6, 6))
        >>> {name: tuple(x.shape) for name, (_, x) in seen.items()}
        {'0': (1, 8, 4, 4)}
    """
    blocks = dict(blocks_of(model))
    if not blocks:
        raise ValueError(
            f"{type(model).__name__} has no nonlocal block; put one in with "
            "snl_graph.insert_block(model, after=...)."
        )
    seen: dict[str, tuple[nn.Module, Tensor]] = {}
    with undisturbed(model), torch.no_grad():
        model.eval()
        for name, block in blocks.items():

            def keep(module: nn.Module, args: Any, named: Any, name: str = name) -> None:
                features = args[0] if args else next(iter(named.values()))
                seen.setdefault(name, (module, features.detach()))

            block.register_forward_pre_hook(keep, with_kwargs=True)
        model(*x) if isinstance(x, tuple) else model(x)
    if not seen:
        raise ValueError(f"the forward pass reached none of the blocks {', '.join(blocks)}.")
    return {name: seen[name] for name in blocks if name in seen}


def blocks_of(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Name and module of every block: inserted ones first, then all other nonlocal blocks."""
    inserted = inserted_blocks(model)
    yield from inserted.items()
    known = {id(block) for block in inserted.values()}
    for name, module in model.named_modules():
        if isinstance(module, NonlocalBlock) and id(module) not in known:
            yield name or type(module).__name__, module
