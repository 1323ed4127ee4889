"""The 2r×2r problem against the N×N one."""

import itertools
import time
import tracemalloc

import numpy as np
import pytest
import torch

from snl_graph import SNLConv, affinity, nonlocal_block
from snl_graph.operators import FactoredOperator, LinearDiagonal, ScaledOperator
from snl_graph.spectral import spectrum
from tests.spectral.formulas import set_distance


def laplacian_of(a):
    return np.eye(a.shape[-1]) - a.to_dense().detach().double().numpy()


def assert_spectrum_of(found, laplacian, tolerance=1e-10):
    n = len(laplacian)
    expected = np.linalg.eigvals(laplacian)
    assert len(found.eigenvalues) == n
    assert set_distance(found.eigenvalues.numpy(), expected) < max(tolerance, 1e-7)
    if found.is_real:
        np.testing.assert_allclose(
            found.eigenvalues.numpy(), np.sort(expected.real), atol=max(tolerance, 1e-7)
        )
    assert np.diff(found.eigenvalues.numpy().real).min() >= 0
    if found.eigenvectors is not None:
        values = found.eigenvalues[found.indices].numpy()
        vectors = found.eigenvectors.numpy()
        assert np.abs(laplacian @ vectors - vectors * values).max() < tolerance
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=0), 1, atol=1e-12)


@pytest.mark.parametrize("has_psi", [True, False])
@pytest.mark.parametrize(
    ("kernel", "normalization"),
    [  # the degrees of a signed kernel may vanish
        *itertools.product(["dot", "double_softmax"], ["sym", "rw", "none"]),
        ("signed_dot", "none"),
    ],
)
def test_the_spectrum_of_factors_is_that_of_their_product(kernel, normalization, has_psi):
    torch.manual_seed(3)
    phi, psi = torch.randn(2, 30, 4, dtype=torch.float64)
    psi = psi if has_psi else None
    a = affinity(phi, psi, kernel=kernel, normalization=normalization, representation="factored")
    for vectors in (False, True):
        found = spectrum(a, vectors=vectors)
        assert found.solver == "factored"
        assert_spectrum_of(found, laplacian_of(a))
    assert found.eigenvectors.shape[1] <= 8
    if normalization == "sym":
        assert found.method == "symmetric"
        np.testing.assert_allclose(
            found.eigenvalues.numpy(), np.linalg.eigvalsh(laplacian_of(a)), atol=1e-12
        )


def test_symmetric_eigenvalues_equal_numpy_to_1e_10_on_many_factors():
    for seed in range(50):
        generator = torch.Generator().manual_seed(seed)
        n, r = 12 + seed, 1 + seed % 5
        scale = 10.0 ** torch.randint(-3, 4, (r,), generator=generator)  # channels far apart
        phi = scale * torch.rand(n, r, generator=generator, dtype=torch.float64)
        psi = torch.rand(n, r, generator=generator, dtype=torch.float64)
        psi[seed % n] = phi[seed % n] = 0  # an isolated node
        a = affinity(phi, psi, representation="factored")
        found = spectrum(a)
        assert found.solver == "factored"
        expected = np.linalg.eigvalsh(laplacian_of(a))
        np.testing.assert_allclose(found.eigenvalues.numpy(), expected, rtol=0, atol=1e-10)
        assert found.lambda_max == pytest.approx(expected[-1], abs=1e-10)


def test_a_random_walk_on_symmetric_factors_is_real_and_any_other_may_be_complex():
    torch.manual_seed(0)
    phi = torch.rand(40, 3, dtype=torch.float64)
    walk = affinity(phi, normalization="rw", representation="factored")
    found = spectrum(walk, vectors=True)
    assert (found.method, found.is_real) == ("similar", True)
    assert_spectrum_of(found, laplacian_of(walk))
    turned = FactoredOperator(phi[:, :2], torch.stack([-phi[:, 1], phi[:, 0]], 1))
    found = spectrum(turned, vectors=True)
    assert (found.method, found.is_real) == ("general", False)
    assert_spectrum_of(found, laplacian_of(turned))


