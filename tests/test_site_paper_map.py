"""``docs/paper-map.md`` covers the whole paper, and every test it names is there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "paper-map.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| (?!paper \||---)(.+?) \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
LINK = re.compile(r"\[([^\]]+)\]\(([^)]+)\)")

# What the paper has, counted in its text: 35 numbered equations in all.
PARTS = {
    *(f"Eq. {number}" for number in range(1, 36)),
    "Definition",
    "Theorem 1",
    *(f"Property {number}" for number in (1, 2)),
    *(f"Remark {number}" for number in range(1, 6)),
    *(f"Table {number}" for number in range(1, 10)),
    *(f"Figure {number}" for number in range(1, 4)),
}
WITHOUT_TEST = {"Eq. 14"}  # the classical Fourier transform, which the paper only compares with


def parts_of(cell: str) -> set[str]:
    """The parts of the paper that a first cell names: "Eq. 18–22" is five."""
    parts = set()
    for part in cell.split(", "):
        span = re.fullmatch(r"Eq\. (\d+)–(\d+)", part)
        numbers = range(int(span[1]), int(span[2]) + 1) if span else ()
        parts |= {f"Eq. {number}" for number in numbers} or {part}
    return parts


ROWS = [(parts_of(row[0]), LINK.findall(row[2]), LINK.findall(row[3])) for row in ROW.findall(PAGE)]


@cache
def claims_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def unknown_tests(links: list[tuple[str, str]]) -> list[str]:
    """Claims that no test of the linked file makes. A test's name is its claim."""
    return [
        claim
        for claim, target in links
        if f"test_{claim.replace(' ', '_')}" not in claims_in((DOCS / target).resolve())
    ]


def test_every_part_of_the_paper_has_one_row() -> None:
    named = [part for parts, _, _ in ROWS for part in parts]
    assert sorted(named) == sorted(PARTS)


@pytest.mark.parametrize(
    ("parts", "files", "tests"), ROWS, ids=[" and ".join(sorted(parts)) for parts, _, _ in ROWS]
)
def test_what_carries_a_part_and_what_holds_it_exist(
    parts: set[str], files: list[tuple[str, str]], tests: list[tuple[str, str]]
) -> None:
    assert all((DOCS / target).is_file() for _, target in files)
    assert unknown_tests(tests) == []
    assert (files and tests) or parts <= WITHOUT_TEST


def test_a_claim_that_nothing_makes_is_found() -> None:
    links = [("row equals its formula in value and gradient", "../tests/blocks/test_rows.py")]
    assert unknown_tests(links) == []
    assert unknown_tests([("all is well", links[0][1])]) == ["all is well"]
