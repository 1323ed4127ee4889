"""Normalisation layers of a feature map (B, C, *spatial) that leave padded positions out."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from snl_graph.kernels import NodeSet, ShardedNodeSet
from snl_graph.names import lookup
from snl_graph.sharding import NodeShards


class BatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm of maps of any dimension; padded positions do not enter its statistics."""

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 3:
            raise ValueError(f"expected a map (B, C, *spatial), got {tuple(input.shape)}.")

    def forward(
        self, input: Tensor, valid: Tensor | None = None, nodes: NodeSet | None = None
    ) -> Tensor:
        """Normalised map.

        Args:
            input: Shape (B, C, *spatial).
            valid: Shape (B, *spatial), bool: the positions that count.
            nodes: Which positions belong together, where items do not say.
        """
        shards = _shards(nodes)
        has_moments = not self.training and self.running_mean is not None
        if (valid is None and shards is None) or has_moments:
            if self.training and input.numel() == input.shape[1]:
                raise ValueError(
                    "batch norm in training needs more than one value a channel; a map of shape "
                    f"{tuple(input.shape)} has one. Train on more items or positions "
                    '(drop_last=True), or make the block with norm="group".'
                )
            return super().forward(input)
        axes = [0, *range(2, input.dim())]
        mean, variance, count = _moments(input, valid, axes, shards)
        if self.training and self.track_running_stats:
            self._track(mean.detach().flatten(), variance.detach().flatten(), count.flatten())
        scaled = (input - mean) * (variance + self.eps).rsqrt()
        return _affine(scaled.to(input.dtype), self.weight, self.bias)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        share: float | Tensor | None = self.momentum
        if share is None:  # a mean of all batches
            share = 1 / self.num_batches_tracked.to(mean.dtype)
        unbiased = variance * count / (count - 1).clamp(min=1)
        self.running_mean.add_(share * (mean - self.running_mean))
        self.running_var.add_(share * (unbiased - self.running_var))


