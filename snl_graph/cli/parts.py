"""One result for each graph, whatever lists they come in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from snl_graph.cli.errors import CommandError, described
from snl_graph.cli.inputs import Graph
from snl_graph.cli.screen import tracked

T = TypeVar("T")

MOST_PANELS = 12


def of_each(
    graphs: Sequence[Graph], solve: Callable[[Any], Any], what: str
) -> list[tuple[str, Any]]:
    """Label and result of every graph; the heads of a block are graphs of their own.

    Raises:
        CommandError: If there is none, or one of several is refused.
    """
    found: list[tuple[str, Any]] = []
    for graph in tracked(graphs, what):
        try:
            leaves = list(_leaves(solve(graph.obj)))
        except ValueError as error:
            if len(graphs) == 1:
                raise
            raise CommandError(
                f"{graph.label}: {described(error)} Choose others with --block or --item."
            ) from error
        if len(leaves) == 1:
            found.append((graph.label, leaves[0]))
        else:
            found += [(f"{graph.label}, head {n}", leaf) for n, leaf in enumerate(leaves, start=1)]
    if not found:
        raise CommandError(f"{', '.join(graph.label for graph in graphs) or 'this'} has no graph.")
    return found


def _leaves(result: Any) -> Iterator[Any]:
    if isinstance(result, list):
        for one in result:
            yield from _leaves(one)
    else:
        yield result


def panels(figure: Any, labels: Sequence[str], *, width: float = 4.2, height: float = 3.2) -> Any:
    """Axes for one picture a label, at most four in a row.

    Raises:
        CommandError: If there is nothing to draw, or more than fits on a page.
    """
    if not 1 <= len(labels) <= MOST_PANELS:
        raise CommandError(
            f"a picture holds 1 to {MOST_PANELS} graphs; these are {len(labels)}. Choose one with "
            f"--item, or blocks with --block."
        )
    columns = min(len(labels), 4)
    rows = -(-len(labels) // columns)
    figure.set_size_inches(width * columns, height * rows)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in grid[len(labels) :]:
        ax.remove()
    return grid[: len(labels)]


def titled(ax: Any, label: str, count: int) -> None:
    """Put the label before a picture's own title where there are several pictures."""
    if count > 1:
        own = ax.get_title()
        ax.set_title(f"{label}: {own}" if own else label, fontsize="small")


def number(value: float | complex, zero: float = 5e-7) -> str:
    """Six decimals, or three digits of less; of a complex number also the imaginary part.

    Args:
        value: The number.
        zero: What is below it in size, and real, is written as 0.
    """
    if isinstance(value, complex):
        imaginary = f"{value.imag:+.3g}i" if value.imag else ""
        return number(value.real, zero) + imaginary
    if zero <= abs(value) < 1e-4:
        return f"{value:.2e}"
    return f"{value if abs(value) >= zero else 0.0:.6f}"


def plain_values(values: Any) -> list[Any]:
    """Numbers for JSON: complex ones as pairs, so that no imaginary part is lost unnoticed."""
    listed = values.tolist()
    return [[v.real, v.imag] if isinstance(v, complex) else v for v in listed]


def finite(value: float | None) -> float | None:
    """The value, or None where there is none."""
    return value if value is not None and abs(value) < float("inf") else None
