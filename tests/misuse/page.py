"""``python -m tests.misuse.page``: make docs/troubleshooting.md from the tables of wrong calls."""

from __future__ import annotations

import ast
import os
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from tests.misuse.case import Area, Case, links, outcome
from tests.misuse.tables import AREAS

PAGE = Path(__file__).parents[2] / "docs" / "troubleshooting.md"
WIDTH = 96
MOST_CHOICES = 8

HEAD = """\
# Troubleshooting

Wrong calls and what they are answered: {count} of them, {cited} of which others met in the open.
Search this page for a word of your error. Every error says what came, what was expected and what to
do; a `...` stands where it names a number of your machine or the words of another package.

Not here? Make the call inside `with snl_graph.value_checks():`, which looks at values too, such as
NaN, and indices on a GPU. The environment variable `SNL_GRAPH_TRACEBACK=1` shows where the error of
a command comes from. A report of an unclear error is as welcome as one of wrong numbers: send the
few lines that show it and the output of `snl-graph info`.

*This page is made from a table of the tests, `tests/misuse`, by `python -m tests.misuse.page`.*
"""


def page() -> str:
    """The whole page."""
    cases = [case for area in AREAS for case in area.cases]
    head = HEAD.format(count=len(cases), cited=sum(bool(case.met) for case in cases))
    contents = "\n".join(f"- [{area.title}](#{_anchor(area.title)})" for area in AREAS)
    return "\n".join([head, contents, "", *(_section(area) for area in AREAS)])


def _section(area: Area) -> str:
    parts = [f"## {area.title}", ""]
    if area.start:
        parts += ["Every call here starts from:", "", "```python", area.start.strip(), "```", ""]
    return "\n".join([*parts, *(_entry(area, case) for case in area.cases)])


def _entry(area: Area, case: Case) -> str:
    said = _shortened(outcome(area, case).message, case.elided)
    if case.error is None:
        shown = ["```text", f"$ {case.call}", *_wrapped(said), "```"]
    else:
        error = type(outcome(area, case).error)
        module = "" if error.__module__ == "builtins" else f"{error.__module__}."
        answer = _wrapped(f"{module}{error.__qualname__}: {said}")
        trace = ["Traceback (most recent call last):", "..."]
        shown = ["```pycon", *_session(case.call), *trace, *answer, "```"]
    met = ", ".join(f"[{thread}]({address})" for thread, address in links(case.met))
    return "\n".join(
        [f"**{case.title}**", "", *shown, "", *([f"Met in {met}.", ""] if met else [])]
    )


def _session(code: str) -> Iterator[str]:
    """Code as it stands at a prompt."""
    lines = code.splitlines()
    for statement in ast.parse(code).body:
        first, *rest = lines[statement.lineno - 1 : statement.end_lineno]
        yield f">>> {first}"
        yield from (f"... {line}" for line in rest)


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )


def _shortened(message: str, elided: tuple[str, ...]) -> str:
    """The message without what differs between machines, and without the tail of long lists."""
    for pattern in elided:
        message = re.sub(pattern, "...", message)
    head, choices, rest = message.partition("hoices: ")
    names = rest.split(", ")
    if len(names) > MOST_CHOICES:
        rest = ", ".join([*names[:3], "..."])
    return head + choices + rest


def _anchor(title: str) -> str:
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


if __name__ == "__main__":
    os.environ.setdefault("MPLBACKEND", "Agg")
    PAGE.write_text(page(), encoding="utf-8")
