"""The release checklist refuses what is not ready, and says what to do."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

CHECKOUT = Path(__file__).parents[2]
SCRIPT = CHECKOUT / ".ci" / "release"
NEEDED = ("CHANGELOG.md", "CITATION.cff", "snl_graph/version.py", ".ci/release")

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with the files that the checklist reads, ready for a release."""
    for name in NEEDED:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / name, tmp_path / name)
    (tmp_path / "snl_graph/version.py").write_text('__version__ = "1.2.3"\n')
    (tmp_path / "CHANGELOG.md").write_text(
        "# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2026-02-03\n\n### Fixed\n\n- A thing.\n\n"
        "## [1.2.2] - 2026-01-01\n\n### Added\n\n- Another.\n"
    )
    (tmp_path / "CITATION.cff").write_text('version: 1.2.3\ndate-released: "2026-02-03"\n')
    git(tmp_path, "init", "-q", "-b", "main")
    commit(tmp_path)
    return tmp_path


def commit(repository: Path) -> None:
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "Change")


def change(repository: Path, name: str, old: str, new: str) -> None:
    path = repository / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def run(repository: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(repository / ".ci/release"), *options],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_release_that_is_ready_is_let_through(repository: Path) -> None:
    answer = run(repository, "--only", "state")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert answer.stdout.count("  yes  ") == 4
    assert answer.stdout.startswith("snl-graph 1.2.3\n")


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        (
            "snl_graph/version.py",
            "1.2.3",
            "1.2.4",
            "must begin with ## [Unreleased] and ## [1.2.4]",
        ),
        ("snl_graph/version.py", "1.2.3", "1.2", "a semantic version"),
        ("snl_graph/version.py", "1.2.3", "01.2.3", "a semantic version"),
        ("CITATION.cff", "version: 1.2.3", "version: 1.2.2", "must say `version: 1.2.3`"),
        ("CITATION.cff", "02-03", "02-04", "must say `date-released: 2026-02-03`"),
        ("CITATION.cff", "date-released", "date", "it says 'nothing'"),
        ("CHANGELOG.md", "[Unreleased]\n", "[Unreleased]\n\n- New.\n", "entries under Unreleased"),
        ("CHANGELOG.md", "## [Unreleased]\n", "", "must begin with ## [Unreleased]"),
        ("CHANGELOG.md", " - 2026-02-03", "", "needs its date"),
        ("CHANGELOG.md", "2026-02-03", "3.2.2026", "needs its date"),
        ("CHANGELOG.md", "### Fixed\n\n- A thing.\n", "", "says nothing of 1.2.3"),
        ("CHANGELOG.md", "### Fixed", "### Repaired", "known are Added, Changed"),
    ],
)
def test_facts_that_disagree_are_refused(
    repository: Path, name: str, old: str, new: str, says: str
) -> None:
    change(repository, name, old, new)
    commit(repository)
    answer = run(repository, "--dry-run", "--skip-ci")
    assert answer.returncode == 1, answer.stdout
    assert says in answer.stdout + answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_dirty_tree_is_refused(repository: Path) -> None:
    (repository / "new.txt").write_text("not committed")
    answer = run(repository, "--dry-run", "--skip-ci")
    assert answer.returncode == 1
    assert "1 uncommitted change(s), the first '?? new.txt'" in answer.stdout
    assert "1 thing(s) are not ready" in answer.stderr


def test_a_tag_that_is_taken_is_refused(repository: Path) -> None:
    git(repository, "tag", "v1.2.3")
    answer = run(repository, "--dry-run", "--skip-ci")
    assert answer.returncode == 1
    assert "the tag v1.2.3 is there already. Raise the version" in answer.stdout


def test_all_that_is_not_ready_is_told_at_once(repository: Path) -> None:
    git(repository, "tag", "v1.2.3")
    change(repository, "CITATION.cff", "1.2.3", "1.2.2")
    answer = run(repository, "--dry-run")
    assert "3 thing(s) are not ready" in answer.stderr


