"""Exponential kernels without the N×N matrix: numbers, gradients, memory, and the kernels' form."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from snl_graph import affinity, nonlocal_block
from snl_graph.kernels import RBF, Gaussian, Kernel
from snl_graph.operators import AttentionOperator, StreamingOperator, blockwise, fused, sweep
from snl_graph.operators.attention import (
    NEVER,
    _exponential_product,
    _exponential_product_backward,
    _log_sums,
    exponential_product,
    log_sums,
    softmax_product,
)
from snl_graph.operators.fused import CPUAttention, CUDAAttention, FusedAttention
from tests import oracles
from tests.factories import NORMALIZATIONS
from tests.tolerances import assert_equal, large_logits

normalized = pytest.mark.parametrize("normalization", NORMALIZATIONS)


def streaming(
    phi: Tensor, psi: Tensor | None = None, **arguments: object
) -> AttentionOperator | StreamingOperator:
    arguments = {"kernel": "embedded_gaussian", **arguments}
    return affinity(phi, psi, representation="streaming", **arguments)  # type: ignore[arg-type,return-value]


def leaves(*shapes: tuple[int, ...], dtype: torch.dtype = torch.float64) -> list[Tensor]:
    return [torch.randn(shape, dtype=dtype, requires_grad=True) for shape in shapes]


def gradients(y: Tensor, inputs: list[Tensor]) -> list[Tensor]:
    weight = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view(y.shape)
    total = (y * weight).sum()
    return list(torch.autograd.grad(total, inputs, materialize_grads=True, retain_graph=True))


def assert_same(y: Tensor, expected: Tensor, inputs: list[Tensor]) -> None:
    """Values and gradients."""
    assert_equal(y, expected)
    for found, wanted in zip(gradients(y, inputs), gradients(expected, inputs), strict=True):
        assert_equal(found, wanted)


def naive(phi: Tensor, psi: Tensor, normalization: str, joined: Tensor | None = None) -> Tensor:
    def item(scores: Tensor) -> Tensor:
        return oracles.normalized(scores.exp(), normalization)

    if joined is None:
        return oracles.batched(item, phi @ psi.mT)
    return oracles.batched(
        lambda scores, mask: oracles.normalized(scores.exp() * mask, normalization),
        phi @ psi.mT,
        joined,
    )


@pytest.fixture(params=["fused", "blocks"])
def both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With the fused kernels, and block by block of few rows."""
    if request.param == "blocks":
        monkeypatch.setattr(fused, "FUSED", {})
        monkeypatch.setattr(blockwise, "ENTRIES", 64)
    return str(request.param)


