"""Blocks as compiled and exported programs."""

import pytest
import torch

from snl_graph import nonlocal_block
from snl_graph.blocks import ROWS
from tests.tolerances import assert_equal

OPTIONS = {"heads": {"name": "snl", "heads": 2}, "subsample": {"name": "nl", "subsample": 2}}
BLOCKS = {name: {"name": name} for name in ROWS} | OPTIONS


@pytest.mark.parametrize("options", BLOCKS.values(), ids=BLOCKS)
def test_block_compiles_without_a_graph_break(options: dict[str, object]) -> None:
    torch._dynamo.reset()
    block = nonlocal_block(channels=8, **options)
    compiled = torch.compile(block, fullgraph=True, backend="eager", dynamic=True)
    for size in [(5, 7), (4, 6)]:
        x = torch.randn(2, 8, *size)
        assert_equal(compiled(x), block(x))


@pytest.mark.parametrize("name", ["nl", "snl"])
def test_compiled_block_has_the_same_gradients(name: str) -> None:
    torch._dynamo.reset()
    block = nonlocal_block(name, 8)
    compiled = torch.compile(block, fullgraph=True, backend="aot_eager")
    x = torch.randn(2, 8, 5, 7, requires_grad=True)
    probe = torch.randn_like(x)
    variables = [x, *block.parameters()]
    wanted = torch.autograd.grad((block(x) * probe).sum(), variables)
    found = torch.autograd.grad((compiled(x) * probe).sum(), variables)
    for gradient, expected in zip(found, wanted, strict=True):
        assert_equal(gradient, expected, 1e-4)


@pytest.mark.compiled
def test_block_compiles_to_machine_code() -> None:
    torch._dynamo.reset()
    block = nonlocal_block("snl", 8).eval()
    x = torch.randn(2, 8, 5, 7)
    assert_equal(torch.compile(block, fullgraph=True)(x), block(x))


@pytest.mark.parametrize("options", BLOCKS.values(), ids=BLOCKS)
def test_exported_program_runs_at_every_size(options: dict[str, object]) -> None:
    block = nonlocal_block(channels=8, **options).eval()
    stride = options.get("subsample", 1)  # pooling is traced for whole windows
    height, width = (stride * torch.export.Dim(name, min=2) for name in ("h", "w"))
    dynamic = {"x": {0: torch.export.Dim("b", min=1), 2: height, 3: width}}
    example = torch.randn(2, 8, 6, 8)
    program = torch.export.export(block, (example,), dynamic_shapes=dynamic).module()
    for size in [(2, 3), (5, 7), (9, 4)]:
        x = torch.randn(3, 8, *(stride * length for length in size))
        assert_equal(program(x), block(x))
