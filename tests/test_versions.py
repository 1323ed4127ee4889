"""The page of versions says what is declared, and its script knows the same rows."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NAMES = {
    "PyTorch": "torch",
    "PyTorch Geometric": "torch-geometric",
    "NumPy": "numpy",
    "SciPy": "scipy",
    "NetworkX": "networkx",
    "torchvision (optional)": "torchvision",
    "timm (optional)": "timm",
}


def declared(name: str) -> str:
    """The least version of a dependency, of the library or of its extra for backbones."""
    items = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["backbones"]]
    return next(item.partition(">=")[2] for item in items if item.startswith(f"{name}>="))


def rows() -> dict[str, list[str]]:
    page = (CHECKOUT / "docs" / "versions.md").read_text(encoding="utf-8")
    cells = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ")]
    return {name: versions for name, *versions in cells if versions[0][0].isdigit()}


def test_the_oldest_versions_are_those_that_are_declared() -> None:
    oldest = {name: versions[0] for name, versions in rows().items()}
    wanted = {name: declared(package) for name, package in NAMES.items()}
    assert oldest == {"Python": PROJECT["requires-python"].removeprefix(">="), **wanted}


def test_the_newest_python_is_the_newest_that_is_named() -> None:
    named = re.findall(r"Python :: 3\.(\d+)", " ".join(PROJECT["classifiers"]))
    assert rows()["Python"][1] == f"3.{max(map(int, named))}"


@pytest.mark.parametrize("argument", ["older", "--help"])
def test_the_script_says_what_it_takes(argument: str) -> None:
    done = subprocess.run(
        ["bash", CHECKOUT / ".ci" / "versions", argument],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "usage: .ci/versions [oldest | newest]" in done.stderr
