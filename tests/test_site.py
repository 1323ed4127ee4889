"""The documentation site as it is written: nothing public is missing, nothing named is invented."""

import doctest
import importlib
import pkgutil
import posixpath
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import snl_graph

CHECKOUT = Path(__file__).parents[1]
DOCS = CHECKOUT / "docs"
DIRECTIVE = re.compile(r"^\.\. (?:auto|py:)(?:function|class|exception|data):: (\S+)", re.MULTILINE)

PROGRAMS = {"bench", "cli"}
"""Parts that are commands: their options are in the reference, not their functions."""

# Modules of one file that serve the public ones. Whoever makes one public moves it out of here.
INSIDE = {
    "checks": "value_checks, which is public, is exported above",
    "choice": "what is public of it is documented with the operators",
    "grids": "feature maps as rows of nodes",
    "memory": "how much memory is left",
    "names": "the lookup of names",
    "places": "names of submodules",
    "probe": "how a network is tried on an example",
    "representations": "what is public of it is documented with the operators",
    "sharding": "what is public of it is documented with the operators",
    "version": "the version, exported above",
}


def public_names() -> Iterator[tuple[str, Any]]:
    """Every name that a person may import, with what it is.

    Those of ``__all__``, and of a module without it those that it defines without an underscore.
    """
    yield from ((f"snl_graph.{name}", getattr(snl_graph, name)) for name in snl_graph.__all__)
    for info in pkgutil.iter_modules(snl_graph.__path__):
        if info.name.startswith("_") or info.name in PROGRAMS | INSIDE.keys():
            continue
        module = importlib.import_module(f"snl_graph.{info.name}")
        for name in getattr(module, "__all__", None) or names_defined_in(module):
            yield f"{module.__name__}.{name}", getattr(module, name)


def names_defined_in(module: ModuleType) -> Iterator[str]:
    """What a module without ``__all__`` defines itself; type variables are no names to import."""
    tables = vars(module).get("__annotations__", {})
    for name, value in list(vars(module).items()):
        is_own = getattr(value, "__module__", None) == module.__name__
        if not name.startswith("_") and name != "ModelT" and (is_own or name in tables):
            yield name


def documented_names() -> list[str]:
    pages = sorted((DOCS / "api").glob("*.rst"))
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    return [name.replace("::", ".") for name in DIRECTIVE.findall(text)]


def imported(name: str) -> Any:
    """What a dotted name stands for; a function hides a module of the same name, as for a user."""
    parts = name.split(".")
    for length in range(len(parts) - 1, 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ImportError:
            continue
        for part in parts[length:]:
            found = getattr(found, part)
        return found
    raise AssertionError(f"{name} cannot be imported")


def missing_from(names: list[str]) -> list[str]:
    """Public names that a reference of these names lacks, whatever else they are called there."""
    objects = [imported(name) for name in names]
    return [
        name
        for name, value in public_names()
        if name not in names and not any(value is known for known in objects)
    ]


def test_every_public_name_is_in_the_reference() -> None:
    assert missing_from(documented_names()) == []


def test_a_name_that_is_left_out_is_found_missing() -> None:
    names = [name for name in documented_names() if not name.endswith(".MexicanHat")]
    assert missing_from(names) == ["snl_graph.filters.MexicanHat"]


def test_nothing_is_in_the_reference_twice() -> None:
    names = documented_names()
    assert sorted(names) == sorted(set(names))


def test_every_page_of_the_reference_is_in_its_contents() -> None:
    contents = (DOCS / "api" / "index.rst").read_text(encoding="utf-8").split(".. toctree::")[1]
    pages = {page.stem for page in (DOCS / "api").glob("*.rst")} - {"index"}
    assert pages == set(re.findall(r"^   ([a-z-]+)$", contents, re.MULTILINE))


def test_modules_that_are_called_inner_exist() -> None:
    modules = {info.name for info in pkgutil.iter_modules(snl_graph.__path__)}
    assert INSIDE.keys() <= modules
    assert modules >= PROGRAMS


@pytest.fixture
def extensions(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    pytest.importorskip("sphinx", reason='the site is built with pip install -e ".[docs]"')
    monkeypatch.syspath_prepend(str(DOCS / "_ext"))
    yield
    for path in (DOCS / "_ext").glob("*.py"):
        sys.modules.pop(path.stem, None)


@pytest.mark.usefixtures("extensions")
def test_names_of_other_projects_exist_where_they_are_said_to_be() -> None:
    inventories = importlib.import_module("inventories")
    for project, names in inventories.NAMES.items():
        assert project in inventories.SITES
        for name in names:
            if project == "python" and "." not in name:
                imported(f"builtins.{name}")
            elif project == "lightning":
                pytest.importorskip("lightning")
                imported(name)
            else:
                imported(name)
    for defined, public in inventories.DEFINED_AT.items():
        assert imported(defined) is imported(public)


@pytest.mark.usefixtures("extensions")
def test_an_inventory_is_one_that_sphinx_reads(tmp_path: Path) -> None:
    inventories = importlib.import_module("inventories")
    from sphinx.util.inventory import InventoryFile

    mapping = inventories.intersphinx_mapping_of(tmp_path, online=True)
    root, (first, second) = mapping["torch"]
    assert first is None  # the project's own inventory
    with Path(second).open("rb") as file:
        found = InventoryFile.load(file, root, posixpath.join)
    assert set(found["py:class"]) == set(inventories.NAMES["torch"])


@pytest.mark.usefixtures("extensions")
@pytest.mark.parametrize("path", sorted((DOCS / "_ext").glob("*.py")), ids=lambda path: path.stem)
def test_examples_of_the_extensions_hold(path: Path) -> None:
    module = importlib.import_module(path.stem)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    assert doctest.testmod(module, optionflags=flags).failed == 0


@pytest.mark.usefixtures("extensions")
def test_links_lead_to_where_the_site_has_their_targets() -> None:
    pages = importlib.import_module("checkout_pages")
    text = (
        "[a](formula.md#affinity) [b](../CONTRIBUTING.md) [c](gallery/) [d](results/) "
        "[e](https://example.org/x.md) [f](#here)\n\n```text\n[g](gallery/)\n```\n"
    )
    assert pages.with_links_of_the_site(text, DOCS, DOCS) == (
        "[a](formula.md#affinity) [b](auto_pages/contributing.markdown) "
        "[c](auto_gallery/index.rst) d "
        "[e](https://example.org/x.md) [f](#here)\n\n```text\n[g](gallery/)\n```\n"
    )


@pytest.mark.usefixtures("extensions")
def test_the_table_of_contents_has_every_page_of_the_home_page() -> None:
    pages = importlib.import_module("checkout_pages")
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    contents = pages.contents_of(pages.with_links_of_the_site(index, DOCS, DOCS))
    entries = set(re.findall(r"^([\w/-]+)$", contents, re.MULTILINE))
    written = {page.relative_to(DOCS).with_suffix("").as_posix() for page in DOCS.rglob("*.md")}
    assert entries >= written - {"index"}
    assert entries >= {"api/index", "auto_gallery/index", "auto_pages/changelog"}
