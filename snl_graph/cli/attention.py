"""The command ``snl-graph attention``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from torch import Tensor

from snl_graph.attention import BlockAttention, View, attention_of
from snl_graph.cli import options
from snl_graph.cli.errors import CommandError, reported
from snl_graph.cli.inputs import Network, seen_by_network
from snl_graph.cli.parts import MOST_PANELS
from snl_graph.cli.report import Destinations, Report, deliver
from snl_graph.cli.screen import tracked, working

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXAMPLES = (
    "snl-graph attention photo.png --model mine:network "
    "--checkpoint last.ckpt --at 3,5 --at 7,2 -o maps.pdf",
    "snl-graph attention photo.png --model mine:network --json",
)
LISTED = 5
"""Greatest weights of each map on a terminal."""
PANEL, CAPTION = 2.2, 0.6
"""Width of a map and height of what is written above and below it, in inches."""


@dataclass(frozen=True)
class Maps:
    """Where one block looks from some positions.

    Attributes:
        name: Of the block.
        seen: All that it looks at.
        view: The pass and head that is shown.
        positions: Rows and columns.
        rows: A_i· of each position, (n, N').
    """

    name: str
    seen: BlockAttention
    view: View
    positions: tuple[tuple[int, ...], ...]
    rows: np.ndarray[Any, Any]

    @property
    def maps(self) -> np.ndarray[Any, Any]:
        """One map a position, (n, *size)."""
        return self.rows.reshape(len(self.positions), *self.seen.source_size)


class AttentionReport(Report):
    """Where blocks look from chosen positions."""

    def __init__(self, source: str, found: Sequence[Maps], image: Tensor, gamma: float) -> None:
        self.source, self.found, self.image, self.gamma = source, found, image, gamma

    def to_dict(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "blocks": [
                {
                    "name": one.name,
                    "view": one.view.label,
                    "views": [view.label for view in one.seen.views],
                    "size": list(one.seen.size),
                    "source_size": list(one.seen.source_size),
                    "maps": [
                        {"at": list(at), **_facts(row), "weights": weights.tolist()}
                        for at, row, weights in zip(one.positions, one.rows, one.maps, strict=True)
                    ],
                }
                for one in self.found
            ],
        }

    def lines(self) -> Iterator[str]:
        for one in self.found:
            view = f", {one.view.label}" if one.view.label else ""
            yield f"{one.name}{view}: positions of a {_times(one.seen.size)} map"
            for at, row, weights in zip(one.positions, one.rows, one.maps, strict=True):
                facts = _facts(row)
                spread = facts["spread"]
                over = "" if spread is None else f", spread over {spread:.1f} positions"
                yield f"  from {_at(at)}: sum {facts['sum']:.4g}{over}"
                for index in np.argsort(-np.abs(row), kind="stable")[:LISTED]:
                    place = tuple(map(int, np.unravel_index(index, weights.shape)))
                    yield f"    {row[index]:.4g} at {_at(place)}"

    def rows(self) -> Iterator[Sequence[object]]:
        yield "block", "view", "from", "to", "weight"
        for one in self.found:
            for at, weights in zip(one.positions, one.maps, strict=True):
                for place, weight in np.ndenumerate(weights):
                    yield one.name, one.view.label, _at(at), _at(place), repr(float(weight))

    def arrays(self) -> dict[str, Any]:
        found = {f"maps_{index}": one.maps for index, one in enumerate(self.found)}
        return (
            found
            | {
                f"positions_{index}": np.array(one.positions)
                for index, one in enumerate(self.found)
            }
            | {"names": np.array([one.name for one in self.found])}
        )

    def draw(self, figure: Figure) -> None:
        from snl_graph.plotting import plot_block_attention

        columns = max(len(one.positions) for one in self.found) + 1
        if len(self.found) > MOST_PANELS or columns > MOST_PANELS:
            raise CommandError(
                f"a picture holds {MOST_PANELS} blocks and {MOST_PANELS - 1} positions at most; "
                f"choose with --block and --at."
            )
        width, heights = panel_sizes([one.seen.source_size for one in self.found])
        figure.set_size_inches(width * columns, sum(heights) + CAPTION * len(heights))
        grid = figure.subplots(len(self.found), columns, squeeze=False, height_ratios=heights)
        shown = _shown(self.image, len(self.found[0].seen.size))
        for axes, one in zip(grid, self.found, strict=True):
            fits = shown is not None and len(one.seen.size) == shown[1]
            panels = list(axes) if fits else list(axes[1:])
            if not fits:
                axes[0].remove()
            plot_block_attention(
                one.seen,
                one.positions,
                panels,
                view=one.view.label if one.view.label else None,
                image=shown[0] if fits and shown is not None else None,
                gamma=self.gamma,
            )
            panels[0].set_title(one.name, fontsize="small", loc="left")


def panel_sizes(sizes: Sequence[Sequence[int]]) -> tuple[float, list[float]]:
    """Width of every panel and height of each row, in inches; frames of a clip stand in line."""
    frames = [size[0] if len(size) == 3 else 1 for size in sizes]
    width = PANEL * min(3, max(frames))
    shapes = [(1, *size)[-2:] for size in sizes]
    heights = [
        width * rows / (columns * count)
        for (rows, columns), count in zip(shapes, frames, strict=True)
    ]
    return width, [min(max(height, 0.5), 1.5 * width) for height in heights]


def _facts(row: np.ndarray[Any, Any]) -> dict[str, float | None]:
    """Sum and spread: e to the entropy of the weights, None where some are negative."""
    total = float(row.sum())
    spread = None
    if total > 0 and row.min() >= -1e-6 * np.abs(row).max():
        shares = np.clip(row, 0, None) / np.clip(row, 0, None).sum()
        shares = shares[shares > 0]
        spread = math.exp(-float((shares * np.log(shares)).sum()))
    return {"sum": total, "spread": spread}


def _shown(image: Tensor, axes: int) -> tuple[Tensor, int] | None:
    """The input as a picture in 0 .. 1, if it is one."""
    if image.dim() != axes + 2 or image.shape[1] not in (1, 3):
        return None
    low, high = float(image.min()), float(image.max())
    levels = image[0] if low >= 0 and high <= 1 else (image[0] - low) / max(high - low, 1e-30)
    return (levels[0] if levels.shape[0] == 1 else levels), axes


def _times(size: Sequence[int]) -> str:
    return "×".join(map(str, size))


def _at(position: Sequence[int]) -> str:
    return ",".join(map(str, position))


def positions_of(texts: Sequence[str], option: str = "--at") -> tuple[tuple[int, ...], ...]:
    """Positions that were written ROW,COL.

    Raises:
        CommandError: If one is not whole numbers.
    """
    found = []
    for text in texts:
        try:
            found.append(tuple(int(part) for part in text.split(",")))
        except ValueError:
            raise CommandError(
                f'{option} is written ROW,COL in whole numbers; got "{text}".'
            ) from None
    return tuple(found)


def _maps(
    name: str, seen: BlockAttention, asked: tuple[tuple[int, ...], ...], view: str | None
) -> Maps:
    positions = asked or (tuple(length // 2 for length in seen.size),)
    for at in positions:
        if len(at) != len(seen.size) or not all(
            0 <= index < length for index, length in zip(at, seen.size, strict=True)
        ):
            last = _at([length - 1 for length in seen.size])
            raise CommandError(
                f'--at {_at(at)} is no position of the block "{name}", whose map is '
                f"{_times(seen.size)}: 0,… to {last}."
            )
    labels = {one.label: one for one in seen.views}
    if view is not None and view not in labels:
        choices = ", ".join(f'"{label}"' for label in labels if label) or "none but the whole"
        raise CommandError(f'the block "{name}" has no view "{view}". Choices: {choices}.')
    chosen = seen.views[0] if view is None else labels[view]
    numbers = [int(np.ravel_multi_index(at, seen.size)) for at in positions]
    rows = seen.rows(numbers)[chosen].double().cpu().numpy()
    if not np.isfinite(rows).all():
        raise CommandError(f'the weights of the block "{name}" are not finite on this input.')
    return Maps(name, seen, chosen, positions, rows)


@reported
def command(
    image: options.Image,
    at: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ROW,COL",
            help="Position of the feature map to look from, counted from 0; the middle by default. "
            "May be given again.",
        ),
    ] = None,
    view: Annotated[
        str | None,
        typer.Option(help='Pass or head, such as "pass 2" or "head 1"; the whole by default.'),
    ] = None,
    gamma: Annotated[
        float,
        typer.Option(help="Colours of pictures follow weight^gamma; below 1, faint ones show."),
    ] = 1.0,
    model: options.Model = None,
    checkpoint: options.Checkpoint = None,
    settings: options.Settings = None,
    block: options.Block = None,
    size: options.Size = None,
    mean: options.Mean = None,
    std: options.Std = None,
    as_json: options.AsJson = False,
    output: options.Output = None,
    force: options.Force = False,
) -> None:
    """Where the blocks of a network look from chosen positions of an image."""
    destinations = Destinations(tuple(output or ()), force)
    if not 0 < gamma < math.inf:
        raise CommandError(f"--gamma must be above 0; got {gamma}.")
    positions = positions_of(at or ())
    network = Network.parsed(model, checkpoint, settings, block, size, mean, std)
    with working(f"running the network on {image}"):
        x, blocks = seen_by_network(image, network)
    found = [
        _maps(name, attention_of(module, features), positions, view)
        for name, (module, features) in tracked(list(blocks.items()), "attention maps")
    ]
    deliver(AttentionReport(image, found, x, gamma), destinations, as_json=as_json)
