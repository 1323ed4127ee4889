"""The table of a study from its records: ``python -m models.tables TABLE [options]``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser

from models.entry import errors_on_one_line, quiet
from models.studies.catalogue import STUDIES
from models.studies.figures import FIGURES, save
from models.studies.ledger import Ledger
from models.studies.markdown import put, section
from models.studies.statistics import cells
from models.sweep import RESULTS
from snl_graph.names import lookup

PROGRAM = "python -m models.tables"
PAGE = RESULTS.with_suffix(".md")


def tables(
    table: str, results: Path = RESULTS, page: Path = PAGE, write: bool = False
) -> dict[str, str]:
    """Markdown of a table, or of all of them, by name.

    Args:
        table: Name in :data:`~models.studies.catalogue.STUDIES`, or "all".
        results: Folder of the CSV files, and of the pictures.
        page: Page with markers for each table.
        write: Whether to put the tables into the page and to draw the pictures.

    Raises:
        ValueError: If there is no such table, or the page lacks its markers.
        FileNotFoundError: If there is no such folder or page.
    """
    lookup({"all": None, **STUDIES}, table, "table")
    if not results.is_dir():
        raise FileNotFoundError(
            f"no folder {results}; expected the CSV files of python -m models.sweep. Name theirs "
            f"with --results."
        )
    if write and not page.is_file():
        raise FileNotFoundError(
            f"no page at {page}; expected a Markdown file with a pair of markers for each table. "
            f"Name it with --page."
        )
    made = {}
    for name in STUDIES if table == "all" else [table]:
        study = STUDIES[name]
        found = cells(study, Ledger(results / study.results).read())
        made[name] = section(study, found)
        if write:
            page.write_text(
                put(page.read_text(encoding="utf-8"), name, made[name]), encoding="utf-8"
            )
            if name in FIGURES:
                save(name, study, found, results)
    return made


def main(args: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = ArgumentParser(
        prog=PROGRAM,
        exit_on_error=False,
        allow_abbrev=False,
        description="Print the table of a study from the records of its runs.",
    )
    parser.add_argument("table", help=f"One of {', '.join(STUDIES)}, or all.")
    parser.add_argument("--results", type=Path, default=RESULTS, help="Folder of the CSV files.")
    parser.add_argument("--page", type=Path, default=PAGE, help="Page that --write changes.")
    parser.add_argument("--write", action="store_true", help="Put it into the page; draw pictures.")
    with quiet(), errors_on_one_line(PROGRAM):
        chosen = parser.parse_args(sys.argv[1:] if args is None else list(args))
        for name, text in tables(**chosen.as_dict()).items():
            print(f"# {STUDIES[name].title}\n\n{STUDIES[name].budget}\n\n{text}")


if __name__ == "__main__":
    main()
