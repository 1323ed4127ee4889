"""Weights of somebody else's block by name, and which of them have been taken."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from snl_graph.interchange.errors import InterchangeError


@dataclass(frozen=True)
class LinearMap:
    """A 1×1 convolution as the map of node signals that it is.

    Attributes:
        name: Its name there.
        weight: Shape (out, in).
        bias: Shape (out,), or None.
        axes: Spatial axes that it convolves; 0 for a plain linear layer.
    """

    name: str
    weight: Tensor
    bias: Tensor | None
    axes: int

    def times(self, factor: Tensor) -> LinearMap:
        """The same map with all it gives multiplied by a number."""
        bias = None if self.bias is None else self.bias * factor
        return LinearMap(self.name, self.weight * factor, bias, self.axes)


class ForeignWeights:
    """The weights below a prefix of a state dict.

    Args:
        tensors: All weights by name.
        prefix: What the names of the block begin with, without the last dot; "" for all.
    """

    def __init__(self, tensors: Mapping[str, Tensor], prefix: str = "") -> None:
        self.prefix = prefix
        start = f"{prefix}." if prefix else ""
        self._tensors = {
            name.removeprefix(start): tensor
            for name, tensor in tensors.items()
            if name.startswith(start)
        }
        self._taken: set[str] = set()

    @property
    def names(self) -> list[str]:
        """All names, relative to the prefix."""
        return list(self._tensors)

    @property
    def untaken(self) -> list[str]:
        """Names nobody has asked for."""
        return [name for name in self._tensors if name not in self._taken]

    def has(self, name: str) -> bool:
        """Whether there is a weight of that name."""
        return name in self._tensors

    def first_of(self, *names: str) -> str:
        """The first of these modules that has a weight.

        Raises:
            InterchangeError: If none has.
        """
        for name in names:
            if self.has(f"{name}.weight"):
                return name
        wanted = " or ".join(f'"{name}.weight"' for name in names)
        raise InterchangeError(
            f"{self._called()} has no {wanted}; it has {', '.join(self.names[:8]) or 'nothing'}."
        )

    def tensor(self, name: str) -> Tensor:
        """The weight of that name; marks it as taken.

        Raises:
            InterchangeError: If there is none.
        """
        if name not in self._tensors:
            raise InterchangeError(
                f'{self._called()} has no "{name}"; it has {", ".join(self.names[:8])}.'
            )
        self._taken.add(name)
        return self._tensors[name].detach()

    def linear(self, name: str, groups: int = 1) -> LinearMap:
        """The 1×1 convolution of that name.

        Args:
            name: Name of the module.
            groups: Its groups; the weight of all of them is block-diagonal then.

        Raises:
            InterchangeError: If it is missing, or convolves more than one position.
        """
        weight = self.tensor(f"{name}.weight")
        if weight.dim() < 2 or math.prod(weight.shape[2:]) != 1:
            raise InterchangeError(
                f'"{self._full(name)}" has a weight of shape {tuple(weight.shape)}; a nonlocal '
                "block has 1×1 convolutions, of shape (out, in, 1, ...)."
            )
        bias = self.tensor(f"{name}.bias") if self.has(f"{name}.bias") else None
        axes = weight.dim() - 2
        flat = weight.flatten(1)
        if groups > 1:
            rows, columns = flat.shape
            spread = flat.new_zeros(rows, columns * groups)
            for group, part in enumerate(flat.chunk(groups)):
                at = group * (rows // groups)
                spread[at : at + len(part), group * columns : (group + 1) * columns] = part
            flat = spread
        return LinearMap(name, flat, bias, axes)

    def _full(self, name: str) -> str:
        return f"{self.prefix}.{name}".lstrip(".")

    def _called(self) -> str:
        return f'"{self.prefix}"' if self.prefix else "the state dict"
