"""Costs on the terminal: ``python -m models.costs`` and ``python -m models.costs advise NETWORK``.

The first prints Table 6 for every backbone of the paper, its own numbers beside ours. The second
lists where a block could go in a network, and what it would cost there.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from models.costs.advisor import advise
from models.costs.table6 import SETTINGS, Setting, TableRow, table_rows
from models.entry import errors_on_one_line, quiet
from models.networks import NETWORKS
from snl_graph.names import lookup

PROGRAM = "python -m models.costs"


def parser() -> ArgumentParser:
    """Options of both forms."""
    made = ArgumentParser(prog=PROGRAM, description=__doc__, allow_abbrev=False)
    made.add_argument("--network", action="append", help="This backbone alone; may be repeated.")
    commands = made.add_subparsers(dest="command")
    advisor = commands.add_parser(
        "advise", help="Cost of a block at every position of a network.", allow_abbrev=False
    )
    advisor.add_argument("name", metavar="NETWORK", help="Name in the table of networks.")
    advisor.add_argument(
        "--size", type=int, nargs="+", metavar="LENGTH", help="H W of images, T H W of clips."
    )
    advisor.add_argument("--block", default="snl", help="Row of Table 1 (snl).")
    advisor.add_argument("--reduction", type=int, default=2, help="C / C_s (2).")
    advisor.add_argument("--channels", type=int, default=3, help="Channels of the input (3).")
    advisor.add_argument(
        "--all", action="store_true", help="Every submodule, not residual blocks alone."
    )
    return made


def _millions(count: int) -> str:
    return f"{count / 1e6:.2f}"


def _giga(count: int | None) -> str:
    return "" if count is None else f"{count / 1e9:.3f}"


def _mebibytes(count: int | None) -> str:
    return "" if count is None else f"{count / 2**20:.1f}"


def _shape(size: Sequence[int]) -> str:
    return "×".join(map(str, size))


def _cells(row: TableRow) -> list[str]:
    sign = "+" if row.block else ""
    printed = row.printed
    return [
        f"+ {row.block}" if row.block else row.network,
        f"{sign}{row.parameters:,}",
        f"{sign}{_millions(row.parameters)}",
        "" if printed is None else f"{sign}{printed.parameters:.2f}",
        f"{sign}{_giga(row.macs)}",
        "" if printed is None else f"{sign}{printed.macs:.2f}",
        "" if row.operator_macs is None else f"+{_giga(row.operator_macs)}",
        _mebibytes(row.kept_bytes),
        row.representation,
    ]


def print_table6(console: Console, networks: Sequence[str]) -> None:
    """One table a backbone."""
    for name in networks:
        setting: Setting = lookup(SETTINGS, name, "backbone")
        table = Table(title=f"{name}, {_shape(setting.size)}", title_justify="left")
        table.add_column("")
        for header in (
            "parameters",
            "M",
            "paper",
            "GMAC",
            "paper",
            "operator GMAC",
            "kept MiB",
        ):
            table.add_column(header, justify="right")
        table.add_column("A is held")
        for row in table_rows(name, setting):
            table.add_row(*_cells(row))
        console.print(table)
    console.print(
        "GMAC: multiply-adds of convolutions and linear layers of one input, as the paper counts; "
        "operator GMAC: those of A and A·Z beside them; kept: for the backward pass, estimated.",
        highlight=False,
    )


def print_advice(console: Console, options: Namespace) -> None:
    """One line a position."""
    lookup(NETWORKS, options.name, "network")
    chosen = SETTINGS.get(options.name)
    size = tuple(options.size or (() if chosen is None else chosen.size))
    if options.channels < 1:
        raise ValueError(f"--channels must be at least 1; got {options.channels}.")
    if not size or min(size) < 1:
        raise ValueError(
            f"{options.name} needs the size of its input, lengths of at least 1: --size 224 224 "
            "for images, --size 16 112 112 for clips."
        )
    own, advice = advise(
        options.name,
        size,
        block=options.block,
        reduction=options.reduction,
        everywhere=options.all,
        in_channels=options.channels,
    )
    table = Table(
        title=f"{options.block} in {options.name}, {_shape(size)}: {_millions(own.parameters)} M "
        f"parameters, {_giga(own.macs)} GMAC without it",
        title_justify="left",
    )
    table.add_column("after")
    for header in ("channels", "map", "maps", "parameters", "GMAC", "kept MiB"):
        table.add_column(header, justify="right")
    table.add_column("A is held")
    for each in advice:
        table.add_row(
            each.position.name,
            str(each.position.channels),
            _shape(each.position.size),
            str(each.position.maps),
            f"+{each.block.parameters:,}",
            f"+{_giga(each.macs)}",
            _mebibytes(each.kept_bytes),
            each.block.representation,
        )
    console.print(table)
    console.print(
        "Of one input. GMAC: 1×1 convolutions and A together; kept: for the backward pass, "
        "estimated; maps: frames that are each seen by themselves.",
        highlight=False,
    )


def main(args: Sequence[str] | None = None) -> None:
    """Print what was asked for."""
    options = parser().parse_args(args)
    # A pipe has no width of its own; what a program reads must not be cut.
    console = Console() if sys.stdout.isatty() else Console(width=140)
    with errors_on_one_line(PROGRAM), quiet():
        if options.command == "advise":
            print_advice(console, options)
        else:
            print_table6(console, options.network or list(SETTINGS))


if __name__ == "__main__":
    main()
