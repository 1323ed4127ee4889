"""Where in a network a block could go, and what map it would see there."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.costs.counting import MacCounter, count_parameters, shapes_only
from models.networks import build_network
from snl_graph import places


@dataclass(frozen=True)
class Position:
    """A submodule that a block can be inserted after.

    Attributes:
        name: Of the submodule, the ``after`` of :func:`snl_graph.insert_block`.
        channels: C of the map it returns.
        size: Spatial size of that map.
        maps: Maps an item of the batch: the frames where each is seen by itself, else 1.
        is_block: Whether it is a composite element of a ``Sequential``, such as a residual block.
    """

    name: str
    channels: int
    size: tuple[int, ...]
    maps: int
    is_block: bool


@dataclass(frozen=True)
class Survey:
    """A network's own cost for one input, and its positions in the order they are reached."""

    parameters: int
    macs: int
    positions: tuple[Position, ...]


def survey(
    network: str, size: tuple[int, ...], *, in_channels: int = 3, num_classes: int = 1000
) -> Survey:
    """Run a network of the table on one input of shapes alone, and note every map.

    Args:
        network: Name in the table of networks.
        size: Of the input: (H, W), or (T, H, W) for a network of clips.
        in_channels: Channels of the input.
        num_classes: Length of the output.

    Raises:
        ValueError: If there is no such network, or it does not run at that size.

    Example:
        >>> seen = survey("resnet50", (224, 224))
        >>> seen.parameters, round(seen.macs / 1e9, 2)
        (25557032, 4.09)
        >>> [position.size for position in seen.positions if position.name == "layer3.4"]
        [(14, 14)]
    """
    seen: dict[str, list[object]] = {}
    with shapes_only():
        model = build_network(network, in_channels=in_channels, num_classes=num_classes).eval()
        for name, module in model.named_modules():
            module.register_forward_hook(
                lambda module, args, output, name=name: seen.setdefault(name, []).append(output)
            )
        with torch.no_grad(), MacCounter() as counter:
            try:
                model(torch.zeros(1, in_channels, *size))
            except (RuntimeError, ValueError) as error:
                raise ValueError(
                    f'"{network}" does not run on an input of size '
                    f"{'×'.join(map(str, size))}: {error}. Images need H W, clips T H W."
                ) from error
    found = (_position(model, name, outputs) for name, outputs in seen.items() if name != "")
    return Survey(
        count_parameters(model), counter.macs, tuple(each for each in found if each is not None)
    )


def _position(model: nn.Module, name: str, outputs: list[object]) -> Position | None:
    """The position, or None where :func:`snl_graph.insert_block` would refuse, or N = 1."""
    output = outputs[0]
    if len(outputs) != 1 or not isinstance(output, Tensor) or not 4 <= output.dim() <= 5:
        return None  # called several times; no map; tokens of a decoder, channels last
    size = tuple(output.shape[2:])
    if math.prod(size) < 2:
        return None  # a single position has nothing to relate
    try:
        if places.last_of_sequential(model, name) != name:
            return None  # the place of its last child
        places.check_callable(model, name)
    except ValueError:
        return None
    module, parent = model.get_submodule(name), model.get_submodule(name.rpartition(".")[0])
    is_block = isinstance(parent, nn.Sequential) and bool(list(module.children()))
    return Position(name, output.shape[1], size, output.shape[0], is_block)
