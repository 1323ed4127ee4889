"""The scripts of docs/examples that plot eigenvalues run, in a short form, and tell the truth."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import networkx as nx
import numpy as np
import pytest
import torch
from PIL import Image

from tests.cli.runner import facts

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
PNG = b"\x89PNG"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def modules_of_the_examples_are_forgotten() -> Iterator[None]:
    yield
    sys.modules.pop("trained_cnn", None)


def test_a_social_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = script("social_network")
    module.main(str(tmp_path))
    assert (tmp_path / "social_network.png").read_bytes().startswith(PNG)
    printed = capsys.readouterr().out
    assert "karate club: λ_max = 1.6922, below the bound 2, bipartite: False" in printed
    assert "Davis: λ_max = 2.0000, attains the bound 2, bipartite: True" in printed
    graph = nx.karate_club_graph()
    values, vectors = np.linalg.eigh(nx.normalized_laplacian_matrix(graph).toarray())
    officers = np.array([graph.nodes[node]["club"] == "Officer" for node in graph])
    share = ((vectors[:, 1] > 0) == officers).mean()
    assert module.clubs(graph) == pytest.approx((values[1], max(share, 1 - share)))


def test_an_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = script("image_graph")
    picture = tmp_path / "picture.png"
    halves = np.zeros((20, 30, 3), dtype=np.uint8)
    halves[:, 15:] = 255
    Image.fromarray(halves).save(picture)
    module.main(str(tmp_path), str(picture), "8")
    assert (tmp_path / "image_graph.png").read_bytes().startswith(PNG)
    assert "96 pixels: real True" in capsys.readouterr().out
    colours = module.read(str(picture), 8)
    a = module.graph_of(colours).to_dense().numpy()
    phi = colours.double().flatten(1).T.numpy()
    rows, columns = np.divmod(np.arange(96), 12)
    near = np.maximum(abs(rows[:, None] - rows), abs(columns[:, None] - columns)) <= 2
    weights = near * np.exp(-((phi[:, None] - phi) ** 2).sum(-1) * 64)
    degree = weights.sum(1)
    np.testing.assert_allclose(a, weights / np.sqrt(np.outer(degree, degree)), atol=1e-10)


def test_a_trained_cnn_and_the_command_that_reads_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = script("trained_cnn")
    module.main(str(tmp_path), "3")
    assert (tmp_path / "trained_cnn.png").read_bytes().startswith(PNG)
    nl, snl = capsys.readouterr().out.splitlines()
    assert nl.startswith("nl: ")
    assert "|Im λ| = 0" in snl
    monkeypatch.syspath_prepend(str(EXAMPLES))
    image = tmp_path / "digit.png"
    for kind in ("nl", "snl"):
        weights = tmp_path / f"digits_{kind}.pt"
        options = ("--model", "trained_cnn:network", "--set", f"kind={kind}")
        (graph,) = facts("spectrum", image, *options, "--checkpoint", weights)["graphs"]
        model = module.network(kind)
        model.load_state_dict(torch.load(weights, weights_only=True))
        seen = torch.from_numpy(np.asarray(Image.open(image)) / np.float32(255))[None, None]
        found = module.measured(model.eval(), seen).eigenvalues
        values = np.array(graph["eigenvalues"])
        assert graph["is_real"] == (kind == "snl")
        np.testing.assert_allclose(values if kind == "snl" else values @ [1, 1j], found, atol=1e-12)
        if kind == "snl":
            assert -1e-6 <= values.min() <= values.max() <= 2
