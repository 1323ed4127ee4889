"""Every representation × kernel × mask × normalisation × filter, on every device there is."""

from __future__ import annotations

import pytest
import torch

from snl_graph import affinity
from snl_graph.filters import GraphFilter
from snl_graph.operators import DenseOperator
from tests.devices.conftest import NO_GPU, accelerator
from tests.devices.twins import assert_near, assert_twins_agree, dtypes_of, gradients, moved
from tests.factories import KERNELS, MASKS, WIDTH, Case, all_cases
from tests.filters.conformance import FILTER_CASES, WEIGHTS, symmetric

CASES = [case for case in all_cases() if case.exists]
SIZE = (2, 3)


@pytest.mark.gpu
def test_a_gpu_was_found() -> None:
    """So that ``pytest -m gpu tests/devices`` says what it ran on, or why on nothing."""
    if accelerator() is None:
        pytest.skip(NO_GPU)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_products_and_gradients_are_those_of_the_formula(case: Case, device: str) -> None:
    phi, psi, z = (torch.randn(2, 6, width).double() for width in (WIDTH, WIDTH, 2))
    phi[0, 0], psi[0, 0] = -phi[0, 0].abs(), -psi[0, 0].abs()  # isolated under "dot"
    kernel = KERNELS[case.kernel].make()
    for x in (phi, psi, z):
        x.requires_grad_()
    matrix, _ = case.matrix(kernel.double(), phi, psi, SIZE)
    expected = matrix @ z
    wanted = gradients(expected, [phi, psi, z])
    for dtype in dtypes_of(device):
        leaves = [moved(x, device, dtype) for x in (phi, psi, z)]
        a = affinity(
            *leaves[:2],
            kernel=kernel.to(dtype).to(device),
            mask=MASKS[case.mask].make(SIZE),
            normalization=case.normalization,
            representation=case.representation,
            size=SIZE,
        )
        found = a.apply(leaves[2])
        assert (found.device.type, found.dtype, a.degree().device.type) == (device, dtype, device)
        assert_near(found, expected)
        assert_near(a.T.apply(leaves[2]), matrix.mT @ z)
        assert_near(a.to_dense(), matrix)
        for gradient, right in zip(gradients(found, leaves), wanted, strict=True):
            assert_near(gradient, right)


@pytest.mark.parametrize("representation", ["streaming", "dense"])
def test_logits_of_ten_thousand_give_no_nan(representation: str, device: str) -> None:
    phi = moved(100 * torch.randn(1, 40, 4).double().requires_grad_(), device, torch.float32)
    a = affinity(phi, kernel="gaussian", representation=representation)
    out = a.apply(torch.ones(1, 40, 2, device=device))
    out.sum().backward()
    assert out.isfinite().all()
    assert phi.grad is not None
    assert phi.grad.isfinite().all()


@pytest.mark.parametrize("case", FILTER_CASES)
def test_filters(case: str, device: str) -> None:
    def signals(filter: GraphFilter, m: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        return torch.cat(filter.signals(DenseOperator(m, is_symmetric=True), z), -1)

    a = symmetric(WEIGHTS["isolated nodes"]()).to_dense()
    z = torch.randn(len(a), 3, dtype=torch.float64, requires_grad=True)
    assert_twins_agree(FILTER_CASES[case](), (a, z), device, call=signals, slack=10)
