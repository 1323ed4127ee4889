"""Batches of P persons × K tracklets, in which a triplet loss finds its triplets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.utils.data import Sampler


class IdentitySampler(Sampler[int]):
    """Indices in runs of P·K: P different labels, K items of each.

    Every pass visits every label once, in a new order, and takes K of its items at random,
    different ones as long as it has so many. Labels that fill no whole batch at the end of a pass
    are left out of it. Order and choice depend on the seed and the pass alone, which Lightning sets
    by :meth:`set_epoch`, so a resumed run goes on as one that was not stopped.

    Source: Hermans, Beyer, Leibe, *In Defense of the Triplet Loss* (2017); one pass is as in Gao
    and Nevatia (2018).

    Args:
        labels: Of every item.
        identities: P.
        tracklets: K.
        seed: Of order and choice.
        rank: Of this process.
        num_replicas: Processes that share each pass; each takes every so-manieth batch.

    Raises:
        ValueError: If there are fewer labels than one batch for every process needs.

    Example:
        >>> sampler = IdentitySampler([0, 0, 0, 1, 1, 2], identities=2, tracklets=2)
        >>> [len({[0, 0, 0, 1, 1, 2][i] for i in sampler}), len(sampler)]
        [2, 4]
    """

    def __init__(
        self,
        labels: Sequence[int],
        identities: int,
        tracklets: int,
        *,
        seed: int = 0,
        rank: int = 0,
        num_replicas: int = 1,
    ) -> None:
        values = torch.as_tensor(labels)
        self.members: list[Tensor] = [
            (values == label).nonzero().flatten() for label in values.unique()
        ]
        for name, value in (("identities", identities), ("tracklets", tracklets)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1; got {value}.")
        if not 0 <= rank < num_replicas:
            raise ValueError(f"rank must lie in 0 .. {num_replicas - 1}; got {rank}.")
        if len(self.members) < identities * num_replicas:
            fewer = max(1, len(self.members) // num_replicas)
            raise ValueError(
                f"there are {len(self.members)} persons; a batch of {identities} for each of "
                f"{num_replicas} processes needs {identities * num_replicas}. Ask for fewer: "
                f"identities={fewer}, batches of {fewer * tracklets}."
            )
        self.identities = identities
        self.tracklets = tracklets
        self.seed = seed
        self.rank = rank
        self.num_replicas = num_replicas
        self.epoch = 0

    @property
    def batch_size(self) -> int:
        """P·K, what the loader must take at a time."""
        return self.identities * self.tracklets

    def set_epoch(self, epoch: int) -> None:
        """Number of the next pass."""
        self.epoch = epoch

    def _batches(self) -> int:
        return len(self.members) // (self.identities * self.num_replicas)

    def __len__(self) -> int:
        return self._batches() * self.batch_size

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(len(self.members), generator=generator).tolist()
        chosen = [self._choice(self.members[place], generator) for place in order]
        for batch in range(self._batches()):
            first = (batch * self.num_replicas + self.rank) * self.identities
            for items in chosen[first : first + self.identities]:
                yield from items

    def _choice(self, members: Tensor, generator: torch.Generator) -> list[int]:
        """K of a person's tracklets: all of them before any comes twice."""
        rounds = -(-self.tracklets // len(members))
        shuffled = [
            members[torch.randperm(len(members), generator=generator)] for _ in range(rounds)
        ]
        return torch.cat(shuffled)[: self.tracklets].tolist()