class TestShapes:
    @normalized
    @pytest.mark.parametrize("channels", [1, 3, 5, 17])
    @pytest.mark.parametrize("width", [1, 3, 16])
    def test_signals_may_be_narrower_or_wider_than_the_features(
        self, width: int, channels: int, normalization: str, both_ways: str
    ) -> None:
        given = leaves((2, 9, width), (2, 9, width), (2, 9, channels))
        phi, psi, z = given
        a = streaming(phi, psi, normalization=normalization)
        assert_same(a.apply(z), naive(phi, psi, normalization) @ z, given)

    @pytest.mark.parametrize("normalization", ["rw", "none"])
    @pytest.mark.parametrize(("targets", "sources"), [(7, 3), (3, 7), (1, 5), (5, 2)])
    def test_rectangles(
        self, targets: int, sources: int, normalization: str, both_ways: str
    ) -> None:
        given = leaves((2, targets, 4), (2, sources, 4), (2, sources, 3))
        phi, psi, z = given
        a = streaming(phi, psi, normalization=normalization)
        expected = naive(phi, psi, normalization)
        assert_same(a.apply(z), expected @ z, given)
        back = torch.randn(2, targets, 3, dtype=torch.float64)
        assert_same(a.T.apply(back), expected.mT @ back, given)

    @normalized
    def test_batch_axes_of_the_signal_broadcast(self, normalization: str) -> None:
        for ours, theirs in (((2,), ()), ((), (3,)), ((2, 1), (1, 3)), ((2, 1, 2), (3, 1))):
            given = leaves((*ours, 5, 3), (*ours, 5, 3), (*theirs, 5, 2))
            phi, psi, z = given
            a = streaming(phi, psi, normalization=normalization)
            assert_same(a.apply(z), naive(phi, psi, normalization) @ z, given)

    @normalized
    def test_layouts_in_memory_do_not_matter(self, normalization: str) -> None:
        phi, psi, z = (x.detach() for x in leaves((2, 3, 8), (2, 3, 8), (2, 3, 8)))
        phi, psi, z = phi.mT, psi.mT, z.mT[..., ::2]
        expected = naive(phi, psi, normalization)
        a = streaming(phi, psi, normalization=normalization)
        assert_equal(a.apply(z), expected @ z)
        constant = z[:, :1, :1].expand(2, 8, 2)
        assert_equal(a.apply(constant), expected @ constant)

    @pytest.mark.parametrize("nodes", [5, 600])
    @pytest.mark.parametrize("most", [1.0, 1e3])
    def test_one_sweep_sums_rows_and_columns(self, nodes: int, most: float) -> None:
        """With and without scores beyond those it serves; more nodes than a tile has."""
        phi, psi = torch.randn(2, 2, 3, nodes, 4, dtype=torch.float64)
        phi *= most / 16
        scores = phi @ psi.mT
        assert (most == 1.0) == sweep._are_moderate(phi, psi)
        rows, columns = sweep.row_and_column_log_sums(phi, psi[..., 1:, :])
        assert_equal(rows, scores[..., 1:].logsumexp(-1))
        assert_equal(columns, scores[..., 1:].logsumexp(-2))


@pytest.mark.parametrize("kernel", [Gaussian(), Gaussian("1/sqrt(r)"), RBF(0.2)], ids=str)
def test_features_of_one_set_make_a_symmetric_operator_of_half_the_calls(kernel: Kernel) -> None:
    phi, z = leaves((2, 6, 3), (2, 6, 2))
    a = streaming(phi, kernel=kernel)
    assert isinstance(a, StreamingOperator)
    assert a.is_symmetric
    assert a.T is a
    scores = phi @ phi.mT * (3**-0.5 if kernel.extra_repr().endswith("r)'") else 1)
    if isinstance(kernel, RBF):
        scores = -0.2 * (phi.unsqueeze(-2) - phi.unsqueeze(-3)).square().sum(-1)
    m = scores.exp()
    root = m.sum(-1).rsqrt()
    expected = root.unsqueeze(-1) * m * root.unsqueeze(-2)
    assert_same(a.apply(z), expected @ z, [phi, z])
    assert not isinstance(streaming(phi, phi.clone(), kernel=kernel), StreamingOperator)


class TestPadding:
    @normalized
    def test_nodes_that_are_not_valid_get_and_give_nothing(
        self, normalization: str, both_ways: str
    ) -> None:
        given = leaves((4, 6, 3), (4, 6, 3), (4, 6, 2))
        phi, psi, z = given
        valid = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 0, 1, 1, 0, 0], [0] * 6, [0, 0, 0, 0, 0, 1]])
        joined = (valid.unsqueeze(-1) * valid.unsqueeze(-2)).double()
        a = streaming(phi, psi, normalization=normalization, valid=valid.bool())
        expected = naive(phi, psi, normalization, joined)
        assert_same(a.apply(z), expected @ z, given)
        assert_equal(a.to_dense(), expected)
        assert_equal(a.T.apply(z), expected.mT @ z)
        assert (a.degree()[2] == 0).all()
        assert_equal(a.row_sums().values, expected.sum(-1))

    @pytest.mark.parametrize("normalization", ["rw", "none"])
    def test_sources_alone(self, normalization: str, both_ways: str) -> None:
        given = leaves((2, 4, 3), (2, 3, 3), (2, 3, 2))
        phi, psi, z = given
        source_valid = torch.tensor([[True, False, True], [False] * 3])
        a = streaming(phi, psi, normalization=normalization, source_valid=source_valid)
        joined = source_valid.double().unsqueeze(-2).expand(2, 4, 3)
        assert_same(a.apply(z), naive(phi, psi, normalization, joined) @ z, given)

    @normalized
    def test_items_without_valid_nodes_have_finite_first_and_second_derivatives(
        self, normalization: str
    ) -> None:
        phi, psi, z = leaves((2, 4, 3), (2, 4, 3), (2, 4, 2), dtype=torch.float32)
        valid = torch.tensor([[False] * 4, [True] * 4])
        with torch.no_grad():  # where an exponential is not stopped, it meets these and overflows
            phi[0] *= 100
            psi[0] *= 100
        y = streaming(phi, psi, normalization=normalization, valid=valid).apply(z)
        assert (y[0] == 0).all()
        first = torch.autograd.grad(y.square().sum(), [phi, psi, z], create_graph=True)
        second = torch.autograd.grad(sum(g.square().sum() for g in first), [phi, psi, z])
        for gradient in (*first, *second):
            assert gradient.isfinite().all()
            assert (gradient[0] == 0).all()
            assert (gradient[1] != 0).any()


