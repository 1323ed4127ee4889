"""The gallery's examples hold together; building the site (docs/site.md) is what runs them."""

from __future__ import annotations

import ast
import importlib
import re
import sys
import tomllib
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
GALLERY = CHECKOUT / "docs" / "gallery"
EXAMPLES = sorted(GALLERY.glob("*.py"))
DISTRIBUTIONS = {"sklearn": "scikit-learn", "skimage": "scikit-image"}
"""Packages that are imported under another name than they are installed by."""
DOWNLOADS = re.compile(r"fetch|download|urlopen|pretrained|from_hub", re.IGNORECASE)
CHECKS = {"assert_close", "raise_if_failed"}

every_example = pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def called(tree: ast.AST) -> list[str]:
    """Last names of everything that is called, in order of the source."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    calls.sort(key=lambda call: (call.lineno, call.col_offset))
    functions = [call.func for call in calls]
    return [
        function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        for function in functions
    ]


def claims(tree: ast.Module) -> list[ast.stmt]:
    """Top-level statements that fail where a claim does not hold; loops and blocks count."""
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Assert)
        or (isinstance(node, ast.Expr) and set(called(node.value)[:1]) & CHECKS)
    ]


def declared() -> set[str]:
    """What installing ``snl-graph[docs]`` brings by its own word."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    found, waiting = set(project["dependencies"]), ["docs"]
    while waiting:
        for requirement in extras[waiting.pop()]:
            own = re.match(r"snl-graph\[(.+)\]", requirement)
            if own:
                waiting += own[1].split(",")
            else:
                found.add(requirement)
    return {re.split(r"[<>=~!\[; ]", requirement)[0] for requirement in found}


def imported(tree: ast.Module) -> set[str]:
    """Packages that are imported, or looked up for the files they ship."""
    modules: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and called(node)[:1] == ["find_spec"]:
            modules |= {argument.value for argument in node.args}
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules.add(node.module)
    return {module.split(".")[0] for module in modules}


def test_there_are_as_many_examples_as_the_gallery_says() -> None:
    numbers = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    header = (GALLERY / "GALLERY_HEADER.rst").read_text(encoding="utf-8")
    assert header.split("\n\n")[1].lower().startswith(f"{numbers[len(EXAMPLES)]} examples")
    assert all(path.stem.startswith("plot_") for path in EXAMPLES)


@every_example
def test_it_is_a_page_of_headings_text_and_code(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    title, underline = (ast.get_docstring(ast.parse(source)) or "").splitlines()[:2]
    assert underline == "=" * len(title)
    cells = source.split("\n# %%\n")[1:]
    assert len(cells) >= 4
    headings = re.findall(r"^# (.+)\n# (-+)$", source, re.MULTILINE)
    assert len(headings) >= 3
    for heading, line in headings:
        assert len(line) == len(heading), heading


@every_example
def test_it_ends_in_a_picture(path: Path) -> None:
    body = [node for node in tree_of(path).body if not isinstance(node, ast.FunctionDef)]
    assert ast.unparse(body[-1]) == "plt.show()"
    assert {"subplots", "subplot_mosaic"} & set(called(tree_of(path)))


@every_example
def test_what_it_claims_is_asserted(path: Path) -> None:
    tree = tree_of(path)
    assert len(claims(tree)) >= 2
    for claim in claims(tree):
        if isinstance(claim, ast.Assert):
            assert not isinstance(claim.test, ast.Constant)


@every_example
def test_it_needs_nothing_but_what_the_docs_extra_installs(path: Path) -> None:
    tree = tree_of(path)
    packages = imported(tree) - set(sys.stdlib_module_names) - {"snl_graph"}
    assert {DISTRIBUTIONS.get(name, name).replace("_", "-") for name in packages} <= declared()
    assert not [name for name in called(tree) if DOWNLOADS.search(name)]


@every_example
def test_what_it_takes_from_the_library_is_there(path: Path) -> None:
    taken = [
        (node.module, alias.name)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "snl_graph"
        for alias in node.names
    ]
    assert taken
    for module, name in taken:
        assert hasattr(importlib.import_module(str(module)), name), f"{module}.{name}"


@every_example
def test_it_repeats_itself_and_leaves_a_core_to_others(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert "torch.set_num_threads(1)" in source
    assert "manual_seed(" in source
