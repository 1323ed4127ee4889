"""The experiments of Tables 2 to 9, and the rows that are made of them.

A dagger in a note marks what the paper does not say; it is then as published baselines of the same
network have it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from models.networks import POSITIONS
from models.recipe import Recipe

Keys = Mapping[str, Any]
"""Keys of a recipe."""


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        table: Its number.
        name: Of the recipe.
        label: What the table calls it.
        keys: Of the recipe.
        printed: What the paper prints, in percent: Top-1, or rank-1 and mAP; empty for what it has
            no number for.
        notes: On what the recipe takes beyond the paper.
    """

    table: int
    name: str
    label: str
    keys: Keys
    printed: tuple[float, ...]
    notes: tuple[str, ...]

    @property
    def recipe(self) -> Recipe:
        """What runs it."""
        return Recipe(**self.keys)


@dataclass(frozen=True)
class Experiment:
    """What the rows of one column of a table share.

    Args:
        table: Its number.
        prefix: Of the recipes' names.
        title: Data set and network, as the table calls them.
        keys: Of the recipe without a block.
        after: Where a block goes.
        notes: Of every row.
        block_keys: What a row with a block has besides.
    """

    table: int
    prefix: str
    title: str
    keys: Keys
    after: tuple[str, ...]
    notes: tuple[str, ...]
    block_keys: Keys

    def plain(self, printed: tuple[float, ...], suffix: str = "") -> Row:
        """The row without a block."""
        name = self.prefix + suffix
        return Row(self.table, name, self.title, self.keys, printed, self.notes)

    def block(self, block: str, printed: tuple[float, ...], suffix: str = "") -> Row:
        """The row with a block."""
        own = {"block": block, "after": self.after, **self.block_keys}
        return Row(
            self.table,
            f"{self.prefix}_{block}{suffix}",
            f"{self.title} + {LABELS[block]}",
            {**self.keys, **own},
            printed,
            self.notes,
        )

    def blocks(self, printed: Mapping[str, float], suffix: str = "") -> Iterator[Row]:
        """Rows with the blocks that have a number."""
        for block, number in printed.items():
            yield self.block(block, (number,), suffix)

    def rival(self, rival: str, number: float) -> Row:
        """The row with a rival in every residual block."""
        keys = {**self.keys, "rival": rival}
        name, label = f"{self.prefix}_{rival}", f"{self.title} + {LABELS[rival]}"
        return Row(self.table, name, label, keys, (number,), self.notes)


LABELS = {
    **{"nl": "NL", "ns": "NS", "a2": "A²", "cgnl": "CGNL", "snl": "SNL"},
    **{"se": "SE", "ge": "GE", "cgd": "CGD"},
}
HALF = {"block_options": {"reduction": 2}}
"""C_s = C_1/2, unless a table says otherwise."""
PRETRAINED_BLOCK = {**HALF, "zero_init": True}
"""A network that has learned already begins as it was; from scratch that can keep snl from it."""

SGD = {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 1e-4, "schedule": "multi_step"}

CIFAR = {
    **{"epochs": 300, "batch_size": 128, "learning_rate": 0.1, **SGD},
    **{"warmup_epochs": 10, "milestones": (150, 250), "crop_padding": 4, "flip": True},
}
CIFAR_NOTES = (
    "§4.1: SGD 0.1, divided by 10 after epochs 150 and 250, weight decay 1e-4, 300 epochs.",
    "† batch 128, 10 epochs of warm-up, crop with padding 4, mirror.",
)
PRERESNET_NOTES = ("The paper's PreResNet56 has Bottleneck blocks [9, 9, 9].", *CIFAR_NOTES)
RESNET_NOTES = ("† CIFAR stem: 3×3 of stride 1, no pooling.", *CIFAR_NOTES)

IMAGENET = {
    **{"epochs": 110, "batch_size": 256, "learning_rate": 0.01, **SGD},
    **{"milestones": (31, 61, 81), "flip": True},
}
IMAGENET_NOTES = (
    "§4.2: SGD 0.01, divided by 10 after epochs 31, 61 and 81, weight decay 1e-4, 110 epochs.",
    "† batch 256, random resized crop of 224, mirror. With fewer devices take less and accumulate.",
)

