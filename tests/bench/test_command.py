"""The command runs, and what it prints can be read by programs and people."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from snl_graph.bench import command, machine
from snl_graph.bench.bars import CASES
from snl_graph.bench.cases import Finding, Outcome, PeakCase
from snl_graph.bench.contenders import Contender
from snl_graph.bench.machine import Machine
from snl_graph.bench.problems import BlockProblem
from snl_graph.bench.question import sizes_up_to
from snl_graph.bench.report import BEGIN, END, write_markdown
from snl_graph.cli import app

TINY = ["--channels", "32", "--size", "8", "9", "--rounds", "1", "--seconds", "0", "--no-peaks"]
IDLE = Machine("a processor", 1, "2", "2", "0", "os", 0.0, None)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["bench", *arguments], env={"COLUMNS": "100"})
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_answer_names_the_fastest_and_what_auto_takes() -> None:
    text = run(*TINY, "--points", "2")
    assert '"auto" takes "factored"' in text
    assert "forward+backward: " in text
    for name in ("naive dense", "factored", "edges", "messages (PyG)", "ChebConv (PyG)", "floor"):
        assert name in text
    assert "written out" not in text  # what is only compared with


def test_the_answer_as_json_holds_every_number() -> None:
    answer = json.loads(run(*TINY, "--points", "3", "--json"))
    assert answer["machine"]["threads"] == 1
    found = answer["answer"]
    assert (found["block"], found["size"], found["auto"]) == ("snl", [8, 9], "factored")
    assert [one["nodes"] for one in found["sizes"]] == [4, 16, 72]
    asked = found["sizes"][-1]["contenders"]
    assert set(asked) >= {"dense", "edges", "factored", "naive dense", "floor"}
    for contender in asked.values():
        assert set(contender["seconds"]) == {"forward", "forward+backward"}
        assert contender["seconds"]["forward"]["median"] > 0
        assert contender["difference"]["forward+backward"] <= 1e-4
        assert contender["saved_bytes"] > 0
    assert set(found["growth"]["forward"]["factored"]) == {"exponent", "standard_error", "factor"}
    assert set(found["fastest"]) == {"forward", "forward+backward"}


def test_forward_alone_keeps_nothing_and_a_picture_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    picture, saved = tmp_path / "new" / "answer.png", tmp_path / "answer.json"
    run(*TINY, "--forward", "--block", "nl", "--plot", str(picture), "--save", str(saved))
    assert picture.read_bytes().startswith(b"\x89PNG")
    found = json.loads(saved.read_text(encoding="utf-8"))["answer"]
    assert set(found["growth"]) == {"forward"}
    assert found["sizes"][-1]["contenders"]["streaming"]["saved_bytes"] is None


@pytest.mark.parametrize(
    "case", [case for case in CASES if not isinstance(case, PeakCase)], ids=lambda case: case.name
)
def test_every_case_runs_at_a_toy_size(case: object) -> None:
    outcome = case.small().run()  # type: ignore[attr-defined]
    assert outcome.missing is None
    assert outcome.findings
    assert all(finding.measured is not None for finding in outcome.findings)
    assert json.loads(json.dumps(outcome.to_dict()))["case"] == outcome.case
    assert outcome.work.startswith("toy: ")


def test_chosen_cases_as_json_and_markdown_and_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    page, picture = tmp_path / "page.md", tmp_path / "images" / "bars.png"
    page.write_text(f"before\n\n{BEGIN}\nold\n{END}\n\nafter\n", encoding="utf-8")
    options = ["--smoke", "--json", "--markdown", str(page), "--plot", str(picture)]
    cases = json.loads(run("--case", "growth", "--case", "block-14", *options))["cases"]
    assert [case["case"] for case in cases] == ["growth", "block-14"]
    (finding,) = cases[1]["findings"]
    assert set(finding) == {"claim", "measured", "bar", "direction", "unit", "is_met"}
    assert finding["is_met"] == (finding["measured"] >= finding["bar"])
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "(8, 1024, 14×14)" in text
    assert "](images/bars.png)" in text
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_case_whose_representation_is_not_there_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from snl_graph.representations import REPRESENTATIONS

    monkeypatch.delitem(REPRESENTATIONS, "streaming")
    (case,) = (case for case in CASES if case.name == "streaming-1024")
    outcome = case.run()
    assert outcome.findings == []
    assert outcome.missing == "not there: streaming, streaming, four attention calls"


def test_a_case_of_unequal_work_says_so_and_reports_no_ratio(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = BlockProblem.contender

    def sloppy(self: BlockProblem, name: str) -> Contender:
        made = honest(self, name)
        return replace(made, output=lambda: made.output() * (2 if name == "naive dense" else 1))

    monkeypatch.setattr(BlockProblem, "contender", sloppy)
    (case,) = (case for case in CASES if case.name == "block-14")
    outcome = case.small().run()
    assert outcome.findings == []
    assert "do not do the same work" in (outcome.missing or "")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--case", "growht"], "growth"),
        (["--block", "snk"], "snl"),
        (["--smoke"], "--bars"),
        (["--markdown", "x.md"], "--bars"),
    ],
)
def test_wrong_calls_are_refused_with_what_to_do(arguments: list[str], word: str) -> None:
    result = CliRunner().invoke(app, ["bench", *arguments], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert word in result.output


def test_a_busy_machine_is_told_and_an_idle_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert IDLE.warning() is None
    monkeypatch.setattr(machine, "load_average", lambda: 7.25)
    assert "7.2" in (machine.machine().warning() or "")
    assert "warning" in run(*TINY, "--forward", "--points", "1")


def test_the_number_of_threads_is_set_for_the_run_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    before, seen = torch.get_num_threads(), []
    monkeypatch.setattr(command, "_ask", lambda *_: seen.append(torch.get_num_threads()) or 1 / 0)
    result = CliRunner().invoke(app, ["bench", "--threads", "3"])
    assert isinstance(result.exception, ZeroDivisionError)
    assert seen == [3]
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("measured", "is_at_least", "is_met", "margin"),
    [
        (10.0, True, True, 2.0),
        (2.5, True, False, 0.5),
        (10.0, False, False, 0.5),
        (2.5, False, True, 2.0),
    ],
)
def test_bars_have_a_direction(
    measured: float, is_at_least: bool, is_met: bool, margin: float
) -> None:
    finding = Finding("claim", measured, 5.0, is_at_least)
    assert (finding.is_met, finding.margin) == (is_met, margin)
    assert Finding("claim", None, 5.0, is_at_least).is_met is None


def test_a_table_is_written_to_a_new_file(tmp_path: Path) -> None:
    path = tmp_path / "table.md"
    outcome = Outcome("a", "some work", [Finding("ratio", 12.345, 12.0, True)], missing="gone")
    write_markdown(path, IDLE, [outcome], None)
    text = path.read_text(encoding="utf-8")
    assert "| some work | ratio | 12.35× | ≥ 12.00× | met |" in text
    assert "|  | gone | – | – | not measured |" in text


def test_sizes_are_spread_evenly_up_to_the_size_asked_for() -> None:
    assert sizes_up_to((56, 56), 3) == [(14, 14), (28, 28), (56, 56)]
    assert sizes_up_to((7, 5), 1) == [(7, 5)]
    assert sizes_up_to((1, 1), 4) == [(1, 1)]
    with pytest.raises(ValueError, match="at least 1"):
        sizes_up_to((4, 4), 0)
