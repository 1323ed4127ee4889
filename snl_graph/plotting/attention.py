"""Attention maps: rows of A, laid out as the feature map is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from snl_graph.operators import AffinityOperator
from snl_graph.plotting.canvas import DIVERGING, SEQUENTIAL, VERMILION, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_attention_maps(
    affinity: AffinityOperator | Tensor,
    size: tuple[int, int],
    positions: Sequence[tuple[int, int]],
    ax: Axes | Sequence[Axes] | None = None,
    *,
    image: Tensor | None = None,
) -> list[Axes]:
    """For each position its row of A: how much every position of the map gives to it.

    Source: Zhu et al., Fig. 2 and 3 B. Each map has a scale of its own, printed below it. The
    position is marked by a ring. Negative weights, which only signed kernels have, are drawn on a
    diverging scale whose middle is zero.

    Args:
        affinity: A of one image: an operator or matrix of shape (N, N), N = H · W; for instance
            ``block.affinity_of(x).to_dense()[0]``.
        size: (H, W).
        positions: Rows and columns (i, j) to look from.
        ax: One axes a position, and one more before them if ``image`` is given; None makes a
            figure.
        image: Input picture (h, w) in grey, drawn first with the positions marked on it.

    Returns:
        The axes.

    Raises:
        ValueError: If A is not one N×N matrix, a position is outside the map, or axes are missing.
    """
    matrix = affinity.to_dense() if isinstance(affinity, AffinityOperator) else affinity
    rows, columns = size
    if tuple(matrix.shape) != (rows * columns,) * 2:
        raise ValueError(
            f"a map of {rows}×{columns} needs A of shape {(rows * columns,) * 2}; got "
            f"{tuple(matrix.shape)}. Of a batch pass one item: a.to_dense()[0]."
        )
    for i, j in positions:
        if not (0 <= i < rows and 0 <= j < columns):
            raise ValueError(f"position {(i, j)} lies outside the {rows}×{columns} map.")
    wanted = len(positions) + (image is not None)
    axes = _axes(ax, wanted)
    maps = matrix.detach().cpu().numpy()
    if image is not None:
        height, width = image.shape
        axes[0].imshow(image.detach().cpu().numpy(), cmap="gray_r", extent=(0, width, height, 0))
        for number, (i, j) in enumerate(positions, start=1):
            x, y = (j + 0.5) * width / columns, (i + 0.5) * height / rows
            axes[0].plot(x, y, "o", color=VERMILION, markerfacecolor="none", markersize=9)
            axes[0].annotate(
                str(number), (x, y), color=VERMILION, fontsize="small", ha="center", va="center"
            )
        axes[0].set_xlabel("input", fontsize="small")
    for number, ((i, j), panel) in enumerate(
        zip(positions, axes[wanted - len(positions) :], strict=True), start=1
    ):
        weights = maps[i * columns + j].reshape(rows, columns)
        largest = abs(weights).max()
        signed = weights.min() < 0
        panel.imshow(
            weights,
            cmap=DIVERGING if signed else SEQUENTIAL,
            vmin=-largest if signed else 0,
            vmax=largest or 1,
        )
        panel.plot(j, i, "o", color=VERMILION, markerfacecolor="none", markersize=9)
        low = weights.min() if signed else 0
        panel.set_xlabel(f"from {number}: {low:.2g} to {largest:.2g}", fontsize="small")
    for panel in axes:
        panel.set_xticks([])
        panel.set_yticks([])
    return axes


def _axes(ax: Any, wanted: int) -> list[Axes]:
    if ax is None:
        return new_axes(wanted, width=1.9, height=2.1)
    axes = list(ax) if isinstance(ax, Sequence) or hasattr(ax, "__len__") else [ax]
    if len(axes) != wanted:
        raise ValueError(f"these maps need {wanted} axes, one for each panel; got {len(axes)}.")
    return axes
