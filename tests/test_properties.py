"""What holds of every operator that the front door can make, whatever goes in."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from snl_graph import affinity
from snl_graph.kernels import Kernel
from snl_graph.operators import AffinityOperator
from tests import oracles
from tests.factories import KERNELS, MASKS, NORMALIZATIONS, WIDTH, representations_of
from tests.tolerances import RELATIVE, assert_equal, large_logits

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]


@dataclass(frozen=True)
class Draw:
    """All that goes into one operator."""

    kernel: str
    mask: str
    normalization: str
    representation: str
    size: tuple[int, ...]
    batch: tuple[int, ...]
    dtype: torch.dtype
    magnitude: float
    is_dead: bool
    is_padded: bool
    seed: int

    def tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Φ, Ψ, Z and the valid nodes."""
        generator = torch.Generator().manual_seed(self.seed)
        shape = (*self.batch, math.prod(self.size), WIDTH)
        phi, psi, z = (torch.randn(shape, generator=generator) for _ in range(3))
        if self.is_dead:  # some nodes without any positive feature: isolated under "dot"
            is_dead = torch.rand(shape[:-1], generator=generator) < 0.5
            phi, psi = (torch.where(is_dead.unsqueeze(-1), -x.abs(), x) for x in (phi, psi))
        valid = torch.rand(shape[:-1], generator=generator) < 0.7 if self.is_padded else None
        phi, psi = self.magnitude * phi, self.magnitude * psi
        phi, psi, z = (x.to(self.dtype).requires_grad_() for x in (phi, psi, z))
        return phi, psi, z, valid

    def operator(self, phi: Tensor, psi: Tensor, valid: Tensor | None) -> AffinityOperator:
        return affinity(
            phi,
            psi,
            kernel=self.made(),
            mask=MASKS[self.mask].make(self.size),
            normalization=self.normalization,
            representation=self.representation,
            size=self.size,
            valid=valid,
        )

    def made(self) -> Kernel:
        torch.manual_seed(self.seed)
        return KERNELS[self.kernel].make()

    def matrix(self, phi: Tensor, psi: Tensor, valid: Tensor | None) -> Tensor:
        """A by the naive formula."""
        joined = MASKS[self.mask].joined(self.size)
        kernel = self.made().double()

        def item(phi: Tensor, psi: Tensor, valid: Tensor | None) -> Tensor:
            m = KERNELS[self.kernel].formula(kernel, phi, psi, valid) * joined
            if valid is not None:
                m = m * valid[:, None] * valid[None, :]
            return oracles.normalized(m, self.normalization)

        if not math.prod(self.batch):
            return phi.new_zeros(*self.batch, *joined.shape)
        marks = None if valid is None else valid.unsqueeze(-1)
        return oracles.batched(
            lambda p, q, v: item(p, q, None if v is None else v.squeeze(-1)), phi, psi, marks
        )


@st.composite
def draws(draw: st.DrawFn, dtypes: tuple[torch.dtype, ...] = tuple(DTYPES)) -> Draw:
    kernel, mask = draw(st.sampled_from(list(KERNELS))), draw(st.sampled_from(list(MASKS)))
    signed = not KERNELS[kernel].is_nonnegative
    return Draw(
        kernel,
        mask,
        # A signed degree may be as near to 0 as it likes, so "rw" has no bound to hold.
        draw(st.sampled_from(["none"] if signed else NORMALIZATIONS)),
        draw(st.sampled_from(["auto", *representations_of(kernel, mask)])),
        tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))),
        tuple(draw(st.lists(st.integers(0, 2), max_size=2))),
        draw(st.sampled_from(dtypes)),
        draw(st.sampled_from([0.0, 1e-2, 1.0, 3.0])),
        draw(st.booleans()),
        draw(st.booleans()),
        draw(st.integers(0, 2**16)),
    )


@settings(max_examples=150)
@given(draws((torch.float64, torch.float32)))
def test_every_operator_is_its_naive_formula(case: Draw) -> None:
    phi, psi, z, valid = case.tensors()
    expected = case.matrix(phi.double(), psi.double(), valid)
    a = case.operator(phi, psi, valid)
    assert a.dtype == case.dtype
    slack = 0.0
    if case.dtype == torch.float32 and case.made().is_exponential and phi.numel():
        lengths = phi.detach().norm(dim=-1).max() + psi.detach().norm(dim=-1).max()
        slack = large_logits(float(lengths) ** 2)  # single precision rounds the logits themselves
    assert_equal(a.to_dense(), expected, RELATIVE[case.dtype] + slack)
    assert_equal(a.apply(z), expected @ z.double(), RELATIVE[case.dtype] + slack)


@settings(max_examples=150)
@given(draws())
def test_nothing_is_ever_nan(case: Draw) -> None:
    phi, psi, z, valid = case.tensors()
    a = case.operator(phi, psi, valid)
    assert a.shape == (*case.batch, math.prod(case.size), math.prod(case.size))
    y = a.apply(z)
    for tensor in (y, a.degree(), a.to_dense()):
        assert not tensor.isnan().any()
    if case.normalization != "none":  # else float16 may rightly overflow
        assert y.isfinite().all()
        for gradient in torch.autograd.grad(y.float().sum(), [phi, psi, z]):
            assert gradient.isfinite().all()


@settings(max_examples=100)
@given(draws((torch.float64,)))
def test_a_transpose_moves_to_the_other_side_of_an_inner_product(case: Draw) -> None:
    phi, psi, z, valid = case.tensors()
    a = case.operator(phi, psi, valid)
    w = torch.randn_like(z)
    left, right = (a.apply(z) * w).sum((-2, -1)), (z * a.T.apply(w)).sum((-2, -1))
    scale = (a.to_dense().abs().sum() + 1) * 10
    assert ((left - right).abs() <= 1e-12 * scale).all()


@settings(max_examples=100)
@given(draws((torch.float64,)))
def test_padding_and_isolation_leave_exact_zeros(case: Draw) -> None:
    phi, psi, _, valid = case.tensors()
    matrix = case.operator(phi, psi, valid).to_dense()
    joined = MASKS[case.mask].joined(case.size)
    joined = joined | joined.T if case.normalization == "sym" else joined
    assert (matrix[..., ~joined] == 0).all()
    if valid is not None:
        assert (matrix[~valid] == 0).all()
        assert (matrix.mT[~valid] == 0).all()
