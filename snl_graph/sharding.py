"""Nodes spread over the processes of a device mesh: who holds what, and sums over all nodes.

What is done at each node is done where the node lies. The processes meet only in sums over nodes,
whose size does not depend on the number of nodes: these are all-reduced, forward and backward.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeGuard

import torch
import torch.distributed as dist
from torch import Tensor, nn

if TYPE_CHECKING or dist.is_available():  # some builds of PyTorch come without
    from torch.distributed.device_mesh import DeviceMesh
    from torch.distributed.tensor import DTensor, Partial, Replicate, Shard


def is_distributed(x: object) -> TypeGuard[DTensor]:
    """Whether ``x`` is a DTensor."""
    return dist.is_available() and isinstance(x, DTensor)


@dataclass(frozen=True)
class NodeShards:
    """The nodes of one set, each of them on one process of a 1-D device mesh.

    Args:
        mesh: The processes.
    """

    mesh: DeviceMesh

    def total(self, *parts: Tensor) -> tuple[Tensor, ...]:
        """Sums over all processes of tensors that are of the same shapes on each; one all-reduce.

        The gradient of a total is a sum over processes too: one all-reduce in the backward pass.
        """
        flat = torch.cat([part.flatten() for part in parts])
        # Summed in float32 at least: half precision would lose a little at every process.
        precise = flat.to(torch.promote_types(flat.dtype, torch.float32))
        total: Tensor = _Total.apply(precise, self.mesh)
        sums = total.to(flat.dtype).split([part.numel() for part in parts])
        return tuple(sum.view(part.shape) for sum, part in zip(sums, parts, strict=True))

    @torch.no_grad()
    def largest(self, values: Tensor) -> Tensor:
        """Largest of each entry over all processes, as a constant; one all-reduce."""
        largest = values.detach().clone(memory_format=torch.contiguous_format)
        dist.all_reduce(largest, op=dist.ReduceOp.MAX, group=self.mesh.get_group())
        return largest

    def whole(self, part: Tensor, axis: int, count: int) -> DTensor:
        """The DTensor of the parts, with ``count`` nodes along ``axis``."""
        axis %= part.dim()
        shape = torch.Size((*part.shape[:axis], count, *part.shape[axis + 1 :]))
        stride = tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))
        return self.laid(part.contiguous(), axis, shape, stride)

    def laid(self, part: Tensor, axis: int, shape: torch.Size, stride: tuple[int, ...]) -> DTensor:
        """The DTensor of the parts, of a given shape and stride."""
        return DTensor.from_local(
            part, self.mesh, [Shard(axis)], run_check=False, shape=shape, stride=stride
        )


class _Total(torch.autograd.Function):
    """Sum over the processes; its gradient is the same sum of the gradients."""

    @staticmethod
    def forward(ctx: Any, part: Tensor, mesh: DeviceMesh) -> Tensor:
        ctx.mesh = mesh
        total = part.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total, group=mesh.get_group())
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return _Total.apply(grad, ctx.mesh), None


def node_shards(tensors: Mapping[str, tuple[Tensor | None, Sequence[int]]]) -> NodeShards:
    """How the nodes of several tensors are spread, all in the same way.

    Args:
        tensors: Each tensor by its name, with the axes along which it may be sharded, the first of
            which an error proposes.

    Raises:
        ValueError: If one is a plain tensor, or is on another mesh, or sharded another way.
    """
    given = {name: (x, axes) for name, (x, axes) in tensors.items() if x is not None}
    meshes = {name: x.device_mesh for name, (x, _) in given.items() if is_distributed(x)}
    leader, mesh = next(iter(meshes.items()))
    if mesh.ndim != 1:
        raise ValueError(
            f"nodes are spread over one axis of processes; {leader} is on a mesh of shape "
            f'{tuple(mesh.shape)}. Use one axis of it: mesh["name of the axis"].'
        )
    for name, (x, axes) in given.items():
        axis = axes[0] % x.dim()
        if not is_distributed(x):
            raise ValueError(
                f"{leader} is spread over processes and {name} is a plain tensor. Spread it as "
                f"well: distribute_tensor({name}, mesh, [Shard({axis})])."
            )
        if x.device_mesh != mesh:
            raise ValueError(
                f"{leader} and {name} are on different device meshes, {mesh} and {x.device_mesh}. "
                "Make both on one."
            )
        if not any(x.placements[0] == Shard(allowed % x.dim()) for allowed in axes):
            raise ValueError(
                f"{name} of shape {tuple(x.shape)} is placed as {x.placements[0]!r}, but what is "
                f"spread are its nodes, {_axes_named(axes, x.dim())}: "
                f"{name}.redistribute(placements=[Shard({axis})])."
            )
    return NodeShards(mesh)


def _axes_named(axes: Sequence[int], dim: int) -> str:
    names = [str(axis % dim) for axis in axes]
    return f"axis {names[0]}" if len(names) == 1 else f"one of the axes {', '.join(names)}"


def part_here(x: Tensor) -> Tensor:
    """This process's part of a DTensor; its gradient is that part of the gradient."""
    return x.to_local() if is_distributed(x) else x


def require_distributed(x: Tensor, name: str, weight: Tensor, axis: int) -> None:
    """Raise a ``ValueError`` if weights are spread over processes and the input ``x`` is not."""
    if is_distributed(weight) and not is_distributed(x):
        raise ValueError(
            f"the weights are spread over {weight.device_mesh}, but {name} is a plain tensor. "
            f"Spread its nodes: distribute_tensor({name}, mesh, [Shard({axis % x.dim()})])."
        )


@contextmanager
def plain_weights(module: nn.Module, mesh: DeviceMesh) -> Iterator[None]:
    """A context in which each weight of a module is a plain tensor with all its numbers.

    The gradient of a weight is summed over the processes: one all-reduce a weight.

    Args:
        module: A module whose weights are DTensors.
        mesh: Their processes.

    Raises:
        ValueError: If a weight is not on the mesh.
    """
    weights: list[tuple[dict[str, Any], str, Tensor]] = []
    plain: list[Tensor] = []
    for prefix, owner in module.named_modules():
        for table in (owner._parameters, owner._buffers):
            for name, weight in table.items():
                if weight is not None:
                    weights.append((table, name, weight))
                    plain.append(_copy_of(weight, f"{prefix}.{name}".lstrip("."), mesh))
    try:
        for (table, name, _), copy in zip(weights, plain, strict=True):
            table[name] = copy
        yield
    finally:
        for table, name, weight in weights:
            table[name] = weight


def _copy_of(weight: Tensor, name: str, mesh: DeviceMesh) -> Tensor:
    if not is_distributed(weight) or weight.device_mesh != mesh:
        came = f"on {weight.device_mesh}" if is_distributed(weight) else "a plain tensor"
        raise ValueError(
            f"the input is spread over {mesh}, but {name} is {came}. Give every process the "
            "weights first: torch.distributed.tensor.distribute_module(module, mesh)."
        )
    if not weight.requires_grad:  # the very numbers, for a norm writes its statistics to them
        with torch.no_grad():
            return weight.redistribute(placements=[Replicate()]).to_local()
    whole = weight.redistribute(placements=[Replicate()])
    return whole.to_local(grad_placements=[Partial()])
