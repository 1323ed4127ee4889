"""Fixed responses g_t(λ): what a filter should do, what it does, and how the two approach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from snl_graph.filters import Approximated, GraphFilter, approximate_response, error_by_steps
from snl_graph.plotting.canvas import new_axes, plain, require, series

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_taps(filter: GraphFilter, ax: Axes | None = None, *, points: int = 201) -> Axes:
    """Responses g_t(λ) of a filter's taps over 0 ≤ λ ≤ 2, before any weight is learned.

    A line is the ideal response; marks are what the filter's products with A amount to, where it
    is approximated. The largest difference is printed.

    Args:
        filter: Any filter, such as ``snl_graph.filters.Meyer(4)``.
        ax: Axes to draw on; None makes a figure.
        points: Where the lines are evaluated.

    Returns:
        The axes.
    """
    require(filter, GraphFilter, "Make one first, such as snl_graph.filters.Heat(2).")
    if points < 2:
        raise ValueError(f"points is how many places of λ are drawn, 2 at least; got {points}.")
    ax = new_axes()[0] if ax is None else ax
    lambdas = torch.linspace(0, 2, points, dtype=torch.float64)
    with torch.no_grad():
        ideal = filter.response(lambdas).detach().numpy()
        is_approximate = isinstance(filter, Approximated)
        real = approximate_response(filter, lambdas).numpy() if is_approximate else None
    for number, tap in enumerate(filter.taps):
        style = series(number)
        mark = style.pop("marker")
        ax.plot(lambdas, ideal[:, number], label=f"tap {tap}", **style)
        if real is not None:
            first = (number * 5) % 12
            ax.plot(
                lambdas[first::12],
                real[first::12, number],
                mark,
                color=style["color"],
                markersize=3.5,
                label=f"tap {tap}, by products with A",
            )
    if real is not None:
        error = abs(ideal - real).max()
        ax.set_title(f"order {filter.order}, error {error:.1g}", fontsize="medium")
    ax.set_xlabel("λ")
    ax.set_ylabel("response g(λ)")
    handles, labels = ax.get_legend_handles_labels()
    lines = [(h, text) for h, text in zip(handles, labels, strict=True) if "," not in text]
    if len(lines) <= 8:
        ax.legend(
            *zip(*lines, strict=True),
            frameon=False,
            fontsize="small",
            loc="center left",
            bbox_to_anchor=(1, 0.5),
        )
    plain(ax)
    return ax


def plot_approximation_error(
    filters: Mapping[str, Approximated],
    steps: Sequence[int],
    ax: Axes | None = None,
) -> Axes:
    """Largest |g(λ) − ĝ(λ)| over 0 ≤ λ ≤ 2 against the number of products with A.

    Args:
        filters: By the name to show. They are not changed.
        steps: Chebyshev orders, or numbers of iterations.
        ax: Axes to draw on; None makes a figure.

    Returns:
        The axes, the error on a logarithmic scale.

    Raises:
        ValueError: If there is no filter.
    """
    require(filters, Mapping, 'Name the filters: {"heat": Heat(2)}.')
    if not filters:
        raise ValueError("there is no filter to draw; expected at least one.")
    ax = new_axes()[0] if ax is None else ax
    for number, (name, one) in enumerate(filters.items()):
        rows = error_by_steps(one, list(steps))
        products, errors = [row[1] for row in rows], [row[2] for row in rows]
        ax.semilogy(products, errors, label=name, markersize=4, **series(number))
    ax.set_xlabel("products with A")
    ax.set_ylabel("largest |g(λ) − ĝ(λ)|")
    ax.legend(frameon=False, fontsize="small")
    plain(ax)
    return ax
