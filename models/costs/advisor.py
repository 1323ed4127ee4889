"""What a block would cost at every position of a network."""

from __future__ import annotations

from dataclasses import dataclass

from models.costs.block import BlockCost, block_cost
from models.costs.positions import Position, Survey, survey


@dataclass(frozen=True)
class Advice:
    """A position and what a block costs there, an item of the batch.

    Attributes:
        position: Where.
        block: The block's cost on one map.
    """

    position: Position
    block: BlockCost

    @property
    def macs(self) -> int:
        """Multiply-adds, of all maps of an item."""
        return self.position.maps * (self.block.projection_macs + self.block.operator_macs)

    @property
    def kept_bytes(self) -> int:
        """Memory kept for the backward pass, of all maps of an item."""
        return self.position.maps * self.block.kept_bytes


def advise(
    network: str,
    size: tuple[int, ...],
    *,
    block: str = "snl",
    reduction: int = 2,
    everywhere: bool = False,
    in_channels: int = 3,
    num_classes: int = 1000,
) -> tuple[Survey, list[Advice]]:
    """Cost of a block at each position of a network, in the order they are reached.

    Args:
        network: Name in the table of networks.
        size: Of the input: (H, W), or (T, H, W) for a network of clips.
        block: Row of Table 1.
        reduction: C / C_s.
        everywhere: Every submodule that can take a block; otherwise after residual blocks alone.
        in_channels: Channels of the input.
        num_classes: Length of the output.

    Returns:
        The network's own cost, and the advice.

    Raises:
        ValueError: If a name is unknown, or the network does not run at that size.

    Example:
        >>> own, advice = advise("resnet18", (64, 64))
        >>> [(a.position.name, a.position.size, a.block.parameters) for a in advice][-2:]
        [('layer4.0', (2, 2), 656384), ('layer4.1', (2, 2), 656384)]
    """
    own = survey(network, size, in_channels=in_channels, num_classes=num_classes)
    known: dict[tuple[int, tuple[int, ...]], BlockCost] = {}
    advice = []
    for position in own.positions:
        if not (everywhere or position.is_block):
            continue
        key = (position.channels, position.size)
        if key not in known:
            known[key] = block_cost(block, *key, reduction=reduction)
        advice.append(Advice(position, known[key]))
    return own, advice
