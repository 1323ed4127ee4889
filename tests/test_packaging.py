"""What is installed: the library alone, with every package that is imported declared."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from snl_graph import __version__

CHECKOUT = Path(__file__).parents[1]
CONFIGURATION = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = CONFIGURATION["project"]
OWN = {"models", "snl_graph", "tests"}


def name_of(requirement: str) -> str:
    """``"torch>=2.6"`` is a requirement of ``"torch"``."""
    return re.split(r"[\[<>=~! ;]", requirement, maxsplit=1)[0].lower()


def declared(*extras: str) -> set[str]:
    """Names of the base dependencies and those of the extras, and of the extras they name."""
    names = {name_of(item) for item in PROJECT["dependencies"]}
    for extra in extras:
        for item in PROJECT["optional-dependencies"][extra]:
            nested = re.fullmatch(r"snl-graph\[([\w,]+)\]", item)
            names |= declared(*nested[1].split(",")) if nested else {name_of(item)}
    return names


def third_party_imports(folder: Path) -> Iterator[tuple[str, str]]:
    """Distributions that the Python files of a folder import, each with one file that does."""
    distributions = packages_distributions()
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                modules = [node.module or ""]
            else:
                continue
            for module in {module.partition(".")[0] for module in modules}:
                if module not in OWN and module not in sys.stdlib_module_names:
                    (name,) = set(distributions.get(module, [module]))
                    yield name.lower(), path.relative_to(CHECKOUT).as_posix()


@pytest.mark.parametrize(
    ("folder", "extras"),
    [("snl_graph", ("plot", "models")), ("models", ("models",)), ("tests", ("test", "docs"))],
)
def test_every_import_is_declared(folder: str, extras: tuple[str, ...]) -> None:
    imported = dict(third_party_imports(CHECKOUT / folder))
    assert "torch" in imported
    undeclared = {name: path for name, path in imported.items() if name not in declared(*extras)}
    assert undeclared == {}


def test_dependencies_are_ranges() -> None:
    requirements = [
        *PROJECT["dependencies"],
        *(item for extra in PROJECT["optional-dependencies"].values() for item in extra),
    ]
    third_party = [item for item in requirements if not item.startswith("snl-graph[")]
    assert [item for item in third_party if not re.fullmatch(r"[\w-]+>=[\d.]+", item)] == []


def test_the_wheel_holds_the_library_alone() -> None:
    wheel = CONFIGURATION["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel == {"packages": ["snl_graph"]}


def test_the_citation_names_the_version_of_the_library() -> None:
    citation = (CHECKOUT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^version: (\S+)$", citation, re.MULTILINE) == [__version__]
