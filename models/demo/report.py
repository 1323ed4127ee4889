"""Results as files, and the one page that holds everything."""

from __future__ import annotations

import base64
import csv
import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from string import Template
from typing import Any

from models.demo.summary import LABELS, Row, comparisons, rows, words
from models.demo.tasks import TASKS, Result

MARK = "results.json"
OWN_FILES = frozenset(
    {
        MARK,
        "results.csv",
        "report.html",
        "eigenvalues.png",
        "filter_response.png",
        "attention_digits.png",
        "attention_far_pair.png",
    }
)


def claim_folder(folder: Path) -> bool:
    """Make the folder ready, and tell whether an earlier demo there will be replaced.

    Raises:
        FileExistsError: If it holds anything that the demo did not write; nothing is changed then.
    """
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file; expected a folder. Choose another with --out.")
    found = {path.name for path in folder.iterdir()} if folder.exists() else set()
    foreign = sorted(found - OWN_FILES)
    if foreign or (found and MARK not in found):
        shown = ", ".join((foreign or sorted(found))[:3])
        raise FileExistsError(
            f"{folder} holds other files ({shown}); the demo writes to an empty folder or over an "
            f"earlier demo. Choose another with --out."
        )
    folder.mkdir(parents=True, exist_ok=True)
    return bool(found)


def write_results(
    folder: Path, results: Sequence[Result], facts: Mapping[str, Any], said: Mapping[str, Any]
) -> None:
    """``results.csv``: one line a run. ``results.json``: runs, table, comparisons, words."""
    columns = ["task", "variant", "seed", "accuracy", "parameters", "seconds"]
    runs = [{column: getattr(result, column) for column in columns} for result in results]
    with (folder / "results.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(runs)
    content = {
        **facts,
        "runs": runs,
        "table": [asdict(row) for row in rows(results)],
        "comparisons": [asdict(comparison) for comparison in comparisons(results)],
        "words": said,
    }
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=True)
    (folder / MARK).write_text(text.replace("NaN", "null"), encoding="utf-8")


PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Spectral nonlocal blocks on real digits</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff;
       max-width: 54rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.5rem; line-height: 1.25; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100%; }
th, td { text-align: right; padding: .3rem .5rem; border-bottom: 1px solid #ccc; }
th:first-child, td:first-child { text-align: left; }
td { white-space: nowrap; }
/* On a phone a picture keeps a width at which its letters can be read, and scrolls. */
figure { margin: 1.5rem 0; } .wide { overflow-x: auto; } img { width: 100%; min-width: 36rem; }
@media (max-width: 32rem) { th, td { padding: .3rem .2rem; font-size: .85rem; } }
figcaption, footer { color: #444; font-size: .9rem; }
</style>
</head>
<body>
<h1>Spectral nonlocal blocks on real digits</h1>
<p>$intro</p>
$tasks
<h2>The graphs the blocks learned</h2>
<ul>$graphs</ul>
$figures
<footer><p>$footer</p></footer>
</body>
</html>
""")


def _table(table: Sequence[Row]) -> str:
    lines = [
        f"<tr><td>{LABELS[row.variant]}</td><td>{accuracy(row)}</td><td>{row.added:,}</td>"
        f"<td>{row.seconds:.1f}</td></tr>"
        for row in table
    ]
    head = (
        "<tr><th>block</th><th>accuracy %</th><th>parameters added</th><th>seconds a run</th></tr>"
    )
    return f"<table>{head}{''.join(lines)}</table>"


def accuracy(row: Row) -> str:
    """Mean and standard deviation over the seeds, in percent."""
    if len(row.accuracies) < 2:
        return f"{100 * row.mean:.1f}"
    return f"{100 * row.mean:.1f} ± {100 * row.spread:.1f}"


def _list(lines: Sequence[str]) -> str:
    return "".join(f"<li>{html.escape(line)}</li>" for line in lines)


def write_page(
    folder: Path,
    results: Sequence[Result],
    captions: Mapping[str, str],
    graph_words: Sequence[str],
    intro: str,
    footer: str,
) -> Path:
    """``report.html``, with its pictures inside it."""
    table, said = rows(results), words(results)
    tasks = [
        f"<h2>{html.escape(TASKS[task].title)}</h2>"
        f"{_table([row for row in table if row.task == task])}<ul>{_list(lines)}</ul>"
        for task, lines in said.items()
    ]
    figures = []
    for name, caption in captions.items():
        data = base64.b64encode((folder / name).read_bytes()).decode()
        text = html.escape(caption)
        figures.append(
            f'<figure><div class="wide"><img src="data:image/png;base64,{data}" alt="{text}"></div>'
            f"<figcaption>{text}</figcaption></figure>"
        )
    page = PAGE.substitute(
        intro=html.escape(intro),
        tasks="\n".join(tasks),
        graphs=_list(graph_words),
        figures="\n".join(figures),
        footer=html.escape(footer),
    )
    path = folder / "report.html"
    path.write_text(page, encoding="utf-8")
    return path
