"""Degrees many powers of ten apart do not make an asymmetric matrix pass for a symmetric one."""

import numpy as np
import pytest
import torch

from snl_graph import affinity
from snl_graph.spectral import spectrum


def worst_distance(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest distance of an expected value to the nearest one found, both ways."""
    distances = np.abs(found[:, None] - expected[None])
    return max(distances.min(axis=0).max(), distances.min(axis=1).max())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [1.0, 4.0])
def test_a_random_walk_on_asymmetric_weights_is_solved_as_a_general_matrix(dtype, size):
    phi, psi = size * torch.randn(40, 6, dtype=dtype), size * torch.randn(40, 6, dtype=dtype)
    a = affinity(phi, psi, kernel="gaussian", normalization="rw")
    found = spectrum(a)
    expected = 1 - np.linalg.eigvals(a.to_dense().double().numpy())
    assert np.abs(expected.imag).max() > 1e-3
    assert found.method == "general"
    assert found.eigenvalues.is_complex()
    assert found.residual < 1e-5
    assert worst_distance(found.eigenvalues.numpy(), expected) < 1e-5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_random_walk_on_symmetric_weights_of_wide_degrees_is_still_real(dtype):
    phi = 2 * torch.randn(40, 6, dtype=dtype)
    found = spectrum(affinity(phi, kernel="gaussian", normalization="rw"))
    assert found.method == "similar"
    assert found.is_real
