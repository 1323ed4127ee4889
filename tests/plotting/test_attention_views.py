"""Maps of blocks with heads, passes, frames and pooled keys, read back from the axes."""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from snl_graph import nonlocal_block
from snl_graph.attention import attention_of
from snl_graph.plotting import plot_attention_maps, plot_attention_views, plot_block_attention


def shown(ax):
    return np.ma.filled(ax.images[-1].get_array(), np.nan)


def ring(ax):
    (line,) = ax.lines
    return float(line.get_xdata()[0]), float(line.get_ydata()[0])


def test_passes_of_a_recurrence_are_drawn_one_by_one_and_composed():
    block, x = (
        nonlocal_block("cc", 4, recurrence=2).double().eval(),
        torch.randn(1, 4, 3, 5).double(),
    )
    first = block.affinity_of(x).to_dense()[0].detach().numpy()
    seen = attention_of(block, x)
    axes = plot_attention_views(seen, (1, 2), Figure().subplots(1, 3))
    chain, one, two = (shown(ax) for ax in axes)
    np.testing.assert_allclose(one, first[7].reshape(3, 5), atol=1e-12)
    second = seen.rows(range(15))[seen.views[2]].numpy()
    np.testing.assert_allclose(two, second[7].reshape(3, 5), atol=1e-12)
    np.testing.assert_allclose(chain, (second[7] @ first).reshape(3, 5), atol=1e-12)
    assert [ax.get_xlabel().split(":")[0] for ax in axes] == ["all 2 passes", "pass 1", "pass 2"]
    assert all(ring(ax) == (2, 1) for ax in axes)


def test_a_head_is_chosen_by_its_label():
    block, x = nonlocal_block("nl", 4, heads=2).double(), torch.randn(1, 4, 3, 5).double()
    dense = block.affinity_of(x).to_dense()[0].detach().numpy()
    seen = attention_of(block, x)
    for view, expected in (("head 2", dense[1]), (None, dense.mean(0))):
        axes = plot_block_attention(seen, [(0, 1), (2, 2)], Figure().subplots(1, 2), view=view)
        for ax, row in zip(axes, (1, 12), strict=True):
            np.testing.assert_allclose(shown(ax), expected[row].reshape(3, 5), atol=1e-12)
    with pytest.raises(
        ValueError, match=r'no view "head 3".*"mean of 2 heads", "head 1", "head 2"'
    ):
        plot_block_attention(seen, [(0, 1)], Figure().subplots(), view="head 3")


def test_frames_of_a_clip_stand_side_by_side():
    block, x = nonlocal_block("nl", 4).double(), torch.randn(1, 4, 2, 3, 5).double()
    dense = block.affinity_of(x).to_dense()[0].detach().numpy()
    index = (1 * 3 + 2) * 5 + 4
    clip = torch.rand(2, 6, 10)
    for axes in (
        plot_block_attention(attention_of(block, x), [(1, 2, 4)], Figure().subplots()),
        plot_attention_maps(torch.from_numpy(dense), (2, 3, 5), [(1, 2, 4)], Figure().subplots()),
    ):
        picture = shown(axes[0])
        assert picture.shape == (3, 11)
        np.testing.assert_allclose(picture[:, :5], dense[index].reshape(2, 3, 5)[0], atol=1e-12)
        np.testing.assert_allclose(picture[:, 6:], dense[index].reshape(2, 3, 5)[1], atol=1e-12)
        assert np.isnan(picture[:, 5]).all()
        assert ring(axes[0]) == (10, 2)
    image, _ = plot_block_attention(
        attention_of(block, x), [(1, 2, 4)], Figure().subplots(1, 2), image=clip
    )
    np.testing.assert_allclose(shown(image)[:, 11:], clip[1].numpy())
    assert ring(image) == (11 + 9, 5)  # the middle of a 2×2 cell, in pixels


def test_pooled_keys_are_drawn_on_their_own_grid():
    block, x = nonlocal_block("nl", 4, subsample=2).double(), torch.randn(1, 4, 4, 6).double()
    dense = block.affinity_of(x).to_dense()[0].detach().numpy()
    (ax,) = plot_block_attention(attention_of(block, x), [(2, 5)], Figure().subplots())
    np.testing.assert_allclose(shown(ax), dense[17].reshape(2, 3), atol=1e-12)
    assert ring(ax) == (2.25, 0.75)  # (5 + ½) / 2 − ½ and (2 + ½) / 2 − ½


def test_a_sequence_is_one_line_and_colour_pictures_stay_coloured():
    block, x = nonlocal_block("nl", 4).double(), torch.randn(1, 4, 7).double()
    (ax,) = plot_block_attention(attention_of(block, x), [(3,)], Figure().subplots())
    assert shown(ax).shape == (1, 7)
    square, y = nonlocal_block("nl", 4).double(), torch.randn(1, 4, 2, 2).double()
    picture = torch.rand(3, 4, 4)
    image, _ = plot_block_attention(
        attention_of(square, y), [(0, 0)], Figure().subplots(1, 2), image=picture
    )
    np.testing.assert_allclose(shown(image), picture.permute(1, 2, 0).numpy())


def test_gamma_changes_colours_and_no_number():
    a = torch.tensor([[0.0, 0.25, 1.0], [-1.0, 0.25, 0.5], [1.0, 1.0, 1.0]])
    axes = plot_attention_maps(a, (3,), [(0,), (1,)], Figure().subplots(1, 2), gamma=0.5)
    np.testing.assert_allclose(shown(axes[0]), [[0, 0.25, 1]])
    np.testing.assert_allclose(axes[0].images[0].norm([0, 0.25, 1]), [0, 0.5, 1])
    np.testing.assert_allclose(axes[1].images[0].norm([-1, -0.25, 0, 0.25]), [0, 0.25, 0.5, 0.75])
    assert "γ = 0.5" in axes[0].get_xlabel()
    with pytest.raises(ValueError, match="gamma must be above 0; got 0"):
        plot_attention_maps(a, (3,), [(0,)], Figure().subplots(), gamma=0)


def test_positions_and_pictures_that_do_not_fit_are_refused():
    seen = attention_of(nonlocal_block("nl", 4), torch.randn(1, 4, 2, 3))
    for position in [(2, 0), (0, 3), (-1, 0), (0,), (0, 0, 0)]:
        with pytest.raises(ValueError, match="lies outside the 2×3 map"):
            plot_attention_views(seen, position, Figure().subplots())
    with pytest.raises(ValueError, match=r"the image has 2 axes .* got shape \(2, 4, 4\)"):
        plot_attention_views(seen, (0, 0), Figure().subplots(1, 2), image=torch.rand(2, 4, 4))
