"""Connected components and two-colourings: the structure of a graph, found combinatorially."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from scipy.sparse.csgraph import connected_components

from snl_graph.spectral.graph import Array, OneGraph


@dataclass(frozen=True)
class Structure:
    """What the places of the non-zero weights say, whatever their values.

    Two nodes are joined by either of A_ij and A_ji.

    Attributes:
        label: Component of each node, shape (N,), counted from 0.
        colour: Sign of each node, ±1, shape (N,), by the parity of its distance from the first node
            of its component.
        is_bipartite: Whether all edges of a component join unlike colours, shape (components,).
            A self-loop joins a node to its own colour. A lone node without one is bipartite.
        is_isolated: Nodes without any edge, not even a self-loop, shape (N,).
    """

    label: Array
    colour: Array
    is_bipartite: Array
    is_isolated: Array

    @property
    def components(self) -> int:
        """Number of connected components, isolated nodes included."""
        return len(self.is_bipartite)

    @property
    def has_edges(self) -> Array:
        """Which components are more than an isolated node, shape (components,)."""
        found = np.zeros(self.components, dtype=bool)
        found[self.label[~self.is_isolated]] = True
        return found


def structure_of(graph: OneGraph) -> Structure:
    """The structure of a graph.

    Cost: O(N + E) for edges. Where A is not held as edges, one product with A for each step of a
    breadth-first search through each component, of random positive weights: an entry of the
    product is 0 where no edge leads (of a signed A, with probability one).
    """
    sparse = graph.sparse
    if sparse is None and graph.a.representation == "dense":
        sparse = scipy.sparse.csr_array(graph.dense)
    return _by_products(graph) if sparse is None else structure_of_matrix(sparse)


def structure_of_matrix(matrix: Any) -> Structure:
    """The structure of a sparse matrix (N, N); explicit zeros are no edges."""
    joined = abs(matrix) + abs(matrix.T)
    joined.eliminate_zeros()
    _, label = connected_components(joined, directed=False)
    # Two copies of the nodes, every edge from one copy to the other: an odd closed walk, and
    # nothing else, leads from a node to its own copy.
    cover = scipy.sparse.block_array([[None, joined], [joined, None]])
    side, other = np.split(connected_components(cover, directed=False)[1], 2)
    _, first = np.unique(label, return_index=True)
    colour = np.where(side == side[first][label], 1.0, -1.0)
    is_isolated = np.diff(joined.tocsr().indptr) == 0
    return Structure(label, colour, side[first] != other[first], is_isolated)


def _by_products(graph: OneGraph) -> Structure:
    n = graph.n
    weight = np.random.default_rng(20).uniform(0.5, 1.0, n)

    def neighbours(nodes: Array) -> Array:
        signal = np.where(nodes, weight, 0.0)
        found: Array = (graph.apply(signal) != 0) | (graph.apply_transposed(signal) != 0)
        return found

    everywhere = np.ones(n, dtype=bool)
    is_isolated = ~neighbours(everywhere)
    label, colour = np.full(n, -1), np.ones(n)
    label[is_isolated] = np.arange(is_isolated.sum())
    is_bipartite = [True] * int(is_isolated.sum())
    while (label < 0).any():
        seen = np.zeros(n, dtype=bool)
        layer = np.zeros(n, dtype=bool)
        layer[np.argmax(label < 0)] = True
        sign = 1.0
        while layer.any():
            seen |= layer
            colour[layer] = sign
            sign = -sign
            layer = neighbours(layer) & ~seen
        label[seen] = len(is_bipartite)
        sides = (seen & (colour > 0), seen & (colour < 0))
        is_bipartite.append(not any((neighbours(side) & side).any() for side in sides))
    return Structure(label, colour, np.array(is_bipartite, dtype=bool), is_isolated)
