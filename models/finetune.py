"""Fine-tuning: rates of their own for some parameters, and blocks that learn before the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.strategies import ParallelStrategy
from torch import nn
from torch.optim import Optimizer

from snl_graph import inserted_blocks

HEADS = ("fc.*", "head.*", "classifier.*", "decoder.*")
"""Last layers, by the names that the networks give them; the decoder of VTN is behind an encoder
that others have trained."""


def _first_match(name: str, patterns: Sequence[str]) -> str | None:
    return next((pattern for pattern in patterns if fnmatchcase(name, pattern)), None)


def parameter_groups(
    network: nn.Module, learning_rate: float, rates: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Groups of parameters for an optimiser, each with its learning rate.

    Args:
        network: Whose parameters they are.
        learning_rate: Of parameters that no pattern matches.
        rates: Factor of the learning rate by pattern of the name, such as ``layer1.*``; the first
            that matches decides. A factor of 0 keeps the parameters as they are.

    Returns:
        One group without patterns, else one for each pattern and one for the rest; none is empty.

    Raises:
        ValueError: If a pattern matches no parameter that an earlier one has not taken, or a
            factor is negative.

    Example:
        >>> network = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
        >>> [(g["lr"], len(g["params"])) for g in parameter_groups(network, 0.1, {"1.*": 10})]
        [(0.1, 2), (1.0, 2)]
    """
    patterns = tuple(rates)
    members: dict[str | None, list[nn.Parameter]] = {None: [], **{p: [] for p in patterns}}
    for name, parameter in network.named_parameters():
        members[_first_match(name, patterns)].append(parameter)
    for pattern, factor in rates.items():
        if not factor >= 0:
            raise ValueError(f'the rate of "{pattern}" must not be negative; got {factor}.')
        if not members[pattern]:
            names = ", ".join(dict.fromkeys(n.split(".")[0] for n, _ in network.named_parameters()))
            raise ValueError(
                f'the pattern "{pattern}" of rates decides the rate of no parameter. Names begin '
                f'with {names}; a pattern matches the whole name, for instance "fc.*".'
            )
    return [
        {"params": params, "lr": learning_rate * (1.0 if pattern is None else rates[pattern])}
        for pattern, params in members.items()
        if params
    ]


def new_parameters(network: nn.Module) -> set[str]:
    """Names of what a pretrained network lacks: inserted blocks and the last layer."""
    places = tuple(f"{place}.inserted." for place in inserted_blocks(network))
    return {
        name
        for name, _ in network.named_parameters()
        if name.startswith(places) or _first_match(name, HEADS)
    }


class NewFirst(Callback):
    """Trains what is new alone for the first epochs, with the rest of the network as it is.

    Meanwhile the rest keeps its weights and the running statistics of its batch norms. On one
    device no gradients of it are computed; where several train together they are computed and
    dropped, for ``DistributedDataParallel`` waits for those it saw at the start.

    Args:
        network: To train, with its blocks.
        epochs: How many epochs.

    Raises:
        ValueError: If it has neither blocks nor a last layer known by its name.
    """

    def __init__(self, network: nn.Module, epochs: int) -> None:
        new = new_parameters(network)
        if not new:
            raise ValueError(
                "frozen_epochs keeps all but the blocks and the last layer as they are, and this "
                "network has neither. Insert a block, or leave frozen_epochs out."
            )
        self.epochs = epochs
        self.network, self.new = network, new
        self.norms = [
            module
            for name, module in network.named_modules()
            if isinstance(module, nn.modules.batchnorm._BatchNorm) and f"{name}.weight" not in new
        ]

    @property
    def old(self) -> list[nn.Parameter]:
        """What stays as it is; a strategy may put parameters of its own in the place of others."""
        return [p for name, p in self.network.named_parameters() if name not in self.new]

    def _is_frozen(self, trainer: Trainer) -> bool:
        return trainer.current_epoch < self.epochs

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        frozen = self._is_frozen(trainer)
        for norm in self.norms:
            norm.train(not frozen)
        if not isinstance(trainer.strategy, ParallelStrategy):
            for parameter in self.old:
                parameter.requires_grad_(not frozen)

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer
    ) -> None:
        if self._is_frozen(trainer):  # an optimiser leaves alone what has no gradient
            for parameter in self.old:
                parameter.grad = None
