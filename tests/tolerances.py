"""How close is equal: the one place that says so."""

from __future__ import annotations

import torch
from torch import Tensor

RELATIVE = {
    torch.float64: 1e-10,
    torch.float32: 1e-5,
    torch.float16: 2e-2,  # a few units of 2^-10, summed over some hundred nodes
    torch.bfloat16: 1e-1,  # the same with units of 2^-7
}
"""Largest difference from a float64 oracle, relative to the oracle's largest number."""


def large_logits(most: float) -> float:
    """Tolerance of exponential kernels in float32 with logits of up to ``most`` in size."""
    return 1e-5 + 2**-22 * most


def error(actual: Tensor, expected: Tensor) -> float:
    """Largest difference, relative to the largest number expected; infinite where NaN."""
    assert actual.shape == expected.shape, (actual.shape, expected.shape)
    if not expected.numel():
        return 0.0
    difference = (
        (actual.detach().double() - expected.detach().double()).abs().nan_to_num(nan=torch.inf)
    )
    scale = float(expected.detach().double().abs().max())
    return float(difference.max()) / (scale if scale > 0 else 1.0)


def assert_equal(actual: Tensor, expected: Tensor, tolerance: float | None = None) -> None:
    """Assert that the numbers agree, as closely as the dtype of ``actual`` allows."""
    tolerance = RELATIVE[actual.dtype] if tolerance is None else tolerance
    found = error(actual, expected)
    assert found <= tolerance, f"relative error {found:.3g}, allowed {tolerance:.3g}"
