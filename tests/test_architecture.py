"""Imports of the library point downward only, and every module is named for its concept."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
LIBRARY = CHECKOUT / "snl_graph"

# From the top to the ground. A part may import what stands on a lower line, and itself; parts on
# one line do not know each other.
LAYERS = [
    {"cli"},
    {"bench"},
    {"plotting", "explorer", "environment", "monitor"},
    {"spectral", "attention", "interchange", "backbones"},
    {"insert", "transforms"},
    {"places", "nets"},
    {"conv"},
    {"blocks"},
    {"affinity"},
    {"choice"},
    {"representations"},
    {"filters"},
    {"kernels", "normalizations"},
    {"operators"},
    {"masks"},
    {"grids"},
    {"checks", "memory", "names", "probe", "version"},
    {"sharding"},
]
LEVEL = {part: level for level, layer in enumerate(LAYERS) for part in layer}
# The front page, snl_graph/__init__.py, imports the public names of every part: it has no level.
MODULES = sorted(path for path in LIBRARY.rglob("*.py") if path != LIBRARY / "__init__.py")


def part_of(module: str) -> str:
    """``snl_graph.operators.dense`` belongs to ``operators``; the package itself is ''."""
    return module.split(".")[1] if "." in module else ""


def imported_modules(source: str, package: str) -> Iterator[str]:
    """Full names of all modules that a source imports, wherever in it the import stands."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) + 1 - node.level]
            module = ".".join([*base, node.module or ""] if node.level else [node.module or ""])
            if module.rstrip(".") == "snl_graph":  # from snl_graph import masks
                yield from (f"snl_graph.{alias.name}" for alias in node.names)
            else:
                yield module


def upward_imports(source: str, part: str, package: str) -> list[str]:
    """Imports of a part of the library that do not point downward."""
    inside = {name for name in imported_modules(source, package) if name.startswith("snl_graph.")}
    return sorted(
        name
        for name in inside
        if part_of(name) != part and LEVEL.get(part_of(name), -1) <= LEVEL[part]
    )


def name_of(path: Path) -> str:
    return path.relative_to(CHECKOUT).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_downward(path: Path) -> None:
    dotted = path.relative_to(CHECKOUT).with_suffix("").as_posix().replace("/", ".")
    package = dotted.rpartition(".")[0]
    assert upward_imports(path.read_text(encoding="utf-8"), part_of(dotted), package) == []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("from snl_graph.conv import SNLConv", ["snl_graph.conv"]),
        ("from snl_graph import affinity", ["snl_graph.affinity"]),
        ("import snl_graph.blocks.table", ["snl_graph.blocks.table"]),
        ("from ..kernels.dot import Dot", ["snl_graph.kernels.dot"]),
        ("def late():\n    from snl_graph.spectral import spectrum", ["snl_graph.spectral"]),
        ("from snl_graph.unheard import x", ["snl_graph.unheard"]),
        ("from snl_graph.masks import Mask\nfrom .base import Operator\nimport torch", []),
    ],
)
def test_an_import_that_points_upward_is_found(line: str, found: list[str]) -> None:
    assert upward_imports(line, "operators", "snl_graph.operators") == found


def test_every_part_of_the_library_has_its_place_in_the_layers() -> None:
    parts = {part_of(name_of(path).removesuffix(".py").replace("/", ".")) for path in MODULES}
    assert parts <= LEVEL.keys()


def test_no_module_is_a_drawer_for_everything() -> None:
    drawers = {"utils", "util", "helpers", "helper", "common", "misc"}
    places = [*MODULES, *(CHECKOUT / "models").rglob("*.py")]
    assert [name_of(path) for path in places if path.stem in drawers] == []


def test_the_library_never_imports_the_networks_or_the_tests() -> None:
    for path in MODULES:
        package = ".".join(path.relative_to(CHECKOUT).parts[:-1])
        tops = {
            name.partition(".")[0]
            for name in imported_modules(path.read_text(encoding="utf-8"), package)
        }
        assert not tops & {"models", "tests"}, name_of(path)


def test_torch_scatter_is_never_called_directly() -> None:
    """Its segment reductions have wrong second derivatives; PyG decides where it is used."""
    named = []
    for path in [*MODULES, *(CHECKOUT / "models").rglob("*.py")]:
        package = ".".join(path.relative_to(CHECKOUT).parts[:-1])
        modules = imported_modules(path.read_text(encoding="utf-8"), package)
        named += [name_of(path) for module in modules if module.startswith("torch_scatter")]
    assert named == []
