"""Fashion-MNIST: every block, and the paper's ablations, on a budget that fits two cores."""

from __future__ import annotations

from dataclasses import replace

from models.recipe import Recipe
from models.studies.images import ImageTrial
from models.studies.study import Study

BUDGET = (
    "PreResNet-8 (16, 32 and 64 channels), the first 1,000 training images of each class, mirrored "
    "at random, 6 epochs of SGD in batches of 64 (0.1, one epoch of warm-up, half a cosine), all "
    "10,000 test images, measured once at the end. One block after stage 2 (14×14 positions) with "
    "Cs = C/2 unless said otherwise, not zero-initialised."
)
RESULTS = "fashion.csv"
BASELINE = Recipe(
    network="preresnet8",
    dataset="fashion_mnist",
    epochs=6,
    batch_size=64,
    learning_rate=0.1,
    schedule="cosine",
    warmup_epochs=1,
    flip=True,
)
STAGES = ("layer1.0", "layer2.0", "layer3.0")
BLOCKS = ("nl", "ns", "a2", "cgnl", "cc", "snl", "gsnl")
ABLATED = ("nl", "ns", "a2", "cgnl", "snl")
"""Rows of the paper's Tables 2, 3 and 5."""


def trial(
    block: str | None = None,
    after: tuple[str, ...] = (STAGES[1],),
    *,
    reduction: int = 2,
    zero_init: bool = False,
) -> ImageTrial:
    """The baseline with a block."""
    if block is None:
        return ImageTrial(BASELINE, images_per_class=1000)
    recipe = replace(
        BASELINE,
        block=block,
        after=after,
        block_options={"reduction": reduction},
        zero_init=zero_init,
    )
    return ImageTrial(recipe, images_per_class=1000)


def _paper(columns: dict[str, tuple[float, ...]]) -> dict[tuple[str, str], float]:
    """Columns of a table of the paper: the baseline's number, then those of ABLATED."""
    return {
        (setting, row): number
        for setting, numbers in columns.items()
        for row, number in zip(("baseline", *ABLATED), numbers, strict=True)
    }


_BASELINE_ROW = {"baseline": trial()}

FASHION = Study(
    title="Fashion-MNIST: every block",
    budget=BUDGET,
    results=RESULTS,
    trials={
        "": _BASELINE_ROW
        | {block: trial(block) for block in BLOCKS}
        | {f"{block}, zero-init": trial(block, zero_init=True) for block in ("nl", "snl")}
    },
    seeds=10,
    references=("baseline",),
    # Table 4's PreResNet-56 on CIFAR-100; it has neither cc nor gsnl.
    paper=_paper({"": (75.33, 75.31, 75.83, 75.58, 75.75, 76.41)}),
    paper_label="Table 4, CIFAR-100, PreResNet-56",
)


CHANNELS = Study(
    title="Fashion-MNIST: channels of the transferred features",
    budget=BUDGET,
    results=RESULTS,
    trials={
        name: _BASELINE_ROW | {block: trial(block, reduction=reduction) for block in ABLATED}
        for name, reduction in {"Cs = C": 1, "Cs = C/2": 2, "Cs = C/4": 4}.items()
    },
    seeds=5,
    references=("baseline",),
    setting_label="channels",
    paper=_paper(
        {
            "Cs = C": (75.33, 75.29, 75.39, 75.51, 74.71, 76.34),
            "Cs = C/2": (75.33, 75.31, 75.83, 75.58, 75.75, 76.41),
            "Cs = C/4": (75.33, 75.50, 75.61, 75.61, 75.27, 76.02),
        }
    ),
    paper_label="Table 2, CIFAR-100, PreResNet-56",
)

STAGE = Study(
    title="Fashion-MNIST: stage of the block",
    budget=BUDGET,
    results=RESULTS,
    trials={
        f"stage {number}": _BASELINE_ROW | {block: trial(block, (place,)) for block in ABLATED}
        for number, place in enumerate(STAGES, start=1)
    },
    seeds=5,
    references=("baseline",),
    setting_label="stage",
    paper=_paper(
        {
            "stage 1": (75.33, 75.31, 75.83, 75.58, 75.75, 76.41),
            "stage 2": (75.33, 75.64, 75.74, 75.60, 74.54, 76.29),
            "stage 3": (75.33, 75.28, 75.44, 75.21, 74.90, 75.68),
        }
    ),
    paper_label="Table 3, CIFAR-100, PreResNet-56",
)

BLOCK_COUNT = Study(
    title="Fashion-MNIST: one block, and one in each stage",
    budget=BUDGET,
    results=RESULTS,
    trials={
        name: _BASELINE_ROW | {block: trial(block, places) for block in ABLATED}
        for name, places in {"one block": (STAGES[1],), "three blocks": STAGES}.items()
    },
    seeds=5,
    references=("baseline",),
    setting_label="blocks",
    paper=_paper(
        {
            "one block": (75.33, 75.31, 75.83, 75.58, 75.75, 76.41),
            "three blocks": (75.33, 74.34, 75.00, 75.63, 75.96, 76.70),
        }
    ),
    paper_label="Table 5, CIFAR-100, PreResNet-56",
)
