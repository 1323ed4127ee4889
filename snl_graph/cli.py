"""The command line, ``snl-graph``."""

import json
from typing import Annotated

import typer

from snl_graph.bench.command import EXAMPLES, bench
from snl_graph.environment import environment
from snl_graph.version import __version__

app = typer.Typer(
    name="snl-graph",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    epilog="Examples:  `snl-graph info`  ·  `snl-graph info --json`  ·  `snl-graph bench`  ·  "
    "`snl-graph --version`",
)
app.command(epilog=EXAMPLES)(bench)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"snl-graph {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Spectral nonlocal blocks as graph filters."""


@app.command(
    epilog="Examples:  `snl-graph info`  ·  `snl-graph info --json > environment.json`",
)
def info(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print versions, devices, threads and compiler: paste it into a bug report."""
    facts = environment().to_dict()
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    width = max(map(len, facts))
    for name, value in facts.items():
        typer.echo(f"{name.replace('_', '-'):<{width}}  {_readable(value)}")


def _readable(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "not found" if value is None else str(value)
