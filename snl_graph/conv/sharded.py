"""Nodes that are spread over processes, all of them joined."""

from __future__ import annotations

from torch import Tensor

from snl_graph.conv.nodes import Nodes
from snl_graph.kernels import ShardedNodeSet
from snl_graph.operators import AffinityOperator
from snl_graph.sharding import node_shards


class ShardedNodes(Nodes):
    """Nodes (*batch, N, C) of one graph, spread over the processes of a device mesh.

    Args:
        target: Features of the targets, a DTensor with ``Shard(-2)``.
        source: Those of the sources.

    Raises:
        ValueError: If they are spread otherwise.
    """

    def __init__(self, target: Tensor, source: Tensor) -> None:
        super().__init__()
        is_bipartite = source is not target
        ends = {"x_dst": target, "x_src": source} if is_bipartite else {"x": target}
        self.shards = node_shards({name: (end, [-2]) for name, end in ends.items()})

    def node_set(self) -> ShardedNodeSet:
        return ShardedNodeSet(shards=self.shards)

    def estimate(self, a: AffinityOperator) -> Tensor:
        raise ValueError(
            'lambda_max="estimate" is not taken of nodes spread over processes. Pass a number, or '
            "leave it at the bound 2."
        )


def check_sharded_call(**options: object) -> None:
    """Raise a ``ValueError`` if something came that nodes spread over processes do not have."""
    for name, value in options.items():
        if value is not None and value is not False:
            raise ValueError(
                f"nodes spread over processes are one graph with every pair joined; {name} came as "
                "well. Leave it out, or gather the nodes: x.full_tensor()."
            )
