"""Check a data set, or make a tiny synthetic one: ``python -m models.data check NAME ROOT``."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path

from rich.console import Console
from rich.progress import track

from models.data.checking import LAYOUTS, check
from models.data.making import make
from models.data.synthetic import Plan
from models.entry import errors_on_one_line

PROGRAM = "python -m models.data"


def parser() -> ArgumentParser:
    """Options of the command line."""
    made = ArgumentParser(prog=PROGRAM, description=f"Data sets: {', '.join(LAYOUTS)}.")
    commands = made.add_subparsers(dest="command", required=True)
    checks = commands.add_parser("check", help="Name what is missing, unexpected or corrupt.")
    checks.add_argument("--deep", action="store_true", help="Decode every picture and video.")
    checks.add_argument("--json", action="store_true", help="Every problem, for programs.")
    makes = commands.add_parser("make", help="Write a tiny synthetic one into an empty folder.")
    for field in fields(Plan):
        makes.add_argument(f"--{field.name}", type=int, default=field.default)
    for command in (checks, makes):
        command.add_argument("name", metavar="NAME", help=f"One of {', '.join(LAYOUTS)}.")
        command.add_argument("root", metavar="ROOT", type=Path, help="What --data would name.")
    return made


def _with_bar(files: Iterable[str], count: int) -> Iterable[str]:
    return track(files, "decoding", count, console=Console(stderr=True))


def run(options: Namespace) -> int:
    """Exit status of a command: 1 if a check found something."""
    if options.command == "make":
        plan = Plan(**{field.name: getattr(options, field.name) for field in fields(Plan)})
        counts = make(options.name, options.root, plan)
        said = ", ".join(f"{count:,} {name}" for name, count in counts.items())
        print(f"synthetic {options.name} at {options.root}: {said}")
        return 0
    report = check(options.name, options.root, deep=options.deep, progress=_with_bar)
    print(json.dumps(report.to_dict(), indent=1) if options.json else report)
    return 0 if report.ok else 1


def main(args: Sequence[str] | None = None) -> None:
    """Command line."""
    with errors_on_one_line(PROGRAM):
        status = run(parser().parse_args(args))
    sys.exit(status)


if __name__ == "__main__":
    main()
