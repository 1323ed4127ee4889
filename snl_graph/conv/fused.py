"""A on the edges of a graph, as one sparse matrix: its products send no single messages."""

from __future__ import annotations

import torch
from torch import Tensor

from snl_graph.conv.compressed import Compressed, compressed_product
from snl_graph.conv.lifetime import remembering
from snl_graph.conv.routes import RoutedOperator
from snl_graph.operators import EdgeOperator
from snl_graph.operators.diagonal import accumulation_dtype


class Structure:
    """Where the entries of a matrix on given edges are: sorted once in each order that is needed.

    Args:
        edge_index: Shape (2, E) in the order of the weights; row 0 = source, row 1 = target.
        shape: (N targets, N' sources).
        by_target: The edges by target, if that is known.
        by_source: The edges by source, if that is known.

    Cost: O(E) for each order.
    """

    def __init__(
        self,
        edge_index: Tensor,
        shape: tuple[int, int],
        by_target: Compressed | None = None,
        by_source: Compressed | None = None,
    ) -> None:
        self.edge_index, self.shape = edge_index, shape
        self._by_target, self._by_source = by_target, by_source
        self._both: Compressed | None = None

    def by_target(self) -> Compressed:
        """The matrix."""
        if self._by_target is None:
            self._by_target = self._sorted(turned=False)
        return self._by_target

    def by_source(self) -> Compressed:
        """Its transpose."""
        if self._by_source is None:
            self._by_source = self._sorted(turned=True)
        return self._by_source

    def both(self) -> Compressed:
        """The sum of the two: the edges as listed, and after them the same edges turned round."""
        if self._both is None:
            with remembering():
                rows = torch.cat([self.edge_index[1], self.edge_index[0]])
                columns = torch.cat([self.edge_index[0], self.edge_index[1]])
                self._both = Compressed.of(rows, columns, self.shape)
        return self._both

    def operator(self, edges: EdgeOperator) -> FusedOperator:
        """The operator on these edges with the fused product."""
        return FusedOperator(edges, self)

    def _sorted(self, *, turned: bool) -> Compressed:
        source, target = self.edge_index[0], self.edge_index[1]
        with remembering():
            if turned:
                return Compressed.of(source, target, (self.shape[1], self.shape[0]))
            return Compressed.of(target, source, self.shape)


class FusedOperator(RoutedOperator):
    """An ``EdgeOperator`` whose product is taken by the fused sparse product.

    A mirrored operator holds each edge in both directions, so it is its own transpose and takes one
    product, forward and backward.

    Args:
        edges: The edges and their weights, (*batch, E).
        structure: Of these edges.

    Cost: O(E) to put the weights in order; a product takes time O(E·C) and memory O(N·C).
    """

    def __init__(self, edges: EdgeOperator, structure: Structure) -> None:
        super().__init__(edges)
        self.structure = structure
        weight = edges.weight.to(accumulation_dtype(edges.dtype))
        if edges.is_mirrored:
            matrix, weight = structure.both(), torch.cat([weight, weight], dim=-1)
        else:
            matrix = structure.by_target()
        self._weight, self._matrix = matrix.listed(weight), matrix.in_row_order()
        self._back: Compressed | None = None

    def apply(self, z: Tensor) -> Tensor:
        has_gradient = torch.is_grad_enabled() and (z.requires_grad or self._weight.requires_grad)
        back = self._transpose() if has_gradient else None
        dtype = torch.promote_types(self.dtype, z.dtype)
        return compressed_product(self._matrix, back, self._weight, z).to(dtype)

    def _transpose(self) -> Compressed:
        if self.is_symmetric:
            return self._matrix
        if self._back is None:
            with remembering():
                self._back = self.structure.by_source().after(self.structure.by_target())
        return self._back

    def _transposed(self) -> FusedOperator:
        known = self.structure
        turned = Structure(
            known.edge_index.flip(0),
            (known.shape[1], known.shape[0]),
            known.by_source(),
            known.by_target(),
        )
        return FusedOperator(self.edges._transposed(), turned)
