"""CONTRIBUTING.md followed literally: a kernel, a filter and a block inherit their tests."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
PAGE = (CHECKOUT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(python|diff)\n# (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NEW = ("sigmoid", "tikhonov", "rnl")
SUITES = (
    "tests/test_architecture.py",
    "tests/test_conformance.py",
    "tests/test_properties.py",
    "tests/kernels",
    "tests/filters/test_conformance.py",
    "tests/blocks/test_rows.py",
    "tests/test_insert.py",
)


def added(text: str, change: str) -> str:
    """``text`` with the lines marked by + put below the lines that precede them in ``change``."""
    lines, at = text.splitlines(), 0
    for line in change.splitlines():
        mark, content = line[:1], line[1:]
        if mark == "+":
            lines.insert(at, content)
            at += 1
        else:
            assert mark == " ", f"neither new nor known: {line!r}"
            places = [number for number in range(at, len(lines)) if lines[number] == content]
            assert places, f"the page names a line that is not there (any more): {content!r}"
            at = places[0] + 1
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def contributed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout with every block of the page in the file it names."""
    copy = tmp_path_factory.mktemp("contributed")
    for folder in ("snl_graph", "tests"):
        shutil.copytree(
            CHECKOUT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(CHECKOUT / "pyproject.toml", copy)
    for kind, name, code in BLOCK.findall(PAGE):
        path = copy / name
        assert path.exists() == (kind == "diff"), name
        text = added(path.read_text(encoding="utf-8"), code) if kind == "diff" else code
        path.write_text(text, encoding="utf-8")
    return copy


def run(copy: Path, *arguments: str) -> str:
    answer = subprocess.run(
        [sys.executable, *arguments],
        cwd=copy,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"},
    )
    assert answer.returncode == 0, answer.stdout[-3000:] + answer.stderr[-3000:]
    return answer.stdout


def test_the_page_adds_one_class_and_one_line_each() -> None:
    blocks = BLOCK.findall(PAGE)
    classes = [name for kind, name, code in blocks if kind == "python"]
    tables = [
        (name, [line for line in code.splitlines() if line[0] == "+"])
        for kind, name, code in blocks
        if kind == "diff" and name.startswith("snl_graph")
    ]
    assert len(classes) == 2  # a block is a row and has no class
    assert len(tables) == len(NEW)
    for name, lines in tables:
        entries = [line for line in lines if "import" not in line]
        assert len(entries) == 1, name
        assert len(lines) - len(entries) <= 1, name


def test_what_is_added_inherits_its_tests(contributed: Path) -> None:
    choose = " or ".join(NEW)
    said = run(
        contributed, "-m", "pytest", "-q", "-rN", "-p", "no:cacheprovider", "-k", choose, *SUITES
    )
    passed = re.search(r"(\d+) passed", said)
    assert passed, said
    assert int(passed[1]) >= 150, said


def test_a_line_that_is_gone_is_found() -> None:
    assert added("a\nb\nc\n", " a\n+new\n c\n+last\n") == "a\nnew\nb\nc\nlast\n"
    with pytest.raises(AssertionError, match="not there"):
        added("a\nb\n", " b\n a\n+new\n")
