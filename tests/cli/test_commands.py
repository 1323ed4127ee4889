"""What all commands share: clean output, files that are never lost, help, one line for an error."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from snl_graph.cli import app, errors
from snl_graph.cli.errors import CommandError, one_line, reported
from tests.cli.runner import error, facts, run

COMMANDS = ("spectrum", "check", "response", "density", "attention", "explore")


@pytest.fixture(autouse=True)
def in_a_new_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_examples(command: str) -> None:
    text = run(command, "--help")
    examples = sys.modules[f"snl_graph.cli.{command}"].EXAMPLES
    before, listed = text.split("Examples:")
    assert "--model" in before
    starts = [line.strip() for line in listed.splitlines() if "snl-graph" in line]
    assert len(starts) == len(examples)  # one a line
    for line, example in zip(starts, examples, strict=True):
        assert example.startswith(line.removeprefix("•").strip())
        assert example.startswith(f"snl-graph {command}")


def test_every_example_of_the_help_on_a_named_graph_runs() -> None:
    ran = 0
    for command in ("spectrum", "check", "response", "density"):
        examples = sys.modules[f"snl_graph.cli.{command}"].EXAMPLES
        for example in examples:
            arguments = example.split()[1:]
            if not {"mine:network", "graph.graphml", "edges.csv"} & set(arguments):
                run(*arguments)
                ran += 1
    assert ran == 6


@pytest.mark.parametrize(
    "arguments",
    [
        ("spectrum", "karate"),
        ("check", "karate"),
        ("density", "karate"),
        ("response", "--filter", "heat"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_json_alone_is_on_stdout_even_while_progress_is_shown(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Console, "is_terminal", True)
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0
    json.loads(result.stdout)
    if arguments[0] != "response":
        assert "karate" in result.stderr  # what is being read


def test_nothing_but_results_is_printed_where_nobody_watches() -> None:
    result = CliRunner().invoke(app, ["spectrum", "karate"])
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("suffix", "start"),
    [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml"), (".json", b"{"), (".npz", b"PK")],
)
def test_a_file_is_of_the_kind_its_name_says(suffix: str, start: bytes) -> None:
    path = Path(f"out{suffix}")
    for command in ("spectrum", "density"):
        assert f"wrote {path}" in run(command, "karate", "--output", path, "--force")
        assert path.read_bytes().startswith(start)
    assert [one.name for one in Path().iterdir()] == [path.name]  # no part is left behind


def test_several_files_at_once_hold_the_same_numbers() -> None:
    text = run("spectrum", "karate", "-o", "a.json", "--save", "a.csv", "--output", "a.npz")
    assert text.endswith("wrote a.json\nwrote a.csv\nwrote a.npz\n")
    (graph,) = json.loads(Path("a.json").read_text())["graphs"]
    written = np.loadtxt("a.csv", delimiter=",", skiprows=1, usecols=(2, 3))
    np.testing.assert_array_equal(written[:, 0], graph["eigenvalues"])
    np.testing.assert_array_equal(written[:, 1], 0)
    np.testing.assert_array_equal(np.load("a.npz")["eigenvalues"], graph["eigenvalues"])
    (density,) = facts("density", "karate", "-o", "d.csv", "-o", "d.npz")["graphs"]
    written = np.loadtxt("d.csv", delimiter=",", skiprows=1, usecols=(1, 2))
    np.testing.assert_array_equal(written.T, [density["lambdas"], density["density"]])
    np.testing.assert_array_equal(np.load("d.npz")["density"], density["density"])


@pytest.mark.parametrize("suffix", [".png", ".csv"])
def test_a_file_that_exists_is_kept_unless_forced(suffix: str) -> None:
    path = Path(f"mine{suffix}")
    path.write_text("precious")
    line = error("spectrum", "karate", "-o", path)
    assert f"{path} exists and was left as it is" in line
    assert "--force" in line
    assert path.read_text() == "precious"
    run("spectrum", "karate", "-o", path, "--force")
    assert path.read_bytes() != b"precious"


def test_what_cannot_be_written_is_said_before_anything_is_computed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("computed")

    monkeypatch.setattr(sys.modules["snl_graph.cli.spectrum"], "graphs_of", never)
    Path("folder.png").mkdir()
    for path, words in (
        ("out.docx", "end its name in .png"),
        ("out", "end its name in .png"),
        ("no/such/out.png", "there is no folder no/such"),
        ("folder.png", "is a folder"),
    ):
        assert words in error("spectrum", "karate", "-o", path)
    assert "same name" in error("spectrum", "karate", "-o", "a.csv", "-o", "./a.csv")
    assert "end its name in .json, .csv" in error("check", "karate", "-o", "a.png")
    assert "end its name in .html" in error("explore", "x.png", "-o", "a.png")


def test_a_file_that_fails_half_way_leaves_the_old_one() -> None:
    Path("old.csv").write_text("precious")
    (report,) = [sys.modules["snl_graph.cli.report"]]

    def fail(part: Path) -> None:
        part.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        report.replace_whole(Path("old.csv"), fail)
    assert [(one.name, one.read_text()) for one in Path().iterdir()] == [("old.csv", "precious")]


def test_pictures_and_images_name_the_extra_that_they_need(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert 'pip install "snl-graph[plot]"' in error("spectrum", "karate", "-o", "a.png")
    run("spectrum", "karate", "-o", "a.csv")
    monkeypatch.setitem(sys.modules, "PIL", None)
    Path("photo.png").write_bytes(b"")
    line = error("attention", "photo.png", "--model", "tests.cli.networks:cnn")
    assert 'images need Pillow: pip install "snl-graph[plot]"' in line


def test_more_graphs_than_a_picture_holds_are_refused() -> None:
    import torch
    from torch_geometric.data import Data

    torch.save([Data(edge_index=torch.tensor([[0], [1]]), num_nodes=2)] * 13, "many.pt")
    assert "a picture holds 1 to 12 graphs" in error("spectrum", "many.pt", "-o", "many.png")
    run("spectrum", "many.pt", "-o", "one.png", "--item", 12)


def test_a_few_eigenvalues_are_called_the_least() -> None:
    assert "5 eigenvalues of least real part of L = I − A" in run("spectrum", "karate", "-k", 5)
    assert "1 eigenvalue of L = I − A" in run("spectrum", "path:1")


def test_eigenvalues_near_0_that_iterations_tell_apart_are_told_apart() -> None:
    text = run("spectrum", "cycle:9000", "-k", 3)
    exact = 1 - np.cos(2 * np.pi / 9000)
    assert text.splitlines()[-1].split() == ["0.000000", f"{exact:.2e}", f"{exact:.2e}"]


def test_many_eigenvalues_are_shortened_on_a_terminal_alone() -> None:
    text = run("spectrum", "cycle:200")
    assert "136 more" in text
    assert len(text.splitlines()) < 20
    assert len(facts("spectrum", "cycle:200")["graphs"][0]["eigenvalues"]) == 200


@pytest.mark.parametrize(
    "name", ["path", "path:", "path:x", "path:-1", "path:2x3", "grid:3", "karate:3", "regular:3x3"]
)
def test_a_name_with_wrong_numbers_says_how_it_is_written(name: str) -> None:
    assert f'"{name}"' in error("spectrum", name)


def test_responses_of_a_filter_are_its_formula() -> None:
    (heat,) = facts("response", "--filter", "heat", "-K", 2, "--points", 5)["responses"]
    at = np.linspace(0, 2, 5)
    np.testing.assert_allclose(heat["lambdas"], at)
    np.testing.assert_allclose(np.array(heat["values"]), np.exp(-np.outer(at, [1, 2])), atol=1e-12)
    (on_a_graph,) = facts("response", "cycle:6", "--filter", "monomial", "-K", 3)["responses"]
    lambdas = np.sort(1 - np.cos(2 * np.pi * np.arange(6) / 6))
    np.testing.assert_allclose(on_a_graph["lambdas"], lambdas, atol=1e-12)
    powers = (1 - lambdas[:, None]) ** np.arange(3)
    np.testing.assert_allclose(on_a_graph["values"], powers, atol=1e-12)
    run("response", "--filter", "meyer", "-K", 4, "-o", "meyer.svg", "-o", "meyer.csv")
    assert 'unknown filter "heet". Did you mean "heat"?' in error("response", "--filter", "heet")
    assert "say whose response" in error("response")
    assert "say whose response" in error("response", "--filter", "heat", "--model", "a:b")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--model", "a:b", "-K", 4), "-K goes with --filter"),
        (("--filter", "heat", "--item", 0), "--directed and --item go with a SOURCE"),
        (("--filter", "heat", "--directed"), "--directed and --item go with a SOURCE"),
        (("karate", "--filter", "heat", "--points", 4), "--points goes without a SOURCE"),
        (("photo.png", "--model", "a:b", "--directed"), "--directed goes with an edge list"),
    ],
)
def test_a_response_ignores_no_option(options: tuple[object, ...], words: str) -> None:
    assert words in error("response", *options)


@pytest.mark.parametrize("name", sorted(sys.modules["snl_graph.filters"].FILTERS))
def test_every_filter_has_a_response(name: str) -> None:
    (one,) = facts("response", "--filter", name, "-K", 2, "--points", 4)["responses"]
    assert np.shape(one["values"])[:2] == (4, len(one["columns"]))


def test_an_error_keeps_its_traceback_where_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(errors.TRACEBACK, "1")
    result = CliRunner().invoke(app, ["spectrum", "nope"])
    assert isinstance(result.exception, CommandError)


def test_warnings_are_one_line_each_and_leave_stdout_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    @reported
    def command() -> None:
        for _ in range(2):
            warnings.warn("first\n  second", stacklevel=1)
        warnings.warn("of another package", DeprecationWarning, stacklevel=1)

    command()
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "snl-graph test_commands: warning: first second\n"


def test_out_of_memory_is_said_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> None:
        raise MemoryError

    import typer

    with pytest.raises(typer.Exit):
        reported(command)()
    assert "more memory than there is" in capsys.readouterr().err


def test_a_reader_that_leaves_early_is_no_error() -> None:
    @reported
    def command() -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):  # which the command's frame answers with silence
        command()


def test_a_line_stays_one_line() -> None:
    assert one_line("a\n\n b\tc\x1b[0m") == "a b c�[0m"
    assert one_line("x" * 2000).endswith("x …")
