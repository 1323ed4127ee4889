"""What is drawn, read back from the axes."""

import builtins
import sys

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from snl_graph import nonlocal_block
from snl_graph.operators import DenseOperator
from snl_graph.plotting import plot_attention_maps, plot_eigenvalues, plot_filter_response
from snl_graph.spectral import filter_response, spectrum

mpl.use("agg")


@pytest.fixture
def ax():
    return Figure().subplots()


def drawn_points(ax):
    """Every marker of the axes as (x, y, marker)."""
    return [
        (x, y, line.get_marker())
        for line in ax.lines
        if line.get_marker() not in ("None", None, "")
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
    ]


def test_a_real_spectrum_is_drawn_value_by_value(ax):
    found = spectrum(np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0.0]]))
    plot_eigenvalues(found, ax)
    heights = [y for _, y, _ in drawn_points(ax)]
    np.testing.assert_allclose(heights, [0, 1, 2], atol=1e-12)
    assert "all 3 real" in ax.get_title()


@pytest.mark.parametrize("n", [4, 5])
def test_no_imaginary_part_is_hidden(ax, n):
    cycle = torch.tensor(np.roll(np.eye(n), 1, axis=1))
    found = spectrum(DenseOperator(cycle))
    plot_eigenvalues(found, ax)
    points = {complex(round(x, 9), round(y, 9)): marker for x, y, marker in drawn_points(ax)}
    expected = 1 - np.exp(2j * np.pi * np.arange(n) / n)
    assert len(points) == n
    for value in expected:
        nearest = min(points, key=lambda point: abs(point - value))
        assert abs(nearest - value) < 1e-8
        assert points[nearest] == ("o" if abs(value.imag) < 1e-8 else "^")  # not by colour alone
    low, high = ax.get_ylim()
    assert low < -np.abs(expected.imag).max()
    assert high > np.abs(expected.imag).max()
    assert f"{2 * ((n - 1) // 2)} of {n} not real" in ax.get_title()


@pytest.mark.parametrize(("size", "insets"), [(0.01, 1), (0.5, 0)])
def test_imaginary_parts_that_the_circle_would_hide_are_drawn_from_close_by(ax, size, insets):
    found = spectrum(DenseOperator(size * torch.tensor(np.roll(np.eye(7), 1, axis=1))))
    plot_eigenvalues(found, ax, inset=True)
    assert len(ax.child_axes) == insets
    for close in ax.child_axes:
        points = [(x, y) for x, y, marker in drawn_points(close) if marker == "^"]
        (left, right), (low, high) = close.get_xlim(), close.get_ylim()
        values = found.eigenvalues.numpy()
        assert len(points) == (values.imag != 0).sum()
        assert all(left < x < right and low < y < high for x, y in points)
        assert high - low < 3 * np.ptp(values.imag)  # from close by
    other = plot_eigenvalues(found, Figure().subplots())
    assert not other.child_axes


def test_a_real_spectrum_can_stand_in_the_plane_beside_a_complex_one(ax):
    plot_eigenvalues(spectrum(np.ones((2, 2))), ax, plane=True)
    assert ax.get_xlabel() == "Re λ"
    assert sorted(round(x, 9) + 0.0 for x, _, _ in drawn_points(ax)) == [0.0, 1.0]


def test_filter_response_draws_the_greatest_and_the_median_singular_value(ax):
    block = nonlocal_block("snl", 6, hidden_channels=3)
    plot_filter_response(block, ax)
    lines = {line.get_label(): line for line in ax.lines}
    at = lines["greatest"].get_xdata()
    gains = np.linalg.svd(filter_response(block, at).numpy(), compute_uv=False)
    np.testing.assert_allclose(lines["greatest"].get_ydata(), gains.max(axis=1), rtol=1e-4)
    np.testing.assert_allclose(lines["median"].get_ydata(), np.median(gains, axis=1), rtol=1e-4)
    styles = {lines["greatest"].get_linestyle(), lines["median"].get_linestyle()}
    assert len(styles) == 2  # told apart in black and white


