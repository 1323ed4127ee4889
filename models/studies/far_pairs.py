"""Far pair: accuracy against the distance of two digits, for every block and Squeeze-Excitation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from lightning import seed_everything
from torch import Tensor

from models.data import DATASETS, digits
from models.data.far_pair import TEST_PAIRS, TRAIN_PAIRS, FarPairs, canvas
from models.data.in_memory import Batches, Images, load
from models.recipe import Recipe
from models.studies.images import TEST_BATCH, build, fit
from models.studies.study import Study
from models.studies.trial import Outcome, Trial
from models.training import Classifier

TEST_SEED = 0
_TRAIN_SEEDS = 1_000  # the first seed of training pairs: none of them is that of the test pairs


def pairs(train: bool, gap: int, length: int, seed: int, start: int = 0) -> Images:
    """Canvases and whether their digits are of one class, as the network sees them.

    Args:
        train: Draw from the training digits, else from the test digits.
        gap: Empty columns between the digits.
        length: How many pairs.
        seed: Of the draw; with ``start``, the number of the first pair.
        start: Pairs drawn from this seed before.
    """
    images, classes = digits.arrays(train)
    source = FarPairs(images, classes, length, lambda image: image, seed)
    drawn = torch.tensor([source.draw(start + index) for index in range(length)])
    pixels = canvas(images[drawn[:, 0]], images[drawn[:, 1]], gap)
    spec = DATASETS["far_pair"]
    return Images((pixels - spec.mean[0]) / spec.std[0], drawn[:, 2])


class NewPairs:
    """Batches of training pairs, new ones in each pass, the same for every network of a seed."""

    def __init__(self, gap: int, batch_size: int, seed: int) -> None:
        self.gap, self.batch_size, self.seed = gap, batch_size, seed
        self.passes = 0

    def __len__(self) -> int:
        return -(-TRAIN_PAIRS // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """One pass, shuffled."""
        start = self.passes * TRAIN_PAIRS
        self.passes += 1
        drawn = pairs(True, self.gap, TRAIN_PAIRS, _TRAIN_SEEDS + self.seed, start)
        return iter(Batches(drawn, self.batch_size, seed=_TRAIN_SEEDS * self.passes + self.seed))


@dataclass(frozen=True)
class FarPairTrial(Trial):
    """Learn single digits without a block, then insert it and learn pairs at one distance.

    Runs of one seed share the digits network, and see the same pairs in the same order.

    Args:
        first: Recipe of the digits network.
        recipe: Of the pairs, with the block.
        gap: Empty columns between the digits.
    """

    first: Recipe
    recipe: Recipe
    gap: int

    def run(self, seed: int, data: Path) -> Outcome:
        seed_everything(seed, verbose=False)
        start = Classifier(replace(self.first, seed=seed))
        batches = Batches(load("digits", data, train=True), self.first.batch_size, seed)
        fit(start, batches, Batches(load("digits", data, train=False), TEST_BATCH))
        learned = {
            key: value for key, value in start.state_dict().items() if "network.fc." not in key
        }
        seed_everything(seed, verbose=False)
        recipe = replace(self.recipe, seed=seed)
        model = Classifier(recipe, build(recipe))
        model.load_state_dict(learned, strict=False)  # what it lacks is the block and the head
        return fit(
            model,
            NewPairs(self.gap, recipe.batch_size, seed),
            Batches(pairs(False, self.gap, TEST_PAIRS, TEST_SEED), TEST_BATCH),
        )


DIGITS = Recipe(
    network="preresnet8",
    dataset="digits",
    epochs=10,
    batch_size=64,
    optimizer="adamw",
    learning_rate=0.003,
    weight_decay=0.01,
    schedule="cosine",
    warmup_epochs=1,
)
PAIRS = replace(DIGITS, dataset="far_pair", epochs=8, learning_rate=0.002)
PLACE = "layer3.0"
BLOCKS = ("nl", "ns", "a2", "cgnl", "cc", "snl", "gsnl")
GAPS = (0, 8, 16, 24, 48)


def _rows(gap: int) -> dict[str, Trial]:
    recipes = {"baseline": PAIRS, "se": replace(PAIRS, block="se", after=(PLACE,))}
    for block in BLOCKS:
        recipes[block] = replace(PAIRS, block=block, after=(PLACE,))
        recipes[f"{block}, zero-init"] = replace(recipes[block], zero_init=True)
    return {row: FarPairTrial(DIGITS, recipe, gap) for row, recipe in recipes.items()}


FAR_PAIR = Study(
    title="Far pair: are two digits of one class?",
    budget=(
        "scikit-learn's digits of 8×8 at the ends of a canvas, with so many empty columns between "
        "them. PreResNet-8 learns single digits (10 epochs), then with the block after stage 3, or "
        "without one, pairs: 8 epochs of 2,048 new pairs in batches of 64 (AdamW, 0.002); 2,000 "
        "fixed test pairs of digits never trained on. Without a block a unit sees 25 columns: from "
        "24 empty columns on, none touches both digits, and chance (50 %) is the best that can be "
        "learned."
    ),
    results="far_pair.csv",
    trials={str(gap): _rows(gap) for gap in GAPS},
    seeds=5,
    references=("baseline", "snl"),
    setting_label="empty columns",
)
