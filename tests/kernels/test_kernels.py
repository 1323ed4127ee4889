"""What each kernel declares of itself is true, and its scale is what it says."""

import copy

import pytest
import torch

from snl_graph import affinity
from snl_graph.kernels import (
    KERNELS as BY_NAME,
)
from snl_graph.kernels import (
    RBF,
    Concatenation,
    EmbeddedGaussian,
    Gaussian,
    Kernel,
    NodeSet,
    SignedDot,
    as_kernel,
)
from tests import oracles
from tests.factories import KERNELS, WIDTH
from tests.tolerances import assert_equal

EVERY = pytest.mark.parametrize("name", KERNELS)


def test_every_kernel_with_a_name_is_tested() -> None:
    assert BY_NAME.keys() <= KERNELS.keys()


@EVERY
def test_a_kernel_declares_its_representations(name: str) -> None:
    assert KERNELS[name].make().representations == KERNELS[name].representations


@EVERY
def test_a_kernel_declares_whether_it_can_be_negative(name: str) -> None:
    kernel, case = KERNELS[name].make().double(), KERNELS[name]
    matrix = case.formula(kernel, *torch.randn(2, 20, WIDTH, dtype=torch.float64), None)
    assert kernel.is_nonnegative == case.is_nonnegative == bool((matrix >= 0).all())


@EVERY
def test_link_of_the_inner_products_is_the_kernel(name: str) -> None:
    kernel = KERNELS[name].make().double()
    phi, psi = torch.randn(2, 6, WIDTH, dtype=torch.float64)
    ours, theirs = kernel.features(phi, psi, NodeSet())
    scores = ours @ theirs.T
    m = scores.exp() if kernel.is_exponential else kernel.link(scores)
    assert_equal(m, KERNELS[name].formula(kernel, phi, psi, None))


@EVERY
def test_only_the_gaussian_compares_the_features_themselves(name: str) -> None:
    assert KERNELS[name].make().is_embedded == (name != "gaussian")


@EVERY
def test_kernels_can_be_copied_and_printed(name: str) -> None:
    kernel = KERNELS[name].make()
    twin = copy.deepcopy(kernel)
    assert repr(twin) == repr(kernel)
    assert twin.state_dict().keys() == kernel.state_dict().keys()


def test_kernels_by_name_take_the_width_of_their_features() -> None:
    for name in BY_NAME:
        made = as_kernel(name, 5)
        assert isinstance(made, Kernel)
        assert as_kernel(made, 7) is made
    concatenation = as_kernel("concatenation", 5)
    assert concatenation.get_parameter("weight").shape == (2, 5)


def test_an_unknown_kernel_lists_the_choices() -> None:
    with pytest.raises(ValueError, match=r'unknown kernel "gausian"\. Did you mean "gaussian"\?'):
        as_kernel("gausian", 3)


@pytest.mark.parametrize("scale", [0.5, -2.0, 3])
def test_scales_that_are_numbers(scale: float) -> None:
    phi, psi = torch.randn(2, 4, 3, dtype=torch.float64)
    dot = oracles.pairs_of(phi, psi, oracles.signed_dot)
    for kernel, expected in (
        (SignedDot(scale), scale * dot),
        (EmbeddedGaussian(scale), (scale * dot).exp()),
        (Gaussian(scale), (scale * dot).exp()),
    ):
        assert_equal(affinity(phi, psi, kernel=kernel, normalization="none").to_dense(), expected)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SignedDot("1/r"), r'scale is a number, "1/n" or "1/sqrt\(n\)"; got "1/r"'),
        (lambda: EmbeddedGaussian("1/r"), r'scale is a number or "1/sqrt\(r\)"; got "1/r"'),
        (lambda: EmbeddedGaussian(None), r'scale is a number or "1/sqrt\(r\)"; got None'),
        (lambda: SignedDot(True), r'"1/sqrt\(n\)"; got True'),
        (lambda: Concatenation(2, None), 'scale is a number > 0, or "1/n"; got None'),
        (lambda: Gaussian("1/n"), r'scale is a number or "1/sqrt\(r\)"; got "1/n"'),
        (lambda: RBF(0.0), "gamma must be a positive number, got 0.0"),
        (lambda: RBF(float("nan")), "gamma must be a positive number, got nan"),
        (lambda: Concatenation(0), "channels is a whole number ≥ 1; got 0"),
    ],
)
def test_kernels_refuse_what_they_cannot_be(make: type[Kernel], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_concatenation_draws_new_weights() -> None:
    kernel = Concatenation(4)
    before = kernel.weight.clone()
    kernel.reset_parameters()
    assert not torch.equal(kernel.weight, before)


@pytest.mark.parametrize("representation", ["dense", "edges"])
@pytest.mark.parametrize("scale", ["1/n", 0.3])
def test_concatenation_scales_what_is_left_after_rectification(
    scale: str | float, representation: str
) -> None:
    kernel = Concatenation(WIDTH, scale).double()
    phi, psi = torch.randn(2, 5, WIDTH, dtype=torch.float64), torch.randn(2, 4, WIDTH).double()
    m = affinity(
        phi,
        psi,
        kernel=kernel,
        normalization="none",
        representation=representation,
    )
    factor = 1 / 4 if scale == "1/n" else scale
    for item, found in enumerate(m.to_dense()):
        expected = oracles.pairs_of(
            phi[item], psi[item], lambda p, q: oracles.concatenation(p, q, kernel.weight)
        )
        assert_equal(found, factor * expected)


@pytest.mark.parametrize("scale", [0, -1.0, "1/sqrt(n)"])
def test_concatenation_refuses_other_scales(scale: str | float) -> None:
    with pytest.raises(ValueError, match="scale is a number > 0"):
        Concatenation(WIDTH, scale)
