"""Every filter of the table: its response, its products with A, and its place in layers agree."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from snl_graph import SNLConv, filter_response, nonlocal_block
from snl_graph.filters import (
    FILTERS,
    Approximated,
    GraphFilter,
    approximate_response,
    approximation_error,
    as_filter,
    exact_signals,
)
from snl_graph.filters.maps import JointMaps
from snl_graph.operators import DenseOperator
from tests.filters.conformance import (
    FILTER_CASES,
    WEIGHTS,
    eigen_filtered,
    random_walk,
    symmetric,
)
from tests.tolerances import assert_equal

every_filter = pytest.mark.parametrize("case", FILTER_CASES)
# Meyer wavelets are joined of pieces: at complex eigenvalues they say so (test_wavelets.py).
ANALYTIC = [case for case in FILTER_CASES if not case.startswith("meyer")]
every_name = pytest.mark.parametrize("name", FILTERS)


def made(case: str) -> GraphFilter:
    return FILTER_CASES[case]().double()


def assert_near(found: Tensor, expected: Tensor) -> None:
    """Near in units of the signal that went in, of size 1: a tap may pass next to nothing of it."""
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= 1e-9 * max(1, expected.abs().max())


def weights_of(filter: GraphFilter, width: int, out: int) -> dict[int, nn.Linear]:
    return {tap: nn.Linear(width, out, bias=False).double() for tap in filter.taps}


@every_filter
class TestResponse:
    @pytest.mark.parametrize("graph", WEIGHTS)
    def test_signals_are_those_of_the_eigenvectors_up_to_the_stated_error(
        self, case: str, graph: str
    ) -> None:
        """‖g(L) z − ĝ(L) z‖ ≤ error ‖z‖, in the norm of D^½ for the random walk."""
        filter, weights = made(case), WEIGHTS[graph]()
        z = torch.randn(len(weights), 3, dtype=torch.float64)
        error = approximation_error(filter)
        assert error.shape == (len(filter.taps),)
        of_symmetric, of_walk = eigen_filtered(filter.response, weights, z)
        degree = weights.sum(1)
        root = torch.where(degree == 0, 1, degree).sqrt()[:, None]
        for a, expected, scale in (
            (symmetric(weights), of_symmetric, 1),
            (random_walk(weights), of_walk, root),
        ):
            signals = filter.signals(a, z)
            assert len(signals) == len(filter.taps)
            for signal, wanted, bound in zip(signals, expected, error, strict=True):
                difference = (scale * (signal - wanted)).norm()
                # The error is read off at 2001 places; between them it may be a little greater.
                assert difference <= 1.01 * bound * (scale * z).norm() + 1e-10

    @pytest.mark.parametrize("graph", WEIGHTS)
    def test_signals_are_exactly_those_of_the_approximate_response(
        self, case: str, graph: str
    ) -> None:
        filter, weights = made(case), WEIGHTS[graph]()
        z = torch.randn(len(weights), 2, dtype=torch.float64)
        expected = eigen_filtered(lambda lambdas: approximate_response(filter, lambdas), weights, z)
        for a, wanted in zip((symmetric(weights), random_walk(weights)), expected, strict=True):
            for signal, one in zip(filter.signals(a, z), wanted, strict=True):
                assert_near(signal, one)

    def test_exact_signals_are_those_of_the_eigenvectors(self, case: str) -> None:
        filter, weights = made(case), WEIGHTS["complete"]()
        z = torch.randn(len(weights), 2, dtype=torch.float64)
        both = eigen_filtered(filter.response, weights, z)
        for a, wanted in zip((symmetric(weights), random_walk(weights)), both, strict=True):
            if case.startswith("meyer") and not a.is_symmetric:
                continue  # rounding alone may make an eigenvalue complex, where it is undefined
            for signal, one in zip(exact_signals(filter, a, z), wanted, strict=True):
                assert_near(signal.detach(), one)

    def test_response_is_differentiable(self, case: str) -> None:
        # Away from the joints of piecewise kernels, where a second derivative may jump.
        lambdas = torch.tensor([0.0, 0.31, 0.9, 1.17, 1.93]).double().requires_grad_()
        assert torch.autograd.gradcheck(made(case).response, lambdas)

    def test_order_is_how_often_the_operator_is_applied(self, case: str) -> None:
        filter, count = made(case), 0

        class Counting(DenseOperator):
            def apply(self, z: Tensor) -> Tensor:
                nonlocal count
                count += 1
                return super().apply(z)

        filter.signals(Counting(torch.zeros(3, 3).double()), torch.ones(3, 1).double())
        assert count == filter.order


@pytest.mark.parametrize("case", ANALYTIC)
def test_response_at_complex_eigenvalues_continues_the_real_one(case: str) -> None:
    """Cauchy-Riemann: the derivative along the imaginary axis is i times the real one."""
    filter = made(case)
    at = torch.tensor([0.0, 1.0, 2.0, 0.4 + 0.05j, 1.2 - 0.1j], dtype=torch.complex128)
    real = torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64)
    for response in (filter.response, lambda x: approximate_response(filter, x)):
        g = response(at).detach()
        assert_equal(g[:3].real, response(real).detach())
        assert_equal(response(at.conj()).detach().real, g.real)
        assert_equal(response(at.conj()).detach().imag, -g.imag)
        step = 1e-5
        along_real = (response(at + step) - response(at - step)).detach() / (2 * step)
        along_imag = (response(at + step * 1j) - response(at - step * 1j)).detach() / (2 * step)
        assert (along_imag - 1j * along_real).abs().max() < 1e-6 * (1 + along_real.abs().max())


@every_filter
class TestGradients:
    def test_values_have_the_right_gradients(self, case: str) -> None:
        """Of the signal, the affinity, the matrices, and the filter's own parameters."""
        filter = made(case)
        factor = torch.rand(5, 2, dtype=torch.float64, requires_grad=True)
        z = torch.randn(5, 2, dtype=torch.float64, requires_grad=True)
        matrices = weights_of(filter, 2, 3)

        def output(factor: Tensor, z: Tensor, *_: Tensor) -> Tensor:
            m = factor @ factor.T
            degree = m.sum(1)
            a = DenseOperator(m / (degree[:, None] * degree).sqrt(), is_symmetric=True)
            return filter(a, z, matrices)

        own = tuple(filter.parameters())
        assert torch.autograd.gradcheck(output, (factor, z, *own))
        if own:
            assert torch.autograd.gradgradcheck(
                lambda *own: output(factor.detach(), z.detach()), own
            )

    def test_every_parameter_gets_a_gradient(self, case: str) -> None:
        filter = made(case)
        a, z = symmetric(WEIGHTS["complete"]()), torch.randn(8, 2, dtype=torch.float64)
        probe = [torch.randn_like(z) for _ in filter.taps]
        loss = sum((p * s).sum() for p, s in zip(probe, filter.signals(a, z), strict=True))
        for parameter in filter.parameters():
            (gradient,) = torch.autograd.grad(loss, parameter, retain_graph=True, allow_unused=True)
            assert gradient is not None
            assert (gradient != 0).any()

    def test_maps_taken_first_give_the_same_values_and_gradients(self, case: str) -> None:
        """Where Z W_t is narrower than Z, A may be applied to it instead."""
        filter = made(case)
        a, z = symmetric(WEIGHTS["isolated nodes"]()), torch.randn(7, 5, dtype=torch.float64)
        z.requires_grad_()
        matrices = weights_of(filter, 5, 2)
        variables = [z, *filter.parameters(), *(lin.weight for lin in matrices.values())]
        wide, narrow = filter(a, z, matrices), filter(a, z, JointMaps(matrices, 2))
        assert_near(narrow, wide)
        probe = torch.randn_like(wide)
        both = (torch.autograd.grad((f * probe).sum(), variables) for f in (narrow, wide))
        for found, expected in zip(*both, strict=True):
            assert_near(found, expected)


