"""The command as a shell would run it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from typer.testing import CliRunner

from snl_graph.cli import app


def run(*arguments: object, status: int = 0) -> str:
    """Stdout of a command that ends with that status, and without a traceback."""
    result = CliRunner().invoke(app, [str(one) for one in arguments], env={"COLUMNS": "100"})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == status, result.output
    return result.stdout


def facts(*arguments: object, status: int = 0) -> Any:
    """What a command prints with --json: all of stdout is one JSON object."""
    return json.loads(run(*arguments, "--json", status=status))


def error(*arguments: object) -> str:
    """The one line a command prints when it refuses: status 2, nothing on stdout."""
    result = CliRunner().invoke(app, [str(one) for one in arguments], env={"COLUMNS": "100"})
    assert isinstance(result.exception, SystemExit), (result.exception, result.output)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith(f"snl-graph {arguments[0]}: ")
    return lines[0]


def eigenvalues(*arguments: object) -> np.ndarray[Any, Any]:
    """Those of the one graph of a source."""
    (graph,) = facts("spectrum", *arguments)["graphs"]
    assert graph["is_real"]
    return np.array(graph["eigenvalues"])


def by_hand(weights: Any) -> np.ndarray[Any, Any]:
    """Eigenvalues of I − D^-½ (M + Mᵀ)/2 D^-½, λ = 1 for a node without edges."""
    matrix = np.asarray(weights, dtype=float)
    matrix = (matrix + matrix.T) / 2
    degree = matrix.sum(1)
    root = np.divide(1, np.sqrt(degree), out=np.zeros_like(degree), where=degree > 0)
    return np.linalg.eigvalsh(np.eye(len(matrix)) - root[:, None] * matrix * root)
