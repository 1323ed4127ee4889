"""A layout: how one implementation names the weights of its block, and what it computes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor

from snl_graph.interchange.errors import InterchangeError
from snl_graph.interchange.foreign import ForeignWeights, LinearMap
from snl_graph.interchange.report import Carried


@dataclass(frozen=True)
class Settings:
    """What the weights of a block do not tell; None where the caller did not say.

    Attributes:
        mode: Which affinity.
        use_scale: Whether it is scaled.
        subsample: Stride of the pooling of keys and values.
        recurrence: How often the block is applied.
        norm: The norm after it, where its weights do not tell.
    """

    mode: str | None = None
    use_scale: bool | None = None
    subsample: int | tuple[int, ...] | None = None
    recurrence: int | None = None
    norm: str | None = None

    def given(self) -> dict[str, Any]:
        """What the caller said."""
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass
class Reading:
    """What a layout made of the weights, before a block is built of it.

    Attributes:
        row: Row of Table 1.
        channels: C.
        options: Arguments of ``nonlocal_block``.
        tensors: Weights by their names here.
        matched: Where they are from.
        assumed: What was taken to be.
        differences: Where the block here does something else.
    """

    row: str
    channels: int
    options: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    matched: list[Carried] = field(default_factory=list)
    assumed: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)

    def carry(self, name: str, tensor: Tensor, *sources: str, how: str = "") -> None:
        """One weight."""
        self.tensors[name] = tensor
        self.matched.append(Carried(name, sources, how))

    def carry_map(self, name: str, linear: LinearMap, *sources: str, how: str = "") -> None:
        """Weight and bias of a 1×1 convolution."""
        self.carry(f"{name}.weight", linear.weight, f"{linear.name}.weight", *sources, how=how)
        if linear.bias is not None:
            self.carry(f"{name}.bias", linear.bias, f"{linear.name}.bias", *sources, how=how)

    def carry_norm(self, weights: ForeignWeights, name: str) -> None:
        """Everything that a norm called ``name`` there has."""
        for part in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
            if weights.has(f"{name}.{part}"):
                source = f"{name}.{part}"
                self.carry(f"units.0.bn.{part}", weights.tensor(source), source)
        self.assumed.append("eps=1e-05 of the norm, the default everywhere, is not in weights")


class Layout(ABC):
    """The keys of one implementation, and the formula behind them.

    Attributes:
        name: Of the layout.
        source: Which implementation writes such keys.
        anchors: Ends of keys, one of which every such block has.
        takes: Settings that mean something for it.
        modes: Affinities it can have, the one that is taken unasked first.
        refused: Affinities it can have that no block here has, and why.
    """

    name: ClassVar[str]
    source: ClassVar[str]
    anchors: ClassVar[tuple[str, ...]]
    takes: ClassVar[tuple[str, ...]] = ()
    modes: ClassVar[tuple[str, ...]] = ()
    refused: ClassVar[Mapping[str, str]] = {}

    @abstractmethod
    def matches(self, names: Collection[str]) -> bool:
        """Whether a block of these names is of this layout."""

    @abstractmethod
    def read(self, weights: ForeignWeights, settings: Settings) -> Reading:
        """What the weights are here.

        Raises:
            InterchangeError: If a weight is missing or of another kind, or the block there does
                what no block here does.
        """

    def check(self, settings: Settings) -> None:
        """Raise an error if a setting means nothing for this layout, or a mode is none of its."""
        for name in settings.given():
            if name not in self.takes:
                known = ", ".join(self.takes) or "none"
                raise InterchangeError(
                    f'{name} is no setting of a block of layout "{self.name}"; it takes: {known}.'
                )
        if settings.mode is not None and settings.mode in self.refused:
            raise InterchangeError(
                f'a block of layout "{self.name}" in mode "{settings.mode}" is not one of this '
                f"library: {self.refused[settings.mode]}"
            )
        if settings.mode is not None and settings.mode not in self.modes:
            choices = ", ".join(f'"{mode}"' for mode in (*self.modes, *self.refused))
            raise InterchangeError(
                f'layout "{self.name}" has the modes {choices}; got "{settings.mode}".'
            )

    def mode_of(self, settings: Settings, reading: Reading, *, alike: str = "") -> str:
        """The mode asked for, or the usual one with a word on it.

        Args:
            settings: What the caller said.
            reading: Where an assumption is noted.
            alike: Modes whose weights look the same.
        """
        if settings.mode is not None:
            return settings.mode
        reading.assumed.append(
            f'mode="{self.modes[0]}": weights look the same in mode {alike or self._others()}'
        )
        return self.modes[0]

    def _others(self) -> str:
        return " or ".join(f'"{mode}"' for mode in (*self.modes[1:], *self.refused))
