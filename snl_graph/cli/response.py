"""The command ``snl-graph response``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import torch
import typer
from torch import Tensor, nn

from snl_graph.attention import blocks_of
from snl_graph.cli import options
from snl_graph.cli.errors import CommandError, reported
from snl_graph.cli.inputs import Graph, Network, graphs_of, seen_by_network
from snl_graph.cli.parts import number, of_each, panels, plain_values, titled
from snl_graph.cli.report import Destinations, Report, deliver
from snl_graph.cli.screen import working
from snl_graph.filters import FILTERS, GraphFilter, as_filter
from snl_graph.names import lookup
from snl_graph.spectral import Spectrum, filter_response, spectrum

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXAMPLES = (
    "snl-graph response --filter heat -K 3",
    "snl-graph response karate --filter chebyshev -K 4 --json",
    "snl-graph response --model mine:network --checkpoint last.ckpt -o response.pdf",
)
GAINS = ("least", "lower quartile", "median", "upper quartile", "greatest")
SHOWN = 40


@dataclass(frozen=True)
class Response:
    """One filter at some eigenvalues.

    Attributes:
        label: What it is called.
        lambdas: Where it is evaluated, (n,), real or complex.
        names: Of the columns.
        values: Taps of a filter, or gains of a block, (n, columns).
        plot: Draws it.
    """

    label: str
    lambdas: Tensor
    names: tuple[str, ...]
    values: Tensor
    plot: Callable[[Any], object]


class ResponseReport(Report):
    """What filters pass at each eigenvalue λ of L = I − A."""

    def __init__(self, about: dict[str, Any], found: Sequence[Response]) -> None:
        self.about, self.found = about, found

    def to_dict(self) -> dict[str, Any]:
        return {
            **self.about,
            "responses": [
                {
                    "name": one.label,
                    "lambdas": plain_values(one.lambdas),
                    "columns": list(one.names),
                    "values": [plain_values(row) for row in one.values],
                }
                for one in self.found
            ],
        }

    def lines(self) -> Iterator[str]:
        for one in self.found:
            what = "taps g_t(λ)" if "filter" in self.about else "gains: singular values of g(λ)"
            yield f"{one.label}: {what}"
            table = [("λ", *one.names), *self._cells(one)]
            shown = table if len(table) <= SHOWN + 1 else table[: SHOWN + 1]
            widths = [max(len(row[column]) for row in shown) for column in range(len(table[0]))]
            for row in shown:
                yield "  " + "  ".join(
                    cell.rjust(width) for cell, width in zip(row, widths, strict=True)
                )
            if len(shown) < len(table):
                yield f"  … {len(table) - len(shown):,} more: -o response.csv, or --json …"

    @staticmethod
    def _cells(one: Response) -> list[tuple[str, ...]]:
        return [
            (number(at), *(number(value) for value in row))
            for at, row in zip(one.lambdas.tolist(), one.values.tolist(), strict=True)
        ]

    def rows(self) -> Iterator[Sequence[object]]:
        yield "name", "lambda real", "lambda imaginary", "column", "real", "imaginary"
        for one in self.found:
            for at, row in zip(one.lambdas.tolist(), one.values.tolist(), strict=True):
                for name, value in zip(one.names, row, strict=True):
                    numbers = (at.real, at.imag), (value.real, value.imag)
                    yield (one.label, *map(repr, numbers[0]), name, *map(repr, numbers[1]))

    def arrays(self) -> dict[str, Any]:
        several = len(self.found) > 1
        return {
            f"{name}_{index}" if several else name: getattr(one, name).numpy()
            for index, one in enumerate(self.found)
            for name in ("lambdas", "values")
        }

    def draw(self, figure: Figure) -> None:
        labels = [one.label for one in self.found]
        for ax, one in zip(panels(figure, labels, width=5), self.found, strict=True):
            one.plot(ax)
            titled(ax, one.label, 2)  # a curve alone does not say whose it is


def _of_filter(label: str, one: GraphFilter, lambdas: Tensor) -> Response:
    def plot(ax: Any) -> None:
        from snl_graph.plotting import plot_taps

        plot_taps(one, ax)

    with torch.no_grad():
        values = one.response(lambdas).detach()
    return Response(label, lambdas, tuple(f"tap {tap}" for tap in one.taps), values, plot)


def _of_block(
    label: str, block: nn.Module, lambdas: Tensor, found: Spectrum | None
) -> Iterator[Response]:
    units = getattr(block, "units", None)
    modules = list(units) if isinstance(units, nn.ModuleList) and len(units) > 1 else [block]
    at = torch.linspace(0, 1, 5, dtype=torch.float64)
    for index, module in enumerate(modules, start=1):

        def plot(ax: Any, module: nn.Module = module) -> None:
            from snl_graph.plotting import plot_filter_response

            plot_filter_response(module, ax, spectrum=found)

        response = filter_response(module, lambdas)
        wide = torch.complex128 if response.is_complex() else torch.float64
        gains = torch.linalg.svdvals(response.cpu().to(wide))
        name = label if len(modules) == 1 else f"{label}, unit {index}"
        yield Response(name, lambdas, GAINS, gains.quantile(at, dim=1).mT, plot)


def _of_blocks(
    source: str | None, network: Network, lambdas: Tensor, item: int | None
) -> list[Response]:
    if source is None:
        blocks = dict(blocks_of(network.made()))
        if not blocks:
            raise CommandError(
                f"the network of {network.factory} has no nonlocal block; put one in with "
                f"snl_graph.insert_block(model, after=...)."
            )
        chosen = network.blocks or tuple(blocks)
        pairs = [(name, lookup(blocks, name, "block")) for name in chosen]
        return [one for name, block in pairs for one in _of_block(name, block, lambdas, None)]
    _, seen = seen_by_network(source, network)
    responses = []
    for name, pair in seen.items():
        found = of_each([Graph(name, pair)], spectrum, f"eigenvalues of {name}")
        for label, one in found if item is None else found[item : item + 1]:
            responses += list(_of_block(label, pair[0], one.eigenvalues, one))
    return responses


@reported
def command(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="[SOURCE]",
            help="Evaluate at the eigenvalues of this graph, or of a block on this image; by "
            "default at points from 0 to 2.",
            show_default=False,
        ),
    ] = None,
    filter_name: Annotated[
        str | None,
        typer.Option("--filter", help=f"A filter by name, unlearned: {', '.join(FILTERS)}."),
    ] = None,
    taps: Annotated[
        int | None, typer.Option("-K", min=1, max=512, help="K of that filter; 3 by default.")
    ] = None,
    points: Annotated[
        int | None,
        typer.Option(min=1, max=100_000, help="Points from 0 to 2; 21 by default."),
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
    """What a filter passes at each eigenvalue λ: a filter by name, or what a network learned."""
    destinations = Destinations(tuple(output or ()), force)
    network = Network.parsed(model, checkpoint, settings, block, size, mean, std)
    if (filter_name is None) == (model is None):
        raise CommandError("say whose response: either --filter NAME or --model package:factory.")
    if filter_name is None and taps is not None:
        raise CommandError("-K goes with --filter; the blocks of a network have their own.")
    if source is None and (directed or item is not None):
        raise CommandError("--directed and --item go with a SOURCE.")
    if source is not None and points is not None:
        raise CommandError("--points goes without a SOURCE, whose eigenvalues are the points.")
    if filter_name is None and directed:
        raise CommandError("--directed goes with an edge list, not with --model.")
    lambdas = torch.linspace(0, 2, points or 21, dtype=torch.float64)
    if filter_name is None:
        with working("responses"):
            found = _of_blocks(source, network, lambdas, item)
        deliver(ResponseReport({"model": model}, found), destinations, as_json=as_json)
        return
    taps = taps or 3
    one = as_filter(filter_name, taps)
    if source is None:
        found = [_of_filter(filter_name, one, lambdas)]
    else:
        graphs = graphs_of(source, network, item=item, directed=directed)
        found = [
            _of_filter(f"{filter_name} on {label}", one, its.eigenvalues)
            for label, its in of_each(graphs, spectrum, "eigenvalues")
        ]
    deliver(
        ResponseReport({"filter": filter_name, "K": taps}, found), destinations, as_json=as_json
    )
