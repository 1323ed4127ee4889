"""Feature maps as node sets: row-major, without copies, and back."""

import itertools

import pytest
import torch

from snl_graph.grids import flatten, num_positions, unflatten

SIZES = [(1,), (7,), (1, 1), (3, 5), (5, 3), (2, 3, 4), (1, 3, 1)]


@pytest.mark.parametrize("size", SIZES)
def test_nodes_are_the_positions_in_row_major_order(size: tuple[int, ...]) -> None:
    feature_map = torch.randn(2, 4, *size)
    nodes, found = flatten(feature_map)
    assert found == size
    assert nodes.shape == (2, num_positions(size), 4)
    for node, position in enumerate(itertools.product(*map(range, size))):
        assert torch.equal(nodes[:, node], feature_map[(..., *position)])


@pytest.mark.parametrize("size", SIZES)
def test_unflatten_undoes_flatten(size: tuple[int, ...]) -> None:
    feature_map = torch.randn(2, 4, *size)
    assert torch.equal(unflatten(*flatten(feature_map)), feature_map)


@pytest.mark.parametrize(
    ("size", "memory_format"),
    [((3, 5), torch.channels_last), ((2, 3, 4), torch.channels_last_3d)],
)
def test_neither_copies_a_map_in_either_memory_format(
    size: tuple[int, ...], memory_format: torch.memory_format
) -> None:
    plain = torch.randn(2, 4, *size)
    for feature_map in (plain, plain.to(memory_format=memory_format)):
        nodes, _ = flatten(feature_map)
        again = unflatten(nodes, size)
        assert nodes.data_ptr() == again.data_ptr() == feature_map.data_ptr()
        assert again.stride() == feature_map.stride()


def test_gradients_pass_unchanged() -> None:
    feature_map = torch.randn(2, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 20, 3, dtype=torch.float64)
    (flatten(feature_map)[0] * weight).sum().backward()
    assert torch.equal(feature_map.grad, unflatten(weight, (4, 5)))


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 1, 1, 1, 1), (4,)])
def test_a_map_of_the_wrong_rank_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"shape \(B, C, \*spatial\).*unsqueeze"):
        flatten(torch.zeros(shape))


def test_a_map_without_positions_is_refused() -> None:
    with pytest.raises(ValueError, match=r"at least one position; its size is \(0, 5\)"):
        flatten(torch.zeros(2, 3, 0, 5))


def test_nodes_that_do_not_fill_the_grid_are_refused() -> None:
    with pytest.raises(ValueError, match=r"12 nodes .* grid of size \(3, 5\), which has 15"):
        unflatten(torch.zeros(2, 12, 4), (3, 5))


@pytest.mark.parametrize("size", [(12,), (3, 4), (2, 3, 2)])
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("is_channels_first", [False, True])
def test_batch_norm_differentiates_a_map_of_nodes_rightly(
    size: tuple[int, ...], batch: int, is_channels_first: bool
) -> None:
    """It does not where the one item of a batch has a stride that fits no layout."""
    signals = torch.randn(batch, 12, 8, dtype=torch.float64)
    if is_channels_first:
        signals = signals.mT.contiguous().mT
    upstream = torch.randn(batch, 8, *size, dtype=torch.float64)
    shift = torch.zeros(8, dtype=torch.float64, requires_grad=True)
    y = torch.nn.functional.batch_norm(unflatten(signals, size), None, None, None, shift, True)
    (gradient,) = torch.autograd.grad(y, [shift], upstream)
    assert torch.allclose(gradient, upstream.sum((0, *range(2, upstream.dim()))))
