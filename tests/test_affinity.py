"""The front door: batches, rectangles, padding, degenerate sizes, and what it refuses."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from snl_graph import affinity
from snl_graph.kernels import Concatenation, SignedDot
from snl_graph.operators import AffinityOperator
from tests import oracles
from tests.factories import KERNELS, MASKS, NORMALIZATIONS, representations_of
from tests.tolerances import assert_equal

PAIRS = [(kernel, name) for kernel in KERNELS for name in representations_of(kernel, "full")]
"""Each kernel in each of its representations under the full mask."""

MASKED = [
    (kernel, mask, name)
    for kernel in KERNELS
    for mask in MASKS
    for name in representations_of(kernel, mask)
]
"""The same under every mask."""


def normalizations_of(kernel: str) -> list[str]:
    return [n for n in NORMALIZATIONS if n != "sym" or KERNELS[kernel].is_nonnegative]


def expected(
    kernel_name: str, kernel: object, phi: Tensor, psi: Tensor, normalization: str
) -> Tensor:
    def item(phi: Tensor, psi: Tensor) -> Tensor:
        m = KERNELS[kernel_name].formula(kernel, phi, psi, None)
        return oracles.normalized(m, normalization)

    return oracles.batched(item, phi, psi)


@pytest.mark.parametrize("batch", [(), (1,), (3,), (2, 2)], ids=str)
@pytest.mark.parametrize(("kernel", "representation"), PAIRS)
def test_items_of_a_batch_do_not_know_each_other(
    kernel: str, representation: str, batch: tuple[int, ...]
) -> None:
    made = KERNELS[kernel].make().double()
    phi, psi = torch.randn(2, *batch, 4, 3, dtype=torch.float64)
    for normalization in normalizations_of(kernel):
        a = affinity(
            phi, psi, kernel=made, normalization=normalization, representation=representation
        )
        assert_equal(a.to_dense(), expected(kernel, made, phi, psi, normalization))


@pytest.mark.parametrize(("kernel", "representation"), PAIRS)
def test_an_empty_batch_gives_an_empty_batch(kernel: str, representation: str) -> None:
    phi = torch.randn(0, 4, 3, requires_grad=True)
    made = KERNELS[kernel].make()
    for normalization in normalizations_of(kernel):
        a = affinity(phi, kernel=made, normalization=normalization, representation=representation)
        y = a.apply(torch.randn(0, 4, 2))
        assert y.shape == (0, 4, 2)
        assert a.to_dense().shape == (0, 4, 4)
        assert a.degree().shape == (0, 4)
        assert a.to_edges()[1].shape[0] == 0
        y.sum().backward()


@pytest.mark.parametrize("nodes", [1, 2])
@pytest.mark.parametrize(("kernel", "representation"), PAIRS)
def test_the_smallest_graphs(kernel: str, representation: str, nodes: int) -> None:
    made = KERNELS[kernel].make().double()
    phi, psi = torch.randn(2, nodes, 3, dtype=torch.float64)
    for normalization in normalizations_of(kernel):
        a = affinity(
            phi, psi, kernel=made, normalization=normalization, representation=representation
        )
        assert_equal(a.to_dense(), expected(kernel, made, phi, psi, normalization))


@pytest.mark.parametrize(("kernel", "representation"), PAIRS)
def test_sources_may_be_other_nodes_than_targets(kernel: str, representation: str) -> None:
    made = KERNELS[kernel].make().double()
    phi, psi = (torch.randn(2, n, 3, dtype=torch.float64) for n in (5, 3))
    for normalization in ("rw", "none"):
        a = affinity(
            phi, psi, kernel=made, normalization=normalization, representation=representation
        )
        assert a.shape == (2, 5, 3)
        matrix = expected(kernel, made, phi, psi, normalization)
        z = torch.randn(2, 3, 2, dtype=torch.float64)
        assert_equal(a.apply(z), matrix @ z)
        assert_equal(a.T.to_dense(), matrix.mT)
    if KERNELS[kernel].is_nonnegative:
        with pytest.raises(ValueError, match="joins 3 sources to 5 targets"):
            affinity(phi, psi, kernel=made, representation=representation)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_without_psi_the_features_are_compared_with_themselves(normalization: str) -> None:
    phi = torch.randn(2, 5, 3, dtype=torch.float64)
    a = affinity(phi, kernel="gaussian", normalization=normalization)
    assert_equal(a.to_dense(), expected("gaussian", None, phi, phi, normalization))


@pytest.mark.parametrize(
    ("kernel", "mask", "representation"),
    [case for case in MASKED if case[1] in ("full", "boolean_matrix")],
)
def test_renumbered_nodes_give_the_renumbered_operator(
    kernel: str, mask: str, representation: str
) -> None:
    made = KERNELS[kernel].make().double()
    phi, psi = torch.randn(2, 2, 6, 3, dtype=torch.float64)
    joined = MASKS[mask].joined((6,))
    order = torch.randperm(6)

    def operator(phi: Tensor, psi: Tensor, joined: Tensor, normalization: str) -> AffinityOperator:
        return affinity(
            phi,
            psi,
            kernel=made,
            mask="full" if mask == "full" else joined,
            normalization=normalization,
            representation=representation,
        )

    for normalization in normalizations_of(kernel):
        a = operator(phi, psi, joined, normalization).to_dense()
        turned = (phi[:, order], psi[:, order], joined[order][:, order])
        assert_equal(operator(*turned, normalization).to_dense(), a[:, order][:, :, order])


class TestPadding:
    """``valid`` gives the operator of the real nodes alone, and zeros elsewhere."""

    @pytest.mark.parametrize(("kernel", "mask", "representation"), MASKED)
    def test_padded_nodes_neither_get_nor_give(
        self, kernel: str, mask: str, representation: str
    ) -> None:
        size = (2, 3)
        made = KERNELS[kernel].make().double()
        phi, psi = torch.randn(2, 3, 6, 3, dtype=torch.float64)
        phi, psi = phi.requires_grad_(), psi.requires_grad_()
        valid = torch.tensor([[1, 1, 0, 1, 1, 1], [1, 0, 1, 0, 0, 1], [0] * 6]).bool()
        joined = MASKS[mask].joined(size)
        for normalization in normalizations_of(kernel):
            a = affinity(
                phi,
                psi,
                kernel=made,
                mask=MASKS[mask].make(size),
                normalization=normalization,
                representation=representation,
                size=size,
                valid=valid,
            )
            matrix = a.to_dense()
            for item, real in enumerate(valid):
                if not real.any():
                    assert (matrix[item] == 0).all()
                    continue
                m = KERNELS[kernel].formula(made, phi[item, real], psi[item, real], None)
                alone = oracles.normalized(m * joined[real][:, real], normalization)
                assert_equal(matrix[item][real][:, real], alone)
                assert (matrix[item][~real] == 0).all()
                assert (matrix[item][:, ~real] == 0).all()
            z = torch.randn(3, 6, 2, dtype=torch.float64)
            assert_equal(a.apply(z), matrix @ z)
            for gradient in torch.autograd.grad(a.apply(z).sum(), [phi, psi]):
                assert gradient.isfinite().all()
                assert (gradient[~valid] == 0).all()

    @pytest.mark.parametrize(("kernel", "representation"), PAIRS)
    def test_what_padding_holds_does_not_matter(self, kernel: str, representation: str) -> None:
        made = KERNELS[kernel].make().double()
        phi, psi = torch.randn(2, 5, 3, dtype=torch.float64)
        valid = torch.tensor([True, True, False, True, False])
        other_phi, other_psi = phi.clone(), psi.clone()
        other_phi[~valid], other_psi[~valid] = 1e3, -1e3
        a, b = (
            affinity(
                p, q, kernel=made, normalization="rw", representation=representation, valid=valid
            )
            for p, q in ((phi, psi), (other_phi, other_psi))
        )
        assert_equal(a.to_dense(), b.to_dense())

    @pytest.mark.parametrize(("kernel", "representation"), PAIRS)
    def test_targets_and_sources_have_padding_of_their_own(
        self, kernel: str, representation: str
    ) -> None:
        made = KERNELS[kernel].make().double()
        phi, psi = (torch.randn(n, 3, dtype=torch.float64) for n in (4, 3))
        valid, source_valid = torch.tensor([1, 1, 0, 1]).bool(), torch.tensor([1, 0, 1]).bool()
        for normalization in ("rw", "none"):
            matrix = affinity(
                phi,
                psi,
                kernel=made,
                normalization=normalization,
                representation=representation,
                valid=valid,
                source_valid=source_valid,
            ).to_dense()
            m = KERNELS[kernel].formula(made, phi[valid], psi[source_valid], None)
            alone = torch.zeros(4, 3, dtype=torch.float64)
            alone[valid.nonzero(), source_valid.nonzero().T] = oracles.normalized(m, normalization)
            assert_equal(matrix, alone)


X = torch.randn(4, 3)
FRONT_DOOR_ERRORS: dict[str, tuple[type[Exception], dict[str, object], str]] = {
    "one axis": (ValueError, {"phi": X[0]}, r"phi has shape \(\*batch, N, r\); got \(3,\).*unsq"),
    "integers": (TypeError, {"phi": X.long()}, "phi must be floating point, got torch.int64"),
    "two dtypes": (TypeError, {"psi": X.double()}, "share dtype and device; got torch.float32"),
    "two devices": (TypeError, {"psi": X.to("meta")}, "share dtype and device; .* on meta"),
    "two widths": (ValueError, {"psi": X[:, :2]}, r"share batch and r; got \(4, 3\) and \(4, 2\)"),
    "two batches": (ValueError, {"psi": X[None]}, r"share batch and r; got .* \(1, 4, 3\)"),
    "no kernel": (ValueError, {"kernel": "cosine"}, 'unknown kernel "cosine".*"dot"'),
    "kernel with weights": (
        ValueError,
        {"kernel": "concatenation"},
        r"weights of its own\. Make it once and pass the object: Concatenation\(channels=r\)",
    ),
    "kernel of another width": (
        ValueError,
        {"kernel": Concatenation(5)},
        "weighs 5 channels, but phi and psi have 3. Make it with channels=3",
    ),
    "signed kernel": (
        ValueError,
        {"kernel": SignedDot()},
        r'kernel SignedDot\(scale=1.0\) can be negative. Use kernel="dot" or norm',
    ),
    "no normalisation": (ValueError, {"normalization": "l2"}, 'unknown normalization "l2"'),
    "no mask": (ValueError, {"mask": "diagonal"}, 'unknown mask "diagonal"'),
    "no representation": (ValueError, {"representation": "sparse"}, 'unknown rep.*"dense"'),
    "no size": (ValueError, {"mask": "criss_cross"}, r"size of the 4 positions: size=\(H, W\)"),
    "another size": (ValueError, {"size": (2, 3)}, r"size \(2, 3\) has 6 positions, but .* 4 node"),
    "negative size": (ValueError, {"size": (-2, -2)}, r"whole lengths ≥ 1.*got \(-2, -2\)"),
    "rectangular mask": (
        ValueError,
        {"psi": X[:2], "mask": "window:1", "normalization": "rw"},
        r'mask Window\(1\) joins the nodes of one set.* 4 targets and 2 sources. Use mask="full"',
    ),
    "matrix of another size": (
        ValueError,
        {"mask": torch.eye(3).bool(), "representation": "dense"},
        "joins 3 nodes, but there are 4",
    ),
    "edges of more nodes": (
        ValueError,
        {"mask": torch.tensor([[0], [4]])},
        "names node 4, but there are only 4 nodes",
    ),
    "valid of numbers": (
        ValueError,
        {"valid": torch.ones(4)},
        r"valid is boolean of shape \(4,\); got torch.float32 of shape \(4,\)",
    ),
    "valid of another shape": (
        ValueError,
        {"valid": torch.ones(2, 4).bool()},
        r"valid is boolean of shape \(4,\); got torch.bool of shape \(2, 4\)",
    ),
    "valid elsewhere": (
        ValueError,
        {"valid": torch.ones(4, device="meta").bool()},
        "valid is on meta and the features on cpu. Move",
    ),
    "source_valid of another shape": (
        ValueError,
        {"source_valid": torch.ones(3).bool()},
        r"source_valid is boolean of shape \(4,\)",
    ),
}


@pytest.mark.parametrize("name", FRONT_DOOR_ERRORS)
def test_bad_input_is_refused_with_what_came_and_what_to_do(name: str) -> None:
    error, arguments, message = FRONT_DOOR_ERRORS[name]
    with pytest.raises(error, match=message):
        affinity(**{"phi": X, **arguments})  # type: ignore[arg-type]
