"""The balanced product: its own backward pass against autograd's, and what it keeps."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from snl_graph import nonlocal_block
from snl_graph.operators import FactoredOperator
from tests.tolerances import assert_equal


def naive(phi: Tensor, psi: Tensor, z: Tensor) -> Tensor:
    m = phi @ psi.mT
    m_hat = (m + m.mT) / 2
    degree = m_hat.sum(-1)
    root = torch.where(degree > 0, torch.where(degree > 0, degree, 1) ** -0.5, 0)
    return root[..., :, None] * m_hat * root[..., None, :] @ z


def balanced(phi: Tensor, psi: Tensor, z: Tensor) -> Tensor:
    m = FactoredOperator(phi, psi, is_nonnegative=True)
    return m.symmetrized().balanced().apply(z)


@pytest.mark.parametrize("lies_as_a_map", [False, True], ids=["nodes", "map"])
@pytest.mark.parametrize("batch", [(), (3,), (2, 3)], ids=str)
def test_value_and_gradients_are_those_of_the_matrix(
    batch: tuple[int, ...], lies_as_a_map: bool
) -> None:
    phi, psi = (torch.randn(*batch, 7, 4, dtype=torch.float64).relu() for _ in range(2))
    phi[..., 2, :] = psi[..., 2, :] = 0  # an isolated node
    tensors = [phi, psi, torch.randn(*batch, 7, 5, dtype=torch.float64)]
    if lies_as_a_map:
        tensors = [t.mT.contiguous().mT for t in tensors]
    for t in tensors:
        t.requires_grad_()
    expected, actual = naive(*tensors), balanced(*tensors)
    probe = torch.randn_like(expected)
    assert_equal(actual, expected)
    assert actual.mT.is_contiguous() == lies_as_a_map
    found = torch.autograd.grad(actual, tensors, probe)
    for gradient, wanted in zip(found, torch.autograd.grad(expected, tensors, probe), strict=True):
        assert_equal(gradient, wanted)


def test_first_and_second_derivatives_are_exact() -> None:
    phi, psi = (torch.rand(2, 5, 3, dtype=torch.float64) + 0.1 for _ in range(2))
    tensors = [t.requires_grad_() for t in (phi, psi, torch.randn(2, 5, 4).double())]
    assert torch.autograd.gradcheck(balanced, tensors)
    assert torch.autograd.gradgradcheck(balanced, tensors)


@pytest.mark.parametrize("create_graph", [False, True])
def test_gradients_of_a_power_do_not_count_what_made_its_signal_twice(create_graph: bool) -> None:
    phi, psi = (torch.rand(2, 5, 3, dtype=torch.float64) for _ in range(2))
    given = [t.requires_grad_() for t in (phi, psi, torch.randn(2, 5, 4).double())]

    def gradients(product: Callable[..., Tensor]) -> tuple[Tensor, ...]:
        y = product(phi, psi, product(*given))  # Φ and Ψ also lead to this signal
        return torch.autograd.grad(y.pow(3).sum(), given, create_graph=create_graph)

    for gradient, wanted in zip(gradients(balanced), gradients(naive), strict=True):
        assert_equal(gradient, wanted)


def test_factors_that_need_no_gradient_get_none() -> None:
    phi, psi = torch.rand(2, 5, 3), torch.rand(2, 5, 3)
    z = torch.randn(2, 5, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(balanced(phi, psi, z).square().sum(), [z], create_graph=True)
    assert_equal(gradient, torch.autograd.grad(naive(phi, psi, z).square().sum(), [z])[0])
    (second,) = torch.autograd.grad(gradient.sum(), [z])
    assert second.isfinite().all()


def test_functional_transforms_agree_with_autograd() -> None:
    phi, psi, z = torch.rand(5, 3), torch.rand(5, 3), torch.randn(5, 4)
    gradient = torch.func.grad(lambda p: balanced(p, psi, z).square().sum())(phi)
    variable = phi.clone().requires_grad_()
    (expected,) = torch.autograd.grad(naive(variable, psi, z).square().sum(), [variable])
    assert_equal(gradient, expected, 1e-4)


def test_block_keeps_a_few_maps_for_backward_and_no_matrix() -> None:
    block = nonlocal_block("snl", 64)
    x = torch.randn(1, 64, 48, 48, requires_grad=True)
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        y = block(x)
    own = {p.untyped_storage().data_ptr() for p in [x, y, *block.parameters()]}
    maps = sum(size for pointer, size in kept.items() if pointer not in own) / x.nbytes
    assert maps <= 3.6  # Φ, Ψ, Z, A Z of half a map each, and F of one; the rest is small
