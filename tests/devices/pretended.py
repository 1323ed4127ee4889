"""Forward passes on CUDA tensors without numbers: no GPU is needed to see a device forgotten.

PyTorch's fake tensors have a shape, a dtype and a device. A product of a tensor on the GPU and one
that was left on the processor fails with them as it would on a real GPU. Run as a program of its
own, since masks that a process remembers would otherwise be fake for later tests.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from snl_graph import SNLConv, affinity, nonlocal_block
from snl_graph.blocks import ROWS
from tests.devices.test_layers import LAYERS
from tests.factories import KERNELS, MASKS, WIDTH, Case, all_cases

GRAPHS_AS_DATA = ("edge_list", "boolean_matrix")
"""Masks whose pairs are counted, which needs their values."""


def cases() -> Iterator[Case]:
    for case in all_cases():
        normalization = "sym" if KERNELS[case.kernel].is_nonnegative else "rw"
        if case.exists and case.normalization == normalization:
            yield case


def operators() -> Iterator[str]:
    for case in cases():
        if case.mask in GRAPHS_AS_DATA:
            continue
        phi, psi, z = (torch.randn(2, 6, width, device="cuda") for width in (WIDTH, WIDTH, 2))
        with torch.device("cuda"):
            kernel = KERNELS[case.kernel].make()
        a = affinity(
            phi,
            psi,
            kernel=kernel,
            mask=MASKS[case.mask].make((2, 3)),
            normalization=case.normalization,
            representation=case.representation,
            size=(2, 3),
        )
        for out in (a.apply(z), a.T.apply(z), a.degree(), a.to_dense()):
            assert out.device.type == "cuda", f"{case}: {out.device}"
        yield str(case)


def modules() -> Iterator[str]:
    edges = torch.randint(7, (2, 9), device="cuda")
    for name, options in LAYERS.items():
        if "filter" in options:  # it reads its coefficients while it is made
            continue
        yield _ran(SNLConv(4, 6, **options), name, torch.randn(7, 4, device="cuda"), edges)
    for name in ROWS:
        yield _ran(nonlocal_block(name, 8), name, torch.randn(2, 8, 4, 3, device="cuda"))


def _ran(module: nn.Module, name: str, *inputs: torch.Tensor) -> str:
    out = module(*inputs)
    assert out.device.type == "cuda", f"{name}: {out.device}"
    return name


def main() -> None:
    """Run everything; the last line says how much it was."""
    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        ran = list(operators())
        with torch.device("cuda"):
            ran += modules()
    print(f"{len(ran)} passes on tensors of a pretended GPU")


if __name__ == "__main__":
    main()
