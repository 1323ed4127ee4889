"""From blocks and an image to a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from snl_graph.attention import BlockAttention, attention_of
from snl_graph.explorer.page import Page, make_page
from snl_graph.explorer.picture import data_uri_frames, energy, volume
from snl_graph.explorer.quantised import quantised
from snl_graph.explorer.sampling import Sample, choose_samples
from snl_graph.explorer.spectra import responses_of, spectra_of
from snl_graph.grids import num_positions


def explore(
    image: Tensor | None,
    blocks: Mapping[str, tuple[nn.Module, Tensor]],
    *,
    title: str = "Attention explorer",
    caption: str = "",
    start: Sequence[int] | None = None,
    stride: int | None = None,
    max_bytes: int = 8_000_000,
    most_nodes: int = 1024,
) -> Page:
    """A self-contained HTML page: choose a position, see where each block looks from there.

    For every position the row A_i· of each block's operator is laid over the image; beside it stand
    the eigenvalues of L = I − A and the gains of the learned filter g(λ). The page is one file that
    loads nothing, works with mouse, touch and keyboard, and holds the rows in eight bits an entry.

    Args:
        image: What the network saw, (..., *spatial) with one or three channels; None shows the
            energy of the first block's feature map.
        blocks: By the name to show, the block and the feature map (1, C, *spatial) that enters it,
            as :func:`~snl_graph.attention.block_inputs` finds them. Maps of different size may
            stand side by side.
        title: Heading of the page.
        caption: A sentence below it: what the picture is, how the network was trained.
        start: Position to begin at, counted from 0 on the finest map, (row, column) of an image;
            None begins where the feature map is strongest.
        stride: Hold every stride-th row and column of positions; None takes all, or as many as fit
            into ``max_bytes``. The page says which.
        max_bytes: Most that the page may weigh.
        most_nodes: Leave out the eigenvalues of graphs with more nodes, which cost O(N³); of an A
            held as factors they cost little and are always there.

    Raises:
        ValueError: If there is no block, an input does not fit, or a weight is not finite.
        PageTooLarge: If the page would weigh more than ``max_bytes``; says what to do.

    Cost: one application of Aᵀ for each held position of each block, and of memory one row of
    float32 for each.

    Example:
        >>> import torch, snl_graph
        >>> block = snl_graph.nonlocal_block("snl", 8)
        >>> page = explore(torch.rand(1, 12, 12), {"snl": (block, torch.randn(1, 8, 6, 6))})
        >>> page.html[:15], page.size < 100_000
        ('<!doctype html>', True)
    """
    _check(blocks, stride)
    seen = {name: attention_of(block, x) for name, (block, x) in blocks.items()}
    axes = {len(attention.size) for attention in seen.values()}
    if len(axes) > 1:
        raise ValueError(
            "the blocks of one page look at one kind of map; these have "
            f"{', '.join(f'{name}: size {a.size}' for name, a in seen.items())}."
        )
    first = next(iter(blocks.values()))[1]
    picture = energy(first) if image is None else image
    frames = data_uri_frames(picture, axes.pop())
    samples = choose_samples(list(seen.values()), stride, 0.8 * max_bytes)
    data = {
        "start": _start(blocks, seen, start),
        "image": {**frames, "energy": image is None},
        "blocks": [
            {"name": name, **_block(name, blocks[name][0], seen[name], sample, most_nodes)}
            for name, sample in zip(blocks, samples, strict=True)
        ],
    }
    return make_page(data, title, caption, max_bytes)


def _check(blocks: Any, stride: int | None) -> None:
    if not isinstance(blocks, Mapping):
        raise TypeError(
            "blocks is a mapping of names to (block, feature map), such as "
            f"block_inputs(model, x); got {type(blocks).__name__}."
        )
    if not blocks:
        raise ValueError("there is no block to look at; expected at least one.")
    for name, pair in blocks.items():
        if not isinstance(pair, tuple) or len(pair) != 2 or not isinstance(pair[0], nn.Module):
            raise TypeError(f'"{name}" must be a pair (block, feature map).')
    if stride is not None and stride < 1:
        raise ValueError(f"stride must be at least 1; got {stride}.")


def _start(
    blocks: Mapping[str, tuple[nn.Module, Tensor]],
    seen: Mapping[str, BlockAttention],
    start: Sequence[int] | None,
) -> list[int]:
    """Frame, row and column on the finest map: as asked for, or of its strongest features."""
    finest = max(seen, key=lambda name: num_positions(seen[name].size))
    size = seen[finest].size
    if start is None:
        strength = energy(blocks[finest][1])
        start = [int(axis) for axis in torch.unravel_index(strength.argmax(), size)]
    elif len(start) != len(size) or not all(
        0 <= at < length for at, length in zip(start, size, strict=True)
    ):
        raise ValueError(f"start lies on the finest map, of size {size}; got {tuple(start)}.")
    return [0] * (3 - len(size)) + list(start)


def _block(
    name: str, block: nn.Module, seen: BlockAttention, sample: Sample, most_nodes: int
) -> dict[str, Any]:
    held = {
        view: quantised(rows.double().cpu().numpy(), f'"{name}" {view.label}'.rstrip())
        for view, rows in seen.rows(sample.positions).items()
    }
    spectra = spectra_of(seen, most_nodes)
    labels = {(view.number, view.head): view.label for view in seen.views}
    views = []
    for view, rows in held.items():
        # A mean of heads or a chain of passes has no graph of its own; the first of them stands in.
        of = (view.number or 0, view.head or 0)
        numbers = {"of": "" if of == (view.number, view.head) else labels[of], **spectra[of]}
        views.append({"label": view.label, **rows.to_json(), "spectrum": numbers})
    high = max((one["max"] for one in spectra.values() if "max" in one), default=2.0)
    return {
        "about": _about(block),
        "size": volume(seen.size),
        "sources": volume(seen.source_size),
        "held": sample.axes,
        "stride": sample.stride,
        "nodes": num_positions(seen.size) * seen.channels,
        "views": views,
        "responses": responses_of(block, high),
    }


def _about(block: nn.Module) -> str:
    """What kind of block, as its first line tells."""
    return f"{type(block).__name__}({block.extra_repr()})"
