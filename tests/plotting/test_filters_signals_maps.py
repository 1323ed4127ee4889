"""Responses, errors, signals and feature maps, read back from the axes; files of every kind."""

import io

import networkx as nx
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from snl_graph import nonlocal_block
from snl_graph.filters import Heat, Monomial, Polynomial, approximate_response, error_by_steps
from snl_graph.plotting import (
    plot_approximation_error,
    plot_before_and_after,
    plot_feature_map,
    plot_graph_signal,
    plot_grid_signal,
    plot_taps,
)
from snl_graph.plotting.canvas import SERIES


@pytest.fixture
def ax():
    return Figure().subplots()


def test_lines_are_the_ideal_and_marks_the_real_response(ax):
    heat = Heat(2, order=3)
    plot_taps(heat, ax, points=49)
    lambdas = torch.linspace(0, 2, 49, dtype=torch.float64)
    lines = {line.get_label(): line for line in ax.lines}
    for tap in (0, 1):
        ideal = heat.response(lambdas)[:, tap].detach().numpy()
        np.testing.assert_allclose(lines[f"tap {tap}"].get_ydata(), ideal)
        marks = lines[f"tap {tap}, by products with A"]
        at = torch.as_tensor(marks.get_xdata())
        expected = approximate_response(heat, at)[:, tap].detach().numpy()
        np.testing.assert_allclose(marks.get_ydata(), expected, atol=1e-12)
    assert "order 3, error" in ax.get_title()


def test_a_polynomial_has_lines_alone(ax):
    plot_taps(Polynomial(3, Monomial()), ax)
    assert all(line.get_marker() in ("None", None) for line in ax.lines)
    assert ax.get_title() == ""


def test_errors_stand_over_products_with_a(ax):
    filters = {"heat": Heat(1), "two": Heat(2)}
    plot_approximation_error(filters, [1, 2, 4], ax)
    for line, one in zip(ax.lines, filters.values(), strict=True):
        rows = error_by_steps(one, [1, 2, 4])
        np.testing.assert_allclose(line.get_xdata(), [row[1] for row in rows])
        np.testing.assert_allclose(line.get_ydata(), [row[2] for row in rows])
    assert ax.get_yscale() == "log"
    with pytest.raises(ValueError, match="no filter"):
        plot_approximation_error({}, [1], ax)


def test_series_are_told_apart_without_colour():
    assert len({(str(style["linestyle"]), style["marker"]) for style in SERIES}) == len(SERIES)
    assert len({to_hex(style["color"]) for style in SERIES}) == len(SERIES)


def test_every_node_has_its_number_at_its_place(ax):
    graph = nx.path_graph(4)
    places = {node: (node, node**2) for node in graph}
    plot_graph_signal(graph, [1.0, -2.0, 0.5, 0.0], ax, positions=places, with_labels=True)
    drawn = {}
    for dots in ax.collections:
        for (x, y), value in zip(dots.get_offsets(), dots.get_array(), strict=True):
            drawn[float(x), float(y)] = float(value)
        assert dots.get_clim() == (-2, 2)  # zero is the middle
    assert drawn == {(0, 0): 1, (1, 1): -2, (2, 4): 0.5, (3, 9): 0}
    assert len(ax.collections) == 2  # circles and squares
    assert [line.get_xydata().tolist() for line in ax.lines] == [
        [[0, 0], [1, 1]],
        [[1, 1], [2, 4]],
        [[2, 4], [3, 9]],
    ]
    assert {text.get_text() for text in ax.texts} == {"0", "1", "2", "3"}


def test_a_signal_of_one_sign_stands_on_a_sequential_scale(ax):
    plot_graph_signal(nx.path_graph(3), torch.tensor([1.0, 2.0, 3.0]), ax)
    (dots,) = ax.collections
    assert dots.get_clim() == (0, 3)
    plot_graph_signal(nx.empty_graph(0), [], Figure().subplots())


def test_a_grid_signal_lies_row_by_row(ax):
    plot_grid_signal(torch.arange(6.0) - 2, (2, 3), ax)
    np.testing.assert_allclose(ax.images[0].get_array(), [[-2, -1, 0], [1, 2, 3]])
    assert ax.images[0].get_clim() == (-3, 3)
    other = plot_grid_signal(np.ones((2, 2)), (2, 2), Figure().subplots())
    assert other.images[0].get_clim() == (0, 1)


