"""``SNLConv``, ``SNLNet`` and every block, on every device there is; autocast; no waiting."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn
from torch_geometric import EdgeIndex

from snl_graph import SNLConv, SNLNet, nonlocal_block
from snl_graph.blocks import ROWS
from snl_graph.conv import listeners
from tests.conv.formulas import EDGES, NODES, UNDIRECTED, WEIGHTS
from tests.devices.twins import assert_near, assert_twins_agree, moved

LAYERS = {
    "given": {"K": 3},
    "chebyshev": {"K": 3, "basis": "chebyshev", "lambda_max": 1.5},
    "rw": {"K": 2, "normalization": "rw"},
    "dot heads": {"K": 3, "kernel": "dot", "heads": 2},
    "embedded_gaussian": {"kernel": "embedded_gaussian"},
    "double_softmax": {"kernel": "double_softmax", "normalization": "rw"},
    "heat": {"filter": "heat"},
}


def features() -> Tensor:
    return torch.randn(NODES, 4, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("fused", [False, True], ids=["messages", "fused"])
@pytest.mark.parametrize("options", LAYERS.values(), ids=LAYERS)
def test_layers_on_edges(
    options: dict[str, object], fused: bool, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fused:
        monkeypatch.setattr(listeners, "LEAST_WORK", 0)
    weights = WEIGHTS.clone().requires_grad_()
    if options.get("kernel") == "embedded_gaussian":
        weights = (WEIGHTS + 0.1).requires_grad_()  # the logarithm of 0 has no gradient
    assert_twins_agree(SNLConv(4, 6, **options), (features(), EDGES, weights), device, slack=4)


@pytest.mark.parametrize("name", ["dot heads", "embedded_gaussian", "double_softmax"])
def test_layers_without_edges(name: str, device: str) -> None:
    batch = torch.tensor([0, 0, 0, 1, 1, 1, 1])
    assert_twins_agree(
        SNLConv(4, 6, **LAYERS[name]),
        (features(), batch),
        device,
        call=lambda conv, x, batch: conv(x, batch=batch),
        slack=4,
    )


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta state")
@pytest.mark.parametrize("form", ["EdgeIndex", "csr"])
def test_other_forms_of_a_graph(form: str, device: str) -> None:
    if form == "csr" and device == "mps":
        pytest.skip("Apple's GPUs have no sparse CSR tensors in PyTorch")

    def call(conv: nn.Module, x: Tensor, edges: Tensor) -> Tensor:
        if form == "EdgeIndex":
            return conv(x, EdgeIndex(edges, sparse_size=(NODES, NODES), is_undirected=True))
        ones = torch.ones(edges.shape[1], dtype=x.dtype, device=x.device)
        matrix = torch.zeros(NODES, NODES, dtype=x.dtype, device=x.device)
        return conv(x, matrix.index_put((edges[1], edges[0]), ones).to_sparse_csr())

    assert_twins_agree(SNLConv(4, 6, 3), (features(), UNDIRECTED), device, call=call, slack=4)


def test_a_network(device: str) -> None:
    net = SNLNet(4, 8, 3, 2, K=3, jk="cat")
    assert_twins_agree(net, (features(), UNDIRECTED), device, slack=10)


@pytest.mark.parametrize("size", [(5,), (4, 3), (2, 3, 2)], ids=str)
@pytest.mark.parametrize("name", ROWS)
def test_blocks(name: str, size: tuple[int, ...], device: str) -> None:
    x = torch.randn(3, 8, *size, dtype=torch.float64, requires_grad=True)
    assert_twins_agree(nonlocal_block(name, 8), (x,), device, slack=10)


@pytest.mark.parametrize("name", ["snl", "nl", "cc"])
def test_blocks_of_padded_channels_last_maps(name: str, device: str) -> None:
    x = torch.randn(2, 8, 4, 3, dtype=torch.float64, requires_grad=True)
    valid = torch.arange(12).reshape(4, 3).expand(2, 4, 3) < 7

    def call(block: nn.Module, x: Tensor, valid: Tensor) -> Tensor:
        return block(x.to(memory_format=torch.channels_last), valid)

    assert_twins_agree(nonlocal_block(name, 8), (x, valid), device, call=call, slack=10)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
@pytest.mark.parametrize("name", ROWS)
def test_blocks_under_autocast(name: str, dtype: torch.dtype, device: str) -> None:
    block = nonlocal_block(name, 8, norm="none")
    x = torch.randn(2, 8, 6, 5, dtype=torch.float64, requires_grad=True)
    expected = block.double()(x)
    block, x = block.float().to(device), moved(x, device, torch.float32)
    with torch.autocast(device, dtype):
        out = block(x)
    assert_near(out.to(dtype), expected)
    out.float().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in block.parameters())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
@pytest.mark.parametrize("options", LAYERS.values(), ids=LAYERS)
def test_layers_under_autocast(options: dict[str, object], dtype: torch.dtype, device: str) -> None:
    conv, x = SNLConv(4, 6, **options), features()
    expected = conv.double()(x, UNDIRECTED)
    conv, x = conv.float().to(device), moved(x, device, torch.float32)
    with torch.autocast(device, dtype):
        out = conv(x, UNDIRECTED.to(device))
    assert_near(out.to(dtype), expected)
    out.float().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in conv.parameters())


@contextmanager
def no_waiting(device: str) -> Iterator[None]:
    """An error wherever the host waits for the device; only CUDA can tell."""
    if device == "cuda":
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        if device == "cuda":
            torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("name", ROWS)
def test_a_block_never_waits_for_the_device(name: str, device: str) -> None:
    block = nonlocal_block(name, 8).to(device)
    x = torch.randn(2, 8, 6, 5, device=device)
    block(x).sum().backward()  # what is prepared once
    with no_waiting(device):
        block(x).sum().backward()


@pytest.mark.parametrize("options", LAYERS.values(), ids=LAYERS)
def test_a_layer_never_waits_for_the_device(options: dict[str, object], device: str) -> None:
    conv = SNLConv(4, 6, **options).to(device)
    x, edges = torch.randn(NODES, 4, device=device), EDGES.to(device)
    conv(x, edges).sum().backward()
    with no_waiting(device):
        conv(x, edges).sum().backward()
