"""The recipe files of the paper's rows, written from the table of rows."""

from __future__ import annotations

from pathlib import Path

import yaml

from models.paper.rows import ROWS, Row
from models.recipe import PAPER_RECIPES

MEASURED = {1: ("Top-1",), 2: ("rank-1", "mAP")}
"""What the numbers of a row are, by how many there are."""


def printed(row: Row) -> str:
    """The paper's number or numbers, in words.

    Example:
        >>> printed(ROWS["table5_snl_x3"]), printed(ROWS["table6_resnet152"])
        ('Top-1 76.70 %', 'no number')
    """
    if not row.printed:
        return "no number"
    names = MEASURED[len(row.printed)]
    return ", ".join(f"{n} {v:.2f} %" for n, v in zip(names, row.printed, strict=True))


def text_of(row: Row) -> str:
    """Content of its file."""
    lines = [
        f"# Table {row.table}: {row.label}. The paper has {printed(row)}.",
        *(f"# {note}" for note in row.notes),
        "# Written by python -m models.paper write, from models/paper/rows.py: change it there.",
    ]
    keys = {k: list(v) if isinstance(v, tuple) else v for k, v in row.keys.items()}
    return "\n".join(lines) + "\n" + yaml.safe_dump(keys, sort_keys=False, default_flow_style=None)


def write(folder: Path = PAPER_RECIPES) -> list[Path]:
    """Write the file of every row, and take away files of rows that are no more.

    Returns:
        The files that changed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {folder / f"{name}.yaml": text_of(row) for name, row in ROWS.items()}
    changed = []
    for path in sorted({*wanted, *folder.glob("table*.yaml")}):
        text = wanted.get(path)
        if text is None:
            path.unlink()
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
        else:
            continue
        changed.append(path)
    return changed
