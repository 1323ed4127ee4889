"""The README's two command lines are the ones that are used, and need nothing but Python."""

import re
import tomllib
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
README = (CHECKOUT / "README.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
COMMAND = re.compile(
    r"^python3 -m venv (?P<venv>\.venv[\w-]*) && "
    r'(?P=venv)/bin/python -m pip install -e "\.\[(?P<extra>\w+)\]" && '
    r"(?P=venv)/bin/python -m (?P<module>[\w.]+)(?P<arguments>( [\w-]+)*)$",
    re.MULTILINE,
)


def command(module: str) -> re.Match[str]:
    """The README's only line that runs this module."""
    (line,) = (line for line in README.splitlines() if f"-m {module}" in line and "venv" in line)
    match = COMMAND.fullmatch(line)
    assert match is not None, line
    return match


@pytest.mark.parametrize("module", ["models.demo", "pytest"])
def test_command_makes_its_own_environment_and_installs_a_quoted_extra(module: str) -> None:
    match = command(module)
    assert match["module"] == module
    assert match["extra"] in PROJECT["optional-dependencies"]


def test_there_are_exactly_two_set_up_lines_in_two_environments() -> None:
    lines = [match[0] for match in COMMAND.finditer(README)]
    assert len(lines) == 2
    assert README.count("pip install -e") == 2
    assert command("models.demo")["venv"] != command("pytest")["venv"]


def test_ci_runs_the_readme_s_test_line_and_has_none_of_its_own() -> None:
    script = (CHECKOUT / ".ci" / "run").read_text(encoding="utf-8")
    (searched,) = re.findall(r"grep -F -- '([^']+)' README\.md", script)
    assert [line for line in README.splitlines() if searched in line] == [command("pytest")[0]]
    assert command("pytest")["venv"] + "/bin/python" in script
    before_lint = script.partition("Lint, format, types")[0]
    assert "pip install" not in before_lint
