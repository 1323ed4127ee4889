"""A wrong call and the answer it gets: the form of the tables beside this file."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

REPOSITORIES = {
    "dgl": "dmlc/dgl",
    "fastai": "fastai/fastai",
    "grad-cam": "jacobgil/pytorch-grad-cam",
    "lightning": "Lightning-AI/pytorch-lightning",
    "mmaction2": "open-mmlab/mmaction2",
    "mmdet": "open-mmlab/mmdetection",
    "mmseg": "open-mmlab/mmsegmentation",
    "networkx": "networkx/networkx",
    "nonlocal": "AlexHex7/Non-local_pytorch",
    "pyg": "pyg-team/pytorch_geometric",
    "pygsp": "epfl-lts2/pygsp",
    "pytorch": "pytorch/pytorch",
    "scipy": "scipy/scipy",
    "sklearn": "scikit-learn/scikit-learn",
    "timm": "huggingface/pytorch-image-models",
    "torchvision": "pytorch/vision",
    "video-nonlocal": "facebookresearch/video-nonlocal-net",
}
"""Issue trackers that are cited often, by a short name; others are cited as owner/name."""

CITATION = re.compile(r"([\w.-]+(?:/[\w.-]+)?)#(\d+)")


@dataclass(frozen=True)
class Case:
    """One wrong call.

    Args:
        title: What was done, in the words of who did it.
        call: The call as it is written: Python, or a line for a shell.
        error: What is raised; None for a command, which ends with status 2 instead.
        says: Parts of the message: what came, what was expected, what to do.
        met: Where others met it, as ``pyg#901``; empty if it is a mistake only this library allows.
        elided: Patterns of the message that differ between machines or releases of other packages.
    """

    title: str
    call: str
    error: type[BaseException] | None
    says: tuple[str, ...]
    met: str = ""
    elided: tuple[str, ...] = ()

    def __str__(self) -> str:
        return re.sub(r"\W+", "-", self.title.lower()).strip("-")


@dataclass(frozen=True)
class Area:
    """Cases about one thing, and what all of their calls start from."""

    title: str
    start: str
    cases: tuple[Case, ...]


@dataclass(frozen=True)
class Outcome:
    """What a wrong call came to."""

    error: BaseException | None
    printed: str = ""

    @property
    def message(self) -> str:
        return self.printed if self.error is None else str(self.error)


def links(met: str) -> Iterator[tuple[str, str]]:
    """Short form and address of each thread that is cited."""
    for match in CITATION.finditer(met):
        repository = REPOSITORIES.get(match[1], match[1])
        yield match[0], f"https://github.com/{repository}/issues/{match[2]}"


@cache
def outcome(area: Area, case: Case) -> Outcome:
    """Make the wrong call in an empty folder, with fresh names."""
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        if case.error is None:
            return _of_command(case.call)
        names: dict[str, object] = {"__name__": "__main__"}
        exec(area.start, names)
        try:
            exec(case.call, names)
        except BaseException as error:
            return Outcome(error.with_traceback(None))
    return Outcome(None)


def _of_command(line: str) -> Outcome:
    program, *arguments = shlex.split(line)
    if program == "snl-graph":
        from typer.testing import CliRunner

        from snl_graph.cli import app

        result = CliRunner().invoke(app, arguments, env={"COLUMNS": "100"})
        failure, status, text = result.exception, result.exit_code, result.stderr
        if failure is not None and not isinstance(failure, SystemExit):
            return Outcome(failure)
    else:
        status, text = _of_module(*arguments)
    return Outcome(None, _in_one_line(text)) if status == 2 else Outcome(SystemExit(status))


def _of_module(dash: str, module: str, *arguments: str) -> tuple[int, str]:
    """``python -m models.train ...`` in this process: its status and what it wrote to stderr."""
    from importlib import import_module
    from importlib.util import find_spec

    spec = find_spec(module)
    is_package = spec is not None and spec.submodule_search_locations is not None
    main = import_module(f"{module}.__main__" if is_package else module).main
    error = io.StringIO()
    try:
        with contextlib.redirect_stderr(error), contextlib.redirect_stdout(io.StringIO()):
            main(list(arguments))
    except SystemExit as end:
        return int(end.code or 0), error.getvalue()
    return 0, error.getvalue()


def _in_one_line(text: str) -> str:
    """What was printed without the frame that typer draws around it and its usage lines."""
    lines = (re.sub(r"[│╭╮╰╯─]+(?: Error )?", " ", line).strip() for line in text.splitlines())
    kept = (line for line in lines if line and not line.lower().startswith(("usage:", "try '")))
    return " ".join(kept)