RESNET50_WEIGHTS = "ResNet50_Weights.IMAGENET1K_V1"
CUB = {
    **{"pretrained": RESNET50_WEIGHTS, "epochs": 110, "batch_size": 32, "accumulate": 8},
    **{"learning_rate": 0.1, **SGD, "milestones": (31, 61, 81), "flip": True},
}
CUB_NOTES = (
    "§4.2: pretrained on ImageNet, SGD 0.1, divided by 10 after epochs 31, 61 and 81, 110 epochs.",
    "† 448² crop, 256 images a step (32 at a time), weight decay 1e-4, mirror.",
)

UCF = {
    **{"test_clips": 10, "test_every": 5, "epochs": 100, "batch_size": 16},
    **{"learning_rate": 0.01, **SGD, "milestones": (40, 80), "flip": True},
}
UCF_NOTES = (
    "§4.2: pretrained on Kinetics, SGD 0.01, divided by 10 every 40 epochs, 100 epochs.",
    "† clips of 16 frames at 112², batch 16, mirror; ten clips of each test video, averaged.",
)
HOLDOUT = "ucf101_holdout"

REID = {
    **{"task": "reidentification", "task_options": {"margin": 0.3, "tracklets": 4}},
    **{"pretrained": RESNET50_WEIGHTS, "test_clips": 4, "test_every": 20},
    **{"epochs": 500, "batch_size": 32, "optimizer": "adam", "learning_rate": 3e-4},
    **{"weight_decay": 5e-4, "schedule": "multi_step", "milestones": (200, 400), "flip": True},
}
REID_NOTES = (
    "Appendix D: Adam 3e-4, weight decay 5e-4, divided by 10 after epochs 200 and 400, 500 epochs;",
    "cross-entropy and triplet loss of margin 0.3.",
    "† ImageNet weights, 224×112, 4 frames, 8 persons with 4 tracklets a batch, mirror;",
    "four clips of each test tracklet, averaged.",
)


def _preresnet(
    table: int, prefix: str, after: tuple[str, ...], title: str = "PreResNet56", reduction: int = 2
) -> Experiment:
    keys = {"network": "preresnet83", "dataset": "cifar100", **CIFAR}
    block_keys = {"block_options": {"reduction": reduction}}
    return Experiment(table, prefix, title, keys, after, PRERESNET_NOTES, block_keys)


HALF_STAGE1 = {"nl": 75.31, "ns": 75.83, "a2": 75.58, "cgnl": 75.75, "snl": 76.41}
"""One block, C_s = C_1/2, stage 1: in Tables 2 to 5 alike."""

BASELINE = (75.33,)


def _table2() -> Iterator[Row]:
    yield _preresnet(2, "table2", ("layer1.1",)).plain(BASELINE, "_baseline")
    for name, said, reduction, printed in (
        ("full", "C1", 1, {"nl": 75.29, "ns": 75.39, "a2": 75.51, "cgnl": 74.71, "snl": 76.34}),
        ("half", "C1/2", 2, HALF_STAGE1),
        (
            "quarter",
            "C1/4",
            4,
            {"nl": 75.50, "ns": 75.61, "a2": 75.61, "cgnl": 75.27, "snl": 76.02},
        ),
    ):
        title = f"PreResNet56, Cs = {said}"
        yield from _preresnet(2, f"table2_{name}", ("layer1.1",), title, reduction).blocks(printed)


def _table3() -> Iterator[Row]:
    yield _preresnet(3, "table3", ("layer1.1",)).plain(BASELINE, "_baseline")
    for stage, printed in (
        (1, HALF_STAGE1),
        (2, {"nl": 75.64, "ns": 75.74, "a2": 75.60, "cgnl": 74.54, "snl": 76.29}),
        (3, {"nl": 75.28, "ns": 75.44, "a2": 75.21, "cgnl": 74.90, "snl": 75.68}),
    ):
        title = f"PreResNet56, stage {stage}"
        yield from _preresnet(3, f"table3_stage{stage}", (f"layer{stage}.1",), title).blocks(
            printed
        )