@every_filter
class TestSymmetries:
    def test_a_permutation_of_the_nodes_permutes_the_signals(self, case: str) -> None:
        filter, weights = made(case), WEIGHTS["isolated nodes"]()
        z, order = torch.randn(7, 2, dtype=torch.float64), torch.randperm(7)
        signals = filter.signals(symmetric(weights), z)
        permuted = filter.signals(symmetric(weights[order][:, order]), z[order])
        for signal, found in zip(signals, permuted, strict=True):
            assert_near(found, signal[order])

    def test_items_of_a_batch_do_not_see_each_other(self, case: str) -> None:
        filter = made(case)
        weights = torch.rand(2, 3, 4, 4, dtype=torch.float64)
        weights = weights + weights.mT
        z = torch.randn(2, 3, 4, 2, dtype=torch.float64)
        signals = filter.signals(symmetric(weights), z)
        for i in range(2):
            for j in range(3):
                alone = filter.signals(symmetric(weights[i, j]), z[i, j])
                for signal, one in zip(signals, alone, strict=True):
                    assert_near(signal[i, j], one)

    def test_channels_do_not_see_each_other(self, case: str) -> None:
        filter, a = made(case), symmetric(WEIGHTS["complete"]())
        z = torch.randn(8, 3, dtype=torch.float64)
        alone = [filter.signals(a, z[:, c : c + 1]) for c in range(3)]
        for t, signal in enumerate(filter.signals(a, z)):
            assert_near(signal, torch.cat([one[t] for one in alone], dim=1))

    def test_an_isolated_node_is_scaled_by_the_response_at_1(self, case: str) -> None:
        filter = made(case)
        z = torch.randn(7, 2, dtype=torch.float64)
        at_one = approximate_response(filter, torch.ones(1).double())[0]
        signals = filter.signals(symmetric(WEIGHTS["isolated nodes"]()), z)
        for signal, g in zip(signals, at_one, strict=True):
            assert_near(signal[3], g * z[3])

    def test_a_rectangle_is_filtered_to_first_order_or_refused(self, case: str) -> None:
        filter = made(case)
        a = DenseOperator(torch.rand(4, 3, dtype=torch.float64))
        z, source = torch.randn(4, 2).double(), torch.randn(3, 2).double()
        if filter.order > 1:
            with pytest.raises(ValueError, match="no powers"):
                filter.signals(a, z, source)
            return
        # A first-order filter is p(z, A source) with the same p as on a square.
        at = torch.tensor([0.0, 1.0], dtype=torch.float64)  # μ = 1 and μ = 0
        (both, none) = approximate_response(filter, at).detach()
        for signal, on_both, alone in zip(filter.signals(a, z, source), both, none, strict=True):
            assert_near(signal, alone * z + (on_both - alone) * a.apply(source))