class TestLargeLogits:
    @pytest.mark.parametrize("most", [1.0, 100.0, 1e4])
    @pytest.mark.parametrize("normalization", ["sym", "rw"])
    @pytest.mark.parametrize("name", ["gaussian", "rbf"])
    def test_what_is_applied_is_the_log_domain_formula(
        self, name: str, normalization: str, most: float, both_ways: str
    ) -> None:
        phi, psi = torch.randn(2, 2, 8, 3)
        phi *= most / (phi @ psi.mT).abs().max()
        kernel = RBF(0.5) if name == "rbf" else Gaussian()
        p, q = phi.double(), psi.double()
        logits = -0.5 * torch.cdist(p, q).square() if name == "rbf" else p @ q.mT
        exact = oracles.batched(lambda item: oracles.normalized_logits(item, normalization), logits)
        phi.requires_grad_(), psi.requires_grad_()
        eye = torch.eye(8).expand(2, 8, 8).clone().requires_grad_()
        y = streaming(phi, psi, kernel=kernel, normalization=normalization).apply(eye)
        assert (y.double() - exact).abs().max() <= large_logits(float(logits.abs().max()))
        assert (y[exact > 1e-30] > 0).all(), "a weight vanished that float32 can hold"
        for gradient in torch.autograd.grad(y.square().sum(), [phi, psi, eye]):
            assert gradient.isfinite().all()

    @pytest.mark.parametrize("size", [1e8, 1e12])
    def test_gradients_of_equal_scores_that_swallow_the_logarithm_of_their_number(
        self, size: float, both_ways: str
    ) -> None:
        """60 equal positions weigh 1/60 each; for the backward pass of PyTorch they weigh 1."""
        phi, z, dy = torch.randn(3, 600, 8).unbind()
        psi = torch.randn(10, 8).repeat(60, 1)  # as the background of an image
        phi, psi = ((x * size**0.5).requires_grad_() for x in (phi, psi))
        z.requires_grad_()
        y = streaming(phi, psi, normalization="rw").apply(z)
        d_phi, d_psi, d_z = torch.autograd.grad(y, [phi, psi, z], dy)
        weights = (phi.detach().double() @ psi.detach().double().T).softmax(-1)
        assert (weights.amax(-1) - 1 / 60).abs().max() < 1e-9  # no others come near
        assert_equal(y, weights.float() @ z, 1e-4)
        assert_equal(d_z, weights.float().T @ dy, 1e-4)
        # What moves all equal keys alike moves nothing, and equal keys share the rest.
        assert d_phi.abs().max() <= 1e-5 * size**0.5
        inner = weights * (dy @ z.T).detach()
        inner = inner - weights * inner.sum(-1, keepdim=True)
        assert_equal(d_psi, (inner.T @ phi.detach().double()).float(), 1e-3 * size**0.5)

    def test_unnormalised_rows_are_cut_where_they_overflow(self, both_ways: str) -> None:
        logits = torch.tensor([[200.0, 1.0], [2.0, -3.0], [1e4, 1e4]], requires_grad=True)
        a = streaming(logits, torch.eye(2), normalization="none")
        y = a.apply(torch.ones(2, 1))
        assert y.isfinite().all()
        assert y[0] > 1e37
        assert_equal(y[1], logits[1].exp().sum(0, keepdim=True))
        (gradient,) = torch.autograd.grad(y[:2].log().sum(), logits)
        assert gradient.isfinite().all()
        assert_equal(gradient[1], logits[1].softmax(-1))


