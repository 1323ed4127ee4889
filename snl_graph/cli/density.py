"""The command ``snl-graph density``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from snl_graph.cli import options
from snl_graph.cli.errors import reported
from snl_graph.cli.inputs import Network, graphs_of
from snl_graph.cli.parts import of_each, panels, titled
from snl_graph.cli.report import Destinations, Report, deliver
from snl_graph.cli.screen import working
from snl_graph.spectral import Density, spectral_density

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXAMPLES = (
    "snl-graph density karate --bins 20",
    "snl-graph density edges.csv -o density.pdf",
    "snl-graph density barabasi_albert:20000x4 --json",
)
MOST_LINES, WIDTH = 40, 50


class DensityReport(Report):
    """How the eigenvalues of every graph of a source are distributed."""

    def __init__(self, source: str, found: Sequence[tuple[str, Density]]) -> None:
        self.source, self.found = source, found

    def to_dict(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "graphs": [
                {
                    "name": label,
                    "method": one.method,
                    "error": one.error if np.isfinite(one.error) else None,
                    "lambdas": one.lambdas.tolist(),
                    "density": one.density.tolist(),
                }
                for label, one in self.found
            ],
        }

    def lines(self) -> Iterator[str]:
        for label, one in self.found:
            how = "all eigenvalues counted" if one.method == "exact" else f"by {one.method}"
            error = "" if one.error == 0 else f", error {one.error:.1g} (distance of distributions)"
            yield f"{label}: density of the eigenvalues of L = I − A, {how}{error}"
            yield from _bars(one)

    def rows(self) -> Iterator[Sequence[object]]:
        yield "graph", "lambda", "density"
        for label, one in self.found:
            for at, height in zip(one.lambdas.tolist(), one.density.tolist(), strict=True):
                yield label, repr(at), repr(height)

    def arrays(self) -> dict[str, Any]:
        several = len(self.found) > 1
        return {
            f"{name}_{index}" if several else name: getattr(one, name).numpy()
            for index, (_, one) in enumerate(self.found)
            for name in ("lambdas", "density", "points", "weights")
        }

    def draw(self, figure: Figure) -> None:
        from snl_graph.plotting import plot_spectral_density

        labels = [label for label, _ in self.found]
        for ax, (label, one) in zip(panels(figure, labels), self.found, strict=True):
            plot_spectral_density(one, ax)
            titled(ax, label, len(labels))


def _bars(one: Density) -> Iterator[str]:
    """A bar for each bin; neighbours are taken together where there are more than fit."""
    middles, shares = one.lambdas.numpy(), one.density.numpy()
    width = middles[1] - middles[0] if len(middles) > 1 else 2 * float(middles[0])
    together = -(-len(shares) // MOST_LINES)
    starts = range(0, len(shares), together)
    heights = [float(shares[start : start + together].sum() * width) for start in starts]
    for start, share in zip(starts, heights, strict=True):
        bar = "█" * round(WIDTH * share / max(heights))
        low = round(middles[start] - width / 2, 9) + 0.0  # no -0
        high = middles[min(start + together, len(shares)) - 1] + width / 2
        yield f"  {low:5.3f} … {high:5.3f}  {100 * share:5.1f} %  {bar}".rstrip()


@reported
def command(
    source: options.Source,
    bins: Annotated[
        int, typer.Option(min=1, max=100_000, help="Bins of equal width that cover [0, 2].")
    ] = 40,
    item: options.Item = None,
    directed: options.Directed = False,
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
    """How the eigenvalues of L = I − A are distributed, for graphs of any size."""
    destinations = Destinations(tuple(output or ()), force)
    network = Network.parsed(model, checkpoint, settings, block, size, mean, std)
    with working(f"reading {source}"):
        graphs = graphs_of(source, network, item=item, directed=directed)
    found = of_each(graphs, lambda obj: spectral_density(obj, bins), "densities")
    deliver(DensityReport(source, found), destinations, as_json=as_json)
