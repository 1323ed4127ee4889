"""Rows of A, held against the dense matrix of every pass."""

import pytest
import torch
from torch import nn

from snl_graph import insert_block, nonlocal_block
from snl_graph.attention import attention_of, block_inputs

SIZE = (4, 5)
N = 20
ROWS = ["nl", "ns", "a2", "cc", "snl", "gsnl"]


def feature_map(*size: int, channels: int = 8) -> torch.Tensor:
    return torch.randn(1, channels, *size, dtype=torch.float64)


def only(seen, positions):
    (rows,) = seen.rows(positions).values()
    return rows


@pytest.mark.parametrize("name", ROWS)
def test_rows_are_those_of_the_dense_matrix(name):
    block, x = nonlocal_block(name, 8).double(), feature_map(*SIZE)
    dense = block.affinity_of(x).to_dense()[0].detach()
    found = only(attention_of(block, x), [3, 19, 0])
    torch.testing.assert_close(found, dense[[3, 19, 0]], rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [(7,), (2, 3, 4), (1, 1)])
def test_sequences_clips_and_one_position(size):
    block, x = nonlocal_block("nl", 8).double(), feature_map(*size)
    dense = block.affinity_of(x).to_dense()[0].detach()
    seen = attention_of(block, x)
    assert seen.size == size
    torch.testing.assert_close(only(seen, range(len(dense))), dense, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["nl", "snl", "cc"])
def test_heads_have_maps_of_their_own_and_a_mean(name):
    block, x = nonlocal_block(name, 8, heads=2).double(), feature_map(*SIZE)
    dense = block.affinity_of(x).to_dense()[0].detach()  # (2, N, N)
    rows = {view.label: value for view, value in attention_of(block, x).rows([0, 7]).items()}
    assert list(rows) == ["mean of 2 heads", "head 1", "head 2"]
    torch.testing.assert_close(rows["head 1"], dense[0, [0, 7]], rtol=0, atol=1e-12)
    torch.testing.assert_close(rows["head 2"], dense[1, [0, 7]], rtol=0, atol=1e-12)
    torch.testing.assert_close(rows["mean of 2 heads"], dense.mean(0)[[0, 7]], rtol=0, atol=1e-12)


def test_passes_of_a_recurrence_are_made_anew_and_composed():
    block, x = nonlocal_block("cc", 8, recurrence=2).double().eval(), feature_map(*SIZE)
    once = nonlocal_block("cc", 8).double().eval()
    once.load_state_dict(block.state_dict())
    with torch.no_grad():
        first = once.affinity_of(x).to_dense()[0]
        second = once.affinity_of(once(x)).to_dense()[0]
    assert not torch.allclose(first, second)
    rows = {view.label: value for view, value in attention_of(block, x).rows(range(N)).items()}
    assert list(rows) == ["all 2 passes", "pass 1", "pass 2"]
    torch.testing.assert_close(rows["pass 1"], first, rtol=0, atol=1e-12)
    torch.testing.assert_close(rows["pass 2"], second, rtol=0, atol=1e-12)
    torch.testing.assert_close(rows["all 2 passes"], second @ first, rtol=0, atol=1e-12)
    assert bool((rows["all 2 passes"] > 0).all())  # two crosses reach every position
    assert not bool((rows["pass 1"] > 0).all())


@pytest.mark.parametrize("stride", [2, (1, 2)])
def test_pooled_keys_give_smaller_maps(stride):
    block, x = nonlocal_block("nl", 8, subsample=stride).double(), feature_map(5, 6)
    dense = block.affinity_of(x).to_dense()[0].detach()
    seen = attention_of(block, x)
    assert seen.source_size == ((3, 3) if stride == 2 else (5, 3))
    torch.testing.assert_close(only(seen, range(30)), dense, rtol=0, atol=1e-12)


