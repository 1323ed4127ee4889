"""Scripts that print tables of costs run, here at toy sizes, and are named on the pages."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
TOYS: dict[str, tuple[dict[str, object], str]] = {
    "measure_allocations": ({"SHAPE": (2, 4, 3, 5)}, "page faults: median"),
    "measure_layer": (
        {"NODES": 60, "EDGES": 200, "INPUT": 6, "OUTPUT": 4},
        "torch.sparse matrix, later calls",
    ),
    "measure_projections": ({"SHAPES": ((2, 4, 3, 5),)}, "2×4×3×5"),
}


@pytest.mark.parametrize("name", TOYS)
def test_a_script_of_costs_prints_its_table(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    sizes, row = TOYS[name]
    for constant, size in sizes.items():
        assert hasattr(script, constant)
        monkeypatch.setattr(script, constant, size)
    script.main()
    assert row in capsys.readouterr().out


def test_every_script_of_costs_is_named_on_a_page() -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in DOCS.glob("*.md"))
    for script in DOCS.glob("measure_*.py"):
        assert f"python docs/{script.name}" in pages
