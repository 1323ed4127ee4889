"""Eigenvalues of a graph's Laplacian, on the line or in the complex plane."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from snl_graph.plotting.canvas import BLUE, GREY, VERMILION, new_axes, plain, require
from snl_graph.spectral import Spectrum

if TYPE_CHECKING:
    from matplotlib.axes import Axes


FLAT = 0.05
"""Of the circle's radius: imaginary parts below it are too small to be seen beside the circle."""


def plot_eigenvalues(
    spectrum: Spectrum, ax: Axes | None = None, *, plane: bool = False, inset: bool = False
) -> Axes:
    """Eigenvalues λ of L = I − A.

    A real spectrum is drawn as λ over its rank. A complex one is drawn in the complex plane, every
    imaginary part shown: circles are real eigenvalues, filled triangles are not. The dotted circle
    |1 − λ| = 1 bounds the spectrum of every random walk and every symmetrically normalised graph.

    Args:
        spectrum: What :func:`~snl_graph.spectrum` found.
        ax: Axes to draw on; None makes a figure.
        plane: Whether to draw a real spectrum in the plane too, beside a complex one.
        inset: Whether to draw those that are not real once more from close by, in a corner of the
            axes, where they lie so near the real line that the circle hides their imaginary parts.

    Returns:
        The axes.
    """
    require(spectrum, Spectrum, "Make one first: spectrum(obj).")
    ax = new_axes()[0] if ax is None else ax
    values = spectrum.eigenvalues.numpy()
    if spectrum.is_real and not plane:
        ax.plot(np.arange(1, len(values) + 1), values, "o", color=BLUE, markersize=3)
        ax.axhline(0, color=GREY, linewidth=0.6)
        ax.set_xlabel("rank")
        ax.set_ylabel("eigenvalue λ of L = I − A")
        ax.set_title(
            f"all {len(values)} real, λ_max = {spectrum.lambda_max:.3f}", fontsize="medium"
        )
        plain(ax)
        return ax
    angle = np.linspace(0, 2 * np.pi, 361)
    ax.plot(1 + np.cos(angle), np.sin(angle), ":", color=GREY, linewidth=0.8)
    real = values.imag == 0
    _draw_points(ax, values, real)
    is_flat = not real.all() and np.abs(values.imag).max() < FLAT
    if inset and is_flat:
        _draw_from_close_by(ax, values, real)
        ax.legend(loc="lower right", frameon=False, fontsize="small")
    elif not real.all():
        ax.legend(loc="best", frameon=False, fontsize="small")
    ax.set_aspect("equal", adjustable="datalim")
    ax.set_xlabel("Re λ")
    ax.set_ylabel("Im λ")
    ax.set_title(_claim(values, real), fontsize="medium")
    plain(ax)
    return ax


def _draw_points(ax: Any, values: npt.NDArray[Any], real: npt.NDArray[np.bool_]) -> None:
    ax.axhline(0, color=GREY, linewidth=0.6)
    ax.plot(
        values.real[real],
        values.imag[real],
        "o",
        color=BLUE,
        markersize=4,
        markerfacecolor="none",
        label="real",
    )
    if not real.all():
        ax.plot(
            values.real[~real],
            values.imag[~real],
            "^",
            color=VERMILION,
            markersize=4,
            label="not real",
        )


def _draw_from_close_by(ax: Any, values: npt.NDArray[Any], real: npt.NDArray[np.bool_]) -> None:
    close = ax.inset_axes((0.3, 0.66, 0.4, 0.28))
    _draw_points(close, values, real)
    left, right = values.real[~real].min(), values.real[~real].max()
    high = 1.2 * np.abs(values.imag).max()
    margin = 0.1 * (right - left) + 0.2 * high
    close.set_xlim(left - margin, right + margin)
    close.set_ylim(-high, high)
    close.tick_params(labelsize="x-small")
    close.locator_params(nbins=3)
    close.ticklabel_format(useOffset=False)
    close.set_facecolor("white")
    ax.indicate_inset_zoom(close, edgecolor=GREY)


def _claim(values: npt.NDArray[Any], real: npt.NDArray[np.bool_]) -> str:
    if real.all():
        return f"all {len(values)} real"
    return (
        f"{(~real).sum()} of {len(values)} not real, "
        f"largest |Im λ| = {np.abs(values.imag).max():.2g}"
    )
