"""The products of an operator on edges as PyG messages: one for each edge, in their order."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from snl_graph.conv.routes import RoutedOperator
from snl_graph.operators import EdgeOperator


class Send(Protocol):
    """One round of messages: Σ_e w_e (j → i) z for edges (2, E) and sizes (N', N)."""

    def __call__(
        self, edge_index: Tensor, weight: Tensor, z: Tensor, size: tuple[int, int]
    ) -> Tensor: ...


class Messages:
    """The route of PyG message passing: a message for each of the caller's edges, in their order.

    Args:
        send: One round of messages.
        edge_index: Shape (2, E); row 0 = source, row 1 = target.
        shape: (N targets, N' sources).
    """

    def __init__(self, send: Send, edge_index: Tensor, shape: tuple[int, int]) -> None:
        self.send, self.edge_index, self.shape = send, edge_index, shape

    def to_targets(self, weight: Tensor, z: Tensor) -> Tensor:
        """Signals (*batch, N', C) of the sources, summed at the targets, (*batch, N, C)."""
        return self.send(self.edge_index, weight, z, (self.shape[1], self.shape[0]))

    def to_sources(self, weight: Tensor, z: Tensor) -> Tensor:
        """Signals (*batch, N, C) of the targets, summed at the sources, (*batch, N', C)."""
        return self.send(self.edge_index.flip(0), weight, z, self.shape)

    def operator(self, edges: EdgeOperator) -> MessageOperator:
        """The operator on these edges that sends messages."""
        return MessageOperator(edges, self)


class MessageOperator(RoutedOperator):
    """An ``EdgeOperator`` whose product is taken by PyG message passing.

    Args:
        edges: The edges and their weights.
        route: Sends the messages along the same edges in the same order.

    Cost: a round of messages, O(E·C); a mirrored operator takes two.
    """

    def __init__(self, edges: EdgeOperator, route: Messages | _Reversed) -> None:
        super().__init__(edges)
        self.route = route

    def apply(self, z: Tensor) -> Tensor:
        product = self.route.to_targets(self.edges.weight, z)
        if self.edges.is_mirrored:
            product = product + self.route.to_sources(self.edges.weight, z)
        return product

    def _transposed(self) -> MessageOperator:
        return MessageOperator(self.edges._transposed(), _Reversed(self.route))


class _Reversed:
    """The same edges turned round."""

    def __init__(self, route: Messages | _Reversed) -> None:
        self.route = route

    def to_targets(self, weight: Tensor, z: Tensor) -> Tensor:
        return self.route.to_sources(weight, z)

    def to_sources(self, weight: Tensor, z: Tensor) -> Tensor:
        return self.route.to_targets(weight, z)