@pytest.mark.parametrize("groups", [1, 2])
def test_pairs_of_position_and_channel_are_summed_over_what_is_looked_at(groups):
    """(1/C) Σ_c Σ_c' A_(ic)(jc'), by loops over the pairs."""
    options = {"groups": groups} if groups > 1 else {}
    block, x = nonlocal_block("cgnl", 8, **options).double(), feature_map(2, 3)
    dense = block.affinity_of(x).to_dense()[0].detach().reshape(groups, -1, 4 // groups * 6)
    channels = 4 // groups
    found = attention_of(block, x).rows(range(6))
    parts = [rows for view, rows in found.items() if view.head is not None]
    for group, rows in enumerate(parts):
        for i in range(6):
            for j in range(6):
                total = sum(
                    dense[group, c * 6 + i, d * 6 + j]
                    for c in range(channels)
                    for d in range(channels)
                )
                assert rows[i, j] == pytest.approx(float(total) / channels, abs=1e-12)


def test_many_rows_are_taken_in_parts():
    block, x = nonlocal_block("snl", 4).double(), feature_map(24, 25, channels=4)
    dense = block.affinity_of(x).to_dense()[0].detach()
    torch.testing.assert_close(only(attention_of(block, x), range(600)), dense, rtol=0, atol=1e-12)


def test_looking_changes_nothing():
    block, x = nonlocal_block("cc", 8, recurrence=2).double().train(), feature_map(*SIZE)
    before = {key: value.clone() for key, value in block.state_dict().items()}
    attention_of(block, x)
    assert block.training
    assert not block.affinity._forward_hooks
    for key, value in block.state_dict().items():
        assert torch.equal(value, before[key])


def test_a_block_of_ones_own_needs_affinity_of_alone():
    class Own(nn.Module):
        def affinity_of(self, x):
            return nonlocal_block("snl", 4).double().affinity_of(x)

    seen = attention_of(Own(), feature_map(2, 2, channels=4))
    assert only(seen, [0]).shape == (1, 4)


def test_what_cannot_be_looked_at_is_refused():
    block = nonlocal_block("snl", 8)
    with pytest.raises(ValueError, match=r"one feature map .* got \(2, 8, 3, 3\).*x\[:1\]"):
        attention_of(block, torch.zeros(2, 8, 3, 3))
    with pytest.raises(TypeError, match="Linear has no affinity_of"):
        attention_of(nn.Linear(2, 2), torch.zeros(1, 2, 3, 3))
    with pytest.raises(ValueError, match="takes 8 channels"):
        attention_of(block, torch.zeros(1, 4, 3, 3))
    seen = attention_of(block, torch.zeros(1, 8, 3, 3))
    with pytest.raises(ValueError, match=r"positions lie in 0 .. 8 .* got 9 to 9"):
        seen.rows([9])


def cnn() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3))


def test_inputs_of_blocks_are_what_enters_them():
    model = insert_block(insert_block(cnn(), "1", "snl"), "2", "nl", zero_init=False).train()
    mean = model[1].running_mean.clone()
    image = torch.rand(1, 1, 9, 8)
    seen = block_inputs(model, image)
    assert list(seen) == ["1", "2"]
    assert torch.equal(model[1].running_mean, mean)
    assert model.training
    assert not seen["1"][0]._forward_pre_hooks
    model.eval()
    with torch.no_grad():
        enters = model[1](model[0](image))  # the hook of model[1] runs the block already
        block = seen["1"][0]
        assert torch.equal(enters, block(seen["1"][1]))
    assert seen["2"][1].shape == (1, 8, 5, 4)


def test_an_input_passed_by_name_is_seen():
    class ByName(nn.Module):
        def __init__(self):
            super().__init__()
            self.block = nonlocal_block("snl", 4)

        def forward(self, x):
            return self.block(x=x)

    x = torch.rand(1, 4, 3, 3)
    assert torch.equal(block_inputs(ByName(), x)["block"][1], x)


def test_blocks_that_were_built_in_are_found_by_the_name_of_their_module():
    model = nn.Sequential(nn.Conv2d(1, 4, 1), nonlocal_block("snl", 4))
    assert list(block_inputs(model, torch.zeros(1, 1, 3, 3))) == ["1"]


def test_a_network_without_blocks_is_refused():
    with pytest.raises(ValueError, match=r"Sequential has no nonlocal block; .*insert_block"):
        block_inputs(cnn(), torch.zeros(1, 1, 9, 9))