class GroupNorm(nn.GroupNorm):
    """Group norm of a map; padded positions do not enter its statistics."""

    def forward(
        self, input: Tensor, valid: Tensor | None = None, nodes: NodeSet | None = None
    ) -> Tensor:
        """Normalised map; see :meth:`BatchNorm.forward`."""
        if nodes is not None and nodes.batch is not None:
            return self._of_each_graph(input, nodes)
        shards = _shards(nodes)
        if valid is None and shards is None:
            return super().forward(input)
        grouped = input.unflatten(1, (self.num_groups, self.num_channels // self.num_groups))
        marks = None if valid is None else valid.unsqueeze(1)
        mean, variance, _ = _moments(grouped, marks, list(range(2, grouped.dim())), shards)
        scaled = (grouped - mean) * (variance + self.eps).rsqrt()
        return _affine(scaled.flatten(1, 2).to(input.dtype), self.weight, self.bias)

    def _of_each_graph(self, input: Tensor, nodes: NodeSet) -> Tensor:
        """Graphs one after the other, (1, C, N), with the moments of each by itself."""
        signals = input.mT.unflatten(-1, (self.num_groups, -1))  # (1, N, groups, C / groups)
        signals = signals.to(torch.promote_types(input.dtype, torch.float32))

        def mean(values: Tensor) -> Tensor:
            return nodes.mean(values.mean(-1)).unsqueeze(-1)

        centred = signals - mean(signals)
        scaled = centred * (mean(centred.square()) + self.eps).rsqrt()
        return _affine(scaled.flatten(-2).mT.to(input.dtype), self.weight, self.bias)


class LayerNorm(nn.LayerNorm):
    """Layer norm over the channels of each position, so padding needs no care."""

    def forward(
        self, input: Tensor, valid: Tensor | None = None, nodes: NodeSet | None = None
    ) -> Tensor:
        """Normalised map."""
        return super().forward(input.movedim(1, -1)).movedim(-1, 1)


class NoNorm(nn.Identity):
    """No normalisation layer."""

    def forward(
        self, input: Tensor, valid: Tensor | None = None, nodes: NodeSet | None = None
    ) -> Tensor:
        """The map itself."""
        return input


def normalised(norm: nn.Module, x: Tensor, valid: Tensor | None, nodes: NodeSet | None) -> Tensor:
    """The map after a norm that leaves out what is not valid, and counts what other processes hold.

    Args:
        norm: One of this module, or what was put in its place.
        x: Shape (B, C, *spatial).
        valid: Shape (B, *spatial), bool.
        nodes: Which positions belong together, where items do not say: graphs one after the other,
            (1, C, N), or positions spread over processes.

    Raises:
        TypeError: If another norm would count padded positions, or only those of one process, or
            those of several graphs as one.
    """
    is_batch_norm = isinstance(norm, nn.modules.batchnorm._BatchNorm)
    counts_all = nodes is None or (is_batch_norm and nodes.batch is not None)
    has_moments = is_batch_norm and not norm.training and norm.running_mean is not None
    if (valid is None and counts_all) or has_moments:  # then padding and parts do not matter
        normalised: Tensor = norm(x)
        return normalised
    if not isinstance(norm, (BatchNorm, GroupNorm, LayerNorm, NoNorm)):
        raise TypeError(
            f"{type(norm).__name__} in the place of the block's norm cannot leave out the padding "
            "of valid= or of a batch of graphs, nor count what other processes hold. "
            'Make the block with norm="group", which convert_sync_batchnorm leaves as it is.'
        )
    normalised = norm(x, valid, nodes)
    return normalised


def _shards(nodes: NodeSet | None) -> NodeShards | None:
    """The processes that hold the rest of the map."""
    return nodes.shards if isinstance(nodes, ShardedNodeSet) else None


NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": BatchNorm,
    "group": lambda channels: GroupNorm(math.gcd(32, channels), channels),
    "layer": LayerNorm,
    "none": lambda channels: NoNorm(),
}
"""Normalisation layers by name, of so many channels."""


def as_norm(name: str, channels: int) -> nn.Module:
    """Normalisation layer of a name.

    Args:
        name: A name of ``NORMS``, or "group:G" for G groups.
        channels: C of the map.

    Raises:
        ValueError: If the name is unknown, or G does not divide C.

    Example:
        >>> as_norm("group:4", 8).num_groups
        4
    """
    if not (isinstance(name, str) and name.startswith("group:")):
        return lookup({**NORMS, "group:G": NORMS["group"]}, name, "norm")(channels)
    groups = name.removeprefix("group:")
    if not groups.isdecimal() or not int(groups) or channels % int(groups):
        raise ValueError(
            f'write a group norm as "group:G" with a whole G ≥ 1 that divides the {channels} '
            f'channels; got "{name}".'
        )
    return GroupNorm(int(groups), channels)


def _moments(
    x: Tensor, valid: Tensor | None, axes: list[int], shards: NodeShards | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, variance and number of the values at valid positions; float32 at least."""
    weight = None if valid is None else valid.unsqueeze(1).expand_as(x)
    x = x.to(torch.promote_types(x.dtype, torch.float32))

    def sums(values: Tensor) -> Tensor:
        kept = values if weight is None else values.where(weight, 0)
        return kept.sum(axes, keepdim=True)

    total = sums(x)
    if weight is None:
        count = torch.full_like(total, math.prod(x.shape[axis] for axis in axes))
    else:
        count = weight.sum(axes, keepdim=True).to(x.dtype)
    if shards is not None:
        total, count = shards.total(total, count)
    count = count.clamp(min=1)
    mean = total / count
    squares = sums((x - mean).square())
    if shards is not None:
        (squares,) = shards.total(squares)
    return mean, squares / count, count


def _affine(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    if weight is None or bias is None:
        return x
    shape = (1, -1, *[1] * (x.dim() - 2))
    return x * weight.view(shape) + bias.view(shape)
