"""Networks with a block, and layers on edges, exported to ONNX and run by onnxruntime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet18

from snl_graph import SNLConv, insert_block, inserted_blocks, nonlocal_block
from tests.tolerances import assert_equal

pytestmark = [
    pytest.mark.filterwarnings("ignore:# 'dynamic_axes' is not recommended"),
    pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad=True"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


class Network(nn.Module):
    """A CNN of two convolutions with a block between them."""

    def __init__(self, **options: object) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.block = nonlocal_block(channels=8, **options)  # type: ignore[arg-type]
        self.head = nn.Conv2d(8, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.block(self.stem(x).relu())).mean((2, 3))


class OnEdges(nn.Module):
    """A layer on the edges of a graph."""

    def __init__(self, **options: object) -> None:
        super().__init__()
        self.conv = SNLConv(6, 4, **options)  # type: ignore[arg-type]

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor) -> Tensor:
        return self.conv(x, edge_index, edge_weight).relu()


def exported(
    model: nn.Module, example: tuple[Tensor, ...], shapes: dict[str, object], folder: Path
) -> onnxruntime.InferenceSession:
    program = torch.onnx.export(model, example, dynamo=True, dynamic_shapes=shapes, verbose=False)
    assert program is not None
    program.save(str(folder / "model.onnx"))
    return onnxruntime.InferenceSession(str(folder / "model.onnx"))


def run(session: onnxruntime.InferenceSession, *inputs: Tensor) -> Tensor:
    names = [entry.name for entry in session.get_inputs()]
    feeds = {name: tensor.numpy() for name, tensor in zip(names, inputs, strict=True)}
    return torch.from_numpy(np.asarray(session.run(None, feeds)[0]))


@pytest.mark.parametrize(
    "options",
    [
        {"name": "snl"},
        {"name": "gsnl", "basis": "chebyshev", "heads": 2},
        {"name": "nl", "subsample": 2},
        {"name": "cc"},
        {"name": "a2"},
        {"name": "cgnl"},
    ],
    ids=lambda options: options["name"],
)
@torch.no_grad()
def test_network_with_a_block_gives_the_same_numbers_at_every_size(
    options: dict[str, object], tmp_path: Path
) -> None:
    model = Network(**options).eval()
    model.block.units[0].bn.running_mean.normal_()
    stride = options.get("subsample", 1)  # pooling is traced for whole windows
    height, width = (stride * torch.export.Dim(name, min=2) for name in ("h", "w"))
    shapes = {"x": {0: torch.export.Dim("b", min=1), 2: height, 3: width}}
    session = exported(model, (torch.randn(2, 3, 6, 8),), shapes, tmp_path)
    for size in [(1, 3, 4, 4), (3, 3, 10, 6)]:
        x = torch.randn(size)
        assert_equal(run(session, x), model(x))


@torch.no_grad()
def test_torchvision_network_with_an_inserted_block(tmp_path: Path) -> None:
    model = insert_block(resnet18(), "layer3.0", "snl", example=torch.randn(1, 3, 64, 64)).eval()
    (block,) = inserted_blocks(model).values()
    nn.init.normal_(block.units[0].bn.weight)  # else it would be the identity
    shapes = {"x": {0: torch.export.Dim("b", min=1)}}
    session = exported(model, (torch.randn(2, 3, 64, 64),), shapes, tmp_path)
    x = torch.randn(3, 3, 64, 64)
    assert_equal(run(session, x), model(x), 1e-4)


@pytest.mark.parametrize(
    "options",
    [{"K": 3}, {"K": 3, "kernel": "dot"}, {"kernel": "embedded_gaussian", "heads": 2}],
    ids=str,
)
@torch.no_grad()
def test_layer_on_edges_gives_the_same_numbers_on_every_graph(
    options: dict[str, object], tmp_path: Path
) -> None:
    def graph(nodes: int, edges: int) -> tuple[Tensor, Tensor, Tensor]:
        return torch.randn(nodes, 6), torch.randint(0, nodes, (2, edges)), torch.rand(edges)

    model = OnEdges(**options).eval()
    nodes, edges = torch.export.Dim("n", min=2), torch.export.Dim("e", min=2)
    shapes = {"x": {0: nodes}, "edge_index": {1: edges}, "edge_weight": {0: edges}}
    session = exported(model, graph(7, 20), shapes, tmp_path)
    for counts in [(5, 9), (40, 300)]:
        given = graph(*counts)
        assert_equal(run(session, *given), model(*given))