def test_eigenvalues_that_no_factor_spans_are_one_and_have_no_vector():
    phi = torch.rand(20, 2, dtype=torch.float64)
    found = spectrum(affinity(phi, representation="factored"), 15, vectors=True)
    ones = np.abs(found.eigenvalues.numpy() - 1) < 1e-12
    assert ones.sum() == 13
    assert found.eigenvectors.shape[1] <= 4
    assert len(found.indices) == found.eigenvectors.shape[1]


def test_scaled_factors_stay_factors():
    torch.manual_seed(1)
    phi, psi, left, right = torch.rand(4, 25, 3, dtype=torch.float64)
    for is_symmetrized in (False, True):
        inner = FactoredOperator(phi, psi, is_symmetrized=is_symmetrized)
        a = ScaledOperator(inner, LinearDiagonal(left[:, 0]), LinearDiagonal(right[:, 0]))
        found = spectrum(a, vectors=True)
        assert found.solver == "factored"
        assert_spectrum_of(found, laplacian_of(a))
        for one_side in (
            ScaledOperator(inner, LinearDiagonal(left[:, 0]), None),
            ScaledOperator(inner, None, LinearDiagonal(right[:, 0])),
        ):
            assert_spectrum_of(spectrum(one_side, vectors=True), laplacian_of(one_side))


def test_batches_and_heads_of_factors_give_one_spectrum_each():
    block = nonlocal_block("snl", 8, hidden_channels=4, heads=2, representation="factored").double()
    x = torch.randn(3, 8, 5, 6, dtype=torch.float64)
    found, a = spectrum((block, x)), block.affinity_of(x)
    assert (len(found), len(found[0])) == (3, 2)
    for b, h in np.ndindex(3, 2):
        expected = np.eye(30) - a.to_dense()[b, h].detach().numpy()
        np.testing.assert_allclose(
            found[b][h].eigenvalues.numpy(), np.linalg.eigvalsh(expected), atol=1e-10
        )
        assert found[b][h].solver == "factored"
    conv = SNLConv(4, 4, kernel="dot", hidden_channels=4, heads=2).double()
    found = spectrum((conv, torch.randn(500, 4, dtype=torch.float64)))
    assert [one.solver for one in found] == ["factored", "factored"]
    assert abs(found[0].eigenvalues[0]) < 1e-12


@torch.no_grad()
def test_all_eigenvalues_of_65_536_pixels_take_seconds_and_little_memory():
    torch.manual_seed(0)
    block, x = nonlocal_block("snl", 64).eval(), torch.randn(1, 64, 256, 256)
    tracemalloc.start()  # of NumPy, which solves; the feature map and A are PyTorch's
    start = time.process_time()
    (found,) = spectrum((block, x))
    seconds = time.process_time() - start
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < 10
    assert peak < 2**29
    assert (found.solver, found.is_real, len(found.eigenvalues)) == ("factored", True, 256**2)
    assert abs(found.eigenvalues[0]) < 1e-5
    assert found.lambda_max <= 2
    # Their sum, by the diagonal of A.
    phi, psi = (
        torch.einsum("oc,bchw->bohw", lin.weight.flatten(1), x).relu().double().flatten(2)[0]
        for lin in (block.affinity.phi, block.affinity.psi)
    )
    degree = (phi.T @ psi.sum(1) + psi.T @ phi.sum(1)) / 2
    trace = 256**2 - ((phi * psi).sum(0) / degree).sum()
    torch.testing.assert_close(found.eigenvalues.sum(), trace, rtol=0, atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_low_precision_factors_keep_a_real_spectrum(dtype):
    phi = torch.rand(64, 4).to(dtype)
    for normalization in ("sym", "rw"):
        a = affinity(phi, normalization=normalization, representation="factored")
        found = spectrum(a)
        assert found.is_real
        assert abs(found.eigenvalues[0]) < 8 * torch.finfo(dtype).eps


def test_factors_with_nan_are_refused():
    phi = torch.rand(20, 2)
    phi[3, 1] = float("nan")
    with pytest.raises(ValueError, match="non-finite"):
        spectrum(affinity(phi, representation="factored"))
    with pytest.raises(ValueError, match="non-finite"):
        spectrum(affinity(phi, normalization="none", representation="dense"))
