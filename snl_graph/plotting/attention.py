"""Attention maps: rows of A, laid out as the feature map is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from snl_graph.attention import BlockAttention, View
from snl_graph.grids import Size, num_positions
from snl_graph.operators import AffinityOperator
from snl_graph.plotting.canvas import (
    DIVERGING,
    SEQUENTIAL,
    VERMILION,
    panels,
    require,
    signed_power,
    without_ticks,
)
from snl_graph.plotting.montage import Array, montage, place_in_montage

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Position = tuple[int, ...]


def plot_attention_maps(
    affinity: AffinityOperator | Tensor,
    size: Size,
    positions: Sequence[Position],
    ax: Axes | Sequence[Axes] | None = None,
    *,
    image: Tensor | None = None,
    gamma: float = 1.0,
) -> list[Axes]:
    """For each position its row of A: how much every position of the map gives to it.

    Source: Zhu et al., Fig. 2 and 3 B. Each map has a scale of its own, printed below it. The
    position is marked by a ring. Negative weights, which only signed kernels have, are drawn on a
    diverging scale whose middle is zero. Frames of a clip stand side by side.

    Args:
        affinity: A of one image: an operator or matrix of shape (N, N), N = H · W; for instance
            ``block.affinity_of(x).to_dense()[0]``. Of a block with heads, several passes or pooled
            keys see :func:`plot_block_attention`.
        size: (H, W), (T, H, W) or (L,).
        positions: Rows and columns (i, j) to look from; (t, i, j) of a clip.
        ax: One axes a position, and one more before them if ``image`` is given; None makes a
            figure.
        image: Input picture (*spatial) in grey or (3, *spatial) in colour, drawn first with the
            positions marked on it.
        gamma: Colours follow weight^γ; below 1 faint weights show, and the caption says so.

    Returns:
        The axes.

    Raises:
        ValueError: If A is not one N×N matrix, a position is outside the map, or axes are missing.
    """
    if not isinstance(affinity, AffinityOperator | Tensor):
        raise TypeError(
            f"the map is of an operator or matrix A; got {type(affinity).__name__}. Of a block: "
            "block.affinity_of(x).to_dense()[0], or plot_block_attention(attention_of(block, x))."
        )
    matrix = affinity.to_dense() if isinstance(affinity, AffinityOperator) else affinity
    n = num_positions(size)
    if tuple(matrix.shape) != (n, n):
        raise ValueError(
            f"a map of {_times(size)} needs A of shape {(n, n)}; got {tuple(matrix.shape)}. Of a "
            "batch pass one item: a.to_dense()[0]."
        )
    rows = matrix.detach().double().cpu().numpy()[_numbers(positions, size)]
    return _draw(rows, positions, size, size, ax, image, gamma)


def plot_block_attention(
    seen: BlockAttention,
    positions: Sequence[Position],
    ax: Axes | Sequence[Axes] | None = None,
    *,
    view: str | None = None,
    image: Tensor | None = None,
    gamma: float = 1.0,
) -> list[Axes]:
    """For each position where a block looks from there, whatever kind of block it is.

    Args:
        seen: What :func:`~snl_graph.attention.attention_of` found.
        positions: Positions to look from, as in :func:`plot_attention_maps`.
        ax: As there.
        view: Label of a view of ``seen.views``, such as "pass 2" or "head 1"; None takes the first:
            all passes one after another, or the mean of the heads.
        image: As there.
        gamma: As there.

    Returns:
        The axes.

    Raises:
        ValueError: If there is no such view, a position is outside the map, or axes are missing.
    """
    require(seen, BlockAttention, "Look first: attention_of(block, x).")
    rows = seen.rows(_numbers(positions, seen.size))[_view(seen, view)]
    shown = rows.double().cpu().numpy()
    return _draw(shown, positions, seen.size, seen.source_size, ax, image, gamma)


def plot_attention_views(
    seen: BlockAttention,
    position: Position,
    ax: Axes | Sequence[Axes] | None = None,
    *,
    image: Tensor | None = None,
    gamma: float = 1.0,
) -> list[Axes]:
    """From one position, every way to look at a block: its passes, their chain, its heads.

    Args:
        seen: What :func:`~snl_graph.attention.attention_of` found.
        position: Where to look from.
        ax: One axes a view of ``seen.views``, and one more before them if ``image`` is given.
        image: As in :func:`plot_attention_maps`.
        gamma: As there.

    Returns:
        The axes.

    Raises:
        ValueError: If the position is outside the map, or axes are missing.
    """
    require(seen, BlockAttention, "Look first: attention_of(block, x).")
    found = seen.rows(_numbers([position], seen.size))
    rows = np.concatenate([row.double().cpu().numpy() for row in found.values()])
    labels = [view.label for view in found]
    places = [position] * len(labels)
    return _draw(rows, places, seen.size, seen.source_size, ax, image, gamma, labels)


def _draw(
    rows: Array,
    positions: Sequence[Position],
    size: Size,
    sources: Size,
    ax: Axes | Sequence[Axes] | None,
    image: Tensor | None,
    gamma: float,
    labels: Sequence[str] | None = None,
) -> list[Axes]:
    if not gamma > 0:
        raise ValueError(f"gamma must be above 0; got {gamma}.")
    wanted = len(positions) + (image is not None)
    axes = panels(ax, wanted)
    if image is not None:
        places = list(dict.fromkeys(positions))
        _draw_image(axes[0], image, places, size)
    for number, (position, row, panel) in enumerate(
        zip(positions, rows, axes[wanted - len(positions) :], strict=True), start=1
    ):
        # A single position is marked without a number.
        own = f"from {number}" if len(positions) > 1 else ""
        name = own if labels is None else labels[number - 1]
        _draw_map(panel, row.reshape(sources), position, size, name, gamma)
    without_ticks(axes)
    return axes


def _draw_map(
    panel: Any, weights: Array, position: Position, size: Size, name: str, gamma: float
) -> None:
    largest = np.abs(weights).max()
    # Rounding leaves traces below zero in a kernel that has none.
    signed = weights.min() < -1e-6 * largest
    # The array holds the weights themselves; gamma is a matter of the colours alone.
    limits = (-largest if signed else 0, largest or 1)
    panel.imshow(
        montage(weights),
        cmap=DIVERGING if signed else SEQUENTIAL,
        norm=signed_power(limits, gamma),
    )
    x, y = place_in_montage(position, size, weights.shape)
    panel.plot(x, y, "o", color=VERMILION, markerfacecolor="none", markersize=9)
    low = weights.min() if signed else 0
    colon = ": " if name else ""
    power = "" if gamma == 1 else f", γ = {gamma:g}"
    panel.set_xlabel(f"{name}{colon}{low:.2g} to {largest:.2g}{power}", fontsize="small")


def _draw_image(panel: Any, image: Tensor, positions: Sequence[Position], size: Size) -> None:
    shown = image.detach().cpu().numpy()
    axes = len(size)
    is_colour = shown.ndim == axes + 1 and shown.shape[0] == 3
    if shown.ndim != axes and not is_colour:
        raise ValueError(
            f"the image has {axes} axes as the map has, or 3 colours before them; got shape "
            f"{tuple(image.shape)}."
        )
    spatial = shown.shape[-axes:]
    shown = montage(np.moveaxis(shown, 0, -1) if is_colour else shown, colours=is_colour)
    height, width = shown.shape[:2]
    panel.imshow(shown, cmap="gray_r", extent=(0, width, height, 0))
    for number, position in enumerate(positions, start=1):
        x, y = (at + 0.5 for at in place_in_montage(position, size, spatial))
        panel.plot(x, y, "o", color=VERMILION, markerfacecolor="none", markersize=9)
        if len(positions) > 1:
            panel.annotate(
                str(number), (x, y), color=VERMILION, fontsize="small", ha="center", va="center"
            )
    panel.set_xlabel("input", fontsize="small")


def _numbers(positions: Sequence[Position], size: Size) -> list[int]:
    form = f"a list of {len(size)} whole numbers each, such as [{tuple(0 for _ in size)}]"
    if not len(positions):
        raise ValueError(f"positions is {form}; got none.")
    numbers: list[int] = []
    for position in positions:
        if not isinstance(position, Sequence) or not all(map(_is_whole, position)):
            raise TypeError(f"positions is {form}; got {position!r} in it.")
        if len(position) != len(size) or not all(
            0 <= at < length for at, length in zip(position, size, strict=True)
        ):
            raise ValueError(f"position {tuple(position)} lies outside the {_times(size)} map.")
        numbers.append(int(np.ravel_multi_index(position, size)))
    return numbers


def _is_whole(number: object) -> bool:
    return isinstance(number, int | np.integer)


def _view(seen: BlockAttention, label: str | None) -> View:
    views = seen.views
    if label is None:
        return views[0]
    for view in views:
        if view.label == label:
            return view
    if len(views) == 1:
        raise ValueError(
            f'this block has no view "{label}": it has one head and one pass. Leave view out.'
        )
    choices = ", ".join(f'"{view.label}"' for view in views)
    raise ValueError(f'this block has no view "{label}". Choices: {choices}.')


def _times(size: Size) -> str:
    return "×".join(map(str, size))