def _table4() -> Iterator[Row]:
    for dataset, title, baseline, printed in (
        (
            *("cifar10", "CIFAR-10, ResNet50", 94.94),
            {"nl": 94.01, "ns": 95.15, "a2": 94.41, "cgnl": 94.49, "snl": 95.32},
        ),
        (
            *("cifar100", "CIFAR-100, ResNet50", 76.50),
            {"nl": 76.77, "ns": 77.90, "a2": 77.30, "cgnl": 74.88, "snl": 78.17},
        ),
    ):
        keys = {"network": "resnet50_cifar", "dataset": dataset, **CIFAR}
        after = POSITIONS["resnet50_cifar"]
        prefix = f"table4_{dataset}_resnet50"
        experiment = Experiment(4, prefix, title, keys, after, RESNET_NOTES, HALF)
        yield experiment.plain((baseline,))
        yield from experiment.blocks(printed)
    smaller = _preresnet(4, "table4_cifar100_preresnet", ("layer1.1",), "CIFAR-100, PreResNet56")
    yield smaller.plain(BASELINE)
    yield from smaller.blocks(HALF_STAGE1)


def _table5() -> Iterator[Row]:
    one = _preresnet(5, "table5", ("layer1.1",))
    yield one.plain(BASELINE, "_baseline")
    yield from one.blocks(HALF_STAGE1)
    three = replace(one, after=("layer1.1", "layer2.1", "layer3.1"))
    printed = {"nl": 74.34, "ns": 75.00, "a2": 75.63, "cgnl": 75.96, "snl": 76.70}
    for row in three.blocks(printed, "_x3"):
        yield replace(row, label=f"{row.label} (×3)")


def _imagenet(network: str) -> Experiment:
    keys = {"network": network, "dataset": "imagenet", **IMAGENET}
    title = f"ImageNet, {network.replace('resnet', 'ResNet')}"
    after = POSITIONS[network]
    return Experiment(6, f"table6_{network}", title, keys, after, IMAGENET_NOTES, HALF)


def _table6() -> Iterator[Row]:
    resnet50 = _imagenet("resnet50")
    yield resnet50.plain((76.15,))
    for rival, number in {"cgd": 76.90, "se": 77.72, "ge": 78.00}.items():
        yield resnet50.rival(rival, number)
    yield from resnet50.blocks({"nl": 76.70, "a2": 77.00, "cgnl": 77.32, "snl": 78.11})
    for network in ("resnet101", "resnet152"):  # the paper prints no number of these
        yield _imagenet(network).plain(())
        yield _imagenet(network).block("snl", ())


def _video(
    table: int, prefix: str, title: str, network: str, keys: Keys, notes: tuple[str, ...]
) -> Experiment:
    chosen = {"network": network, "dataset": HOLDOUT, **UCF, **keys}
    after = POSITIONS.get(network, ())
    said = (*UCF_NOTES, *notes)
    return Experiment(table, prefix, title, chosen, after, said, PRETRAINED_BLOCK)


def _on_both_splits(rows: Iterable[Row]) -> Iterator[Row]:
    """Rows on the hold-out, as the paper has them, then the same on the official split 1."""
    rows = tuple(rows)
    for row in rows:
        note = "On parts of trainlist01, as the paper's counts suggest (see docs/data.md)."
        yield replace(row, notes=(*row.notes, note))
    for row in rows:
        dataset = str(row.keys["dataset"]).removesuffix("_holdout")
        yield replace(
            row,
            name=f"{row.name}_split1",
            label=f"{row.label}, official split 1",
            keys={**row.keys, "dataset": dataset, "split": 1},
            printed=(),
            notes=(*row.notes, "On the official split 1, of which the paper has no number."),
        )


