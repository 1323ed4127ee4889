"""Table 6 of the paper: what every block adds to every backbone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from models.costs.block import block_cost
from models.costs.counting import count_macs, count_parameters
from models.costs.positions import survey
from models.networks import POSITIONS, build_network
from models.resnet import ARCHITECTURES
from models.rivals import RIVALS, add_rival
from snl_graph.blocks import ROWS


@dataclass(frozen=True)
class Setting:
    """The input and the classes a backbone is counted with."""

    size: tuple[int, ...]
    classes: int


IMAGENET, UCF101 = Setting((224, 224), 1000), Setting((16, 112, 112), 101)
SETTINGS: dict[str, Setting] = {
    "resnet50": IMAGENET,
    "resnet101": IMAGENET,
    "resnet152": IMAGENET,
    "preresnet83": Setting((32, 32), 100),
    "resnet50_cifar": Setting((32, 32), 100),
    "resnet3d50": UCF101,
    "p3d199": UCF101,
    "resnext3d101": UCF101,
    "vtn": UCF101,
    "vtn_snl": UCF101,
    "resnet50tp": Setting((4, 224, 112), 625),
}
"""The backbones of the paper's tables, with the data set they are counted on."""


@dataclass(frozen=True)
class Printed:
    """A row of the paper's Table 6: parameters in millions, multiply-adds in thousand millions."""

    parameters: float
    macs: float


PRINTED: dict[tuple[str, str], Printed] = {
    ("resnet50", ""): Printed(25.56, 4.14),
    ("resnet50", "cgd"): Printed(0.02, 0.01),
    ("resnet50", "se"): Printed(2.62, 0.10),
    ("resnet50", "ge"): Printed(5.64, 0.10),
    ("resnet50", "nl"): Printed(2.09, 0.41),
    ("resnet50", "a2"): Printed(2.62, 0.41),
    ("resnet50", "cgnl"): Printed(2.09, 0.41),
    ("resnet50", "snl"): Printed(2.62, 0.51),
}
"""Table 6 as printed, by backbone and block; "" is the backbone itself."""


@dataclass(frozen=True)
class TableRow:
    """A backbone, or what a block adds to it.

    Attributes:
        network: Name of the backbone.
        block: Name of the block, "" for the backbone itself.
        parameters: Learned numbers, of the block those it adds.
        macs: Multiply-adds of convolutions and linear layers, which the paper counts.
        operator_macs: Multiply-adds of A and its products with Z, which it does not; None where
            there is no such operator.
        kept_bytes: Memory that the block keeps for the backward pass, estimated; None if not known.
        representation: How ``auto`` holds A; "" where there is none.
    """

    network: str
    block: str
    parameters: int
    macs: int
    operator_macs: int | None = None
    kept_bytes: int | None = None
    representation: str = ""

    @property
    def printed(self) -> Printed | None:
        """What the paper prints in this row."""
        return PRINTED.get((self.network, self.block))


def table_rows(network: str, setting: Setting) -> Iterator[TableRow]:
    """The backbone, every block at the paper's position, and the rivals where they fit.

    Args:
        network: Name in the table of networks.
        setting: Its input and classes.

    Raises:
        ValueError: If the network is unknown or does not run at that size.
    """
    own = survey(network, setting.size, num_classes=setting.classes)
    yield TableRow(network, "", own.parameters, own.macs)
    found = {position.name: position for position in own.positions}
    for name in POSITIONS.get(network, ()):
        position = found[name]
        for block in ROWS:
            cost = block_cost(block, position.channels, position.size)
            yield TableRow(
                network,
                block,
                cost.parameters,
                position.maps * cost.projection_macs,
                position.maps * cost.operator_macs,
                position.maps * cost.kept_bytes,
                cost.representation,
            )
    if network in ARCHITECTURES:
        for rival in RIVALS:
            with torch.device("meta"):  # which rivals run on, and blocks do not
                model = build_network(network, num_classes=setting.classes).eval()
                example = torch.zeros(1, 3, *setting.size)
                add_rival(model, rival, example)
                with torch.no_grad():
                    macs = count_macs(model, example)
            added = count_parameters(model) - own.parameters
            yield TableRow(network, rival, added, macs - own.macs)