class TestDerivatives:
    @normalized
    def test_degrees_are_differentiable_twice(self, normalization: str, both_ways: str) -> None:
        phi, psi = leaves((2, 4, 2), (2, 4, 2))

        def degree(phi: Tensor, psi: Tensor) -> Tensor:
            return streaming(phi, psi, normalization=normalization).degree().log()

        assert torch.autograd.gradcheck(degree, (phi, psi))
        assert torch.autograd.gradgradcheck(degree, (phi, psi))

    def test_every_argument_of_the_products_has_both_derivatives(self, both_ways: str) -> None:
        q, k, left, right, z = leaves((1, 5, 2), (1, 4, 2), (1, 5), (1, 4), (1, 4, 3))
        assert torch.autograd.gradcheck(exponential_product, (q, k, left, right, z))
        assert torch.autograd.gradgradcheck(exponential_product, (q, k, left, right, z))
        assert torch.autograd.gradcheck(log_sums, (q, k, right))
        assert torch.autograd.gradgradcheck(log_sums, (q, k, right))
        shift = right.detach()
        for some in ((q, k, z), (q, k.detach(), z), (q.detach(), k.detach(), z)):
            assert torch.autograd.gradcheck(lambda q, k, z: softmax_product(q, k, shift, z), some)
            assert torch.autograd.gradgradcheck(
                lambda q, k, z: softmax_product(q, k, shift, z), some
            )

    @normalized
    def test_third_derivatives_are_those_of_the_dense_form(self, normalization: str) -> None:
        phi, psi, z = leaves((4, 2), (4, 2), (4, 1))

        def third(representation: str) -> Tensor:
            a = affinity(
                phi,
                psi,
                kernel="embedded_gaussian",
                normalization=normalization,
                representation=representation,
            )
            y = a.apply(z).square().sum()
            for _ in range(2):
                (gradient,) = torch.autograd.grad(y, phi, create_graph=True)
                y = gradient.square().sum()
            return torch.autograd.grad(y, phi)[0]

        assert_equal(third("streaming"), third("dense"))

    @normalized
    def test_a_graph_can_be_differentiated_again(self, normalization: str) -> None:
        phi, psi, z = given = leaves((5, 3), (5, 3), (5, 2))
        y = streaming(phi, psi, normalization=normalization).apply(z).sum()
        first = torch.autograd.grad(y, given, retain_graph=True)
        for once, again in zip(first, torch.autograd.grad(y, given), strict=True):
            assert (once == again).all()


@normalized
def test_a_scaled_operator_normalised_again_is_right_in_value_and_gradient(
    normalization: str,
) -> None:
    """Shifts that are differentiated: A of rw, transposed and normalised by rows."""
    given = leaves((2, 5, 3), (2, 5, 3), (2, 5, 2))
    phi, psi, z = given
    a = streaming(phi, psi, normalization=normalization).T
    m = naive(phi, psi, normalization).mT
    expected = m / m.sum(-1, keepdim=True)
    assert_same(a.row_normalized().apply(z), expected @ z, given)


# --- memory


