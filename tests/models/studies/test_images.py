"""Image runs: paired by their seed, repeatable, and stopped where the loss is no number."""

from dataclasses import replace
from pathlib import Path
from statistics import mean

import pytest
import torch
from lightning import seed_everything
from torch.nn.functional import cross_entropy

from models.data import DATASETS
from models.data.in_memory import Batches, load
from models.recipe import Recipe
from models.studies.catalogue import STUDIES
from models.studies.fashion import BASELINE, FASHION
from models.studies.images import ImageTrial, build
from models.training import Classifier
from snl_graph import inserted_blocks

DIGITS = Recipe(
    "preresnet8", "digits", epochs=1, batch_size=64, optimizer="adamw", learning_rate=0.003
)
NOWHERE = Path("nowhere")


def with_block(block, **changes):
    return replace(DIGITS, block=block, after=("layer2.0",), **changes)


def weights(recipe, seed):
    torch.manual_seed(seed)
    return Classifier(recipe, build(recipe)).state_dict()


@pytest.mark.parametrize("block", ["nl", "cc", "gsnl", "se"])
def test_networks_of_one_seed_share_everything_but_the_block(block):
    plain, other = weights(DIGITS, 3), weights(with_block(block), 3)
    assert plain.keys() < other.keys()
    assert all(torch.equal(value, other[key]) for key, value in plain.items())
    assert not torch.equal(plain["network.fc.weight"], weights(DIGITS, 4)["network.fc.weight"])


def test_squeeze_and_excitation_weighs_channels_by_their_mean_over_the_map():
    network = build(with_block("se"))
    (block,) = inserted_blocks(network).values()
    x = torch.randn(2, 32, 5, 7)
    squeeze, excite = block.fc1, block.fc2
    hidden = torch.relu(squeeze.weight[:, :, 0, 0] @ x.mean((2, 3)).mT + squeeze.bias[:, None])
    assert len(hidden) == 2  # 32 channels, reduced by 16
    scale = torch.sigmoid(excite.weight[:, :, 0, 0] @ hidden + excite.bias[:, None]).mT
    torch.testing.assert_close(block(x), x * scale[..., None, None])


def test_a_run_is_repeatable_and_its_seed_matters():
    trial = ImageTrial(with_block("snl"), images_per_class=60)
    torch.manual_seed(0)
    first = trial.run(1, NOWHERE)
    torch.manual_seed(99)
    assert trial.run(1, NOWHERE) == first
    assert trial.run(2, NOWHERE) != first
    assert 0.1 < first.accuracy < 1
    assert first.parameters == sum(p.numel() for p in build(trial.recipe).parameters())


def test_the_loss_is_the_mean_over_the_steps_of_the_last_epoch():
    """Without learning, it is that of the first weights on the batches of the second pass."""
    recipe = replace(DIGITS, learning_rate=1e-30, weight_decay=0.0, epochs=2)
    seed_everything(7, verbose=False)
    network = build(recipe).train()
    batches = Batches(load("digits", NOWHERE, True), 64, seed=7)
    with torch.no_grad():
        first, second = (
            [float(cross_entropy(network(pixels), classes)) for pixels, classes in batches]
            for _ in range(2)
        )
    assert mean(first) != pytest.approx(mean(second), rel=1e-5)
    outcome = ImageTrial(recipe).run(7, NOWHERE)
    assert outcome.train_loss == pytest.approx(mean(second), rel=1e-5)


def test_a_loss_that_is_no_number_ends_the_run():
    recipe = replace(DIGITS, optimizer="sgd", learning_rate=1e20, epochs=2)
    with pytest.raises(FloatingPointError, match=r"the training loss became (nan|inf) in epoch 1"):
        ImageTrial(recipe, images_per_class=20).run(0, NOWHERE)


def test_the_rows_of_the_fashion_study_differ_in_their_block_alone():
    for row, trial in FASHION.trials[""].items():
        assert trial.images_per_class == 1000
        bare = replace(trial.recipe, block=None, after=(), block_options={}, zero_init=False)
        assert bare == BASELINE
        assert trial.recipe.zero_init == row.endswith("zero-init")


@pytest.mark.parametrize("name", ["fashion", "channels", "stage", "blocks", "far_pair"])
def test_every_network_of_a_study_takes_a_step(name):
    for _, trial in STUDIES[name].items():
        spec = DATASETS[trial.recipe.dataset]
        network = build(trial.recipe)
        network(torch.randn(2, spec.in_channels, *spec.size)).square().sum().backward()
        grads = [parameter.grad for parameter in network.parameters()]
        assert all(grad is not None and grad.isfinite().all() for grad in grads)
