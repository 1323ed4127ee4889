"""How eigenvalues are distributed: counted one by one, or estimated for graphs of any size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from snl_graph.checks import whole_number
from snl_graph.plotting.canvas import BLACK, BLUE, GREY, VERMILION, new_axes, plain, require
from snl_graph.spectral import Density, Spectrum

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BOUND = 2.0


MOST_TICKS = 300
"""Eigenvalues up to which a histogram marks each."""


def plot_eigenvalue_histogram(
    spectrum: Spectrum, ax: Axes | None = None, *, bins: int = 40, log: bool = False
) -> Axes:
    """Histogram of the eigenvalues λ of L = I − A, with a tick at the foot for each of a few.

    The dotted line is the bound 2 of Property 2. Bins cover [0, 2], or the spectrum where it
    reaches beyond.

    Args:
        spectrum: What :func:`~snl_graph.spectrum` found; real.
        ax: Axes to draw on; None makes a figure.
        bins: How many, of equal width.
        log: Whether counts stand on a logarithmic scale: of a factored affinity nearly all
            eigenvalues are 1, and the others would be lost.

    Returns:
        The axes.

    Raises:
        ValueError: If the spectrum is not real: a histogram would hide the imaginary parts.
    """
    require(spectrum, Spectrum, "Make one first: spectrum(obj).")
    bins = whole_number(bins, "bins")
    if not spectrum.is_real:
        count = int((spectrum.eigenvalues.imag != 0).sum())
        raise ValueError(
            f"{count} of {len(spectrum.eigenvalues)} eigenvalues are not real, and a histogram "
            "would hide that. Draw them in the complex plane: plot_eigenvalues(spectrum)."
        )
    ax = new_axes()[0] if ax is None else ax
    values = spectrum.eigenvalues.numpy()
    low, high = min(0.0, *values), max(BOUND, *values)
    ax.hist(values, bins=bins, range=(low, high), color=BLUE, edgecolor="white", linewidth=0.4)
    ticks = values if len(values) <= MOST_TICKS else values[:0]  # more would be one solid bar
    ax.plot(
        ticks,
        np.zeros_like(ticks),
        "|",
        color=BLACK,
        markersize=7,
        transform=ax.get_xaxis_transform(),
        clip_on=False,
    )
    ax.axvline(BOUND, color=GREY, linestyle=":", linewidth=1)
    if log:
        ax.set_yscale("log")
        ax.set_ylim(bottom=0.5)
    ax.set_xlabel("eigenvalue λ of L = I − A")
    ax.set_ylabel("how many")
    ax.set_title(f"all {len(values)} real, λ_max = {spectrum.lambda_max:.3f}", fontsize="medium")
    plain(ax)
    return ax


def plot_spectral_density(
    density: Density, ax: Axes | None = None, *, spectrum: Spectrum | None = None
) -> Axes:
    """Share of the eigenvalues per unit of λ, as a histogram of area 1.

    Args:
        density: What :func:`~snl_graph.spectral_density` found. An estimate says its error: the
            distance ∫ |F(λ) − F̂(λ)| dλ of the cumulative distributions.
        ax: Axes to draw on; None makes a figure.
        spectrum: Eigenvalues of the same graph to compare with, as a dashed outline over the same
            bins; real.

    Returns:
        The axes.

    Raises:
        ValueError: If the spectrum to compare with is not real.
    """
    require(density, Density, "Make one first: spectral_density(obj).")
    if spectrum is not None and not spectrum.is_real:
        raise ValueError("a density compares with real eigenvalues; this spectrum has others.")
    ax = new_axes()[0] if ax is None else ax
    middles, heights = density.lambdas.numpy(), density.density.numpy()
    half = (middles[1] - middles[0]) / 2 if len(middles) > 1 else BOUND / 2
    edges = np.append(middles - half, middles[-1] + half)
    ax.stairs(heights, edges, fill=True, color=BLUE, alpha=0.35)
    kind = "all eigenvalues" if density.method == "exact" else f"estimate, {density.method}"
    ax.stairs(heights, edges, color=BLUE, linewidth=1.4, label=kind)
    if spectrum is not None:
        exact, _ = np.histogram(spectrum.eigenvalues.numpy(), bins=edges, density=True)
        ax.stairs(exact, edges, color=VERMILION, linewidth=1.2, linestyle="--", label="exact")
    if density.error > 0:
        ax.set_title(f"error {density.error:.1g} (distance of distributions)", fontsize="medium")
    ax.axvline(BOUND, color=GREY, linestyle=":", linewidth=1)
    ax.set_ylim(bottom=0)
    ax.set_xlabel("eigenvalue λ of L = I − A")
    ax.set_ylabel("density")
    ax.legend(frameon=False, fontsize="small")
    plain(ax)
    return ax