@every_filter
class TestModule:
    def test_state_copies_and_resets(self, case: str) -> None:
        filter = FILTER_CASES[case]()
        a = DenseOperator(torch.rand(4, 4) / 4)
        z = torch.randn(4, 2)
        before = [s.detach().clone() for s in filter.signals(a, z)]
        learned = list(filter.parameters())
        assert [p.shape for p in copy.deepcopy(filter).parameters()] == [p.shape for p in learned]
        assert pickle.loads(pickle.dumps(filter)).order == filter.order
        assert bool(filter.state_dict()) == bool(learned)
        if not learned:
            return
        with torch.no_grad():
            for parameter in learned:
                parameter.add_(0.1)
        other = FILTER_CASES[case]()
        other.load_state_dict(filter.state_dict())
        after = filter.signals(a, z)
        assert any(not torch.equal(s, b) for s, b in zip(after, before, strict=True))
        for found, expected in zip(other.signals(a, z), after, strict=True):
            assert torch.equal(found, expected)
        filter.reset_parameters()
        for found, expected in zip(filter.signals(a, z), before, strict=True):
            assert torch.equal(found, expected)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
    def test_low_precision_is_near_and_finite(self, case: str, dtype: torch.dtype) -> None:
        filter, weights = made(case), WEIGHTS["complete"]()
        z = torch.randn(8, 4, dtype=torch.float64)
        expected = filter.signals(symmetric(weights), z)
        a = DenseOperator(symmetric(weights).to_dense().to(dtype), is_symmetric=True)
        signals = FILTER_CASES[case]().to(dtype).signals(a, z.to(dtype))
        # Every product and sum rounds; the steps of an iteration add up.
        allowed = 8 * torch.finfo(dtype).eps * max(filter.order, 8)
        for signal, wanted in zip(signals, expected, strict=True):
            assert signal.dtype == dtype
            assert (signal.double() - wanted).abs().max() <= allowed * max(1, wanted.abs().max())

    def test_one_line_says_what_it_is(self, case: str) -> None:
        filter = FILTER_CASES[case]()
        layer = repr(SNLConv(2, 3, filter=filter))
        assert layer.startswith("SNLConv(2, 3, ")
        assert "\n" not in layer


