"""torch.sparse adjacency: its structure, and what was made of it, found once per tensor."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from snl_graph.conv.compressed import Compressed
from snl_graph.conv.fused import Structure
from snl_graph.conv.lifetime import remembering
from snl_graph.conv.normalized import Normalized
from snl_graph.normalizations import Normalization
from snl_graph.operators import AffinityOperator

LAYOUTS = {torch.sparse_coo: "COO", torch.sparse_csr: "CSR", torch.sparse_csc: "CSC"}
"""Layouts that a layer takes."""


@dataclass
class SparseAdjacency:
    """What one sparse tensor is known to be, as long as it lives and does not change.

    Attributes:
        structure: Where its entries are.
        values: Its values, (E,), without their gradient.
        is_symmetric: Whether it equals its transpose.
        version: Version of the tensor that all this was read from.
        checked: Rules that its values were held against.
        normalized: The operator A that a normalisation made of it, by dtype.
    """

    structure: Structure
    values: Tensor
    is_symmetric: bool
    version: int | None
    checked: set[Hashable] = field(default_factory=set)
    normalized: WeakKeyDictionary[Normalization, dict[torch.dtype, Normalized]] = field(
        default_factory=WeakKeyDictionary
    )

    def remember(
        self, normalization: Normalization, dtype: torch.dtype, make: Callable[[], AffinityOperator]
    ) -> Normalized:
        """The operator that ``make`` makes, made once for each normalisation and dtype."""
        made = self.normalized.setdefault(normalization, {})
        if dtype not in made:
            with remembering():
                made[dtype] = Normalized(make(), is_kept=True)
        return made[dtype]


_known: WeakTensorKeyDictionary = WeakTensorKeyDictionary()


def sparse_adjacency(adj_t: Tensor) -> SparseAdjacency:
    """Structure of a sparse matrix (N, N'): row = target, column = source, as in PyG.

    Prepared once for each tensor and remembered weakly, by identity and version.

    Cost: O(E log E) time and one synchronisation with the device the first time.
    """
    known = _known.get(adj_t)
    # A tensor of inference mode has no version, so a change of it could not be noticed.
    version = None if adj_t.is_inference() else adj_t._version
    if known is not None and version is not None and known.version == version:
        return known
    with remembering():
        edge_index, values = _entries(adj_t)
        (column, row), shape = edge_index, (adj_t.shape[0], adj_t.shape[1])
        rows, columns = _sorted(row, column, shape), _sorted(column, row, shape[::-1])
        values = values.clone()  # those of the caller's tensor may change
        structure = Structure(edge_index, shape, rows, columns)
        known = SparseAdjacency(structure, values, _is_symmetric(rows, columns, values), version)
    if version is not None:
        _known[adj_t] = known
    return known


def sparse_values(adj_t: Tensor) -> Tensor:
    """Values (E,) in the order of ``sparse_adjacency(adj_t).structure``, with their gradient."""
    return (adj_t.coalesce() if adj_t.layout == torch.sparse_coo else adj_t).values()


def _entries(adj_t: Tensor) -> tuple[Tensor, Tensor]:
    if adj_t.layout == torch.sparse_coo:
        adj_t = adj_t.coalesce()
        row, column = adj_t.indices()
    elif adj_t.layout == torch.sparse_csr:
        row, column = _expanded(adj_t.crow_indices()), adj_t.col_indices().long()
    else:
        row, column = adj_t.row_indices().long(), _expanded(adj_t.ccol_indices())
    return torch.stack([column, row]), adj_t.values()


def _expanded(pointer: Tensor) -> Tensor:
    """Index of the compressed axis of each entry."""
    counts = pointer.diff()
    return torch.arange(counts.numel(), device=pointer.device).repeat_interleave(counts)


def _sorted(major: Tensor, minor: Tensor, shape: tuple[int, int]) -> Compressed:
    """The entries row by row, and within a row by column."""
    by_minor = minor.argsort(stable=True)
    ends = major.index_select(0, by_minor), minor.index_select(0, by_minor)
    matrix = Compressed.of(*ends, shape)
    assert matrix.place is not None
    place = by_minor.index_select(0, matrix.place)
    is_listed_so = torch.equal(place, torch.arange(place.shape[0], device=place.device))
    return Compressed(matrix.pointer, matrix.index, None if is_listed_so else place)


def _is_symmetric(rows: Compressed, columns: Compressed, values: Tensor) -> bool:
    return (
        torch.equal(rows.pointer, columns.pointer)
        and torch.equal(rows.index, columns.index)
        and torch.equal(rows.listed(values), columns.listed(values))
    )
