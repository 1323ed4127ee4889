"""Which ordered pairs of nodes are joined: the ⊙ mask of M = kernel(Φ, Ψ) ⊙ mask.

A mask lists its pairs two ways, as ``edges`` (2, E) with row 0 the source j and row 1 the target i,
and as a boolean ``matrix`` (N, N) with entry [i, j]. Both are computed without looking at data, so
they trace and never synchronise a device.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from snl_graph.checks import whole_number
from snl_graph.grids import Size, num_positions
from snl_graph.names import lookup


class Mask(ABC):
    """A set of ordered pairs (i, j) of the nodes of a grid or graph."""

    is_full: bool = False
    needs_grid: bool = False

    @abstractmethod
    def edges(self, size: Size, device: torch.device | None = None) -> Tensor:
        """The pairs as ``edge_index`` (2, E): row 0 is j, row 1 is i."""

    @abstractmethod
    def matrix(self, size: Size, device: torch.device | None = None) -> Tensor:
        """The pairs as booleans, (N, N), entry [i, j]."""

    @abstractmethod
    def num_edges(self, size: Size) -> int:
        """How many pairs there are."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class Full(Mask):
    """Every pair, self-loops included: the fully-connected graph of the paper."""

    is_full = True

    def edges(self, size: Size, device: torch.device | None = None) -> Tensor:
        return all_pairs(num_positions(size), num_positions(size), device)

    def matrix(self, size: Size, device: torch.device | None = None) -> Tensor:
        n = num_positions(size)
        return torch.ones(n, n, dtype=torch.bool, device=device)

    def num_edges(self, size: Size) -> int:
        return num_positions(size) ** 2


def all_pairs(targets: int, sources: int, device: torch.device | None = None) -> Tensor:
    """Every source at every target, (2, targets · sources), ordered by target."""
    source = torch.arange(sources, device=device).repeat(targets)
    target = torch.arange(targets, device=device).repeat_interleave(sources)
    return torch.stack([source, target])


def _coordinates(size: Size, device: torch.device | None) -> list[Tensor]:
    """Coordinate of every position along each axis, each of shape (N,)."""
    axes = [torch.arange(length, device=device) for length in size]
    return [grid.flatten() for grid in torch.meshgrid(*axes, indexing="ij")]


class CrissCross(Mask):
    """Pairs that differ in at most one coordinate: the rows and columns through a position.

    Source: Zhu et al., Eq. 12 (Huang et al., CCNet); here in any dimension, self counted once.

    Example:
        >>> CrissCross().num_edges((3, 4)), CrissCross().matrix((1, 2)).all().item()
        (72, True)
    """

    needs_grid = True

    def edges(self, size: Size, device: torch.device | None = None) -> Tensor:
        node = torch.arange(num_positions(size), device=device)
        sources = [node[:, None]]
        stride = num_positions(size)
        for coordinate, length in zip(_coordinates(size, device), size, strict=True):
            stride //= length
            step = torch.arange(1, length, device=device)
            other = (coordinate[:, None] + step) % length
            sources.append(node[:, None] + (other - coordinate[:, None]) * stride)
        source = torch.cat(sources, dim=1)
        return torch.stack([source.flatten(), node.repeat_interleave(source.shape[1])])

    def matrix(self, size: Size, device: torch.device | None = None) -> Tensor:
        differ = [c[:, None] != c[None, :] for c in _coordinates(size, device)]
        return torch.stack(differ).sum(dim=0) <= 1

    def num_edges(self, size: Size) -> int:
        return num_positions(size) * (1 + sum(length - 1 for length in size))


class Window(Mask):
    """Pairs at Chebyshev distance at most ``radius`` pixels: a (2R+1)-wide window, cut at borders.

    Args:
        radius: R ≥ 0 in pixels.

    Raises:
        ValueError: If ``radius`` is not an integer ≥ 0.
    """

    needs_grid = True

    def __init__(self, radius: int) -> None:
        self.radius = whole_number(radius, "the radius of a window, in pixels,", 0)

    def _num_pairs(self, length: int) -> int:
        """How many pairs one axis has."""
        reach = min(self.radius, length - 1)
        return length * (2 * reach + 1) - reach * (reach + 1)

    def _axis_pairs(self, length: int, device: torch.device | None) -> tuple[Tensor, Tensor]:
        """Source and target of the pairs of one axis, each (E_axis,), ordered by target."""
        node = torch.arange(length, device=device)
        first = (node - self.radius).clamp(min=0)
        count = (node + self.radius).clamp(max=length - 1) - first + 1
        total = self._num_pairs(length)
        target = node.repeat_interleave(count, output_size=total)  # told, so it need not wait
        before = count.cumsum(0) - count
        step = torch.arange(total, device=device) - before[target]
        return first[target] + step, target

    def edges(self, size: Size, device: torch.device | None = None) -> Tensor:
        target = source = torch.zeros(1, dtype=torch.long, device=device)
        for length in size:
            axis_source, axis_target = self._axis_pairs(length, device)
            source = (source[:, None] * length + axis_source).flatten()
            target = (target[:, None] * length + axis_target).flatten()
        return torch.stack([source, target])

    def matrix(self, size: Size, device: torch.device | None = None) -> Tensor:
        inside = [
            (c[:, None] - c[None, :]).abs() <= self.radius for c in _coordinates(size, device)
        ]
        return torch.stack(inside).all(dim=0)

    def num_edges(self, size: Size) -> int:
        return math.prod(self._num_pairs(length) for length in size)

    def __repr__(self) -> str:
        return f"Window({self.radius})"


