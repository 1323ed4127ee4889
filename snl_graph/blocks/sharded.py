"""A block on a feature map whose positions are spread over processes."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from snl_graph import checks
from snl_graph.blocks.affinity import AffinityPieces
from snl_graph.kernels import ShardedNodeSet
from snl_graph.representations import check_sharded
from snl_graph.sharding import NodeShards, node_shards, part_here, plain_weights


def position_shards(x: Tensor, valid: Tensor | None, pieces: AffinityPieces) -> NodeShards:
    """How the positions of a map are spread.

    Args:
        x: Feature map (B, C, *spatial), a DTensor with ``Shard`` on one spatial axis.
        valid: Shape (B, *spatial), spread along the same axis, or None.
        pieces: Pieces of the block's affinity.

    Raises:
        ValueError: If they are spread otherwise, or the block joins what no process holds.
    """
    check_sharded(pieces.representation, pieces.kernel, pieces.mask)
    if not pieces.subsampling.is_identity:
        raise ValueError(
            "subsample pools positions that may lie on two processes. Leave it out: the factored "
            "operator needs no coarser keys."
        )
    shards = node_shards({"x": (x, list(range(2, x.dim())))})
    if valid is not None:
        axis = x.placements[0].dim - 1  # type: ignore[attr-defined]
        node_shards({"x": (x, [axis + 1]), "valid": (valid, [axis])})
    return shards


def on_shards(
    block: nn.Module,
    on_map: Callable[[Tensor, Tensor | None, ShardedNodeSet], Tensor],
    x: Tensor,
    valid: Tensor | None,
    shards: NodeShards,
) -> Tensor:
    """The block's map of a map, every process with the positions it has.

    Args:
        block: The block, its weights DTensors on the mesh of ``x``.
        on_map: What it does on the positions here.
        x: Feature map, a DTensor.
        valid: Real positions, a DTensor, or None.
        shards: How the positions are spread.

    Cost: beside the sums of the operator, an all-reduce of each weight's gradient and two of the
    moments of each batch or group norm.
    """
    nodes = ShardedNodeSet(shards=shards)
    marks = None if valid is None else part_here(valid)
    # Values were checked on the whole map: a process that stopped alone would keep the others.
    with checks.value_checks(False), plain_weights(block, shards.mesh):
        y = on_map(part_here(x), marks, nodes)
    axis = x.placements[0].dim  # type: ignore[attr-defined]
    return shards.laid(y, axis, x.shape, x.stride())
