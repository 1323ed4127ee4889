"""The numerics contract: half precision, autocast, large logits, isolated nodes."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from snl_graph import affinity
from snl_graph.kernels import RBF, DoubleSoftmax, Gaussian, Kernel, SignedDot
from snl_graph.operators import DenseOperator, EdgeOperator, LogDenseOperator, LogEdgeOperator
from tests import oracles
from tests.factories import KERNELS, MASKS, representations_of
from tests.tolerances import RELATIVE, assert_equal, large_logits

HALVES = [torch.float16, torch.bfloat16]
NODES, WIDTH = 784, 512
half = pytest.mark.parametrize("dtype", HALVES, ids=["float16", "bfloat16"])


class TestHalfPrecision:
    """A 28 × 28 map of 512 channels: its degrees are beyond the largest float16."""

    @half
    @pytest.mark.parametrize("normalization", ["sym", "rw"])
    @pytest.mark.parametrize("representation", ["dense", "factored"])
    def test_degrees_beyond_float16_are_no_trouble(
        self, dtype: torch.dtype, normalization: str, representation: str
    ) -> None:
        phi, psi = (x.requires_grad_() for x in (10 * torch.rand(2, NODES, WIDTH)).to(dtype))
        z = torch.randn(NODES, 2).to(dtype)
        a = affinity(phi, psi, normalization=normalization, representation=representation)
        m = phi.double() @ psi.double().T
        assert a.degree().dtype == torch.float32
        assert a.degree().min() > torch.finfo(torch.float16).max
        assert_equal(a.degree(), oracles.degrees(m, normalization), 1e-4)
        matrix = oracles.normalized(m, normalization)
        assert_equal(a.apply(z), matrix @ z.double(), RELATIVE[dtype])
        assert_equal(a.apply(torch.ones_like(z)), matrix @ torch.ones_like(z).double())
        for gradient in torch.autograd.grad(a.apply(z).float().sum(), [phi, psi]):
            assert gradient.isfinite().all()

    @half
    def test_unequal_factors_are_balanced_before_they_are_rounded(self, dtype: torch.dtype) -> None:
        """Ψ 10⁴ times as large as Φ, and a channel that no node has."""
        phi, psi = torch.rand(2, NODES, 64)
        phi, psi = (phi / 100).to(dtype), (psi * 100).to(dtype)
        phi[:, 3], psi[:, 5] = 0, 0
        z = (10 * torch.rand(NODES, 2)).to(dtype)  # so that Ψᵀ Z is beyond the largest float16
        for normalization in ("sym", "rw"):
            a = affinity(phi, psi, normalization=normalization, representation="factored")
            m = oracles.normalized(phi.double() @ psi.double().T, normalization)
            assert_equal(a.apply(z), m @ z.double())

    @half
    @pytest.mark.parametrize("representation", ["dense", "edges", "factored"])
    def test_the_rows_of_a_large_random_walk_still_sum_to_1(
        self, dtype: torch.dtype, representation: str
    ) -> None:
        phi = torch.rand(NODES, 8).to(dtype)
        a = affinity(phi, normalization="rw", representation=representation)
        ones = torch.ones(NODES, 1, dtype=dtype)
        assert_equal(a.apply(ones), ones, 1e-2)

    @half
    def test_messages_are_summed_in_float32(self, dtype: torch.dtype) -> None:
        """4096 messages of 1/4096: a sum in half precision stands still far below 1."""
        count = 4096
        edge_index = torch.stack([torch.arange(count), torch.zeros(count, dtype=torch.long)])
        a = EdgeOperator(edge_index, torch.full((count,), 1 / count, dtype=dtype), (1, count))
        assert_equal(a.apply(torch.ones(count, 1, dtype=dtype)), torch.ones(1, 1), 1e-2)

    @half
    @pytest.mark.parametrize("representation", ["dense", "edges"])
    def test_an_unnormalised_exponential_uses_the_whole_range(
        self, dtype: torch.dtype, representation: str
    ) -> None:
        logits = torch.tensor([[10.0, 0.0], [-3.0, 2.0]])
        phi, psi = logits.to(dtype), torch.eye(2, dtype=dtype)
        a = affinity(
            phi,
            psi,
            kernel="embedded_gaussian",
            normalization="none",
            representation=representation,
        )
        assert_equal(a.to_dense(), logits.double().exp())
        huge = affinity(phi * 1000, psi, kernel="embedded_gaussian", normalization="none")
        assert huge.to_dense().isfinite().all()

    def test_more_nodes_than_float16_can_count(self) -> None:
        nodes = 70_000
        psi = torch.ones(nodes, 1, dtype=torch.float16)
        for valid in (None, torch.ones(nodes, dtype=torch.bool)):
            a = affinity(
                psi[:2], psi, kernel=SignedDot("1/n"), normalization="none", source_valid=valid
            )
            # float16 rounds 1/70000 on a grid of 6e-8
            assert_equal(a.row_sums().values, torch.ones(2), 5e-3)


class TestAutocast:
    @half
    @pytest.mark.parametrize("cast_features", [False, True])
    @pytest.mark.parametrize("kernel", KERNELS)
    def test_autocast_is_finite_and_near_the_formula(
        self, kernel: str, dtype: torch.dtype, cast_features: bool
    ) -> None:
        made = KERNELS[kernel].make()
        phi, psi = torch.randn(2, 6, 3, requires_grad=True)
        z = torch.randn(6, 2)
        for normalization in ("sym", "rw") if KERNELS[kernel].is_nonnegative else ("none",):
            for representation in representations_of(kernel, "full"):
                p, q = (x.to(dtype) if cast_features else x for x in (phi, psi))
                with torch.autocast("cpu", dtype=dtype):
                    a = affinity(
                        p,
                        q,
                        kernel=made,
                        normalization=normalization,
                        representation=representation,
                    )
                    assert a.degree().dtype == torch.float32
                    y = a.apply(z)
                m = KERNELS[kernel].formula(made, p.double(), q.double(), None)
                expected = oracles.normalized(m, normalization) @ z.double()
                assert_equal(y, expected, RELATIVE[dtype])
                for gradient in torch.autograd.grad(y.float().sum(), [phi, psi]):
                    assert gradient.isfinite().all()

    @half
    @pytest.mark.parametrize("normalization", ["sym", "rw"])
    @pytest.mark.parametrize("representation", ["dense", "edges", "factored"])
    def test_degrees_are_exact_to_float32(
        self, dtype: torch.dtype, normalization: str, representation: str
    ) -> None:
        phi, psi = 100 * torch.rand(2, 100, 16)
        with torch.autocast("cpu", dtype=dtype):
            a = affinity(phi, psi, normalization=normalization, representation=representation)
            y = a.apply(torch.ones(100, 1))
        m = phi.double() @ psi.double().T
        assert_equal(a.degree(), oracles.degrees(m, normalization))
        expected = oracles.normalized(m, normalization) @ torch.ones(100, 1).double()
        assert_equal(y, expected, RELATIVE[dtype])

    def test_an_inner_product_of_autocast_features_keeps_the_dtype_of_phi(self) -> None:
        """Where autocast promotes a softmax to float32, as it does on a GPU."""

        class Promoting(DoubleSoftmax):
            def features(self, *arguments: object) -> tuple[Tensor, Tensor]:
                phi, psi = super().features(*arguments)  # type: ignore[arg-type]
                return phi.float(), psi.float()

        phi = torch.randn(6, 3, dtype=torch.bfloat16)
        a = affinity(phi, kernel=Promoting(), representation="factored")
        assert a.dtype == torch.bfloat16
        assert a.degree().dtype == torch.float32


def logits_of_size(most: float) -> tuple[Tensor, Tensor, Tensor]:
    """Φ, Ψ in float32 with logits from −most to most, and the exact logits in float64."""
    phi = torch.randn(2, 8, 3)
    psi = torch.randn(2, 8, 3)
    phi *= most / (phi @ psi.mT).abs().max()
    return phi, psi, phi.double() @ psi.double().mT


SHARP: dict[str, Callable[[Tensor, Tensor], tuple[Kernel, Tensor]]] = {
    "embedded_gaussian": lambda p, q: (Gaussian(), p.double() @ q.double().mT),
    "rbf": lambda p, q: (RBF(0.5), -0.5 * torch.cdist(p.double(), q.double()).square()),
}


class TestLargeLogits:
    @pytest.mark.parametrize("most", [1.0, 100.0, 1e4])
    @pytest.mark.parametrize("normalization", ["sym", "rw"])
    @pytest.mark.parametrize(
        ("mask", "representation"),
        [(mask, name) for mask in MASKS for name in representations_of("rbf", mask)],
    )
    @pytest.mark.parametrize("kernel", SHARP)
    def test_normalised_exponentials_are_those_of_the_log_domain(
        self, kernel: str, mask: str, representation: str, normalization: str, most: float
    ) -> None:
        phi, psi, _ = logits_of_size(most)
        made, logits = SHARP[kernel](phi, psi)
        size = (2, 4)
        logits = logits.masked_fill(~MASKS[mask].joined(size), -math.inf)
        exact = oracles.batched(lambda item: oracles.normalized_logits(item, normalization), logits)
        phi.requires_grad_(), psi.requires_grad_()
        a = affinity(
            phi,
            psi,
            kernel=made,
            mask=MASKS[mask].make(size),
            normalization=normalization,
            representation=representation,
            size=size,
        )
        largest = float(logits[logits.isfinite()].abs().max())
        matrix = a.to_dense()
        assert (matrix.double() - exact).abs().max() <= large_logits(largest)
        is_representable = exact > 1e-30
        assert (matrix[is_representable] > 0).all(), "a weight vanished that float32 can hold"
        for gradient in torch.autograd.grad(a.apply(torch.randn(2, 8, 2)).sum(), [phi, psi]):
            assert gradient.isfinite().all()

    @pytest.mark.parametrize("representation", ["dense", "edges"])
    def test_unnormalised_exponentials_are_right_where_they_can_be_held(
        self, representation: str
    ) -> None:
        phi, psi, logits = logits_of_size(1e3)
        phi.requires_grad_()
        a = affinity(
            phi,
            psi,
            kernel="embedded_gaussian",
            normalization="none",
            representation=representation,
        )
        matrix = a.to_dense().double()
        is_held = logits.abs() < 75
        assert is_held.any()
        relative = (matrix - logits.exp()).abs()[is_held] / logits.exp()[is_held]
        assert relative.max() <= large_logits(1e3)
        y = a.apply(torch.randn(2, 8, 2))
        assert y.isfinite().all()
        y.sum().backward()
        assert phi.grad is not None
        assert phi.grad.isfinite().all()

    def test_a_row_is_zero_only_where_the_exact_row_underflows(self) -> None:
        """One sharp node: in the symmetric form its partner's row shrinks by e^(most/2)."""
        for most, vanishes in ((100.0, False), (1e4, True)):
            logits = torch.zeros(3, 3)
            logits[0, 0] = most
            for operator in (LogDenseOperator, _as_log_edges):
                m = operator(logits)
                root = m.symmetrized().row_sums().power(-0.5)
                matrix = m.symmetrized().scaled(root, root).to_dense()
                exact = oracles.normalized_logits(logits.double(), "sym")
                assert (matrix.double() - exact).abs().max() <= large_logits(most)
                assert ((matrix[1, 0] == 0) == torch.tensor(vanishes)).all()
                assert (matrix.sum(-1) > 0).all()

    @pytest.mark.parametrize("offset", [0.0, 30.0, 300.0])
    def test_rbf_does_not_care_where_the_origin_is(self, offset: float) -> None:
        """Squares of far features would round the distances away."""
        x = torch.randn(6, 16) / 4 + offset
        for representation in ("dense", "edges"):
            a = affinity(x, kernel="rbf", normalization="none", representation=representation)
            exact = torch.exp(-torch.cdist(x.double(), x.double()).square())
            assert_equal(a.to_dense(), exact, 1e-5)