def largest_allocation(program: Callable[[], object]) -> int:
    """Bytes of the largest allocation of any one operation, inside fused ones too."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        program()
    return max(event.self_cpu_memory_usage for event in record.events())


class TestMemory:
    NODES = 2048
    MATRIX = NODES**2 * 4

    def inputs(self) -> list[Tensor]:
        return leaves((self.NODES, 8), (self.NODES, 8), (self.NODES, 4), dtype=torch.float32)

    def test_the_measure_sees_a_matrix(self) -> None:
        phi, psi, z = self.inputs()
        a = lambda: affinity(phi, psi, kernel="gaussian", representation="dense").apply(z)  # noqa: E731
        assert largest_allocation(a) >= self.MATRIX

    @normalized
    @pytest.mark.parametrize("kernel", ["embedded_gaussian", "rbf"])
    def test_no_matrix_is_made_forward_or_backward(self, kernel: str, normalization: str) -> None:
        phi, psi, z = given = self.inputs()
        valid = torch.arange(self.NODES) < 1000
        for marks in (None, valid):

            def program(marks: Tensor | None = marks) -> None:
                a = streaming(phi, psi, kernel=kernel, normalization=normalization, valid=marks)
                torch.autograd.grad(a.apply(z).square().sum() + a.degree().log1p().sum(), given)

            assert largest_allocation(program) < self.MATRIX / 8

    @normalized
    def test_no_matrix_is_made_without_gradients_or_without_kernels(
        self, normalization: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        phi, psi, z = given = self.inputs()
        monkeypatch.setattr(sweep, "TILE", 256)
        monkeypatch.setattr(blockwise, "ENTRIES", 2**18)
        with torch.no_grad():
            a = lambda: streaming(phi, psi, normalization=normalization).apply(z)  # noqa: E731
            assert largest_allocation(a) < self.MATRIX / 8

        def twice() -> None:
            y = streaming(phi, psi, normalization=normalization).apply(z)
            first = torch.autograd.grad(y.square().sum(), given, create_graph=True)
            torch.autograd.grad(sum(g.square().sum() for g in first), given)

        assert largest_allocation(twice) < self.MATRIX / 8
        if normalization != "rw":  # which is PyTorch's own attention, on every device
            monkeypatch.setattr(fused, "FUSED", {})
            assert largest_allocation(twice) < self.MATRIX / 8

    @pytest.mark.slow
    def test_the_process_grows_by_less_than_one_matrix(self) -> None:
        """All of forward and backward at 8192 nodes, where one matrix is 256 MiB."""
        program = """
import torch
from snl_graph import affinity
from snl_graph.bench.memory import largest_resident_set
torch.set_num_threads(1)

def step(nodes):
    phi, psi, z = (torch.randn(nodes, 8, requires_grad=True) for _ in range(3))
    a = affinity(phi, psi, kernel="embedded_gaussian", representation="streaming")
    a.apply(z).square().sum().backward()
    return largest_resident_set() // 2**20

