"""The directive ``commands``: what every command of a Typer program says of itself."""

from __future__ import annotations

import importlib
from typing import Any, ClassVar

import typer.main
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from typer.testing import CliRunner

PLAIN = {"COLUMNS": "84", "TERMINAL_WIDTH": "84", "NO_COLOR": "1", "TERM": "dumb"}
"""A terminal of this width without colours, whatever the build runs in."""


def help_of(program: Any, *command: str) -> str:
    """What ``program command --help`` prints.

    Raises:
        RuntimeError: If the command fails.
    """
    result = CliRunner().invoke(program, [*command, "--help"], env=PLAIN)
    if result.exit_code:
        raise RuntimeError(f"{' '.join(command)} --help failed:\n{result.output}")
    return "\n".join(line.rstrip() for line in result.output.splitlines()).strip("\n")


class Commands(SphinxDirective):
    """``.. commands:: module:name`` of a ``typer.Typer``: a section a command."""

    required_arguments: ClassVar[int] = 1

    def run(self) -> list[nodes.Node]:
        """Called by docutils."""
        module, _, name = self.arguments[0].partition(":")
        program = getattr(importlib.import_module(module), name)
        sections: list[nodes.Node] = []
        for command in typer.main.get_command(program).commands:  # type: ignore[attr-defined]
            section = nodes.section(ids=[nodes.make_id(f"command-{command}")])
            section += nodes.title("", "", nodes.literal("", command))
            text = help_of(program, command)
            section += nodes.literal_block(text, text, language="text")
            sections.append(section)
        return sections


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("commands", Commands)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
