"""The command ``snl-graph explore``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from snl_graph.cli import options
from snl_graph.cli.attention import positions_of
from snl_graph.cli.errors import reported
from snl_graph.cli.inputs import Network, seen_by_network
from snl_graph.cli.report import Destinations, replace_whole
from snl_graph.cli.screen import working
from snl_graph.explorer import explore

EXAMPLES = (
    "snl-graph explore photo.png --model mine:network --checkpoint last.ckpt",
    "snl-graph explore photo.png --model mine:network -o page.html --force --at 3,5",
)


@reported
def command(
    image: options.Image,
    output: Annotated[
        Path,
        typer.Option("--output", "--save", "-o", metavar="FILE", help="The page to write."),
    ] = Path("explorer.html"),
    at: Annotated[
        str | None,
        typer.Option(
            metavar="ROW,COL",
            help="Position of the finest map to begin at, counted from 0; the page counts from 1.",
        ),
    ] = None,
    title: Annotated[str, typer.Option(help="Heading of the page.")] = "Attention explorer",
    caption: Annotated[str, typer.Option(help="A sentence below it.")] = "",
    stride: Annotated[
        int | None,
        typer.Option(min=1, help="Hold every so many rows and columns; as many as fit by default."),
    ] = None,
    max_bytes: Annotated[
        int, typer.Option(min=1, help="Most that the page may weigh.")
    ] = 8_000_000,
    most_nodes: Annotated[
        int, typer.Option(min=0, help="Leave out the eigenvalues of larger graphs.")
    ] = 1024,
    model: options.Model = None,
    checkpoint: options.Checkpoint = None,
    settings: options.Settings = None,
    block: options.Block = None,
    size: options.Size = None,
    mean: options.Mean = None,
    std: options.Std = None,
    as_json: options.AsJson = False,
    force: options.Force = False,
) -> None:
    """Write one HTML file in which a click shows where each block of a network looks from there."""
    destinations = Destinations((output,), force, (".html", ".htm"))
    start = None if at is None else positions_of([at])[0]
    network = Network.parsed(model, checkpoint, settings, block, size, mean, std)
    with working(f"running the network on {image}"):
        x, blocks = seen_by_network(image, network)
    # A network's input that is no picture, such as five bands, has its features shown instead.
    spatial = next(iter(blocks.values()))[1].dim() - 2
    picture = x if x.dim() == spatial + 2 and x.shape[1] in (1, 3) else None
    with working("maps of every position"):
        page = explore(
            picture,
            blocks,
            title=title,
            caption=caption,
            start=start,
            stride=stride,
            max_bytes=max_bytes,
            most_nodes=most_nodes,
        )
    (path,) = destinations.paths
    replace_whole(path, lambda part: page.write(part, overwrite=True))
    if as_json:
        facts = {"file": str(path), "bytes": page.size, "blocks": list(blocks)}
        typer.echo(json.dumps(facts, ensure_ascii=False))
    else:
        typer.echo(f"wrote {path} ({page.size:,} bytes), blocks {', '.join(blocks)}")
