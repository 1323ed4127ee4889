"""Whatever holds an operator: its transpose, symmetric part, scale and views are the matrix's."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from snl_graph.operators import (
    AffinityOperator,
    DenseOperator,
    EdgeOperator,
    FactoredOperator,
    LinearDiagonal,
    LogDenseOperator,
    LogDiagonal,
    LogEdgeOperator,
    ScaledOperator,
    SymmetrizedOperator,
    densified,
)
from tests import oracles
from tests.tolerances import assert_equal

N = 5
EDGES = torch.tensor([[0, 1, 1, 3, 0, 2, 0], [1, 1, 2, 0, 3, 3, 1]])  # 0 → 1 twice, 4 isolated


def _edge_matrices(weight: Tensor) -> Tensor:
    return oracles.batched(lambda w: oracles.edge_matrix(EDGES, w, (N, N)), weight, axes=1)


def _dense() -> tuple[AffinityOperator, Tensor]:
    matrix = torch.rand(2, N, N, dtype=torch.float64)
    return DenseOperator(matrix, is_nonnegative=True), matrix


def _log_dense() -> tuple[AffinityOperator, Tensor]:
    logits = torch.randn(2, N, N, dtype=torch.float64)
    logits[:, 1] = logits[:, :, 3] = -torch.inf
    return LogDenseOperator(logits), logits.exp()


def _edges() -> tuple[AffinityOperator, Tensor]:
    weight = torch.rand(2, EDGES.shape[1], dtype=torch.float64)
    return EdgeOperator(EDGES, weight, (N, N), is_nonnegative=True), _edge_matrices(weight)


def _mirrored_edges() -> tuple[AffinityOperator, Tensor]:
    weight = torch.rand(2, EDGES.shape[1], dtype=torch.float64)
    m = EdgeOperator(EDGES, weight, (N, N), is_mirrored=True, is_nonnegative=True)
    return m, _edge_matrices(weight) + _edge_matrices(weight).mT


def _log_edges() -> tuple[AffinityOperator, Tensor]:
    logits = torch.randn(2, EDGES.shape[1], dtype=torch.float64)
    return LogEdgeOperator(EDGES, logits, (N, N)), _edge_matrices(logits.exp())


def _factored() -> tuple[AffinityOperator, Tensor]:
    phi, psi = torch.rand(2, 2, N, 2, dtype=torch.float64)
    return FactoredOperator(phi, psi, is_nonnegative=True), phi @ psi.mT


def _symmetrized() -> tuple[AffinityOperator, Tensor]:
    inner, matrix = _log_edges()
    return SymmetrizedOperator(inner), (matrix + matrix.mT) / 2


def _scaled() -> tuple[AffinityOperator, Tensor]:
    inner, matrix = _factored()
    left, right = torch.rand(2, 2, N, dtype=torch.float64)
    scaled = ScaledOperator(inner, LinearDiagonal(left), LinearDiagonal(right))
    return scaled, left[..., None] * matrix * right[:, None]


OPERATORS: dict[str, Callable[[], tuple[AffinityOperator, Tensor]]] = {
    "dense": _dense,
    "log_dense": _log_dense,
    "edges": _edges,
    "mirrored_edges": _mirrored_edges,
    "log_edges": _log_edges,
    "factored": _factored,
    "symmetrized": _symmetrized,
    "scaled": _scaled,
}
"""A new operator joins here: what it is, and its matrix."""


def assert_is(a: AffinityOperator, matrix: Tensor) -> None:
    """The operator is this matrix, whichever way one looks."""
    z = torch.randn(2, N, 3, dtype=torch.float64)
    assert a.shape == matrix.shape
    assert_equal(a.apply(z), matrix @ z)
    assert_equal(a.T.apply(z), matrix.mT @ z)
    assert_equal(a.to_dense(), matrix)
    assert_equal(a.row_sums().values, matrix.sum(-1))
    assert a.is_symmetric == a.T.is_symmetric
    if a.is_symmetric:
        assert_equal(matrix, matrix.mT)


@pytest.mark.parametrize("name", OPERATORS)
class TestOperator:
    def test_applies_as_its_matrix(self, name: str) -> None:
        assert_is(*OPERATORS[name]())

    def test_transpose(self, name: str) -> None:
        a, matrix = OPERATORS[name]()
        assert_is(a.T, matrix.mT)
        assert_is(a.T.T, matrix)

    def test_symmetric_part(self, name: str) -> None:
        a, matrix = OPERATORS[name]()
        assert_is(a.symmetrized(), (matrix + matrix.mT) / 2)
        assert a.symmetrized().is_symmetric

    @pytest.mark.parametrize("sides", ["left", "right", "two different", "both the same"])
    @pytest.mark.parametrize("kind", [LinearDiagonal, LogDiagonal])
    def test_scale(self, name: str, sides: str, kind: type) -> None:
        a, matrix = OPERATORS[name]()
        d, e = torch.rand(2, 2, N, dtype=torch.float64) + 0.1
        diagonal, other = (kind(x.log() if kind is LogDiagonal else x) for x in (d, e))
        rows, columns = d[..., None], e[:, None]
        if sides == "left":
            assert_is(a.scaled(diagonal, None), rows * matrix)
        elif sides == "right":
            assert_is(a.scaled(None, other), matrix * columns)
        elif sides == "two different":
            assert_is(a.scaled(diagonal, other), rows * matrix * columns)
        else:
            scaled = a.symmetrized().scaled(diagonal, diagonal)
            assert scaled.is_symmetric
            assert_is(scaled, rows * (matrix + matrix.mT) / 2 * d[:, None])

    def test_scale_of_zero_or_of_either_sign(self, name: str) -> None:
        a, matrix = OPERATORS[name]()
        d = torch.randn(2, N, dtype=torch.float64)
        d[:, 0] = 0
        d.requires_grad_()
        scaled = a.scaled(LinearDiagonal(d), None)
        assert_is(scaled, d.detach()[..., None] * matrix)
        (gradient,) = torch.autograd.grad(scaled.apply(torch.ones(2, N, 1).double()).sum(), d)
        assert_equal(gradient, matrix.sum(-1))

    def test_written_down(self, name: str) -> None:
        a, matrix = OPERATORS[name]()
        dense = densified(a.with_degree(LinearDiagonal(torch.ones(2, N))))
        assert_is(dense, matrix)
        assert dense.is_symmetric == a.is_symmetric
        assert dense.is_nonnegative == a.is_nonnegative
        assert (dense.degree() == 1).all()

    def test_edges_add_up_to_the_matrix(self, name: str) -> None:
        a, matrix = OPERATORS[name]()
        edge_index, weight = a.to_edges()
        rebuilt = oracles.batched(
            lambda w: oracles.edge_matrix(edge_index, w, (N, N)), weight, axes=1
        )
        assert_equal(rebuilt, matrix)

    def test_degree_is_the_row_sum_until_a_normalisation_records_one(self, name: str) -> None:
        a, matrix = OPERATORS[name]()
        assert_equal(a.degree(), matrix.sum(-1))
        recorded = a.with_degree(LinearDiagonal(torch.full((2, N), 7.0)))
        assert (recorded.degree() == 7).all()
        assert (recorded.T.degree() == 7).all()
        assert_equal(a.degree(), matrix.sum(-1))

    def test_a_signal_without_batch_axes_is_shared(self, name: str) -> None:
        a, matrix = OPERATORS[name]()
        z = torch.randn(N, 2, dtype=torch.float64)
        assert_equal(a.apply(z), matrix @ z)

    @pytest.mark.parametrize("shape", [(N,), (N + 1, 2), (2, 2, N)])
    def test_matmul_refuses_a_signal_of_another_shape(self, name: str, shape: tuple) -> None:
        a, _ = OPERATORS[name]()
        with pytest.raises(ValueError, match=r"takes signals \(\*batch, 5, C\); got"):
            a @ torch.zeros(shape, dtype=torch.float64)

    def test_repr_names_class_shape_and_dtype(self, name: str) -> None:
        a, _ = OPERATORS[name]()
        assert repr(a) == f"{type(a).__name__}(shape=(2, 5, 5), dtype=torch.float64)"


RECTANGLES: dict[str, AffinityOperator] = {
    "dense": DenseOperator(torch.rand(2, 3)),
    "log_dense": LogDenseOperator(torch.rand(2, 3)),
    "edges": EdgeOperator(torch.tensor([[2, 0], [1, 1]]), torch.rand(2), (2, 3)),
    "log_edges": LogEdgeOperator(torch.tensor([[2, 0], [1, 1]]), torch.rand(2), (2, 3)),
    "factored": FactoredOperator(torch.rand(2, 2), torch.rand(3, 2)),
}


@pytest.mark.parametrize("name", RECTANGLES)
class TestRectangle:
    def test_views_agree(self, name: str) -> None:
        a = RECTANGLES[name]
        matrix, z = a.to_dense(), torch.rand(3, 2)
        assert matrix.shape == a.shape == (2, 3)
        assert_equal(a.apply(z), matrix @ z)
        assert_equal(a.T.apply(z[:2]), matrix.T @ z[:2])
        assert a.T.shape == (3, 2)
        edge_index, weight = a.to_edges()
        assert_equal(oracles.edge_matrix(edge_index, weight, (2, 3)), matrix)

    def test_has_no_symmetric_part(self, name: str) -> None:
        with pytest.raises(ValueError, match=r"only a square affinity .* joins 3 sources"):
            RECTANGLES[name].symmetrized()


@pytest.mark.parametrize("name", ["dense", "edges", "mirrored_edges", "factored"])
def test_operators_of_numbers_change_their_dtype(name: str) -> None:
    a, matrix = OPERATORS[name]()
    degree = LinearDiagonal(torch.ones(2, N, dtype=torch.float64))
    cast = a.with_degree(degree).to(torch.float32)
    assert cast.dtype == torch.float32
    assert cast.degree().dtype == torch.float64
    assert cast.is_symmetric == a.is_symmetric
    assert_equal(cast.to_dense(), matrix)


@pytest.mark.parametrize("name", ["log_dense", "log_edges", "symmetrized", "scaled"])
def test_operators_that_keep_their_dtype_say_so(name: str) -> None:
    a, _ = OPERATORS[name]()
    assert a.to(torch.float64) is a
    with pytest.raises(TypeError, match=r"keeps its dtype torch.float64; cast its inputs"):
        a.to(torch.float32)
