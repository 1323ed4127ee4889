"""What a layer takes: features and a graph in any of their forms, checked against its options."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from snl_graph import checks
from snl_graph.conv.edges import Edges, listed_edges, sparse_edges
from snl_graph.conv.inputs import (
    check_edge_index,
    check_edge_weight,
    check_features,
    check_same_graphs,
    check_sparse_call,
    check_weight_values,
)
from snl_graph.conv.messages import Send
from snl_graph.conv.options import check_bipartite
from snl_graph.filters import GraphFilter
from snl_graph.kernels import Kernel
from snl_graph.normalizations import Normalization


@dataclass(frozen=True)
class Accepted:
    """The forms of input that go with the options of a layer.

    Attributes:
        widths: Channels of the sources and of the targets, -1 for any.
        normalization: That of the layer.
        filter: Its filter.
        kernel: Its kernel, or None.
        is_reversed: Whether messages flow from row 1 of an ``edge_index`` to row 0.
    """

    widths: tuple[int, int]
    normalization: Normalization
    filter: GraphFilter
    kernel: Kernel | None
    is_reversed: bool

    def ends(
        self,
        x: Tensor | tuple[Tensor, Tensor],
        weight: Tensor,
        lambda_max: float | Tensor | str,
    ) -> tuple[Tensor, Tensor]:
        """Features of the targets and of the sources: one tensor unless the graph is bipartite.

        Args:
            x: What the caller passed.
            weight: A parameter of the layer, for its dtype and device.
            lambda_max: That of the layer.
        """
        if not isinstance(x, tuple | list):
            check_features(x, "x", self.widths[1], weight)
            return x, x
        if len(x) != 2 or not all(isinstance(end, Tensor) for end in x):
            raise TypeError(
                "x must be a tensor (N, F) or (B, N, F), or for bipartite graphs a pair of them, "
                f"both given; got a {type(x).__name__} of {len(x)}."
            )
        check_bipartite(self.normalization, self.filter, lambda_max)
        widths = self.widths[::-1] if self.is_reversed else self.widths
        for end, width in enumerate(widths):
            check_features(x[end], f"x[{end}]", width, weight)
        target, source = (x[0], x[1]) if self.is_reversed else (x[1], x[0])
        check_same_graphs(target, source)
        return target, source

    def check_complete(self, edge_weight: Tensor | None) -> None:
        """Raise a ``ValueError`` unless all pairs of nodes can be joined."""
        if self.kernel is None:
            raise ValueError(
                "without edge_index every pair of nodes is joined, with weights of a kernel, and "
                'this layer has none. Pass edge_index, or make the layer with kernel="dot".'
            )
        if edge_weight is not None:
            raise ValueError("edge_weight came without edge_index. Pass both or neither.")

    def check_edges(
        self, edge_index: Tensor, edge_weight: Tensor | None, target: Tensor, source: Tensor
    ) -> None:
        """Raise unless this is a graph on these nodes."""
        shape = (target.shape[-2], source.shape[-2])
        check_edge_index(edge_index, shape if self.is_reversed else shape[::-1], target.device)
        if edge_index.layout != torch.strided:
            check_sparse_call(edge_weight, self.is_reversed)
        elif edge_weight is not None:
            check_edge_weight(edge_weight, edge_index.shape[1], target)
            self._check_weight_values(edge_weight, "edge_weight")

    def edges(
        self,
        edge_index: Tensor,
        edge_weight: Tensor | None,
        target: Tensor,
        source: Tensor,
        send: Send | None,
    ) -> Edges:
        """A graph that was checked, as edges j → i.

        Args:
            edge_index: The graph in any of its forms.
            edge_weight: Weights of an ``edge_index``.
            target: Features of the targets.
            source: Features of the sources.
            send: One round of messages, if they shall be sent one by one.
        """
        if edge_index.layout == torch.strided:
            shape = (target.shape[-2], source.shape[-2])
            return listed_edges(edge_index, edge_weight, shape, send, is_reversed=self.is_reversed)
        edges = sparse_edges(edge_index, send)
        known = edges.adjacency
        if known is None or self._rule() not in known.checked:
            assert edges.weight is not None
            self._check_weight_values(edges.weight, "the sparse adjacency")
        if known is not None:
            known.checked.add(self._rule())
        return edges

    def _rule(self) -> tuple[bool, bool, bool]:
        """What the check of values depends on."""
        is_exponential = self.kernel is not None and self.kernel.is_exponential
        return self.normalization.needs_nonnegative, is_exponential, checks.are_requested()

    def _check_weight_values(self, weight: Tensor, name: str) -> None:
        if self.normalization.needs_nonnegative:
            check_weight_values(weight, name, 'Use normalization="rw" or "none".')
        elif self.kernel is not None and self.kernel.is_exponential:
            check_weight_values(weight, name, "An exponential kernel adds their logarithm.")
        else:
            check_weight_values(weight, name)