@every_name
class TestInLayers:
    @pytest.mark.parametrize("K", [1, 3])
    def test_the_layer_filters_by_its_name(self, name: str, K: int) -> None:
        conv = SNLConv(3, 5, K=K, kernel="dot", hidden_channels=2, filter=name).double()
        x = torch.randn(6, 3, dtype=torch.float64)
        phi, psi = (x @ lin.weight.T for lin in (conv.phi, conv.psi))
        m = phi.relu() @ psi.relu().T
        expected = _filtered(
            conv.filter, (m + m.T) / 2, x, [lin.weight for lin in conv.lins.children()]
        )
        assert_equal(conv(x), expected + conv.bias)
        lambdas = torch.tensor([0.0, 0.7, 2.0], dtype=torch.float64)
        taps = conv.filter.response(lambdas)
        for g, at in zip(filter_response(conv, lambdas), taps, strict=True):
            matrices = (lin.weight for lin in conv.lins.children())
            assert_equal(g, sum(value * w for value, w in zip(at, matrices, strict=True)))
        conv.reset_parameters()

    def test_a_batch_of_graphs_is_filtered_graph_by_graph(self, name: str) -> None:
        conv = SNLConv(2, 4, K=3, kernel="dot", heads=2, filter=name).double()
        x, batch = torch.randn(7, 2).double(), torch.tensor([0, 0, 0, 0, 1, 2, 2])
        edge_index = torch.tensor([[0, 1, 2, 5], [1, 2, 0, 6]])
        for edges in (None, edge_index):
            together = conv(x, edges, batch=batch)
            for graph in range(3):
                own = (batch == graph).nonzero().flatten()
                alone = None
                if edges is not None:
                    alone = edges[:, batch[edges[0]] == graph] - own[0]
                assert_equal(together[own], conv(x[own], alone))

    def test_the_block_filters_by_its_name(self, name: str) -> None:
        """Two units that share one affinity, each with its own filter and matrices."""
        block = nonlocal_block("snl", 4, filter=name, depth=2, norm="none").double()
        with torch.no_grad():
            for parameter in block.units[1].filter.parameters():
                parameter.add_(0.1)
        x = torch.randn(2, 4, 2, 3, dtype=torch.float64)
        a, expected = block.affinity_of(x).to_dense(), x
        for unit in block.units:
            matrices = [w.weight for w in unit.w.values()]
            z = expected.flatten(2).mT @ unit.g.weight.T
            f = torch.stack(
                [_filtered(unit.filter, a[i], z[i], matrices, is_normalized=True) for i in (0, 1)]
            )
            expected = expected + f.mT.unflatten(2, (2, 3))
        assert_equal(block(x), expected, 1e-9)

    def test_units_and_copies_learn_their_own_parameters(self, name: str) -> None:
        block = nonlocal_block("gsnl", 4, filter=name, K=3, depth=2)
        first, second = (unit.filter for unit in block.units)
        assert not {id(p) for p in first.parameters()} & {id(p) for p in second.parameters()}
        names = [key for key, _ in first.named_parameters()]
        state = block.state_dict()
        assert all(f"units.{i}.filter.{key}" in state for i in (0, 1) for key in names)
        twin = nonlocal_block("gsnl", 4, filter=name, K=3, depth=2)
        twin.load_state_dict(state)

    def test_the_block_compiles_without_a_graph_break(self, name: str) -> None:
        torch._dynamo.reset()
        block = nonlocal_block("gsnl", 8, filter=_short(name))
        compiled = torch.compile(block, fullgraph=True, backend="eager", dynamic=True)
        for size in [(5, 7), (4, 6)]:
            x = torch.randn(2, 8, *size)
            assert_equal(compiled(x), block(x), 1e-4)

    def test_the_layer_compiles_without_a_graph_break(self, name: str) -> None:
        torch._dynamo.reset()
        conv = SNLConv(4, 6, filter=_short(name))
        compiled = torch.compile(conv, fullgraph=True, backend="aot_eager")
        edge_index = torch.tensor([[0, 1, 2, 3], [1, 2, 3, 4]])
        x = torch.randn(6, 4)
        assert_equal(compiled(x, edge_index), conv(x, edge_index), 1e-5)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_half_precision_and_autocast_stay_finite(self, name: str, dtype: torch.dtype) -> None:
        x = torch.randn(2, 8, 6, 6) * 30
        block = nonlocal_block("gsnl", 8, filter=name, K=3)
        with torch.autocast("cpu", dtype=dtype):
            y = block(x)
            y.float().sin().sum().backward()
        assert y.isfinite().all()
        assert all(p.grad.isfinite().all() for p in block.parameters() if p.grad is not None)
        half = nonlocal_block("gsnl", 8, filter=name, K=3).to(dtype)
        y = half(x.to(dtype))
        y.float().sin().sum().backward()
        assert y.isfinite().all()
        assert all(p.grad.isfinite().all() for p in half.parameters() if p.grad is not None)

    def test_a_block_without_numbers_takes_as_many_steps(self, name: str) -> None:
        """On the device "meta", where big networks are laid out before they get their weights."""
        with torch.device("meta"):
            block = nonlocal_block("gsnl", 4, filter=name, K=3)
        assert all(parameter.is_meta for parameter in block.parameters())
        assert block.units[0].filter.order == as_filter(name, 3).order

    def test_one_position_is_filtered(self, name: str) -> None:
        block = nonlocal_block("gsnl", 4, filter=name, K=3, norm="none")
        y = block(torch.randn(2, 4, 1, 1))
        y.sum().backward()
        assert y.isfinite().all()

    def test_k_is_a_whole_number_from_1_on(self, name: str) -> None:
        for K in (0, -1, 1.5, "2"):
            with pytest.raises(ValueError, match="whole number ≥ 1; got"):
                as_filter(name, K)


def _short(name: str) -> GraphFilter:
    """The filter of that name in three steps: all are alike, and take their time to trace."""
    filter = as_filter(name, 2)
    return filter.with_steps(3) if isinstance(filter, Approximated) else filter


def _filtered(
    filter: GraphFilter,
    m: Tensor,
    z: Tensor,
    matrices: list[Tensor],
    *,
    is_normalized: bool = False,
) -> Tensor:
    """Σ_t U ĝ_t(Λ) U^⊤ z W_t of weights M, or of a symmetric A."""
    response: Callable[[Tensor], Tensor] = lambda at: approximate_response(filter, at)  # noqa: E731
    if is_normalized:
        values, u = torch.linalg.eigh(torch.eye(len(m)).double() - m)
        g = response(values)
        signals = [u @ (g[:, t, None] * (u.T @ z)) for t in range(g.shape[1])]
    else:
        signals, _ = eigen_filtered(response, m, z)
    return sum(signal @ w.T for signal, w in zip(signals, matrices, strict=True))
