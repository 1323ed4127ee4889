"""The learned maps Z ↦ Z W_t of all taps, where they act on every node by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor, nn
from torch_geometric.nn.dense import Linear

from snl_graph.operators.eager import has_hooks, is_eager

_ROWS = 1024
"""Rows of a block: with its images it stays in a core's cache."""

_LEAST_ROWS = 8 * _ROWS
"""Where the blocks begin to pay."""


class JointMaps(Mapping[int, Callable[[Tensor], Tensor]]):
    """One map a tap that acts on channels alone, so that it commutes with every operator on nodes.

    A filter may therefore apply A before the maps or after them, whichever is narrower.

    Args:
        maps: A linear module of each tap.
        width: C', channels of their images.
    """

    def __init__(self, maps: Mapping[int, nn.Module], width: int) -> None:
        self.maps, self.width = dict(maps), width

    def __getitem__(self, tap: int) -> Callable[[Tensor], Tensor]:
        return self.maps[tap]

    def __iter__(self) -> Iterator[int]:
        return iter(self.maps)

    def __len__(self) -> int:
        return len(self.maps)

    def images(self, z: Tensor) -> dict[int, Tensor]:
        """Z W_t of each tap, (*batch, N, C'), of one signal (*batch, N, C)."""
        if _is_large(z):
            weights = [_plain_weight(module) for module in self.maps.values()]
            if all(weight is not None and weight.dtype == z.dtype for weight in weights):
                images = _JointProduct.apply(z.flatten(0, -2), *weights)
                shape = z.shape[:-1]
                pairs = zip(self, images, strict=True)
                return {tap: image.unflatten(0, shape) for tap, image in pairs}
        return {tap: module(z) for tap, module in self.maps.items()}


def _plain_weight(module: nn.Module) -> Tensor | None:
    """The matrix of a module that does nothing else than multiply by it, bare of any hook."""
    if type(module) is not Linear or module.bias is not None or has_hooks(module):
        return None
    return module.weight


def _is_large(z: Tensor) -> bool:
    """Whether a product in blocks pays, and nothing is at work that it does not serve."""
    if not is_eager(z) or z.device.type != "cpu" or torch.is_autocast_enabled("cpu"):
        return False
    return z.shape[:-1].numel() >= _LEAST_ROWS


class _JointProduct(torch.autograd.Function):
    """Z W_tᵀ of several W_t (C', C), block by block of rows.

    A product of one wide matrix is the fastest, but its result would have to be taken apart, and
    its gradient put together, in memory; in blocks both are done in the cache.
    """

    @staticmethod
    def forward(ctx, z: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(z, *weights)
        stacked = torch.cat(weights).T  # (C, T·C')
        images = tuple(z.new_empty(z.shape[0], weight.shape[0]) for weight in weights)
        widths = [weight.shape[0] for weight in weights]
        for rows in _blocks(z.shape[0]):
            parts = (z[rows] @ stacked).split(widths, dim=1)
            for image, part in zip(images, parts, strict=True):
                image[rows] = part
        return images

    @staticmethod
    def backward(ctx, *grads: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[no-untyped-def]
        z, *weights = ctx.saved_tensors
        if torch.is_grad_enabled():  # to be differentiated again
            pairs = list(zip(grads, weights, strict=True))
            return sum(grad @ weight for grad, weight in pairs), *(grad.T @ z for grad in grads)
        wants_z, wants_weights = ctx.needs_input_grad[0], any(ctx.needs_input_grad[1:])
        stacked = torch.cat(weights)
        of_z = torch.empty_like(z) if wants_z else None
        of_weights = torch.zeros_like(stacked) if wants_weights else None
        for rows in _blocks(z.shape[0]):
            part = torch.cat([grad[rows] for grad in grads], dim=1)  # (rows, T·C')
            if of_z is not None:
                torch.mm(part, stacked, out=of_z[rows])
            if of_weights is not None:
                of_weights.addmm_(part.T, z[rows])
        if of_weights is None:
            return of_z, *(None for _ in weights)
        return of_z, *of_weights.split([weight.shape[0] for weight in weights])


def _blocks(count: int) -> Iterator[slice]:
    for start in range(0, count, _ROWS):
        yield slice(start, start + _ROWS)