print(-step(512) + step(8192))
"""
        ran = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        assert int(ran.stdout) < 64  # MiB


# --- the kernels


class TestKernels:
    def test_the_kernel_is_never_given_a_form_that_it_answers_with_garbage(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        calls = []

        def checked(kernel: Callable[..., object]) -> Callable[..., object]:
            def run(*arguments: object, **options: object) -> object:
                tensors = [x for x in arguments if isinstance(x, Tensor) and x.dim() == 4]
                assert len({x.shape[-1] for x in tensors}) == 1
                assert len({x.shape[:2] for x in tensors}) == 1
                assert all(x.stride(-1) == 1 or x.shape[-1] == 1 for x in tensors)
                calls.append(len(tensors))
                return kernel(*arguments, **options)

            return run

        monkeypatch.setattr(fused, "_cpu", checked(fused._cpu))
        monkeypatch.setattr(fused, "_cpu_backward", checked(fused._cpu_backward))
        for width, channels in ((3, 5), (5, 3), (4, 4)):
            for normalization in ("sym", "none"):
                for batch in ((), (2,), (2, 3), (2, 3, 2)):
                    phi, psi, z = given = leaves(
                        (*batch, 6, width), (*batch, 6, width), (*batch, channels, 6)
                    )
                    a = streaming(phi, psi, normalization=normalization)
                    gradients(a.apply(z.mT), given)
        assert set(calls) == {3, 5}

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_the_kernel_of_the_processor_is_trusted(self, dtype: torch.dtype) -> None:
        q = torch.ones(1, 1, 2, 2, dtype=dtype)
        assert isinstance(fused.fused_attention(q, q, q), CPUAttention)

    def test_a_kernel_with_other_numbers_is_not_used_and_that_is_said(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Garbage(CPUAttention):
            def _forward(self, *arguments: Tensor) -> tuple[Tensor, Tensor]:
                out, logs = super()._forward(*arguments)
                return out + 1, logs

        class Missing(CPUAttention):
            def _backward(self, *arguments: Tensor) -> tuple[Tensor, Tensor, Tensor]:
                raise RuntimeError("no such kernel here")

        given = leaves((5, 3), (5, 3), (5, 2))
        phi, psi, z = given
        expected = naive(phi, psi, "sym") @ z
        for kernel, reason in ((Garbage(), "its numbers are not"), (Missing(), "no such kernel")):
            monkeypatch.setitem(fused.FUSED, "cpu", kernel)
            with pytest.warns(UserWarning, match=f"{reason}.*block by block"):
                y = streaming(phi, psi).apply(z)
            assert_same(y, expected, given)

    def test_the_form_that_the_kernel_of_a_gpu_is_given(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its two operations written out, with what they ask for, in place of a device."""

        def attention(
            q: Tensor, k: Tensor, v: Tensor, bias: None, with_logs: bool, *, scale: float
        ) -> tuple[Tensor, ...]:
            assert with_logs
            assert q.shape[-1] == k.shape[-1] == v.shape[-1]
            assert q.shape[-1] % 8 == 0
            scores = q @ k.mT * scale
            padding = torch.full((*q.shape[:2], -q.shape[2] % 32), math.nan, dtype=q.dtype)
            logs = torch.cat([scores.logsumexp(-1), padding], -1)
            return scores.softmax(-1) @ v, logs, torch.tensor(0), torch.tensor(0)

        def backward(
            dy: Tensor,
            q: Tensor,
            k: Tensor,
            v: Tensor,
            bias: None,
            out: Tensor,
            logs: Tensor,
            seed: Tensor,
            offset: Tensor,
            dropout: float,
            needed: list[bool],
            *,
            scale: float,
        ) -> tuple[Tensor | None, ...]:
            assert logs.shape[-1] % 32 == 0
            assert needed == [True, True, True, False]
            assert dropout == 0
            weights = (q @ k.mT * scale - logs[..., : q.shape[2], None]).exp()
            inner = weights * (dy @ v.mT - (dy * out).sum(-1, keepdim=True))
            return inner @ k * scale, inner.mT @ q * scale, weights.mT @ dy, None

        monkeypatch.setattr(fused, "_cuda", attention)
        monkeypatch.setattr(fused, "_cuda_backward", backward)
        monkeypatch.setattr(fused, "FUSED", {"cpu": CUDAAttention()})
        for width, channels in ((3, 5), (8, 2), (7, 7)):
            given = leaves((2, 3, 6, width), (2, 3, 6, width), (2, 3, 6, channels))
            phi, psi, z = given
            for normalization in ("sym", "none"):
                a = streaming(phi, psi, normalization=normalization)
                assert_same(a.apply(z), naive(phi, psi, normalization) @ z, given)
        assert isinstance(fused.fused_attention(phi, psi, z), CUDAAttention)

    def test_the_operations_of_the_gpu_have_the_signature_they_are_called_with(self) -> None:
        kernel: FusedAttention = CUDAAttention()
        q, k, v, dy = (torch.empty(1, 2, n, 5, device="meta") for n in (6, 7, 7, 6))
        v, dy = v[..., :3], dy[..., :3]
        shift, left = q.new_empty(1, 2, 7), q.new_empty(1, 2, 6)
        out, logs = kernel.forward(q, k, v, shift)
        assert (out.shape, logs.shape) == ((1, 2, 6, 3), (1, 2, 6))
        dq, dk, dv = kernel.backward(dy, q, k, v, shift, left)
        assert (dq.shape, dk.shape, dv.shape) == (q.shape, k.shape, v.shape)


