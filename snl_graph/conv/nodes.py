"""The nodes of a layer's input: one graph, or the graphs of a PyG batch one after the other."""

from __future__ import annotations

from torch import Tensor

from snl_graph import checks
from snl_graph.conv.lambda_max import estimate_lambda_max
from snl_graph.kernels import NodeSet
from snl_graph.operators import AffinityOperator


def count_graphs(batch: Tensor | None, batch_size: int | None) -> int:
    """Number of graphs; without ``batch_size`` it is read from the device, which synchronises."""
    if batch is None:
        return 1
    if batch_size is not None:
        return batch_size
    return int(batch.max()) + 1 if batch.numel() else 0


class Nodes:
    """Nodes (*batch, N, C), graphs one after the other.

    Args:
        batch: Graph of each node, shape (N,), or None for one graph.
        batch_size: Number of graphs, if the caller knows it.
    """

    def __init__(self, batch: Tensor | None = None, batch_size: int | None = None) -> None:
        self.batch, self.batch_size = batch, batch_size

    def node_set(self) -> NodeSet:
        """The same for the kernels."""
        if self.batch is None:
            return NodeSet()
        return NodeSet(batch=self.batch, num_graphs=count_graphs(self.batch, self.batch_size))

    def pack(self, x: Tensor) -> Tensor:
        """Signals in the shape that the operator takes."""
        return x

    def unpack(self, x: Tensor) -> Tensor:
        """Signals in the shape that the caller gave."""
        return x

    def at_nodes(self, values: Tensor, x: Tensor) -> Tensor:
        """One number a graph, broadcastable to signals (*batch, N, C).

        Raises:
            ValueError: If there is another number of graphs.
        """
        if values.device != x.device:
            raise ValueError(f"lambda_max is on {values.device} and x on {x.device}. Move one.")
        if self.batch is not None:
            known = self.batch_size
            if known is None and checks.are_free(self.batch):
                known = count_graphs(self.batch, None)
            if known not in (None, values.numel()):
                raise_wrong_count(values, known or 0)
            return values.index_select(0, self.batch).unsqueeze(-1)
        if x.dim() == 3 and values.numel() == x.shape[0]:
            return values[:, None, None]
        raise ValueError(
            f"lambda_max has {values.numel()} numbers, one a graph, so the layer needs batch, the "
            "graph of each node."
        )

    def estimate(self, a: AffinityOperator) -> Tensor:
        """Estimated λ_max of each graph, broadcastable to signals (*batch, N, C)."""
        return estimate_lambda_max(a, self.batch, count_graphs(self.batch, self.batch_size))


def raise_wrong_count(values: Tensor, num_graphs: int) -> None:
    """Raise the ``ValueError`` of a lambda_max for another number of graphs."""
    raise ValueError(
        f"lambda_max has {values.numel()} numbers, but there are {num_graphs} graphs: one each."
    )
