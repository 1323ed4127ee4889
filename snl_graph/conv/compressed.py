"""The fused sparse product: a matrix compressed by rows, times signals, with its gradients.

Plain tensors in, a plain tensor out: a sparse tensor cannot enter a compiled program, so the
product is an operator of ``torch.library``. Its derivatives are the same two operators again.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from snl_graph.operators.diagonal import accumulation_dtype

_INT32_END = 2**31 - 1


@dataclass(frozen=True)
class Compressed:
    """Where the entries of a sparse matrix (N, N') are, row by row.

    Attributes:
        pointer: Place of the first entry of each row, and the number of entries: (N + 1,).
        index: Column of each entry in row order, (E,).
        place: Place of each entry, in row order, in the list of weights, (E,); None if the weights
            are listed in row order.
    """

    pointer: Tensor
    index: Tensor
    place: Tensor | None = None

    @staticmethod
    def of(rows: Tensor, columns: Tensor, shape: tuple[int, int]) -> Compressed:
        """The entries (rows[e], columns[e]) of a matrix of this shape.

        In int32 where that suffices: sorted in half the time, and half the memory. Entries of a row
        keep their order. Nothing synchronises with a device.

        Cost: O(E), by radix sort on a CPU.
        """
        if max(*shape, rows.shape[0]) < _INT32_END:
            rows, columns = rows.to(torch.int32), columns.to(torch.int32)
        ordered, place = rows.sort(stable=True)
        counts = torch.zeros(shape[0] + 1, dtype=rows.dtype, device=rows.device)
        counts = counts.index_add(0, ordered + 1, torch.ones_like(ordered))
        pointer = counts.cumsum(0, dtype=rows.dtype)
        # index_select: on a CPU some ten times as fast as columns[place].
        return Compressed(pointer, columns.index_select(0, place), place)

    def listed(self, weight: Tensor) -> Tensor:
        """Weights (*batch, E) in row order."""
        return weight if self.place is None else weight.index_select(-1, self.place)

    def in_row_order(self) -> Compressed:
        """The same entries of weights that :meth:`listed` has put in order."""
        return Compressed(self.pointer, self.index)

    def after(self, other: Compressed) -> Compressed:
        """The same entries of weights that ``other`` has put in order, such as the transpose."""
        if other.place is None:
            return self
        order = torch.arange(other.place.shape[0], device=other.place.device)
        place = torch.empty_like(order).index_copy(0, other.place, order)
        return Compressed(self.pointer, self.index, self.listed(place))

    def repeated(self, count: int, num_columns: int) -> Compressed:
        """The block-diagonal matrix of ``count`` copies, its weights one copy after the other."""
        if count == 1:
            return self
        num_edges = self.index.shape[0]
        pointer, index, place = self.pointer, self.index, self.place
        if count * max(num_edges, num_columns) >= _INT32_END:
            pointer, index = pointer.long(), index.long()
        copy = torch.arange(count, dtype=index.dtype, device=index.device).unsqueeze(-1)
        starts = (pointer[:-1] + copy * num_edges).flatten()
        ends = pointer[-1:] + (count - 1) * num_edges
        return Compressed(
            torch.cat([starts, ends]),
            (index + copy * num_columns).flatten(),
            None if place is None else (place + copy.to(place.dtype) * num_edges).flatten(),
        )


def compressed_product(
    matrix: Compressed, transposed: Compressed | None, weight: Tensor, z: Tensor
) -> Tensor:
    """The product for weights (*batch, E) and signals (*batch, N', C), broadcast.

    Args:
        matrix: Where the entries are.
        transposed: The same of the transpose, for the gradient of z; None takes no gradient.
        weight: Entries in the order of the list that both were made of.
        z: Signals.

    Returns:
        Shape (*batch, N, C), summed in float32 at least.
    """
    dtype = torch.promote_types(weight.dtype, z.dtype)
    # The sparse product has no half precision on every device, and would sum in it.
    weight, z = (tensor.to(accumulation_dtype(dtype)) for tensor in (weight, z))
    rows = matrix.pointer.shape[0] - 1
    if weight.dim() == 1:
        if z.dim() == 2:
            return _product(matrix, transposed, weight, z).to(dtype)
        flat = z.movedim(-2, 0).flatten(1)  # (N', batch · C): one product serves the whole batch
        product = _product(matrix, transposed, weight, flat)
        product = product.unflatten(1, (z.shape[:-2].numel(), z.shape[-1]))
        return product.movedim(0, -2).reshape(*z.shape[:-2], rows, z.shape[-1]).to(dtype)
    batch = torch.broadcast_shapes(weight.shape[:-1], z.shape[:-2])
    count = batch.numel()
    if count == 0:
        return z.new_zeros(*batch, rows, z.shape[-1], dtype=dtype)
    product = _product(
        matrix.repeated(count, z.shape[-2]),
        None if transposed is None else transposed.repeated(count, rows),
        weight.expand(*batch, -1).flatten(),
        z.expand(*batch, -1, -1).flatten(0, -2),
    )
    return product.unflatten(0, (*batch, rows)).to(dtype)


def _product(
    matrix: Compressed, transposed: Compressed | None, weight: Tensor, z: Tensor
) -> Tensor:
    backward = (None, None, None) if transposed is None else _fields(transposed)
    return csr_product(*_fields(matrix), *backward, weight, z)


def _fields(matrix: Compressed) -> tuple[Tensor, Tensor, Tensor | None]:
    return matrix.pointer, matrix.index, matrix.place


@torch.library.custom_op("snl_graph::csr_product", mutates_args=())
def csr_product(
    pointer: Tensor,
    index: Tensor,
    place: Tensor | None,
    back_pointer: Tensor | None,
    back_index: Tensor | None,
    back_place: Tensor | None,
    weight: Tensor,
    z: Tensor,
) -> Tensor:
    """A sparse matrix by z; the fields of two :class:`Compressed` say where its entries are.

    Args:
        pointer: Of the matrix, as ``index`` and ``place``.
        index: See ``pointer``.
        place: See ``pointer``.
        back_pointer: Of its transpose, as ``back_index`` and ``back_place``; None for a product
            that takes no part in a gradient.
        back_index: See ``back_pointer``.
        back_place: See ``back_pointer``.
        weight: Shape (E,).
        z: Shape (N', C), of the same dtype, float32 or float64.

    Returns:
        Shape (N, C).

    Cost: time O(E·C), memory O(N·C), of the gradients too.
    """
    rows = pointer.shape[0] - 1
    if weight.shape[0] == 0 or z.shape[1] == 0:
        return z.new_zeros(rows, z.shape[1])
    matrix = Compressed(pointer, index, place)
    values, z = matrix.listed(weight.detach()), z.detach().contiguous()
    if z.device.type == "cpu" and z.dtype == torch.float32:
        # The sum of a bag of weighted rows is a row of the product; its CPU kernel fetches the
        # rows ahead, which makes it several times as fast as the sparse product of the BLAS.
        return F.embedding_bag(
            index, z, pointer, mode="sum", per_sample_weights=values, include_last_offset=True
        )
    return torch.sparse.mm(_csr(matrix, values, (rows, z.shape[0])), z)


@torch.library.custom_op("snl_graph::csr_sampled_product", mutates_args=())
def csr_sampled_product(
    pointer: Tensor,
    index: Tensor,
    place: Tensor | None,
    back_pointer: Tensor | None,
    back_index: Tensor | None,
    back_place: Tensor | None,
    y: Tensor,
    z: Tensor,
) -> Tensor:
    """y_i · z_j at each entry (i, j) of a sparse matrix: the gradient of its weights.

    Args:
        pointer: Of the matrix; see :func:`csr_product`.
        index: See ``pointer``.
        place: See ``pointer``.
        back_pointer: Of its transpose.
        back_index: See ``back_pointer``.
        back_place: See ``back_pointer``.
        y: Shape (N, C).
        z: Shape (N', C), of the same dtype.

    Returns:
        Shape (E,), in the order of the weights.

    Cost: time O(E·C), memory O(E + N·C).
    """
    if index.shape[0] == 0 or z.shape[1] == 0:
        return z.new_zeros(index.shape[0])
    matrix = Compressed(pointer, index, place)
    y, z = y.detach().contiguous(), z.detach().contiguous()
    if index.shape[0] > y.shape[0] * z.shape[0]:  # edges listed so often that torch refuses them
        rows = torch.arange(y.shape[0], device=y.device).repeat_interleave(pointer.diff())
        values = (y.index_select(0, rows) * z.index_select(0, index)).sum(-1)
    else:
        pattern = _csr(matrix, z.new_zeros(index.shape[0]), (y.shape[0], z.shape[0]))
        values = torch.sparse.sampled_addmm(pattern, y, z.mT, beta=0).values()
    return values if place is None else torch.empty_like(values).index_copy_(0, place, values)


def _csr(matrix: Compressed, values: Tensor, shape: tuple[int, int]) -> Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support", category=UserWarning)
        return torch.sparse_csr_tensor(
            matrix.pointer, matrix.index, values, shape, check_invariants=False
        )


@csr_product.register_fake
def _(pointer, index, place, back_pointer, back_index, back_place, weight, z):  # type: ignore[no-untyped-def]
    return z.new_empty(pointer.shape[0] - 1, z.shape[1])


@csr_sampled_product.register_fake
def _(pointer, index, place, back_pointer, back_index, back_place, y, z):  # type: ignore[no-untyped-def]
    return z.new_empty(index.shape[0])


def _save(ctx, inputs: tuple[Tensor, ...], output: Tensor) -> None:  # type: ignore[no-untyped-def]
    ctx.save_for_backward(*inputs)


def _product_gradients(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[no-untyped-def]
    *structure, weight, z = ctx.saved_tensors
    forward, backward = structure[:3], structure[3:]
    of_weight = of_z = None
    if ctx.needs_input_grad[6]:
        of_weight = csr_sampled_product(*forward, *backward, grad, z)
    if ctx.needs_input_grad[7]:
        of_z = csr_product(*backward, *forward, weight, grad)
    return *(None,) * 6, of_weight, of_z


def _sampled_gradients(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[no-untyped-def]
    *structure, y, z = ctx.saved_tensors
    forward, backward = structure[:3], structure[3:]
    of_y = of_z = None
    if ctx.needs_input_grad[6]:
        of_y = csr_product(*forward, *backward, grad, z)
    if ctx.needs_input_grad[7]:
        of_z = csr_product(*backward, *forward, grad, y)
    return *(None,) * 6, of_y, of_z


csr_product.register_autograd(_product_gradients, setup_context=_save)
csr_sampled_product.register_autograd(_sampled_gradients, setup_context=_save)
