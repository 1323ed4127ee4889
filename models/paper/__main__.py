"""List the paper's rows, or write their recipes: ``python -m models.paper [list | write]``."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence

from models.entry import errors_on_one_line
from models.paper.files import printed, write
from models.paper.rows import ROWS

PROGRAM = "python -m models.paper"


def listing(table: int | None = None) -> str:
    """Table, row, recipe and the paper's number of every row, in columns.

    Raises:
        ValueError: If the paper has no such table of results.
    """
    known = sorted({row.table for row in ROWS.values()})
    if table is not None and table not in known:
        raise ValueError(
            f"the paper's tables of results are {known[0]} to {known[-1]}; got {table}."
        )
    lines = [("table", "recipe", "row", "the paper")]
    for row in ROWS.values():
        if table in (None, row.table):
            lines.append((str(row.table), row.name, row.label, printed(row)))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def main(args: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = ArgumentParser(prog=PROGRAM, description="Rows of Tables 2 to 9, and their recipes.")
    commands = parser.add_subparsers(dest="command")
    lists = commands.add_parser(
        "list", help="Table, row, recipe, the paper's number (the default)."
    )
    lists.add_argument("table", type=int, nargs="?", help="Of this table alone.")
    commands.add_parser("write", help="Write the recipes from the table of rows.")
    options = parser.parse_args(args)
    with errors_on_one_line(PROGRAM):
        if options.command == "write":
            for path in write():
                print(path)
            return
        print(listing(getattr(options, "table", None)))


if __name__ == "__main__":
    main()
