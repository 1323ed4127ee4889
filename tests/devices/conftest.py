"""Devices that the tests of this folder run on: the processor, and the accelerator that is there.

On the processor they are a rehearsal, so that what nobody here can run on a GPU does not rot.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

NO_GPU = "torch sees no accelerator: neither CUDA (or ROCm) nor MPS nor XPU is available here"


def accelerator() -> str | None:
    """Type of the accelerator that torch sees: "cuda", "mps", "xpu", or None."""
    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return None if found is None else found.type


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "device" in metafunc.fixturenames:
        gpu = accelerator()
        gpus = [pytest.param(gpu, marks=pytest.mark.gpu)] if gpu else []
        metafunc.parametrize("device", ["cpu", *gpus])


@pytest.fixture(autouse=True)
def full_precision() -> Iterator[None]:
    """Products in float32, not in the 10 bits of TF32."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.set_float32_matmul_precision(before[0])
    torch.backends.cudnn.allow_tf32 = before[1]