# --- programs


class Apply(torch.nn.Module):
    def __init__(self, normalization: str) -> None:
        super().__init__()
        self.normalization = normalization

    def forward(self, phi: Tensor, psi: Tensor, z: Tensor) -> Tensor:
        a = streaming(phi, psi, normalization=self.normalization)
        return a.apply(a.apply(z)) / a.degree().unsqueeze(-1)


class TestPrograms:
    def test_the_operations_keep_the_rules_of_pytorch(self) -> None:
        q, k, left, right, z = leaves(
            (2, 3, 5, 2), (2, 3, 4, 2), (2, 3, 5), (2, 3, 4), (2, 3, 4, 3)
        )
        dy = torch.randn(2, 3, 5, 3, dtype=torch.float64, requires_grad=True)
        torch.library.opcheck(_exponential_product, (q, k, left, right, z))
        torch.library.opcheck(_exponential_product_backward, (dy, q, k, left, right, z))
        torch.library.opcheck(_log_sums, (q, k, right))
        torch.library.opcheck(sweep.row_and_column_log_sums, (q.detach(), k.detach()))

    @normalized
    @pytest.mark.parametrize("needs_gradient", [False, True])
    def test_compiles_at_any_size_without_a_graph_break(
        self, normalization: str, needs_gradient: bool
    ) -> None:
        torch.compiler.reset()
        eager = Apply(normalization)
        compiled = torch.compile(eager, fullgraph=True, backend="aot_eager", dynamic=True)
        for nodes, batch in ((6, 2), (9, 3)):
            given = leaves(*[(batch, nodes, 3)] * 3)
            if needs_gradient:
                found = torch.autograd.grad(compiled(*given).square().sum(), given)
                expected = torch.autograd.grad(eager(*given).square().sum(), given)
                for ours, theirs in zip(found, expected, strict=True):
                    assert_equal(ours, theirs)
            else:
                with torch.no_grad():
                    assert_equal(compiled(*given), eager(*given))

    @normalized
    def test_an_exported_program_is_right_at_every_size(self, normalization: str) -> None:
        program = Apply(normalization)
        dynamic = {0: torch.export.Dim.AUTO, 1: torch.export.Dim.AUTO}
        given = tuple(torch.randn(2, 8, 3) for _ in range(3))
        exported = torch.export.export(program, given, dynamic_shapes=(dynamic,) * 3).module()
        for nodes, batch in ((8, 2), (6, 3), (2, 5)):
            given = tuple(torch.randn(batch, nodes, 3) for _ in range(3))
            assert_equal(exported(*given), program(*given))

    @pytest.mark.parametrize("name", ["nl", "ns", "snl", "gsnl"])
    def test_blocks_stream(self, name: str) -> None:
        dense, streamed = (
            nonlocal_block(name, 8, kernel="embedded_gaussian", heads=2, representation=r).double()
            for r in ("dense", "streaming")
        )
        streamed.load_state_dict(dense.state_dict())
        x = torch.randn(2, 8, 3, 5, dtype=torch.float64, requires_grad=True)
        valid = torch.rand(2, 3, 5) < 0.7
        assert streamed.eval().affinity_of(x).representation == "streaming"
        dense.eval()
        for marks in (None, valid):
            inputs = [x, *streamed.parameters()]
            twins = [x, *dense.parameters()]
            y, expected = streamed(x, marks), dense(x, marks)
            assert_equal(y, expected)
            for found, wanted in zip(gradients(y, inputs), gradients(expected, twins), strict=True):
                assert_equal(found, wanted)


def test_never_is_finite_in_every_type_that_holds_it() -> None:
    """−∞ times a zero would be NaN, and an infinity minus itself too."""
    assert torch.tensor(2 * NEVER, dtype=torch.float32).isfinite()
    assert torch.tensor(NEVER, dtype=torch.float32).exp() == 0
