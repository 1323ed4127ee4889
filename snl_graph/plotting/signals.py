"""Signals on the nodes of a graph, or on a grid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
import torch
from torch import Tensor

from snl_graph.grids import Size, num_positions
from snl_graph.plotting.canvas import (
    DIVERGING,
    GREY,
    SEQUENTIAL,
    new_axes,
    require,
    without_ticks,
)
from snl_graph.plotting.montage import Array, montage

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Layout = Mapping[Any, Any]


def plot_graph_signal(
    graph: Any,
    signal: Any,
    ax: Axes | None = None,
    *,
    positions: Layout | None = None,
    with_labels: bool = False,
) -> Axes:
    """A number at each node of a graph, as colour and size.

    Size grows with magnitude, and negative nodes are squares, so that the picture reads in black
    and white. A signal with both signs stands on a diverging scale whose middle is zero.

    Args:
        graph: A networkx graph.
        signal: (N,), in the order of the graph's nodes.
        ax: Axes to draw on; None makes a figure.
        positions: (x, y) of each node, as networkx's layouts give them; None takes a spring layout
            with a fixed seed.
        with_labels: Whether to write the nodes' names.

    Returns:
        The axes, with a scale of colours beside them.

    Raises:
        ValueError: If there is not one finite number for each node.
    """
    require(graph, nx.Graph, "Of a matrix: networkx.from_numpy_array(weights).")
    values = _numbers(signal)
    if values.shape != (len(graph),):
        raise ValueError(
            f"a signal has one number for each of the {len(graph)} nodes; got shape {values.shape}."
        )
    ax = new_axes()[0] if ax is None else ax
    places = nx.spring_layout(graph, seed=0) if positions is None else positions
    xy = np.array([places[node] for node in graph], dtype=float).reshape(-1, 2)
    index = {node: number for number, node in enumerate(graph)}
    for source, target in graph.edges():
        ends = xy[[index[source], index[target]]]
        ax.plot(ends[:, 0], ends[:, 1], "-", color=GREY, linewidth=0.5, alpha=0.6, zorder=1)
    scale = _scale(values)
    largest = np.abs(values).max(initial=0) or 1
    for is_negative, mark in ((False, "o"), (True, "s")):
        here = (values < 0) == is_negative
        if not here.any():
            continue
        ax.scatter(
            xy[here, 0],
            xy[here, 1],
            c=values[here],
            s=18 + 90 * np.abs(values[here]) / largest,
            marker=mark,
            edgecolors="black",
            linewidths=0.6,
            zorder=2,
            **scale,
        )
    if with_labels:
        for node, place in zip(graph, xy, strict=True):
            ax.annotate(
                str(node),
                (place[0], place[1]),
                fontsize="xx-small",
                ha="center",
                va="center",
                zorder=3,
            )
    if ax.collections:
        ax.figure.colorbar(ax.collections[0], ax=ax, shrink=0.8)
    without_ticks([ax])
    ax.set_frame_on(False)
    return ax


def plot_grid_signal(signal: Any, size: Size, ax: Axes | None = None) -> Axes:
    """A number at each position of a grid: an eigenvector of an image, say.

    Args:
        signal: (N,), row-major, or already of shape ``size``.
        size: (H, W), (T, H, W) or (L,). Frames stand side by side.
        ax: Axes to draw on; None makes a figure.

    Returns:
        The axes, with a scale of colours beside them.

    Raises:
        ValueError: If there is not one finite number for each position.
    """
    values = _numbers(signal)
    if values.shape not in ((num_positions(size),), tuple(size)):
        raise ValueError(
            f"a grid of size {tuple(size)} holds {num_positions(size)} numbers; got shape "
            f"{values.shape}."
        )
    ax = new_axes()[0] if ax is None else ax
    picture = ax.imshow(montage(values.reshape(size)), **_scale(values))
    ax.figure.colorbar(picture, ax=ax, shrink=0.8)
    without_ticks([ax])
    return ax


def _numbers(signal: Any) -> Array:
    if isinstance(signal, Tensor):
        wide = torch.promote_types(signal.dtype, torch.float64)  # complex numbers stay complex
        signal = signal.detach().to(wide).cpu().numpy()
    found: Array = np.asarray(signal)
    if np.iscomplexobj(found):
        raise ValueError(
            "this signal is complex; draw its real and its imaginary part one beside the other."
        )
    if not np.isfinite(found).all():
        raise ValueError("the signal holds numbers that are not finite.")
    return found


def _scale(values: Array) -> dict[str, Any]:
    """Colours and their limits: diverging about zero where both signs occur."""
    low, high = float(values.min(initial=0)), float(values.max(initial=0))
    largest = max(-low, high) or 1.0
    if low < 0 < high:
        return {"cmap": DIVERGING, "vmin": -largest, "vmax": largest}
    return {"cmap": SEQUENTIAL, "vmin": low, "vmax": high if high > low else low + 1}
