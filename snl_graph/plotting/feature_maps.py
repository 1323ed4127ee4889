"""Feature maps as heat maps, before a block and after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from snl_graph.plotting.canvas import (
    DIVERGING,
    SEQUENTIAL,
    new_axes,
    panels,
    require,
    without_ticks,
)
from snl_graph.plotting.montage import Array, montage
from snl_graph.probe import visit

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_feature_map(
    x: Tensor,
    ax: Axes | None = None,
    *,
    image: Tensor | None = None,
    limits: tuple[float, float] | None = None,
) -> Axes:
    """Strength of a feature map at each position: the root mean square over its channels.

    Args:
        x: Feature map (1, C, *spatial).
        ax: Axes to draw on; None makes a figure.
        image: Grey picture (h, w) to lay the map over, of any size; only for maps (H, W).
        limits: Values of the darkest and the lightest colour; None takes those of the map.

    Returns:
        The axes, with a scale of colours beside them.

    Raises:
        ValueError: If ``x`` is not one feature map, or ``image`` no grey picture of one.
    """
    strength = _strength(x)
    ax = new_axes()[0] if ax is None else ax
    low, high = limits or (float(strength.min()), float(strength.max()))
    # Of a picture below, heat maps are drawn half transparent and over its whole width.
    place: dict[str, Any] = {}
    if image is not None:
        if image.dim() != 2 or strength.ndim != 2:
            raise ValueError(
                f"a map (H, W) is laid over a grey picture (h, w); got a map of size "
                f"{strength.shape} and an image of shape {tuple(image.shape)}."
            )
        height, width = image.shape
        place = {"extent": (0, width, height, 0), "alpha": 0.65}
        ax.imshow(image.detach().cpu().numpy(), cmap="gray", extent=place["extent"])
    drawn = ax.imshow(montage(strength), cmap=SEQUENTIAL, vmin=low, vmax=high, **place)
    ax.figure.colorbar(drawn, ax=ax, shrink=0.8)
    without_ticks([ax])
    return ax


def plot_before_and_after(
    block: nn.Module,
    x: Tensor,
    ax: Sequence[Axes] | None = None,
    *,
    image: Tensor | None = None,
) -> list[Axes]:
    """A feature map as it enters a block and as it leaves it, on one scale of colours.

    Source: Zhu et al., Fig. 3 A. Departure: there the second map is that of another network; here
    both are of one, so that what differs is what the block added.

    Args:
        block: The block. It runs in evaluation mode and is left as it was.
        x: What enters it, (1, C, *spatial).
        ax: Two axes, or three: the third shows what the block changed, after − before, on a
            diverging scale whose middle is zero. None makes a figure of three.
        image: As in :func:`plot_feature_map`.

    Returns:
        The axes.

    Raises:
        ValueError: If ``x`` is not one feature map, or the axes are not two or three.
    """
    require(block, nn.Module, "Pass the block and the feature map that enters it.")
    before = _strength(x)
    seen = visit(block, block, x)
    if seen.failure is not None:
        raise seen.failure
    y = seen.outputs[0]
    after = _strength(y)
    three = ax is None or len(ax) != 2
    axes = panels(ax, 3 if three else 2, width=2.8, height=2.3)
    limits = (float(min(before.min(), after.min())), float(max(before.max(), after.max())))
    for panel, features, name in zip(axes, (x, y), ("before", "after"), strict=False):
        plot_feature_map(features, panel, image=image, limits=limits)
        panel.set_title(name, fontsize="medium")
    if three:
        change = after - before
        most = float(np.abs(change).max()) or 1.0
        drawn = axes[2].imshow(montage(change), cmap=DIVERGING, vmin=-most, vmax=most)
        axes[2].figure.colorbar(drawn, ax=axes[2], shrink=0.8)
        axes[2].set_title("after − before", fontsize="medium")
        without_ticks(axes)
    return axes


def _strength(x: Tensor) -> Array:
    require(x, Tensor, "Of an array: torch.as_tensor(x).")
    if not 3 <= x.dim() <= 5 or x.shape[0] != 1:
        raise ValueError(
            "a feature map has shape (1, C, *spatial) with one to three spatial axes; got "
            f"{tuple(x.shape)}. Of a batch pass one item: x[:1]."
        )
    with torch.no_grad():
        found: Array = x[0].double().square().mean(0).sqrt().cpu().numpy()
    if not np.isfinite(found).all():
        raise ValueError("the feature map holds numbers that are not finite.")
    return found
