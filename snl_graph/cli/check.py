"""The command ``snl-graph check``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import typer

from snl_graph.cli import options
from snl_graph.cli.errors import reported
from snl_graph.cli.inputs import Network, graphs_of
from snl_graph.cli.parts import of_each
from snl_graph.cli.report import Destinations, Report, deliver
from snl_graph.cli.screen import working
from snl_graph.spectral import LaplacianReport, check_laplacian

EXAMPLES = (
    "snl-graph check davis",
    "snl-graph check edges.csv --json",
    "snl-graph check photo.png --model mine:network --checkpoint last.ckpt --block layer3.4",
)


class CheckReport(Report):
    """Properties 1 and 2 of every graph of a source."""

    def __init__(self, source: str, found: Sequence[tuple[str, LaplacianReport]]) -> None:
        self.source, self.found = source, found

    @property
    def ok(self) -> bool:
        """Whether all of them hold."""
        return all(one.ok for _, one in self.found)

    def to_dict(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "ok": self.ok,
            "graphs": [{"name": label, **one.to_dict()} for label, one in self.found],
        }

    def lines(self) -> Iterator[str]:
        for label, one in self.found:
            yield f"{label}: {one}"

    def rows(self) -> Iterator[Sequence[object]]:
        yield "graph", "fact", "value"
        for label, one in self.found:
            for fact, value in one.to_dict().items():
                yield label, fact, "; ".join(value) if isinstance(value, list) else value


@reported
def command(
    source: options.Source,
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
    output: options.OutputOfNumbers = None,
    force: options.Force = False,
) -> None:
    """Measure whether L = I − A is the Laplacian that theory supposes: Properties 1 and 2.

    Ends with status 0 if all of them are, 1 if one is not, 2 if it could not be found out.
    """
    destinations = Destinations(tuple(output or ()), force, (".json", ".csv"))
    network = Network.parsed(model, checkpoint, settings, block, size, mean, std)
    with working(f"reading {source}"):
        graphs = graphs_of(source, network, item=item, directed=directed)
    report = CheckReport(source, of_each(graphs, check_laplacian, "checking"))
    deliver(report, destinations, as_json=as_json)
    if not report.ok:
        raise typer.Exit(1)
