"""A filter is its response: matrix powers, Chebyshev polynomials, eigenvalues all agree."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special
import torch
from torch import Tensor, nn

from snl_graph import affinity
from snl_graph.filters import (
    BASES,
    Basis,
    Chebyshev,
    GraphFilter,
    Monomial,
    Polynomial,
    as_basis,
    as_filter,
)
from snl_graph.operators import AffinityOperator, DenseOperator
from tests.tolerances import assert_equal

ORDERS = range(1, 7)
LAMBDA_MAX = [2.0, 1.3]

BASIS_CASES: dict[str, Basis] = {
    "monomial": Monomial(),
    "chebyshev": Chebyshev(),
    "chebyshev 1.3": Chebyshev(1.3),
}
FILTER_CASES: dict[str, GraphFilter] = {
    **{
        f"{basis} K={k}": Polynomial(k, BASIS_CASES[basis]) for basis in BASIS_CASES for k in ORDERS
    },
    "ns": Polynomial(2, taps={1: (-1.0, 1.0)}),
    "nl": Polynomial(2, taps={1: (0.0, 1.0)}),
    "two tied taps": Polynomial(4, Chebyshev(), {0: (1.0, 0.0, -2.0, 0.5), 3: (0.0, 0.25, 0.0, 1)}),
    "nothing": Polynomial(2, taps={0: (0.0, 0.0)}),
}
"""A new filter joins here."""


def operator(requires_grad: bool = False) -> tuple[AffinityOperator, Tensor, Tensor]:
    phi, psi = torch.rand(2, 2, 6, 2, dtype=torch.float64)
    phi.requires_grad_(requires_grad)
    return affinity(phi, psi, representation="factored"), phi, torch.randn(2, 6, 3).double()


def polynomials(basis: str, matrix: Tensor, count: int) -> list[Tensor]:
    """P_k of a matrix, of its definition: powers of A, or cos(k arccos L̃) by the eigenvalues."""
    if basis == "monomial":
        return [torch.linalg.matrix_power(matrix, k) for k in range(count)]
    lambda_max = BASIS_CASES[basis].lambda_max
    values, vectors = torch.linalg.eigh(torch.eye(len(matrix)).double() - matrix)
    scaled = (2 * values / lambda_max - 1).numpy()
    return [
        vectors @ torch.diag(torch.as_tensor(scipy.special.eval_chebyt(k, scaled))) @ vectors.T
        for k in range(count)
    ]


@pytest.mark.parametrize("K", ORDERS)
@pytest.mark.parametrize("basis", BASIS_CASES)
def test_signals_are_the_polynomials_of_the_matrix(basis: str, K: int) -> None:
    a, _, z = operator()
    found = Polynomial(K, BASIS_CASES[basis]).signals(a, z)
    assert len(found) == K
    for item, matrix in enumerate(a.to_dense()):
        for signal, p in zip(found, polynomials(basis, matrix, K), strict=True):
            assert_equal(signal[item], p @ z[item])


@pytest.mark.parametrize("K", ORDERS)
@pytest.mark.parametrize("basis", BASIS_CASES)
def test_gradients_are_those_of_the_dense_recursion(basis: str, K: int) -> None:
    a, phi, z = operator(requires_grad=True)
    z.requires_grad_()
    identity = torch.eye(6).double()
    matrix = a.to_dense()
    if basis == "monomial":
        terms = [torch.linalg.matrix_power(matrix, k) @ z for k in range(K)]
    else:
        scaled = 2 * (identity - matrix) / BASIS_CASES[basis].lambda_max - identity
        p = [identity.expand_as(matrix), scaled]
        for _ in range(2, K):
            p.append(2 * scaled @ p[-1] - p[-2])
        terms = [polynomial @ z for polynomial in p[:K]]
    cotangents = torch.randn(K, *z.shape, dtype=torch.float64)
    signals = Polynomial(K, BASIS_CASES[basis]).signals(a, z)
    for inputs in (phi, z):
        found, expected = (
            torch.autograd.grad(
                sum((c * s).sum() for c, s in zip(cotangents, these, strict=True)),
                inputs,
                retain_graph=True,
                materialize_grads=True,
            )[0]
            for these in (signals, terms)
        )
        assert_equal(found, expected)


@pytest.mark.parametrize("name", FILTER_CASES)
class TestFilter:
    def test_response_by_the_eigenvalues_is_the_filter(self, name: str) -> None:
        """U g(Λ) Uᵀ z, Theorem 1."""
        made = FILTER_CASES[name]
        a, _, z = operator()
        values, vectors = torch.linalg.eigh(torch.eye(6).double() - a.to_dense())
        signals = made.signals(a, z)
        assert len(signals) == len(made.taps)
        for item in range(2):
            response = made.response(values[item])
            assert response.shape == (6, len(made.taps))
            for tap, signal in enumerate(signals):
                u = vectors[item]
                assert_equal(signal[item], u @ (response[:, tap, None] * (u.T @ z[item])))

    def test_response_at_complex_eigenvalues(self, name: str) -> None:
        """Those of an affinity that is not symmetric; λ = 1 is the node without any edge."""
        made = FILTER_CASES[name]
        real = torch.tensor([0.0, 1.0, 0.3], dtype=torch.float64)
        assert_equal(made.response(real.to(torch.complex128)).real, made.response(real))
        m = torch.rand(6, 6, dtype=torch.float64)
        a = affinity(
            m,
            torch.eye(6).double(),
            kernel="signed_dot",
            normalization="rw",
            representation="dense",
        )
        values, vectors = torch.linalg.eig(torch.eye(6).double() - a.to_dense())
        z = torch.randn(6, 1, dtype=torch.float64)
        response = made.response(values)
        for tap, signal in enumerate(made.signals(a, z)):
            z_hat = torch.linalg.solve(vectors, z.to(vectors.dtype))
            expected = vectors @ (response[:, tap, None] * z_hat)
            assert_equal(signal, expected.real, 1e-9)
            assert expected.imag.abs().max() < 1e-9

    def test_response_is_differentiable(self, name: str) -> None:
        lambdas = torch.linspace(0, 2, 5, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(FILTER_CASES[name].response, lambdas)

    def test_forward_sums_the_taps_through_their_weights(self, name: str) -> None:
        made = FILTER_CASES[name]
        a, _, z = operator()
        weights = {tap: nn.Linear(3, 4, bias=False).double() for tap in made.taps}
        expected = sum(
            signal @ weights[tap].weight.T
            for tap, signal in zip(made.taps, made.signals(a, z), strict=True)
        )
        assert_equal(made(a, z, weights), expected)

    def test_order_is_how_often_the_operator_is_applied(self, name: str) -> None:
        made = FILTER_CASES[name]
        a, _, z = operator()
        count = 0

        class Counting(DenseOperator):
            def apply(self, z: Tensor) -> Tensor:
                nonlocal count
                count += 1
                return super().apply(z)

        made.signals(Counting(a.to_dense()), z)
        assert count == made.order


def test_chebyshev_with_lambda_max_2_filters_with_minus_a() -> None:
    a, _, z = operator()
    signals = Polynomial(3, Chebyshev()).signals(a, z)
    assert_equal(signals[1], -a.apply(z))
    assert_equal(signals[2], 2 * a.apply(a.apply(z)) - z)


def test_each_node_may_have_the_lambda_max_of_its_graph() -> None:
    a, _, z = operator()
    per_item = torch.tensor([1.3, 1.7], dtype=torch.float64)
    signals = Polynomial(4, Chebyshev(per_item[:, None, None])).signals(a, z)
    for item, lambda_max in enumerate(per_item.tolist()):
        alone = Polynomial(4, Chebyshev(lambda_max)).signals(a, z)
        for found, expected in zip(signals, alone, strict=True):
            assert_equal(found[item], expected[item])


def test_both_bases_span_the_same_filters() -> None:
    lambdas = torch.linspace(0, 2, 50, dtype=torch.float64)
    a, b = (Polynomial(6, BASES[basis]()).response(lambdas) for basis in BASES)
    solution = np.linalg.lstsq(a.numpy(), b.numpy(), rcond=None)[0]
    assert_equal(a @ torch.as_tensor(solution), b)


def test_a_rectangle_filters_to_first_order() -> None:
    phi, psi = (torch.rand(n, 2, dtype=torch.float64) for n in (4, 3))
    a = affinity(phi, psi, normalization="rw")
    z, source = (torch.randn(n, 5, dtype=torch.float64) for n in (4, 3))
    target, gathered = Polynomial(2).signals(a, z, source)
    assert_equal(target, z)
    assert_equal(gathered, a.to_dense() @ source)
    _, gathered = Polynomial(2, Chebyshev(1.5)).signals(a, z, source)
    assert_equal(gathered, (z - a.to_dense() @ source) * (2 / 1.5) - z)
    with pytest.raises(ValueError, match="no powers, so K is at most 2; this filter has K = 3"):
        Polynomial(3).signals(a, z, source)


@pytest.mark.parametrize("K", [0, -1, 1.5, "2"])
def test_k_is_a_whole_number_from_1_on(K: object) -> None:
    with pytest.raises(ValueError, match="K is a whole number ≥ 1; got"):
        Polynomial(K)  # type: ignore[arg-type]


def test_taps_have_a_coefficient_for_each_polynomial() -> None:
    with pytest.raises(ValueError, match="tap 1 has 3 coefficients; K is 2"):
        Polynomial(2, taps={1: (0.0, 1.0, 0.0)})


@pytest.mark.parametrize("lambda_max", [0, -1.0, float("nan")])
def test_lambda_max_is_positive(lambda_max: float) -> None:
    with pytest.raises(ValueError, match="lambda_max must be positive, got"):
        Chebyshev(lambda_max)


def test_a_response_needs_one_lambda_max() -> None:
    with pytest.raises(ValueError, match=r"holds one a graph. Ask for each alone"):
        Polynomial(2, Chebyshev(torch.ones(3, 1))).response(torch.zeros(1))


def test_filters_and_bases_by_name() -> None:
    for name in BASES:  # each is a filter too
        made = as_filter(name, 4)
        assert isinstance(made, Polynomial)
        assert (made.K, made.order, made.taps) == (4, 3, (0, 1, 2, 3))
        assert type(made.basis) is type(as_basis(name))
        assert as_filter(made, 2) is made
        assert as_basis(made.basis) is made.basis
    with pytest.raises(ValueError, match=r'unknown filter "chebychev". Did you mean "chebyshev"'):
        as_filter("chebychev", 2)
    with pytest.raises(ValueError, match='unknown basis "power"'):
        as_basis("power")
