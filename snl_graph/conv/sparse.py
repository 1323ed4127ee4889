"""torch.sparse adjacency: its structure found once per tensor, and the fused sparse product."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from snl_graph.normalizations import Normalization
from snl_graph.operators import AffinityOperator
from snl_graph.operators.diagonal import accumulation_dtype

LAYOUTS = {torch.sparse_coo: "COO", torch.sparse_csr: "CSR", torch.sparse_csc: "CSC"}
"""Layouts that a layer takes."""


@dataclass(frozen=True)
class SparseRoute:
    """Products with a sparse matrix whose values may change; see ``snl_graph.conv.routes.Route``.

    Attributes:
        edge_index: Shape (2, E) in the order of the values; row 0 = column j, row 1 = row i.
        rows: Compressed row pointer, (N + 1,), and the place of each entry in row order, (E,).
        columns: Compressed column pointer, (N' + 1,), and the place of each in column order, (E,).
    """

    edge_index: Tensor
    rows: tuple[Tensor, Tensor]
    columns: tuple[Tensor, Tensor]

    @staticmethod
    def of(edge_index: Tensor, shape: tuple[int, int]) -> SparseRoute:
        """Route along edges (2, E) of a matrix (N, N')."""
        return SparseRoute(
            edge_index,
            _compressed(edge_index[1], edge_index[0], shape[0]),
            _compressed(edge_index[0], edge_index[1], shape[1]),
        )

    def to_targets(self, weight: Tensor, z: Tensor) -> Tensor:
        return _batched_product(self.edge_index, *self.rows, *self.columns, weight, z)

    def to_sources(self, weight: Tensor, z: Tensor) -> Tensor:
        return _batched_product(self.edge_index.flip(0), *self.columns, *self.rows, weight, z)


def _compressed(major: Tensor, minor: Tensor, size: int) -> tuple[Tensor, Tensor]:
    by_minor = minor.argsort(stable=True)
    place = by_minor[major[by_minor].argsort(stable=True)]
    pointer = torch.zeros(size + 1, dtype=torch.long, device=major.device)
    pointer[1:] = torch.bincount(major, minlength=size).cumsum(0)
    return pointer, place


@dataclass
class SparseAdjacency:
    """What one sparse tensor is known to be, as long as it lives and does not change.

    Attributes:
        route: Its structure.
        values: Its values, (E,), without their gradient.
        is_symmetric: Whether it equals its transpose.
        version: Version of the tensor that all this was read from.
        normalized: The operator A that a normalisation made of it, by dtype.
    """

    route: SparseRoute
    values: Tensor
    is_symmetric: bool
    version: int | None
    normalized: WeakKeyDictionary[Normalization, dict[torch.dtype, AffinityOperator]] = field(
        default_factory=WeakKeyDictionary
    )

    def remember(
        self, normalization: Normalization, dtype: torch.dtype, make: Callable[[], AffinityOperator]
    ) -> AffinityOperator:
        """The operator that ``make`` makes, made once for each normalisation and dtype."""
        made = self.normalized.setdefault(normalization, {})
        if dtype not in made:
            with remembering():
                made[dtype] = make()
        return made[dtype]


_known: WeakTensorKeyDictionary = WeakTensorKeyDictionary()


@contextmanager
def remembering() -> Iterator[None]:
    """A place to compute what outlives the call: without gradients, and outside inference mode.

    Tensors of inference mode could not be saved for the backward pass of a later training step.
    """
    with torch.inference_mode(False), torch.no_grad():
        yield


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
        route = SparseRoute.of(edge_index, (adj_t.shape[0], adj_t.shape[1]))
        values = values.clone()  # those of the caller's tensor may change
        known = SparseAdjacency(route, values, _is_symmetric(route, values), version)
    if version is not None:
        _known[adj_t] = known
    return known


def sparse_values(adj_t: Tensor) -> Tensor:
    """Values (E,) in the order of ``sparse_adjacency(adj_t).route``, with their gradient."""
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


def _is_symmetric(route: SparseRoute, values: Tensor) -> bool:
    (row_pointer, by_row), (column_pointer, by_column) = route.rows, route.columns
    return (
        torch.equal(row_pointer, column_pointer)
        and torch.equal(route.edge_index[0][by_row], route.edge_index[1][by_column])
        and torch.equal(values[by_row], values[by_column])
    )


def _batched_product(
    edge_index: Tensor,
    row_pointer: Tensor,
    by_row: Tensor,
    column_pointer: Tensor,
    by_column: Tensor,
    weight: Tensor,
    z: Tensor,
) -> Tensor:
    """The product for weights (*batch, E) and signals (*batch, N', C), broadcast."""
    structure = (edge_index, row_pointer, by_row, column_pointer, by_column)
    dtype = torch.promote_types(weight.dtype, z.dtype)
    # The sparse product has no half precision on every device, and would sum in it.
    weight, z = (tensor.to(accumulation_dtype(dtype)) for tensor in (weight, z))
    if weight.dim() == 1:
        flat = z.movedim(-2, 0).flatten(1)  # (N', batch · C): one product serves the whole batch
        product = csr_product(*structure, weight, flat)
        shape = (z.shape[:-2].numel(), z.shape[-1]) if z.dim() > 2 else (z.shape[-1],)
        product = product.unflatten(1, shape)
        return product.movedim(0, -2).reshape(*z.shape[:-2], -1, z.shape[-1]).to(dtype)
    batch = torch.broadcast_shapes(weight.shape[:-1], z.shape[:-2])
    weights = weight.expand(*batch, -1).flatten(0, -2)
    signals = z.expand(*batch, -1, -1).flatten(0, -3)
    products = [csr_product(*structure, w, s) for w, s in zip(weights, signals, strict=True)]
    if not products:
        return z.new_zeros(*batch, row_pointer.numel() - 1, z.shape[-1], dtype=dtype)
    return torch.stack(products).unflatten(0, batch).to(dtype)


@torch.library.custom_op("snl_graph::csr_product", mutates_args=())
def csr_product(
    edge_index: Tensor,
    row_pointer: Tensor,
    by_row: Tensor,
    column_pointer: Tensor,
    by_column: Tensor,
    weight: Tensor,
    z: Tensor,
) -> Tensor:
    """The sparse matrix with entry weight_e in row edge_index[1, e], column edge_index[0, e], by z.

    Both compressed forms are passed, for the gradient is the product with the transpose. Plain
    tensors in, a plain tensor out: a sparse tensor cannot enter a compiled program.

    Args:
        edge_index: Shape (2, E).
        row_pointer: Compressed row pointer, (N + 1,).
        by_row: Place of each entry in row order, (E,).
        column_pointer: Compressed column pointer, (N' + 1,).
        by_column: Place of each entry in column order, (E,).
        weight: Shape (E,).
        z: Shape (N', C), of the same dtype.

    Returns:
        Shape (N, C).

    Cost: time O(E·C), memory O(N·C); the gradient of the weights takes O(E·C) memory.
    """
    shape = (row_pointer.numel() - 1, z.shape[0])
    if weight.numel() == 0 or z.shape[1] == 0:
        return z.new_zeros(shape[0], z.shape[1])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support", category=UserWarning)
        matrix = torch.sparse_csr_tensor(
            row_pointer, edge_index[0][by_row], weight[by_row], shape, check_invariants=False
        )
    return torch.sparse.mm(matrix, z.contiguous())


@csr_product.register_fake
def _(
    edge_index: Tensor,
    row_pointer: Tensor,
    by_row: Tensor,
    column_pointer: Tensor,
    by_column: Tensor,
    weight: Tensor,
    z: Tensor,
) -> Tensor:
    return z.new_empty(row_pointer.shape[0] - 1, z.shape[1])


def _save(ctx, inputs: tuple[Tensor, ...], output: Tensor) -> None:  # type: ignore[no-untyped-def]
    ctx.save_for_backward(*inputs)


def _gradients(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[no-untyped-def]
    edge_index, row_pointer, by_row, column_pointer, by_column, weight, z = ctx.saved_tensors
    grad_weight = grad_z = None
    if ctx.needs_input_grad[5]:
        at_edges = grad.index_select(0, edge_index[1]) * z.index_select(0, edge_index[0])
        grad_weight = at_edges.sum(-1)
    if ctx.needs_input_grad[6]:
        grad_z = csr_product(
            edge_index.flip(0), column_pointer, by_column, row_pointer, by_row, weight, grad
        )
    return None, None, None, None, None, grad_weight, grad_z


csr_product.register_autograd(_gradients, setup_context=_save)
