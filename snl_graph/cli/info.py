"""The command ``snl-graph info``."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from snl_graph.environment import environment

EXAMPLES = (
    "snl-graph info",
    "snl-graph info --json > environment.json",
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
