"""The properties that the paper asks of A."""

import pytest
import torch

from snl_graph import affinity
from snl_graph.normalizations import (
    RandomWalk,
    Symmetric,
    Unnormalized,
    as_normalization,
)
from snl_graph.operators import DenseOperator, EdgeOperator
from tests.factories import KERNELS, MASKS
from tests.tolerances import assert_equal

NONNEGATIVE = [name for name, case in KERNELS.items() if case.is_nonnegative]


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("kernel", NONNEGATIVE)
def test_symmetric_a_is_symmetric_with_spectrum_in_minus_1_to_1(kernel: str, mask: str) -> None:
    """Properties 1 and 2: then L = I − A has real eigenvalues in [0, 2]."""
    phi, psi = torch.randn(2, 8, 3, dtype=torch.float64)
    a = affinity(
        phi,
        psi,
        kernel=KERNELS[kernel].make().double(),
        mask=MASKS[mask].make((2, 4)),
        size=(2, 4),
    )
    matrix = a.to_dense().detach()
    assert a.is_symmetric
    assert_equal(matrix, matrix.T)
    assert (matrix >= 0).all()
    assert torch.linalg.eigvalsh(matrix).abs().max() <= 1 + 1e-12


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("kernel", NONNEGATIVE)
def test_rows_of_a_random_walk_sum_to_1_or_to_0_where_isolated(kernel: str, mask: str) -> None:
    phi, psi = torch.randn(2, 8, 3, dtype=torch.float64)
    a = affinity(
        phi,
        psi,
        kernel=KERNELS[kernel].make().double(),
        mask=MASKS[mask].make((2, 4)),
        normalization="rw",
        size=(2, 4),
    )
    assert_equal(a.to_dense().sum(-1), (a.degree() != 0).double())


def test_a_random_walk_divides_by_a_negative_degree_as_it_comes() -> None:
    m = DenseOperator(torch.tensor([[1.0, -3.0], [2.0, -2.0]]))
    a = RandomWalk()(m)
    assert_equal(a.to_dense(), torch.tensor([[-0.5, 1.5], [0.0, 0.0]]))
    assert a.degree().tolist() == [-2.0, 0.0]


def test_unnormalised_is_m_itself() -> None:
    m = DenseOperator(torch.rand(3, 3))
    assert Unnormalized()(m) is m


def test_symmetric_refuses_what_may_be_negative() -> None:
    with pytest.raises(ValueError, match=r"non-negative affinity.*normalization=\"none\""):
        Symmetric()(DenseOperator(torch.rand(3, 3)))


def test_symmetric_refuses_a_rectangle() -> None:
    with pytest.raises(ValueError, match=r"joins 3 sources to 2 targets.*\"rw\" or \"none\""):
        Symmetric()(DenseOperator(torch.rand(2, 3), is_nonnegative=True))


def test_a_negative_degree_is_nan_and_never_a_silent_zero() -> None:
    """Weights that claim to be non-negative and are not, as on a device where nobody looked."""
    weight = torch.tensor([1.0, -4.0], requires_grad=True)
    edge_index = torch.tensor([[0, 1], [0, 1]])
    m = EdgeOperator(edge_index, weight, (2, 2), is_nonnegative=True)
    y = Symmetric()(m).apply(torch.ones(2, 1))
    assert y[0].item() == 1
    assert y[1].isnan().all()


@pytest.mark.parametrize(
    ("name", "kind"), [("sym", Symmetric), ("rw", RandomWalk), ("none", Unnormalized)]
)
def test_normalisations_by_name(name: str, kind: type) -> None:
    made = as_normalization(name)
    assert type(made) is kind
    assert as_normalization(made) is made
    assert repr(made) == f"{kind.__name__}()"


def test_an_unknown_normalisation_lists_the_choices() -> None:
    with pytest.raises(ValueError, match=r'unknown normalization "symm".*"sym", "rw", "none"'):
        as_normalization("symm")