def test_filter_response_marks_eigenvalues_and_says_when_they_are_real_parts(ax):
    block = nonlocal_block("nl", 6).double()
    x = 3 * torch.randn(1, 6, 3, 4, dtype=torch.float64)
    found = spectrum((block, x))[0]
    assert not found.is_real
    plot_filter_response(block, ax, spectrum=found)
    ticks = [x for x, _, marker in drawn_points(ax) if marker == "|"]
    np.testing.assert_allclose(ticks, found.eigenvalues.numpy().real)
    assert "real parts" in ax.get_xlabel()


@pytest.mark.parametrize("name", ["snl", "nl"])
def test_attention_maps_hold_the_rows_of_the_dense_affinity(name):
    block = nonlocal_block(name, 4)
    x = torch.randn(2, 4, 3, 5)
    dense = block.affinity_of(x).to_dense().detach()
    axes = Figure().subplots(1, 2)
    plot_attention_maps(dense[1], (3, 5), [(0, 0), (2, 3)], axes)
    for ax, row in zip(axes, (0, 2 * 5 + 3), strict=True):
        shown = ax.images[0].get_array()
        np.testing.assert_allclose(shown, dense[1, row].reshape(3, 5).numpy(), rtol=1e-6)
        assert ax.images[0].get_clim() == (0, pytest.approx(float(shown.max())))
    (ring,) = axes[1].lines
    assert (list(ring.get_xdata()), list(ring.get_ydata())) == ([3], [2])


def test_attention_maps_take_an_operator_and_an_image():
    block = nonlocal_block("snl", 4)
    a = block.affinity_of(torch.randn(1, 4, 2, 2)).to_dense()[0]
    image = torch.rand(4, 4)
    axes = plot_attention_maps(DenseOperator(a), (2, 2), [(1, 0)], image=image)
    assert len(axes) == 2
    np.testing.assert_allclose(axes[0].images[0].get_array(), image.numpy())
    (ring,) = axes[0].lines
    assert (float(ring.get_xdata()[0]), float(ring.get_ydata()[0])) == (1.0, 3.0)


def test_negative_weights_stand_on_a_scale_with_zero_in_the_middle(ax):
    a = torch.tensor([[-1.0, 0.5], [0.2, 0.3]])
    plot_attention_maps(a, (1, 2), [(0, 0)], ax)
    assert ax.images[0].get_clim() == (-1, 1)
    assert "-1 to 1" in ax.get_xlabel()


def test_maps_that_do_not_fit_are_refused():
    a = torch.zeros(6, 6)
    with pytest.raises(ValueError, match=r"map of 2×2 needs A of shape \(4, 4\); got \(6, 6\)"):
        plot_attention_maps(a, (2, 2), [(0, 0)])
    with pytest.raises(ValueError, match=r"position \(2, 0\) lies outside the 2×3 map"):
        plot_attention_maps(a, (2, 3), [(2, 0)])
    with pytest.raises(ValueError, match="need 2 axes, one for each panel; got 1"):
        plot_attention_maps(a, (2, 3), [(0, 0), (1, 1)], Figure().subplots())


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    real_import = builtins.__import__

    def no_matplotlib(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_matplotlib)
    for name in [name for name in sys.modules if name.startswith("matplotlib")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ImportError, match=r'pip install "snl-graph\[plot\]"'):
        plot_eigenvalues(spectrum(torch.ones(2, 2)))


@pytest.mark.parametrize("draw", ["eigenvalues", "response", "attention"])
def test_without_axes_a_figure_is_made(draw):
    block = nonlocal_block("snl", 4)
    made = {
        "eigenvalues": lambda: [plot_eigenvalues(spectrum(torch.ones(2, 2)))],
        "response": lambda: [plot_filter_response(block)],
        "attention": lambda: plot_attention_maps(torch.zeros(4, 4), (2, 2), [(0, 0)]),
    }[draw]()
    made[0].figure.canvas.draw()
    mpl.pyplot.close(made[0].figure)
