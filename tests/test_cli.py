"""The command line answers with facts a program can read, and needs only the base install."""

import json
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from snl_graph import environment as environment_module
from snl_graph.cli import app
from snl_graph.version import __version__

CHECKOUT = Path(__file__).parents[1]


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "100"})
    assert result.exit_code == 0, result.output
    return result.output


def test_info_as_json_holds_the_facts_of_this_environment() -> None:
    facts = json.loads(run("info", "--json"))
    assert facts["snl_graph"] == __version__
    assert facts["python"] == platform.python_version()
    assert facts["torch"] == torch.__version__
    assert facts["torch_geometric"] == version("torch-geometric")
    assert facts["threads"] == torch.get_num_threads()
    assert facts["cpu"] == torch.backends.cpu.get_cpu_capability()
    for package in ("networkx", "numpy", "scipy"):
        assert facts[package] == version(package)
    assert (facts["cuda"] is None) == (torch.version.cuda is None)
    assert facts["memory"] is None or float(facts["memory"].removesuffix(" GiB")) > 0
    assert facts["devices"][0] == "cpu"
    assert len([d for d in facts["devices"] if d.startswith("cuda")]) == torch.cuda.device_count()


def test_info_prints_one_line_for_each_fact() -> None:
    lines = run("info").splitlines()
    facts = json.loads(run("info", "--json"))
    assert [line.split()[0].replace("-", "_") for line in lines] == list(facts)
    assert any(line.split() == ["snl-graph", __version__] for line in lines)


def test_version_is_printed_and_nothing_else() -> None:
    assert run("--version") == f"snl-graph {__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["info", "--help"]])
def test_help_shows_examples(arguments: list[str]) -> None:
    text = run(*arguments)
    assert "Examples" in text
    assert "snl-graph info --json" in " ".join(text.split())


def test_an_extension_that_does_not_load_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(module: str) -> None:
        raise OSError(f"{module}.so: undefined symbol: _ZN3c105\nlong tail")

    monkeypatch.setattr(environment_module, "installed_version", lambda _: "2.1.2")
    monkeypatch.setattr(environment_module, "import_module", fail)
    answer = environment_module.environment().torch_scatter
    assert answer == (
        "2.1.2, which does not load (torch_scatter.so: undefined symbol: _ZN3c105); "
        "build it again for this PyTorch"
    )


def test_no_compiler_is_reported_as_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    assert environment_module.cpp_compiler() is None


def test_compiler_named_by_CXX_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    compiler = tmp_path / "my-c++"
    compiler.write_text("#!/bin/sh\necho my compiler 1.0\necho more\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    assert environment_module.cpp_compiler() == "my compiler 1.0"


ONLY_THE_BASE_DEPENDENCIES = """
import builtins

absent = {"lightning", "matplotlib", "models", "sklearn", "timm", "torch_scatter", "torch_sparse",
          "torchmetrics", "torchvision", "yaml"}
real_import = builtins.__import__

def import_unless_absent(name, globals=None, locals=None, fromlist=(), level=0):
    if level == 0 and name.partition(".")[0] in absent:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    return real_import(name, globals, locals, fromlist, level)

builtins.__import__ = import_unless_absent

import snl_graph
from snl_graph.cli import app

app(["info", "--json"])
"""


def test_the_base_install_is_enough_and_says_nothing_else() -> None:
    """No optional package is imported, and no warning of a third party reaches the user."""
    answer = subprocess.run(
        [sys.executable, "-c", ONLY_THE_BASE_DEPENDENCIES],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), "PYTHONWARNINGS": ""},
    )
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["snl_graph"] == __version__
    assert answer.stderr == ""
