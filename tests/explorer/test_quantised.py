"""Eight bits an entry: how far off, and what is kept exactly."""

import base64
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from snl_graph.explorer.quantised import packed, quantised

weights = arrays.arrays(
    np.float64,
    st.tuples(st.integers(1, 4), st.integers(1, 9)),
    elements=st.just(0.0) | st.floats(1e-30, 1e3),  # float32 holds the greatest of a row
)


def half_step(rows, levels):
    """By how much an entry moves when its square root moves by half a step."""
    peaks = np.abs(rows).max(axis=1, keepdims=True)
    roots = np.sqrt(np.abs(rows) / np.where(peaks > 0, peaks, 1))
    half = 0.5 / levels
    return ((2 * roots + half) * half + 1e-6) * peaks


def test_what_is_far_below_the_greatest_is_kept():
    held = quantised(np.array([[1.0, 1e-4, 1e-5, 0.0]]), "A")
    np.testing.assert_allclose(held.values, [[1, 1e-4, 1e-5, 0]], rtol=0.6)


@given(weights)
def test_no_entry_is_off_by_more_than_half_a_step_of_its_root(rows):
    held = quantised(rows, "A")
    assert not held.is_signed
    assert (np.abs(held.values - rows) <= half_step(rows, 255)).all()
    peaks = rows.max(axis=1, keepdims=True)
    assert (np.abs(held.values - rows) <= 0.004 * peaks).all()  # what the page says


@given(weights, st.integers(0, 8))
def test_signed_rows_keep_their_sign_and_zero(rows, column):
    rows = rows.copy()
    rows[:, column % rows.shape[1]] *= -1
    held = quantised(rows, "A")
    levels = 127 if held.is_signed else 255
    slack = 1.1e-5 * np.abs(rows).max(axis=1, keepdims=True)  # a trace below zero is none
    assert (np.abs(held.values - rows) <= half_step(rows, levels) + slack).all()
    assert (np.sign(held.values) * np.sign(rows) >= 0).all()
    assert (held.values[rows == 0] == 0).all()


def test_rounding_below_zero_does_not_make_a_kernel_signed():
    assert not quantised(np.array([[1.0, -1e-9]]), "A").is_signed
    assert quantised(np.array([[1.0, -0.1]]), "A").is_signed


def test_sums_and_spreads_are_those_of_the_exact_row():
    rows = np.array([[0.25, 0.25, 0.25, 0.25], [0.0, 3.0, 0.0, 0.0], [0, 0, 0, 0]])
    held = quantised(rows, "A")
    np.testing.assert_allclose(held.sums, [1, 3, 0])
    np.testing.assert_allclose(held.spreads, [4, 1, 0], rtol=1e-6)
    assert np.isnan(quantised(-rows, "A").spreads).all()


def test_what_is_packed_can_be_opened():
    values = np.array([1.5, -2.0], dtype=np.float32)
    opened = np.frombuffer(zlib.decompress(base64.b64decode(packed(values))), dtype="<f4")
    np.testing.assert_array_equal(opened, values)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(bad):
    with pytest.raises(ValueError, match='"snl": 1 of 2 weights are not finite'):
        quantised(np.array([[1.0, bad]]), '"snl"')
