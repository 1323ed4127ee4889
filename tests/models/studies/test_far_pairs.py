"""The far-pair study: its pairs are those of the data set, at any distance, and runs are paired."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from models.data import ImageDataModule
from models.data.far_pair import DIGIT, GAP
from models.studies import far_pairs
from models.studies.far_pairs import FAR_PAIR, GAPS, TEST_SEED, NewPairs, pairs


def test_test_pairs_are_those_of_the_data_module():
    module = ImageDataModule("far_pair")
    module.setup()
    images = pairs(False, GAP, 50, TEST_SEED)
    for index in (0, 1, 49):
        pixels, same = module.test_part[index]
        torch.testing.assert_close(images.pixels[index], pixels)
        assert images.classes[index] == same


def test_only_the_distance_changes_with_the_gap():
    near, far = (pairs(False, gap, 40, TEST_SEED) for gap in (0, 48))
    assert near.pixels.shape == (40, 1, DIGIT, 2 * DIGIT)
    assert far.pixels.shape == (40, 1, DIGIT, 2 * DIGIT + 48)
    assert torch.equal(near.classes, far.classes)
    for side in (slice(None, DIGIT), slice(-DIGIT, None)):
        assert torch.equal(near.pixels[..., side], far.pixels[..., side])
    between = far.pixels[..., DIGIT:-DIGIT]
    assert torch.equal(between, between.min().expand_as(between))


def one_pass(batches):
    return [torch.cat(part) for part in zip(*batches, strict=True)]


def test_training_pairs_are_new_in_each_pass_and_the_same_for_each_network(monkeypatch):
    monkeypatch.setattr(far_pairs, "TRAIN_PAIRS", 100)
    first = NewPairs(8, 32, seed=1)
    assert len(first) == 4
    passes = [one_pass(first), one_pass(first)]
    torch.manual_seed(5)
    again = NewPairs(8, 32, seed=1)
    for known in passes:
        assert all(torch.equal(a, b) for a, b in zip(known, one_pass(again), strict=True))
    assert int(passes[0][1].sum()) == 50
    assert not torch.equal(passes[0][0], passes[1][0])
    rows = {tuple(image.flatten().tolist()) for image in passes[0][0]}
    assert not rows & {tuple(image.flatten().tolist()) for image in passes[1][0]}
    assert not torch.equal(one_pass(NewPairs(8, 32, seed=2))[0], passes[0][0])


@pytest.mark.parametrize("row", ["baseline", "se", "snl, zero-init"])
def test_pairs_start_from_the_digits_network_of_the_seed(row, monkeypatch):
    """With no learning on pairs, what is left of the network is what the digits taught it."""
    monkeypatch.setattr(far_pairs, "TRAIN_PAIRS", 64)
    monkeypatch.setattr(far_pairs, "TEST_PAIRS", 50)
    fitted = []

    def fit(model, train, test):
        fitted.append({key: value.clone() for key, value in model.state_dict().items()})
        if len(fitted) == 1:
            for value in model.state_dict().values():
                value.add_(1)  # what was "learned"

    monkeypatch.setattr(far_pairs, "fit", fit)
    FAR_PAIR.trials["8"][row].run(4, Path("nowhere"))
    before, after = fitted
    shared = [key for key in before if "network.fc." not in key]
    assert all(torch.equal(after[key], before[key] + 1) for key in shared)
    assert after["network.fc.weight"].shape == (2, 64)
    assert (len(after) > len(before)) == (row != "baseline")


def test_a_run_is_repeatable(monkeypatch):
    monkeypatch.setattr(far_pairs, "TRAIN_PAIRS", 64)
    monkeypatch.setattr(far_pairs, "TEST_PAIRS", 50)
    trial = FAR_PAIR.trials["0"]["snl"]
    short = replace(
        trial, first=replace(trial.first, epochs=1), recipe=replace(trial.recipe, epochs=1)
    )
    first = short.run(0, Path("nowhere"))
    torch.manual_seed(9)
    assert short.run(0, Path("nowhere")) == first


def test_every_distance_has_every_row_with_and_without_zero_initialisation():
    assert list(FAR_PAIR.trials) == [str(gap) for gap in GAPS]
    for gap, rows in FAR_PAIR.trials.items():
        assert {trial.gap for trial in rows.values()} == {int(gap)}
        assert {"baseline", "se", "nl", "ns", "a2", "cgnl", "cc", "snl", "gsnl"} <= rows.keys()
        for row, trial in rows.items():
            assert trial.recipe.zero_init == row.endswith(", zero-init")
            assert trial.recipe.block == (None if row == "baseline" else row.split(",")[0])