def test_the_tests_are_left_out_of_a_dry_run_alone(repository: Path) -> None:
    answer = run(repository, "--skip-ci")
    assert answer.returncode == 1
    assert "--skip-ci is for a dry run alone" in answer.stderr


def test_older_distributions_are_not_mixed_with_new_ones(repository: Path) -> None:
    (repository / "dist").mkdir()
    (repository / "dist/snl_graph-1.2.2.tar.gz").touch()
    answer = run(repository)
    assert answer.returncode == 1
    assert "dist/ holds older files, such as snl_graph-1.2.2.tar.gz" in answer.stderr


def test_nothing_is_ever_uploaded() -> None:
    text = SCRIPT.read_text(encoding="utf-8")
    calls = [line for line in text.splitlines() if "upload" in line and "python(" in line]
    assert calls == []
    assert '"push"' not in text


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = spec_from_loader("release_script", SourceFileLoader("release_script", str(SCRIPT)))
    module = module_from_spec(spec)
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return module


def test_without_a_repository_sources_are_what_git_would_not_ignore(
    script: ModuleType, repository: Path
) -> None:
    known = script.source_files(repository)
    assert known == set(NEEDED)
    shutil.rmtree(repository / ".git")
    (repository / ".gitignore").write_text("__pycache__/\n")
    (repository / "snl_graph/__pycache__").mkdir()
    (repository / "snl_graph/__pycache__/version.pyc").touch()
    (repository / "notes.txt").touch()
    assert script.source_files(repository) == known


SOURCES = {"snl_graph/a.py", "snl_graph/py.typed", "models/b.py", "README.md"}
WHEEL = [
    *("snl_graph/a.py", "snl_graph/py.typed"),
    *(
        f"snl_graph-1.dist-info/{name}"
        for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")
    ),
]
SDIST = [f"snl_graph-1/{name}" for name in [*SOURCES, "PKG-INFO", ".gitignore"]]


def test_what_distributions_hold_is_compared_with_the_sources(script: ModuleType) -> None:
    assert list(script.wheel_problems(WHEEL, SOURCES)) == []
    assert list(script.sdist_problems(SDIST, SOURCES)) == []
    assert list(script.wheel_problems(WHEEL[1:], SOURCES)) == ["the wheel lacks snl_graph/a.py"]
    assert list(script.wheel_problems(WHEEL[:-1], SOURCES)) == [
        "the wheel lacks its licenses/LICENSE"
    ]
    (one,) = script.wheel_problems([*WHEEL, "models/b.py"], SOURCES)
    assert one == "the wheel holds models/b.py, no part of the library"
    (one,) = script.sdist_problems([*SDIST, "snl_graph-1/data/x.npy"], SOURCES)
    assert one == "the sdist holds data/x.npy, no part of the project"
    (one,) = script.sdist_problems([n for n in SDIST if "README" not in n], SOURCES)
    assert one == "the sdist lacks README.md"


def test_the_wheel_holds_the_library_and_the_sdist_everything(
    script: ModuleType, tmp_path: Path
) -> None:
    """Built in this process, as ``python -m build`` would in one of its own."""
    wheels = pytest.importorskip("hatchling.builders.wheel", reason='needs the extra "dev"')
    sdists = pytest.importorskip("hatchling.builders.sdist", reason='needs the extra "dev"')
    import tarfile
    import zipfile

    (wheel,) = wheels.WheelBuilder(str(CHECKOUT)).build(directory=str(tmp_path))
    (sdist,) = sdists.SdistBuilder(str(CHECKOUT)).build(directory=str(tmp_path))
    sources = script.source_files(CHECKOUT)
    names = zipfile.ZipFile(wheel).namelist()
    assert {"snl_graph/py.typed", "snl_graph/explorer/page.css"} <= set(names)
    new = {name for name in names if not name.startswith("snl_graph-") and name not in sources}
    assert list(script.wheel_problems([n for n in names if n not in new], sources)) == []
    with tarfile.open(sdist) as archive:
        held = [member.name for member in archive.getmembers() if member.isfile()]
    assert [p for p in script.sdist_problems(held, sources) if "lacks" in p] == []
