"""A block with any filter of the table learns digits."""

from __future__ import annotations

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from models.recipe import Recipe
from models.training import network_of
from snl_graph import inserted_blocks, nonlocal_block
from snl_graph.filters import FILTERS, Cayley, ChebyshevApproximation, Heat, MexicanHat

LEARNED = {
    "heat, learned": lambda: Heat(3, learnable=True),
    "wavelet, learned": lambda: MexicanHat(3, learnable=True),
    "cayley by Chebyshev": lambda: ChebyshevApproximation(Cayley(3)),
}


@pytest.mark.parametrize("name", [*FILTERS, *LEARNED])
def test_the_loss_on_digits_falls_and_every_parameter_moves(name: str) -> None:
    images, classes = load_digits(return_X_y=True)
    x = torch.as_tensor(images[:64], dtype=torch.float32).view(-1, 1, 8, 8) / 16
    y = torch.as_tensor(classes[:64])
    if name in LEARNED:
        block = nonlocal_block("gsnl", 8, filter=LEARNED[name]())
    else:
        block = nonlocal_block("gsnl", 8, filter=name, K=3)
    # The head sees the block alone, not what goes past it in the residual sum.
    stem = nn.Conv2d(1, 8, 3, padding=1)
    head = nn.Sequential(nn.Flatten(), nn.Linear(8 * 64, 10))
    model = nn.ModuleList([stem, block, head])
    before = {key: value.detach().clone() for key, value in block.named_parameters()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.003)
    losses = []
    for _ in range(12):
        features = stem(x)
        loss = nn.functional.cross_entropy(head(block(features) - features), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]
    still = [key for key, value in block.named_parameters() if torch.equal(value, before[key])]
    assert not still


def test_a_recipe_names_the_filter_and_its_k() -> None:
    recipe = Recipe(
        network="preresnet8",
        dataset="digits",
        block="gsnl",
        after=("layer2.0",),
        block_options={"filter": "cayley", "K": 3},
    )
    (block,) = inserted_blocks(network_of(recipe)).values()
    filter = block.units[0].filter
    assert isinstance(filter, Cayley)
    assert len(filter.taps) == 5