def _as_log_edges(logits: Tensor) -> LogEdgeOperator:
    target, source = (logits > -math.inf).nonzero().T
    count = logits.shape[0]
    return LogEdgeOperator(torch.stack([source, target]), logits[target, source], (count, count))


class TestIsolatedNodes:
    @pytest.mark.parametrize("normalization", ["sym", "rw", "none"])
    @pytest.mark.parametrize("representation", ["dense", "edges", "factored"])
    def test_a_node_of_degree_zero_has_a_zero_row_and_finite_gradients(
        self, representation: str, normalization: str
    ) -> None:
        phi, psi = torch.rand(2, 2, 5, 3, dtype=torch.float64)
        phi[:, 1], psi[:, 1] = -1.0, -1.0  # nothing is positive there
        phi[1], psi[1] = -1.0, -1.0  # nor anywhere in the second item
        phi, psi = phi.requires_grad_(), psi.requires_grad_()
        a = affinity(phi, psi, normalization=normalization, representation=representation)
        matrix = a.to_dense()
        assert a.degree()[0, 1] == 0
        assert (matrix[0, 1] == 0).all()
        assert (matrix[0, :, 1] == 0).all()
        assert (matrix[1] == 0).all()
        for gradient in torch.autograd.grad(matrix.square().sum(), [phi, psi]):
            assert gradient.isfinite().all()

    @pytest.mark.parametrize("normalization", ["sym", "rw"])
    @pytest.mark.parametrize("representation", ["dense", "edges"])
    @pytest.mark.parametrize("kernel", KERNELS)
    def test_a_node_that_the_mask_isolates(
        self, kernel: str, representation: str, normalization: str
    ) -> None:
        if normalization == "sym" and not KERNELS[kernel].is_nonnegative:
            normalization = "none"
        joined = torch.tensor([[1, 0, 1], [0, 0, 0], [0, 0, 1]]).bool()
        made = KERNELS[kernel].make().double()
        phi, psi = torch.randn(2, 3, 3, dtype=torch.float64)
        phi, psi = phi.requires_grad_(), psi.requires_grad_()
        a = affinity(
            phi,
            psi,
            kernel=made,
            mask=joined,
            normalization=normalization,
            representation=representation,
        )
        matrix = a.to_dense()
        assert (matrix[1] == 0).all()
        assert (matrix[:, 1] == 0).all()
        first = torch.autograd.grad(matrix.square().sum(), [phi, psi], create_graph=True)
        second = torch.autograd.grad(
            sum(g.square().sum() for g in first), [phi, psi], materialize_grads=True
        )
        assert all(gradient.isfinite().all() for gradient in (*first, *second))

    def test_a_graph_without_edges(self) -> None:
        phi = torch.randn(4, 2, requires_grad=True)
        nothing = torch.empty(2, 0, dtype=torch.long)
        for kernel in ("dot", "gaussian"):
            for representation in ("dense", "edges"):
                for normalization in ("sym", "rw", "none"):
                    a = affinity(
                        phi,
                        kernel=kernel,
                        mask=nothing,
                        normalization=normalization,
                        representation=representation,
                    )
                    y = a.apply(torch.randn(4, 2))
                    assert (y == 0).all()
                    assert (a.degree() == 0).all()
                    (gradient,) = torch.autograd.grad(y.sum(), phi)
                    assert (gradient == 0).all()


def test_a_half_matrix_is_scaled_before_it_is_rounded() -> None:
    """Its degree of 10⁷ has no float16, the entries of A do."""
    matrix = torch.full((200, 200), 6e4, dtype=torch.float16)
    m = DenseOperator(matrix, is_nonnegative=True, is_symmetric=True)
    degree = m.row_sums()
    assert_equal(degree.values, torch.full((200,), 1.2e7), 1e-3)
    a = m.scaled(degree.power(-1), None)
    assert_equal(a.to_dense(), torch.full((200, 200), 1 / 200), 1e-3)
