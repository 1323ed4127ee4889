"""Blocks of a whole network of another library, put in the place of its own."""

from pathlib import Path

import torch
from timm.layers import NonLocalAttn
from timm.models.resnet import BasicBlock, ResNet
from torch import nn

from snl_graph import NonlocalBlock, convert_block, foreign_blocks, load_blocks, save_blocks
from tests.tolerances import assert_equal


def network_of_timm() -> nn.Module:
    """A ResNet whose every residual branch ends in timm's nonlocal block."""
    net = ResNet(
        BasicBlock,
        [1, 1, 1, 1],
        num_classes=5,
        channels=(8, 8, 16, 16),
        stem_width=8,
        block_args={"attn_layer": "nl"},
    ).double()
    for norm in net.modules():
        if isinstance(norm, nn.BatchNorm2d):  # they start as zero, which would hide the blocks
            nn.init.normal_(norm.weight)
    return net


def test_blocks_of_a_timm_network_are_replaced_where_they_are() -> None:
    net = network_of_timm()
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    state = net.state_dict()
    found = foreign_blocks(state)
    assert found == {f"layer{stage}.0.se": "timm" for stage in (1, 2, 3, 4)}
    for is_training in (False, True):  # the latter moves running statistics, so it comes last
        net.load_state_dict(state)
        expected = net.train(is_training)(x)
        own = {prefix: net.get_submodule(prefix) for prefix in found}
        net.load_state_dict(state)
        for prefix in found:
            assert isinstance(own[prefix], NonLocalAttn)
            net.set_submodule(prefix, convert_block(state, prefix).block.train(is_training))
        assert_equal(net(x), expected)
        for prefix, block in own.items():
            net.set_submodule(prefix, block)


def test_blocks_of_a_network_of_ones_own_are_saved_by_name(tmp_path: Path) -> None:
    net = network_of_timm().eval()
    state = net.state_dict()
    for prefix in foreign_blocks(state):
        net.set_submodule(prefix, convert_block(state, prefix).block.eval())
    blocks = {n: m for n, m in net.named_modules() if isinstance(m, NonlocalBlock)}
    loaded = load_blocks(save_blocks(blocks, tmp_path / "blocks.safetensors"))
    x = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    expected = net(x)
    for name, block in loaded.items():
        net.set_submodule(name, block.eval())
    assert torch.equal(net(x), expected)
