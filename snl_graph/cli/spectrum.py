"""The command ``snl-graph spectrum``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from snl_graph.cli import options
from snl_graph.cli.errors import reported
from snl_graph.cli.inputs import Network, graphs_of
from snl_graph.cli.parts import finite, number, of_each, panels, plain_values, titled
from snl_graph.cli.report import Destinations, Report, deliver
from snl_graph.cli.screen import working
from snl_graph.spectral import Spectrum, spectrum

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXAMPLES = (
    "snl-graph spectrum karate",
    "snl-graph spectrum graph.graphml --json",
    "snl-graph spectrum edges.csv -k 10 -o least.csv",
    "snl-graph spectrum photo.png --model mine:network --checkpoint last.ckpt -o eigenvalues.pdf",
)
SHOWN = 64
"""Eigenvalues on a terminal; of more, the first and the last."""


class SpectrumReport(Report):
    """Eigenvalues of every graph of a source."""

    def __init__(
        self, source: str, found: Sequence[tuple[str, Spectrum]], k: int | None = None
    ) -> None:
        self.source, self.found, self.k = source, found, k

    def to_dict(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "graphs": [
                {
                    "name": label,
                    "count": len(one.eigenvalues),
                    "is_real": one.is_real,
                    "lambda_max": finite(one.lambda_max),
                    "lambda_max_error": one.lambda_max_error,
                    "bound": 2.0,
                    "method": one.method,
                    "solver": one.solver,
                    "residual": one.residual,
                    "eigenvalues": plain_values(one.eigenvalues),
                }
                for label, one in self.found
            ],
        }

    def lines(self) -> Iterator[str]:
        for label, one in self.found:
            count = len(one.eigenvalues)
            if count == 0:
                yield f"{label}: no nodes, so no eigenvalues"
                continue
            imaginary = 0 if one.is_real else int((one.eigenvalues.imag != 0).sum())
            kind = "all real" if one.is_real else f"{imaginary} of them not real"
            which = "eigenvalue" if count == 1 else "eigenvalues"
            which = which if self.k is None else f"{which} of least real part"
            yield f"{label}: {count:,} {which} of L = I − A, {kind}"
            yield (
                f"  λ_max {number(one.lambda_max)} (bound 2), {one.method}, solver {one.solver}, "
                f"residual {one.residual:.1g}"
            )
            # Iterations find eigenvalues that only many digits tell apart.
            zero = 1e-12 if one.solver in ("inverse", "lanczos") else 5e-7
            yield from _table([number(value, zero) for value in one.eigenvalues.tolist()])

    def rows(self) -> Iterator[Sequence[object]]:
        yield "graph", "index", "real", "imaginary"
        for label, one in self.found:
            for index, value in enumerate(one.eigenvalues.tolist()):
                yield label, index, repr(value.real), repr(value.imag)

    def arrays(self) -> dict[str, Any]:
        if len(self.found) == 1:
            return {"eigenvalues": self.found[0][1].eigenvalues.numpy()}
        return {
            f"eigenvalues_{index}": one.eigenvalues.numpy()
            for index, (_, one) in enumerate(self.found)
        } | {"names": np.array([label for label, _ in self.found])}

    def draw(self, figure: Figure) -> None:
        from snl_graph.plotting import plot_eigenvalues

        labels = [label for label, _ in self.found]
        for ax, (label, one) in zip(panels(figure, labels), self.found, strict=True):
            plot_eigenvalues(one, ax, inset=True)
            titled(ax, label, len(labels))


def _table(values: list[str]) -> Iterator[str]:
    gap = len(values) - SHOWN
    parts = [values] if gap <= 0 else [values[: SHOWN // 2], values[-SHOWN // 2 :]]
    width = max(map(len, values))
    columns = max(1, 78 // (width + 2))
    for number_of_part, part in enumerate(parts):
        if number_of_part:
            yield f"  … {gap:,} more: -o eigenvalues.csv, or --json …"
        for start in range(0, len(part), columns):
            row = part[start : start + columns]
            yield "  " + "  ".join(value.rjust(width) for value in row)


@reported
def command(
    source: options.Source,
    k: Annotated[
        int | None,
        typer.Option("-k", min=1, help="Only the k of least real part: the way for large graphs."),
    ] = None,
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
    """Eigenvalues of L = I − A of a graph, or of every block of a network on an image.

    Weights are normalised symmetrically, self-loops kept. Complex eigenvalues are given as they
    are.
    """
    destinations = Destinations(tuple(output or ()), force)
    network = Network.parsed(model, checkpoint, settings, block, size, mean, std)
    with working(f"reading {source}"):
        graphs = graphs_of(source, network, item=item, directed=directed)
    found = of_each(graphs, lambda obj: spectrum(obj, k), "eigenvalues")
    deliver(SpectrumReport(source, found, k), destinations, as_json=as_json)
