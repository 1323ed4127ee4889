"""The command that makes tables and pictures from records."""

import re
import shutil
import xml.etree.ElementTree as ET

import pytest

from models import tables
from models.studies.catalogue import STUDIES
from models.studies.figures import FIGURES
from models.studies.ledger import Ledger, Record


def record(run, accuracy):
    return Record(
        run.setting,
        run.row,
        run.seed,
        accuracy,
        0.1,
        77,
        3.0,
        "",
        "2",
        "c",
        run.trial.fingerprint(),
    )


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """Two seeds of every study."""
    folder = tmp_path_factory.mktemp("records")
    for name in FIGURES:
        ledger = Ledger(folder / STUDIES[name].results)
        for number, run in enumerate(STUDIES[name].runs(2)):
            ledger.append(record(run, 50 + number / 10))
    return folder


@pytest.fixture
def folder(tmp_path, records):
    """The records, and a page with all markers."""
    for path in records.glob("*.csv"):
        shutil.copy(path, tmp_path)
    markers = "\n".join(f"<!-- begin {name} -->\n<!-- end {name} -->" for name in STUDIES)
    (tmp_path / "page.md").write_text(f"# Results\n\n{markers}\n\nThe end.\n")
    return tmp_path


def run_command(folder, *args):
    tables.main([*args, "--results", str(folder), "--page", str(folder / "page.md")])


def test_a_table_is_printed_and_nothing_changed(folder, capsys):
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    run_command(folder, "fashion")
    out = capsys.readouterr().out
    assert out.startswith("# Fashion-MNIST: every block")
    assert "**Partial: 20 of 100 runs.**" in out
    assert "| snl | 2 | " in out
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_writing_fills_the_page_and_draws_the_pictures(folder):
    run_command(folder, "all", "--write")
    page = (folder / "page.md").read_text()
    assert page.startswith("# Results\n")
    assert page.endswith("The end.\n")
    for name in STUDIES:
        between = page.partition(f"<!-- begin {name} -->")[2].partition(f"<!-- end {name} -->")[0]
        assert re.search(r"\d runs", between), name
    for name in FIGURES:
        assert ET.parse(folder / f"{name}.svg").getroot().tag.endswith("svg")
    first = {path.name: path.read_bytes() for path in folder.glob("*.svg")}
    run_command(folder, "all", "--write")
    assert (folder / "page.md").read_text() == page
    assert {path.name: path.read_bytes() for path in folder.glob("*.svg")} == first


def test_the_picture_shows_the_numbers_of_the_records(folder):
    study = STUDIES["far_pair"]
    found = tables.cells(study, Ledger(folder / study.results).read())
    plain, zero_init = FIGURES["far_pair"](study, found).axes
    for axes, row in ((plain, "snl"), (zero_init, "snl, zero-init"), (zero_init, "se")):
        (shown,) = (bars for bars in axes.containers if bars.get_label() == row.split(",")[0])
        distances, means = shown.lines[0].get_data()
        assert list(distances) == [float(setting) for setting in study.trials]
        assert list(means) == [found[setting, row].mean for setting in study.trials]


def shown_means(axes, rows):
    """Where the diamonds stand, by row."""
    marked = [line.get_data() for line in axes.lines if line.get_marker() == "D"]
    return {rows[int(heights[0])]: means[0] for means, heights in marked}


def test_the_picture_of_ablations_shows_paired_differences(folder):
    study = STUDIES["channels"]
    found = tables.cells(study, Ledger(folder / study.results).read())
    figure = FIGURES["channels"](study, found)
    for axes, (setting, trials) in zip(figure.axes, study.trials.items(), strict=True):
        assert axes.get_title() == setting
        rows = [label.get_text() for label in figure.axes[0].get_yticklabels()]
        assert rows == [row for row in trials if row != "baseline"]
        differences = {
            row: found[setting, row].mean - found[setting, "baseline"].mean for row in rows
        }
        assert shown_means(axes, rows) == pytest.approx(differences)


def test_the_picture_of_graphs_shows_every_run(folder):
    study = STUDIES["graphs"]
    found = tables.cells(study, Ledger(folder / study.results).read())
    figure = FIGURES["graphs"](study, found)
    for axes, (setting, trials) in zip(figure.axes, study.trials.items(), strict=True):
        rows = list(trials)
        assert axes.get_title() == setting
        assert shown_means(axes, rows) == pytest.approx({r: found[setting, r].mean for r in rows})
        points = [line.get_data() for line in axes.lines if line.get_marker() == "o"]
        assert [sorted(values) for values, _ in points] == [
            sorted(found[setting, row].accuracies.values()) for row in rows
        ]


def test_an_unknown_table_is_one_line(folder, capsys):
    with pytest.raises(SystemExit) as caught:
        run_command(folder, "table7")
    assert caught.value.code == 2
    assert re.search('unknown table "table7".*fashion', capsys.readouterr().err)


def test_the_page_of_results_has_a_place_for_every_table():
    page = tables.PAGE.read_text(encoding="utf-8")
    for name, study in STUDIES.items():
        tables.put(page, name, "")
        assert f"python -m models.sweep {name}`" in page
        assert f"results/{study.results}" in page
