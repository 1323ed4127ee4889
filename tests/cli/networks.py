"""Networks, and things that are none, for ``--model tests.cli.networks:NAME``."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from snl_graph import insert_block, nonlocal_block

HALF = 2
"""The feature map has half the rows and columns of the image."""


def cnn(kind: str = "snl", in_channels: int = 3, seed: int = 0, width: int = 8) -> nn.Module:
    """A small CNN with a block behind its second module, "1"."""
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(in_channels, width, 3, stride=HALF, padding=1),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=1),
        nn.BatchNorm2d(width),
    )
    return insert_block(net, "1", kind, zero_init=False)


def both_kinds() -> nn.Module:
    """A block whose eigenvalues are real, "1", and one whose are not, "3"."""
    return insert_block(cnn("snl"), "3", "nl", zero_init=False)


class Wrapped(nn.Module):
    """As Lightning users write it: the network inside, and a metric beside."""

    def __init__(self, attribute: str, kind: str = "snl", seed: int = 0) -> None:
        super().__init__()
        setattr(self, attribute, cnn(kind, seed=seed))
        self.metric = nn.Linear(1, 1)


class TwoBlocks(nn.Module):
    """Blocks built in rather than inserted, of two kinds."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.stem = nn.Conv2d(1, 6, 3, stride=2, padding=1)
        self.heads = nonlocal_block("nl", 6, heads=2, hidden_channels=4)
        self.twice = nonlocal_block("cc", 6, recurrence=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.twice(self.heads(self.stem(x)))


def plain() -> nn.Module:
    """No block."""
    return nn.Conv2d(3, 3, 1)


def needs(name: str) -> nn.Module:
    """An argument without a default."""
    return cnn(name)


def number() -> int:
    """Returns no network."""
    return 3


def broken() -> nn.Module:
    """Raises."""
    raise ZeroDivisionError("no width")


class Fails(nn.Module):
    """Its forward pass raises."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nonlocal_block("snl", 3)

    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("shapes cannot be multiplied\n(two lines)")


made = cnn()
constant = 7
