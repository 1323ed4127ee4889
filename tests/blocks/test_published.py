"""Blocks against numbers computed with a published implementation."""

from pathlib import Path

import numpy as np
import pytest
import torch

from snl_graph import NonlocalBlock, nonlocal_block

ARCHIVE = np.load(Path(__file__).parents[1] / "data" / "published_blocks.npz")
BLOCKS = {
    "snl_s1_8": ("snl", 1),
    "snl_s3_8": ("snl", 3),
    "nl_s1_8": ("nl", 1),
    "ns_s1_8": ("ns", 1),
}


def published_block(name: str) -> NonlocalBlock:
    row, depth = BLOCKS[name]
    block = nonlocal_block(row, 8, depth=depth, activation="relu").double().eval()
    prefix = f"{name}/state/"
    state = {
        key.removeprefix(prefix): torch.from_numpy(np.array(ARCHIVE[key]))
        for key in ARCHIVE
        if key.startswith(prefix)
    }
    if row == "ns":  # it computes Z W − A Z W, the paper A Z W − Z W
        state["units.0.w.1.weight"].neg_()
    block.load_state_dict(state)
    return block


@pytest.mark.parametrize("name", BLOCKS)
def test_block_matches_the_published_output_and_gradient(name: str) -> None:
    x = torch.from_numpy(ARCHIVE[f"{name}/x"]).requires_grad_()
    y = published_block(name)(x)
    y.square().sum().backward()
    assert (y - torch.from_numpy(ARCHIVE[f"{name}/y"])).abs().max() <= 1e-10
    assert x.grad is not None
    assert (x.grad - torch.from_numpy(ARCHIVE[f"{name}/grad_x"])).abs().max() <= 1e-10


def test_every_published_block_is_tested() -> None:
    assert {key.split("/")[0] for key in ARCHIVE} == set(BLOCKS)
