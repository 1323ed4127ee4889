"""What a node is: a position (in one or several heads), or a (position, channel) pair."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from snl_graph.checks import whole_number


class Arrangement(ABC):
    """A reversible arrangement of features (B, N, C) into node signals (*batch, N', C')."""

    @abstractmethod
    def arrange(self, features: Tensor) -> Tensor:
        """Node signals (*batch, N', C') of features (B, N, C)."""

    @abstractmethod
    def restore(self, signals: Tensor, positions: int) -> Tensor:
        """Features (B, positions, C) of node signals; the inverse of :meth:`arrange`."""

    @abstractmethod
    def arrange_valid(self, valid: Tensor, channels: int) -> Tensor:
        """Which nodes are real, (*batch, N'), of real positions (B, N)."""

    @abstractmethod
    def check(self, channels: int, name: str) -> None:
        """Raise a ``ValueError`` if features of so many channels cannot be arranged."""


class Positions(Arrangement):
    """Every position is a node: (B, N, C), or (B, heads, N, C / heads) with several heads.

    Args:
        heads: Into how many parts the channels are split; each has an affinity of its own.
    """

    def __init__(self, heads: int = 1) -> None:
        self.heads = whole_number(heads, "heads")

    def arrange(self, features: Tensor) -> Tensor:
        if self.heads == 1:
            return features
        return features.unflatten(-1, (self.heads, -1)).transpose(-3, -2)

    def restore(self, signals: Tensor, positions: int) -> Tensor:
        return signals if self.heads == 1 else signals.transpose(-3, -2).flatten(-2)

    def arrange_valid(self, valid: Tensor, channels: int) -> Tensor:
        if self.heads == 1:
            return valid
        return valid.unsqueeze(-2).expand(*valid.shape[:-1], self.heads, valid.shape[-1])

    def check(self, channels: int, name: str) -> None:
        if channels % self.heads:
            raise ValueError(
                f"{name}={channels} cannot be split into {self.heads} heads. Take a number that "
                "divides it, or hidden_channels=... yourself."
            )


class PositionsTimesChannels(Arrangement):
    """Every (position, channel) pair of a channel group is a node: (B, groups, N · C/groups, 1).

    Source: Zhu et al., Eq. 11 (Yue et al., CGNL). With one group the group axis is dropped.

    Args:
        groups: Number of channel groups; pairs are joined inside a group.
    """

    def __init__(self, groups: int = 1) -> None:
        self.groups = whole_number(groups, "groups")

    def arrange(self, features: Tensor) -> Tensor:
        grouped = features.mT.unflatten(-2, (self.groups, -1))  # (B, groups, C / groups, N)
        signals = grouped.flatten(-2).unsqueeze(-1)
        return signals.squeeze(-3) if self.groups == 1 else signals

    def restore(self, signals: Tensor, positions: int) -> Tensor:
        signals = signals.unsqueeze(-3) if self.groups == 1 else signals
        grouped = signals.squeeze(-1).unflatten(-1, (-1, positions))
        return grouped.flatten(-3, -2).mT

    def arrange_valid(self, valid: Tensor, channels: int) -> Tensor:
        nodes = valid.repeat(*[1] * (valid.dim() - 1), channels // self.groups)
        if self.groups == 1:
            return nodes
        return nodes.unsqueeze(-2).expand(*nodes.shape[:-1], self.groups, nodes.shape[-1])

    def check(self, channels: int, name: str) -> None:
        if channels % self.groups:
            raise ValueError(
                f"{name}={channels} cannot be split into {self.groups} groups. Take a number that "
                "divides it, or hidden_channels=... yourself."
            )
