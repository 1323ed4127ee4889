"""The same module twice: in float64 on the processor, and on a device in its own precision."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from tests.tolerances import RELATIVE, assert_equal

Call = Callable[..., Tensor]


def dtypes_of(device: str) -> tuple[torch.dtype, ...]:
    """Precisions to compare with the processor's float64; Apple's GPUs have no float64."""
    return (torch.float32,) if device in ("cpu", "mps") else (torch.float32, torch.float64)


def moved(x: Tensor, device: str, dtype: torch.dtype) -> Tensor:
    """A tensor on a device, a leaf of its own; whole numbers stay whole numbers."""
    if not x.is_floating_point():
        return x.to(device)
    return x.detach().to(dtype).to(device).requires_grad_(x.requires_grad)


def assert_near(actual: Tensor, expected: Tensor, slack: float = 1.0) -> None:
    """``assert_equal`` wherever the tensors live."""
    actual = actual.detach().cpu()
    assert_equal(actual, expected.detach().cpu(), RELATIVE[actual.dtype] * slack)


def gradients(output: Tensor, leaves: list[Tensor]) -> list[Tensor]:
    """Gradients of one fixed random linear function of ``output``; zero where there is none."""
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(output.shape, generator=generator, dtype=torch.float64)
    weight = weight.to(output.dtype).to(output.device)
    return list(torch.autograd.grad((output * weight).sum(), leaves, materialize_grads=True))


def assert_twins_agree(
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    device: str,
    *,
    call: Call | None = None,
    slack: float = 1.0,
) -> None:
    """Values and gradients on the device are those of float64 on the processor.

    Args:
        module: Any module; it stays as it is.
        inputs: Its inputs, in float64.
        device: Where its twin runs.
        call: How a module is called with the inputs.
        slack: Times the tolerance of the dtype.
    """
    call = (lambda twin, *args: twin(*args)) if call is None else call
    expected = list(_values(copy.deepcopy(module).double(), inputs, "cpu", torch.float64, call))
    for dtype in dtypes_of(device):
        twin = copy.deepcopy(module).to(dtype).to(device)
        found = list(_values(twin, inputs, device, dtype, call))
        for actual, wanted in zip(found, expected, strict=True):
            assert actual.device.type == device
            assert actual.dtype == dtype
            assert_near(actual, wanted, slack)


def _values(
    module: nn.Module, inputs: tuple[Tensor, ...], device: str, dtype: torch.dtype, call: Call
) -> Iterator[Tensor]:
    """The output, and its gradients with respect to the inputs and the parameters."""
    inputs = tuple(moved(x, device, dtype) for x in inputs)
    output = call(module, *inputs)
    yield output
    leaves = [x for x in inputs if x.requires_grad]
    yield from gradients(output, [*leaves, *module.parameters()])