class EdgeList(Mask):
    """The pairs of an edge list; repeated pairs count once, for a mask is a set.

    Args:
        edge_index: Shape (2, E), integer; row 0 is the source j, row 1 the target i.

    Raises:
        ValueError: If the shape, dtype or an index is wrong.
    """

    def __init__(self, edge_index: Tensor) -> None:
        _require_tensor(edge_index, "an edge list", "(2, E)")
        if edge_index.dim() != 2 or edge_index.shape[0] != 2:
            is_square = edge_index.dim() == 2 and edge_index.shape[0] == edge_index.shape[1]
            remedy = (
                "A matrix of pairs is boolean: matrix > 0."
                if is_square
                else "A list of pairs (E, 2) is pairs.t()."
            )
            raise ValueError(
                f"an edge list has shape (2, E), got {tuple(edge_index.shape)}. {remedy}"
            )
        if edge_index.dtype != torch.long:
            raise ValueError(
                f"an edge list holds torch.long indices, got {edge_index.dtype}. Use "
                "edge_index.long()."
            )
        if edge_index.numel() and int(edge_index.min()) < 0:
            raise ValueError(f"an edge list holds indices ≥ 0, got {int(edge_index.min())}.")
        self.edge_index = torch.unique(edge_index.flip(0), dim=1).flip(0)
        self._least_nodes = int(edge_index.max()) + 1 if edge_index.numel() else 0

    def _check(self, size: Size) -> int:
        if num_positions(size) < self._least_nodes:
            raise ValueError(
                f"this edge list names node {self._least_nodes - 1}, but there are only "
                f"{num_positions(size)} nodes, counted from 0."
            )
        return num_positions(size)

    def edges(self, size: Size, device: torch.device | None = None) -> Tensor:
        self._check(size)
        return self.edge_index.to(device)

    def matrix(self, size: Size, device: torch.device | None = None) -> Tensor:
        n = self._check(size)
        source, target = self.edge_index.to(device)
        matrix = torch.zeros(n, n, dtype=torch.bool, device=device)
        return matrix.index_put((target, source), torch.ones((), dtype=torch.bool, device=device))

    def num_edges(self, size: Size) -> int:
        return self.edge_index.shape[1]

    def __repr__(self) -> str:
        return f"EdgeList({self.edge_index.shape[1]} pairs)"


class BooleanMatrix(Mask):
    """The pairs where a boolean matrix is true, entry [i, j] with i the target.

    Args:
        matrix: Shape (N, N), dtype bool.

    Raises:
        ValueError: If it is not a square boolean matrix.
    """

    def __init__(self, matrix: Tensor) -> None:
        _require_tensor(matrix, "a mask matrix", "(N, N)")
        if matrix.dim() != 2 or matrix.shape[0] != matrix.shape[1] or matrix.dtype != torch.bool:
            raise ValueError(
                "a mask matrix is boolean of shape (N, N); got "
                f"{matrix.dtype} of shape {tuple(matrix.shape)}. Compare first: weights > 0."
            )
        self._matrix = matrix
        self._edges = matrix.nonzero().flip(1).T

    def _check(self, size: Size) -> None:
        if num_positions(size) != self._matrix.shape[0]:
            raise ValueError(
                f"this mask joins {self._matrix.shape[0]} nodes, but there are "
                f"{num_positions(size)} (size {tuple(size)}). Make one for this size, or take a "
                'mask by name, such as "criss_cross".'
            )

    def edges(self, size: Size, device: torch.device | None = None) -> Tensor:
        self._check(size)
        return self._edges.to(device)

    def matrix(self, size: Size, device: torch.device | None = None) -> Tensor:
        self._check(size)
        return self._matrix.to(device)

    def num_edges(self, size: Size) -> int:
        return self._edges.shape[1]

    def __repr__(self) -> str:
        return f"BooleanMatrix({self._matrix.shape[0]} nodes)"


def _require_tensor(value: object, what: str, shape: str) -> None:
    if not isinstance(value, Tensor):
        raise TypeError(
            f"{what} is a tensor {shape}, got {type(value).__name__}. Use torch.as_tensor(...)."
        )


MASKS: dict[str, Callable[[], Mask]] = {"full": Full, "criss_cross": CrissCross}
"""Masks by name; ``"window:R"`` is read by :func:`as_mask`."""


def as_mask(mask: Mask | str | Tensor) -> Mask:
    """Mask object of a name, a boolean matrix or an edge list.

    Args:
        mask: ``"full"``, ``"criss_cross"``, ``"window:R"``, a :class:`Mask`, a boolean tensor
            (N, N), or an ``edge_index`` (2, E). A tensor is looked through at every call, which
            synchronises a device; in a network make ``EdgeList(edge_index)`` once and pass that.

    Raises:
        ValueError: If the name is unknown or the tensor is neither form.

    Example:
        >>> as_mask("window:2")
        Window(2)
    """
    if isinstance(mask, Mask):
        return mask
    if isinstance(mask, Tensor):
        return BooleanMatrix(mask) if mask.dtype == torch.bool else EdgeList(mask)
    if isinstance(mask, str) and mask.startswith("window:"):
        radius = mask.removeprefix("window:")
        if not radius.isdecimal():
            raise ValueError(f'write a window as "window:R" with a whole R ≥ 0; got "{mask}".')
        return Window(int(radius))
    if not isinstance(mask, str | type):
        raise TypeError(
            f"mask is a name, a Mask, a boolean tensor (N, N) or an edge_index (2, E); got "
            f"{type(mask).__name__}. Of an array: torch.as_tensor(mask)."
        )
    return lookup({**MASKS, "window:R": Full}, mask, "mask", Mask)()
