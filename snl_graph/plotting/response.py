"""The learned frequency response of a filter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from snl_graph.plotting.canvas import BLUE, GREY, VERMILION, new_axes, plain
from snl_graph.spectral import Spectrum, filter_response

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_filter_response(
    module: nn.Module, ax: Axes | None = None, *, spectrum: Spectrum | None = None
) -> Axes:
    """How much the learned filter passes at each eigenvalue λ of L = I − A.

    g(λ) is a matrix from hidden to output channels; drawn are its singular values, the gains it
    has: the greatest, the median, and between the quartiles a band. Ticks at the foot are the
    eigenvalues of a graph; of complex ones, their real parts, as the axis says.

    Args:
        module: What :func:`~snl_graph.filter_response` takes.
        ax: Axes to draw on; None makes a figure.
        spectrum: Eigenvalues to mark.

    Returns:
        The axes.
    """
    ax = new_axes()[0] if ax is None else ax
    low, high = 0.0, 2.0
    if spectrum is not None:
        parts = spectrum.eigenvalues.numpy().real
        low, high = min([low, *parts]), max([high, *parts])
    lambdas = torch.linspace(low, high, 101)
    gains = torch.linalg.svdvals(filter_response(module, lambdas).cpu()).numpy()
    quartiles = np.quantile(gains, [0.25, 0.5, 0.75], axis=1)
    x = lambdas.numpy()
    ax.fill_between(
        x, quartiles[0], quartiles[2], color=BLUE, alpha=0.2, linewidth=0, label="middle half"
    )
    ax.plot(x, gains.max(axis=1), "-", color=VERMILION, label="greatest")
    ax.plot(x, quartiles[1], "--", color=BLUE, label="median")
    name = "λ"
    if spectrum is not None:
        name = "λ" if spectrum.is_real else "λ (ticks: real parts)"
        ax.plot(
            parts,
            np.zeros_like(parts),
            "|",
            color=GREY,
            markersize=9,
            transform=ax.get_xaxis_transform(),
            clip_on=False,
        )
    ax.set_ylim(bottom=0)
    ax.set_xlabel(name)
    ax.set_ylabel("gain: singular values of g(λ)")
    ax.legend(frameon=False, fontsize="small")
    plain(ax)
    return ax
