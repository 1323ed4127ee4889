"""Every snippet on every page runs, and every link leads somewhere."""

import doctest
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
PAGES = sorted(
    [*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").rglob("*.md")],
    key=lambda page: page.relative_to(CHECKOUT).as_posix(),
)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)|<img[^>]*\bsrc=\"([^\"]+)\"")


@dataclass(frozen=True)
class Snippet:
    """One fenced block of a page: its language, its code, the line the code starts on."""

    language: str
    code: str
    line: int


def snippets(text: str) -> Iterator[Snippet]:
    for match in FENCE.finditer(text):
        yield Snippet(match[1], match[2], text.count("\n", 0, match.start(2)) + 1)


def run_page(page: Path) -> None:
    """Run a page's snippets in order, in one namespace, as a reader would.

    ``python`` blocks are executed. ``pycon`` blocks show a session: their output is compared.
    """
    namespace: dict[str, object] = {"__name__": "__main__"}
    for snippet in snippets(page.read_text(encoding="utf-8")):
        if snippet.language == "python":
            # Blank lines in front make a traceback point at the page's own line.
            code = "\n" * (snippet.line - 1) + snippet.code
            exec(compile(code, str(page), "exec"), namespace)
        elif snippet.language == "pycon":
            example = doctest.DocTestParser().get_doctest(
                snippet.code, namespace, page.name, str(page), snippet.line - 1
            )
            example.globs = namespace  # the parser copies it; later snippets read what it defines
            runner = doctest.DebugRunner(
                optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
            )
            runner.run(example, clear_globs=False)


def name_of(page: Path) -> str:
    return page.relative_to(CHECKOUT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_snippet_of_the_page_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    run_page(page)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_relative_link_of_the_page_leads_to_a_file(page: Path) -> None:
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))
    targets = [match[1] or match[2] for match in LINK.finditer(prose)]
    broken = [
        target
        for target in targets
        if not target.startswith(("http://", "https://", "mailto:"))
        and not (page.parent / target).exists()
    ]
    assert not broken


def test_every_page_of_docs_is_reached_from_the_index() -> None:
    index = (CHECKOUT / "docs" / "index.md").read_text(encoding="utf-8")
    linked = {(CHECKOUT / "docs" / match[1]).resolve() for match in LINK.finditer(index)}
    pages = {page for page in PAGES if page.parent != CHECKOUT and page.name != "index.md"}
    assert pages <= linked


@pytest.mark.parametrize(
    "text",
    [
        "```python\nfirst = 1\n```\n\n```python\nassert first == 2\n```\n",
        "```python\nx = 2\n```\n\n```pycon\n>>> x + x\n5\n```\n",
        "```pycon\n>>> y = 3\n```\n\n```python\nassert y == 4\n```\n",
        "```pycon\n>>> 1 / 0\n```\n",
    ],
    ids=["python", "output", "shared namespace", "exception"],
)
def test_a_wrong_snippet_fails(text: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    with pytest.raises((AssertionError, doctest.DocTestFailure, doctest.UnexpectedException)):
        run_page(page)


def test_a_failing_snippet_points_at_its_line_on_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Title\n\n```python\nx = 1\nraise KeyError(x)\n```\n", encoding="utf-8")
    with pytest.raises(KeyError) as failure:
        run_page(page)
    assert failure.traceback[-1].lineno == 4  # counted from 0
