"""Cost of a nonlocal block on a map of some size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch

from models.costs.counting import count_macs, count_parameters, shapes_only
from snl_graph import NonlocalBlock, nonlocal_block
from snl_graph.blocks import SpectralUnit
from snl_graph.blocks.arrangements import Positions
from snl_graph.blocks.linear import NodeLinear

BYTES = 4
"""Of a number, in float32."""


@dataclass(frozen=True)
class BlockCost:
    """What one block costs, on one item of the batch.

    Attributes:
        parameters: Learned numbers.
        projection_macs: Multiply-adds of its 1×1 convolutions, which is all the paper counts.
        operator_macs: Multiply-adds of everything else: A, and its products with Z.
        kept_bytes: Memory kept for the backward pass, estimated by :func:`kept_numbers`.
        representation: How ``auto`` holds A.
    """

    parameters: int
    projection_macs: int
    operator_macs: int
    kept_bytes: int
    representation: str


def block_cost(name: str, channels: int, size: tuple[int, ...], *, reduction: int = 2) -> BlockCost:
    """Cost of the block ``name`` on a map (1, channels, *size); nothing is computed.

    Args:
        name: Row of Table 1.
        channels: C of the map.
        size: Its spatial size.
        reduction: C / C_s.

    Raises:
        ValueError: If there is no such block, or the numbers do not go together.

    Example:
        >>> cost = block_cost("snl", 1024, (14, 14))
        >>> cost.parameters, cost.projection_macs, cost.representation
        (2623488, 513802240, 'dense')
    """
    with shapes_only():
        block = nonlocal_block(name, channels, reduction=reduction)
        x = torch.zeros(1, channels, *size)
        macs = count_macs(block, x)
        representation = block.affinity_of(x).representation
    projections = math.prod(size) * sum(
        module.in_features * module.out_features
        for module in block.modules()
        if isinstance(module, NodeLinear)
    )
    return BlockCost(
        parameters=count_parameters(block),
        projection_macs=projections,
        operator_macs=macs - projections,
        kept_bytes=BYTES * kept_numbers(block, size, representation),
        representation=representation,
    )


def kept_numbers(block: NonlocalBlock, size: tuple[int, ...], representation: str) -> int:
    """Numbers that a row's block keeps for its backward pass, an item of a batch: a formula.

    With N positions, C channels, Φ and Ψ of width r, Z of width c and p applications of A:

    - always X and F, 2·N·C; Φ and Ψ, 2·N·r; p signals A^k Z, and Z where it is not X, N·c each;
    - ``factored``: the sums Ψᵀ Z of every application, r·c each, twice that when symmetrised;
    - ``dense``: A, N², twice that for an exponential kernel (the logits too);
    - ``streaming``: Φ, Ψ and Z once more, as the fused attention wants them, and a number a node;
    - ``grid``: rows and columns of A twice, 2·N·ΣS; Φ and Ψ once more and Z twice, by lines.

    Weights and the few numbers a channel of the norm are left out. Nodes that are (position,
    channel) pairs have r = c = 1 in the sums of ``factored``.

    Args:
        block: A row of the table without further options: one unit, one head, its own mask.
        size: Spatial size of the map.
        representation: How A is held.

    Raises:
        ValueError: If there is no formula for that representation.
    """
    positions = math.prod(size)
    unit = cast(SpectralUnit, block.units[0])
    pieces = block.affinity.pieces
    width = cast(NodeLinear, block.affinity.phi).out_features
    signal = cast(NodeLinear, next(iter(unit.w.values()))).in_features
    kept = 2 * positions * (block.channels + width)
    kept += (unit.filter.order + (unit.g is not None)) * positions * signal
    if representation == "factored":
        pairs = width * signal if isinstance(pieces.arrangement, Positions) else 1
        return kept + (2 if pieces.normalization.needs_square else 1) * unit.filter.order * pairs
    if representation == "dense":
        return kept + (2 if pieces.kernel.is_exponential else 1) * positions**2
    if representation == "streaming":
        return kept + positions * (2 * width + signal + 1)
    if representation == "grid":
        return kept + positions * (2 * sum(size) + 2 * width + 2 * signal)
    raise ValueError(
        f'no formula for what representation "{representation}" keeps; there is one for '
        '"factored", "dense", "streaming" and "grid".'
    )