def test_signals_that_do_not_fit_are_refused(ax):
    with pytest.raises(ValueError, match=r"each of the 3 nodes; got shape \(2,\)"):
        plot_graph_signal(nx.path_graph(3), [1, 2], ax)
    with pytest.raises(ValueError, match=r"size \(2, 2\) holds 4 numbers; got shape \(3,\)"):
        plot_grid_signal([1, 2, 3], (2, 2), ax)
    with pytest.raises(ValueError, match="not finite"):
        plot_grid_signal([1, np.nan], (1, 2), ax)
    with pytest.raises(ValueError, match="complex"):
        plot_grid_signal([1j, 1], (1, 2), ax)


def test_a_feature_map_is_drawn_as_its_strength(ax):
    x = torch.tensor([3.0, 4.0]).view(1, 2, 1, 1) * torch.tensor([[1.0, 2.0]]).view(1, 1, 1, 2)
    plot_feature_map(x, ax)
    np.testing.assert_allclose(ax.images[0].get_array(), [[12.5**0.5, 2 * 12.5**0.5]], rtol=1e-6)


def test_before_and_after_share_one_scale():
    block, x = nonlocal_block("snl", 4).train(), torch.randn(1, 4, 3, 5)
    before, after = plot_before_and_after(
        block, x, Figure().subplots(1, 2), image=torch.rand(6, 10)
    )
    assert block.training
    block.eval()
    with torch.no_grad():
        y = block(x)
    for ax, features in ((before, x), (after, y)):
        strength = features[0].square().mean(0).sqrt().numpy()
        np.testing.assert_allclose(ax.images[-1].get_array(), strength, rtol=1e-5)
        assert ax.images[-1].get_extent() == [0, 10, 6, 0]
    assert before.images[-1].get_clim() == after.images[-1].get_clim()
    low, high = before.images[-1].get_clim()
    assert low == pytest.approx(min(f[0].square().mean(0).sqrt().min() for f in (x, y)).item())
    assert high == pytest.approx(max(f[0].square().mean(0).sqrt().max() for f in (x, y)).item())


def test_the_third_panel_is_what_the_block_changed():
    block, x = nonlocal_block("snl", 4).eval(), torch.randn(1, 4, 3, 5)
    before, after, change = plot_before_and_after(block, x, Figure().subplots(1, 3))
    difference = after.images[-1].get_array() - before.images[-1].get_array()
    np.testing.assert_allclose(change.images[0].get_array(), difference, atol=1e-12)
    low, high = change.images[0].get_clim()
    assert -low == high == pytest.approx(np.abs(difference).max())


def test_maps_that_do_not_fit_are_refused(ax):
    with pytest.raises(ValueError, match=r"\(1, C, \*spatial\).*got \(2, 4, 3, 3\)"):
        plot_feature_map(torch.zeros(2, 4, 3, 3), ax)
    with pytest.raises(ValueError, match="over a grey picture"):
        plot_feature_map(torch.zeros(1, 4, 3, 3), ax, image=torch.zeros(3, 6, 6))
    with pytest.raises(ValueError, match="not finite"):
        plot_feature_map(torch.full((1, 4, 3, 3), float("nan")), ax)
    with pytest.raises(ValueError, match="need 3 axes"):
        plot_before_and_after(nonlocal_block("snl", 4), torch.zeros(1, 4, 3, 3), [ax])


@pytest.mark.parametrize("kind", ["svg", "pdf", "png"])
def test_pictures_can_be_saved_as_vectors(kind):
    figure = Figure(layout="constrained")
    first, second, third = figure.subplots(1, 3)
    plot_taps(Heat(2), first)
    plot_graph_signal(nx.karate_club_graph(), np.arange(34) - 10.0, second)
    plot_feature_map(torch.randn(1, 4, 3, 3), third)
    file = io.BytesIO()
    figure.savefig(file, format=kind)
    start = {"svg": b"<?xml", "pdf": b"%PDF", "png": b"\x89PNG"}[kind]
    assert file.getvalue().startswith(start)
    if kind == "svg":
        assert file.getvalue().count(b"<path") > 34
