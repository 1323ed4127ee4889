"""The command line, ``snl-graph``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

from snl_graph.bench.command import EXAMPLES as BENCH_EXAMPLES
from snl_graph.bench.command import bench
from snl_graph.cli import attention, check, density, explore, info, response, spectrum
from snl_graph.version import __version__


def _listed(examples: Iterable[str]) -> str:
    """Examples for the end of a help page, one a line."""
    return "Examples:\n\n" + "\n\n".join(f"- `{example}`" for example in examples)


app = typer.Typer(
    name="snl-graph",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    epilog=_listed(
        (
            "snl-graph spectrum karate",
            "snl-graph check graph.graphml",
            "snl-graph bench",
            "snl-graph info --json",
            "snl-graph --version",
        )
    ),
)
for module in (spectrum, check, density, response, attention, explore):
    app.command(module.__name__.rpartition(".")[2], epilog=_listed(module.EXAMPLES))(module.command)
app.command(epilog=_listed(BENCH_EXAMPLES))(bench)
app.command(epilog=_listed(info.EXAMPLES))(info.info)


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