def _table7() -> Iterator[Row]:
    keys = {"network": "resnet50", "dataset": "cub200", **CUB}
    after = POSITIONS["resnet50"]
    birds = Experiment(
        7, "table7_cub200", "CUB-200, ResNet50", keys, after, CUB_NOTES, PRETRAINED_BLOCK
    )
    yield birds.plain((85.43,))
    yield from birds.blocks({"nl": 85.34, "ns": 85.54, "a2": 85.91, "cgnl": 86.14, "snl": 86.02})
    actions = _video(
        *(7, "table7_ucf101", "UCF-101, I3D", "resnet3d50"),
        {"pretrained": "resnet-50-kinetics.pth"},
        ("Weights: Hara et al., github.com/kenshohara/3D-ResNets-PyTorch.",),
    )
    printed = {"nl": 82.88, "ns": 82.50, "a2": 82.68, "cgnl": 83.38, "snl": 84.39}
    yield from _on_both_splits([actions.plain((81.57,)), *actions.blocks(printed)])


def _table8() -> Iterator[Row]:
    yield from _on_both_splits([*_p3d(), *_vtn(), *_mars()])


def _p3d() -> Iterator[Row]:
    experiment = _video(
        *(8, "table8_p3d", "P3D", "p3d199"),
        {"pretrained": "p3d_rgb_199.checkpoint.pth.tar"},
        ("Weights: github.com/qijiezhao/pseudo-3d-pytorch.",),
    )
    yield experiment.plain((81.23,))
    yield experiment.block("snl", (82.65,))


def _vtn() -> Iterator[Row]:
    keys = {"stride": 2, "pretrained": "ResNet34_Weights.IMAGENET1K_V1"}
    notes = (
        "Every second frame. Its Kinetics weights are published under other names, so the encoder",
        "begins with ImageNet's.",
    )
    yield _video(8, "table8_vtn", "VTN", "vtn", keys, notes).plain((90.06,))
    yield _video(8, "table8_vtn_snl", "VTN + SNL", "vtn_snl", keys, notes).plain((90.34,))


def _mars() -> Iterator[Row]:
    keys = {"weight_decay": 1e-3, "dampening": 0.9}
    source = "Weights: Crasto et al., github.com/craston/MARS."
    teacher = _video(
        *(8, "table8_mars_flow", "MARS, its teacher of flow", "resnext3d101"),
        {**keys, "dataset": "ucf101_flow_holdout", "pretrained": "Flow_Kinetics_16f.pth"},
        (source,),
    )
    yield teacher.plain(())
    student = {"task": "distillation", "task_options": {"weight": 50.0}, **keys}
    experiment = _video(
        *(8, "table8_mars", "MARS", "resnext3d101"),
        {**student, "pretrained": "MARS_Kinetics_16f.pth"},
        (source, "Name the trained teacher: --task_options.teacher runs/table8_mars_flow/..."),
    )
    yield experiment.plain((92.29,))
    yield experiment.block("snl", (92.79,))


def _table9() -> Iterator[Row]:
    for dataset, title, plain, nl, snl in (
        ("mars", "Mars", (82.30, 75.70), (83.21, 76.54), (83.40, 76.80)),
        ("ilids_vid", "iLIDS-VID", (74.70, 81.60), (75.30, 83.00), (76.30, 84.80)),
        ("prid2011", "PRID-2011", (86.50, 90.50), (85.40, 89.70), (88.80, 92.40)),
    ):
        keys = {"network": "resnet50tp", "dataset": dataset, **REID}
        experiment = Experiment(
            *(9, f"table9_{dataset}", f"{title}, ResNet50tp", keys),
            *(POSITIONS["resnet50tp"], REID_NOTES, PRETRAINED_BLOCK),
        )
        yield experiment.plain(plain)
        yield experiment.block("nl", nl)
        yield experiment.block("snl", snl)


TABLES = (_table2, _table3, _table4, _table5, _table6, _table7, _table8, _table9)

ROWS: dict[str, Row] = {row.name: row for table in TABLES for row in table()}
"""Every row, by the name of its recipe."""
