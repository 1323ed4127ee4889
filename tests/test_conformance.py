"""Every representation × kernel × mask × normalisation agrees with the naive formula."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from snl_graph import affinity
from snl_graph.kernels import Kernel
from snl_graph.operators import AffinityOperator
from tests.factories import GRIDS, KERNELS, MASKS, WIDTH, Case, all_cases
from tests.tolerances import assert_equal

CASES = [case for case in all_cases() if case.exists]
DISTINCT = [case for case in CASES if case.representation != "auto"]
DIFFERENTIABLE = [case for case in DISTINCT if case.mask != "boolean_matrix"]  # as edge_list
ABSENT = [case for case in all_cases() if not case.exists]
Size = tuple[int, ...]


def inputs(size: Size, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    """Φ, Ψ and Z of every grid, with a node that has no positive feature (isolated under dot)."""
    nodes = torch.Size(size).numel()
    phi, psi = torch.randn(2, *GRIDS[size], nodes, WIDTH, dtype=torch.float64)
    phi[..., 0, :], psi[..., 0, :] = -phi[..., 0, :].abs(), -psi[..., 0, :].abs()
    z = torch.randn(*GRIDS[size], nodes, 2, dtype=torch.float64)
    phi, psi, z = (x.to(dtype).requires_grad_() for x in (phi, psi, z))
    return phi, psi, z


def operator(case: Case, kernel: Kernel, phi: Tensor, psi: Tensor, size: Size) -> AffinityOperator:
    return affinity(
        phi,
        psi,
        kernel=kernel,
        mask=MASKS[case.mask].make(size),
        normalization=case.normalization,
        representation=case.representation,
        size=size,
    )


def gradients(output: Tensor, inputs: list[Tensor], seed: int = 1) -> list[Tensor]:
    """Gradients of a random linear function of ``output``; zero where there is none."""
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(output.shape, generator=generator, dtype=torch.float64)
    return list(
        torch.autograd.grad(
            (output * weight.to(output.dtype)).sum(), inputs, materialize_grads=True
        )
    )


@pytest.mark.parametrize("case", CASES, ids=str)
def test_values_and_gradients_are_those_of_the_naive_formula(case: Case) -> None:
    for size in GRIDS:
        phi, psi, z = inputs(size)
        kernel = KERNELS[case.kernel].make().double()
        leaves = [phi, psi, z, *kernel.parameters()]
        expected, degree = case.matrix(kernel, phi, psi, size)
        a = operator(case, kernel, phi, psi, size)
        assert a.shape == expected.shape
        assert_equal(a.apply(z), expected @ z)
        assert_equal(a.degree(), degree)
        for found, wanted in zip(
            gradients(a.apply(z), leaves), gradients(expected @ z, leaves), strict=True
        ):
            assert_equal(found, wanted)


@pytest.mark.parametrize("case", DISTINCT, ids=str)
def test_float32_is_as_good_as_float32_can_be(case: Case) -> None:
    for size in GRIDS:
        phi, psi, z = inputs(size, torch.float32)
        kernel = KERNELS[case.kernel].make()
        leaves = [phi, psi, z, *kernel.parameters()]
        expected, _ = case.matrix(kernel, phi.double(), psi.double(), size)
        a = operator(case, kernel, phi, psi, size)
        assert a.dtype == torch.float32
        assert_equal(a.apply(z), expected @ z.double())
        for found, wanted in zip(
            gradients(a.apply(z), leaves), gradients(expected @ z.double(), leaves), strict=True
        ):
            assert_equal(found, wanted)


@pytest.mark.parametrize("case", DISTINCT, ids=str)
def test_every_view_of_an_operator_shows_the_same_matrix(case: Case) -> None:
    size = (2, 4)
    phi, psi, z = inputs(size)
    kernel = KERNELS[case.kernel].make().double()
    expected, degree = case.matrix(kernel, phi, psi, size)
    a = operator(case, kernel, phi, psi, size)
    assert_equal(a.to_dense(), expected)
    assert_equal(a @ z, expected @ z)
    assert_equal(a.T.apply(z), expected.mT @ z)
    assert_equal(a.T.to_dense(), expected.mT)
    assert_equal(a.T.T.apply(z), expected @ z)
    assert_equal(a.row_sums().values, expected.sum(-1))
    assert_equal(a.symmetrized().apply(z), (expected + expected.mT) @ z / 2)
    assert_equal(a.symmetrized().to_dense(), (expected + expected.mT) / 2)
    assert_equal(a.T.degree() if case.normalization != "none" else a.degree(), degree)

    edge_index, weight = a.to_edges()
    rebuilt = torch.zeros_like(expected)
    for edge, (source, target) in enumerate(edge_index.T.tolist()):
        rebuilt[..., target, source] = weight[..., edge]
    assert len(edge_index.unique(dim=1).T) == len(edge_index.T), "an edge is listed twice"
    assert_equal(rebuilt, expected)


@pytest.mark.parametrize("case", ABSENT, ids=str)
def test_what_does_not_exist_is_refused_with_a_remedy(case: Case) -> None:
    size = (2, 4)
    phi, psi, _ = inputs(size)
    kernel = KERNELS[case.kernel].make().double()
    with pytest.raises(ValueError, match=r"Use (a non-negative |kernel=|\"dense\"|\"auto\")"):
        operator(case, kernel, phi, psi, size)


@pytest.mark.parametrize("case", DISTINCT, ids=str)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["float16", "bfloat16"])
def test_half_precision_stays_near_the_formula(case: Case, dtype: torch.dtype) -> None:
    size = (2, 4)
    phi, psi, z = inputs(size, dtype)
    kernel = KERNELS[case.kernel].make()
    expected, _ = case.matrix(kernel, phi.double(), psi.double(), size)
    a = operator(case, kernel, phi, psi, size)
    assert a.dtype == dtype
    assert a.degree().dtype == torch.float32
    assert_equal(a.apply(z), expected @ z.double())
    for gradient in gradients(a.apply(z), [phi, psi, z]):
        assert gradient.isfinite().all()


@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=str)
def test_first_and_second_derivatives(case: Case) -> None:
    size = (2, 2)
    phi, psi = torch.randn(2, 4, 2, dtype=torch.float64) / 2
    z = torch.randn(4, 1, dtype=torch.float64)
    kernel = KERNELS[case.kernel].make().double()
    if case.kernel == "concatenation":
        kernel = type(kernel)(2).double()
    for x in (phi, psi, z):
        x.requires_grad_()

    def apply(phi: Tensor, psi: Tensor, z: Tensor) -> Tensor:
        return operator(case, kernel, phi, psi, size).apply(z)

    assert torch.autograd.gradcheck(apply, (phi, psi, z), fast_mode=True)
    assert torch.autograd.gradgradcheck(apply, (phi, psi, z), fast_mode=True)
