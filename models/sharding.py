"""Weights, gradients and the optimiser's state shared out among the processes of a run: FSDP2."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from models.training import Learner


def shard(network: nn.Module, mesh: DeviceMesh) -> None:
    """Leave each process a part of every parameter, in place; the whole is gathered where it runs.

    A unit, gathered at once and given up again behind its forward pass, is an element of one of the
    network's sequences, a residual block for instance with the blocks inserted there. What is
    outside of them, such as the stem and the classifier, is kept from the forward pass until the
    backward pass has ended.

    Source: Zhao et al., PyTorch FSDP, 2023, in its second form, ``fully_shard``.

    Args:
        network: A network, as every process has it: with the same values.
        mesh: The processes, in one row.

    Raises:
        ValueError: If a parameter is a single number, which has no parts.
    """
    # Up to PyTorch 2.8, gloo gives the sum where it is asked for the mean, and says nothing:
    # github.com/pytorch/pytorch/issues/162338. In double precision FSDP asks for the sum.
    policy = MixedPrecisionPolicy(reduce_dtype=torch.float64 if mesh.device_type == "cpu" else None)
    for unit in _units(network):
        fully_shard(unit, mesh=mesh, mp_policy=policy)
    fully_shard(network, mesh=mesh, mp_policy=policy, reshard_after_forward=False)
    if hasattr(network, "features"):  # losses of features do not pass through forward
        register_fsdp_forward_method(network, "features")


def _units(network: nn.Module) -> Iterator[nn.Module]:
    """Elements of sequences, for nobody takes their parameters without running them."""
    for sequence in (network, *network.children()):
        if isinstance(sequence, nn.Sequential):
            for element in sequence:
                if not isinstance(element, nn.ModuleList) and any(
                    True for _ in element.parameters()
                ):
                    yield element


def whole(value: Any) -> Any:
    """A tensor that processes have parts of, gathered in each; anything else as it is.

    All processes ask together.
    """
    return value.full_tensor() if isinstance(value, DTensor) else value


class FullySharded(DDPStrategy):
    """Lightning's DDP with :func:`shard` in place of copies of the network.

    What a run reads and writes is whole: a checkpoint is the one file that other strategies write,
    and each reads those of all others. Gradients are means over the processes, as in DDP. Running
    statistics are not shared out: those of the first process count.

    The network is built, and loaded, whole in each process before it is shared out.
    """

    @property
    def learner(self) -> Learner:
        """What is trained."""
        module = self.lightning_module
        if not isinstance(module, Learner):
            raise TypeError(f"FullySharded trains a Learner; got {type(module).__name__}.")
        return module

    def configure_ddp(self) -> None:
        """Share out the network, before the optimiser is made of its parameters."""
        shard(self.learner.network, init_device_mesh(self.root_device.type, (self.world_size,)))

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """Whole weights, in the first process; nothing in the others."""
        return self._in_first(self.learner.state_dict())

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """Whole state, in the first process; nothing of each parameter in the others."""
        if isinstance(optimizer, LightningOptimizer):
            optimizer = optimizer.optimizer
        content = optimizer.state_dict()
        states = {key: self._in_first(state) for key, state in content["state"].items()}
        return {**content, "state": states}

    def _in_first(self, values: Mapping[str, Any]) -> dict[str, Any]:
        kept = {}
        for name, value in values.items():
            gathered = whole(value)  # by all, one after the other
            if self.is_global_zero:
                kept[name] = gathered.cpu() if isinstance(value, DTensor) else gathered
        return kept

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Take from whole states, whichever strategy wrote them, the parts of this process."""
        shared = []
        for optimizer, content in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            states = {
                key: {name: _like(parameters[key], value) for name, value in state.items()}
                for key, state in content["state"].items()
            }
            shared.append({**content, "state": states})
        super().load_optimizer_state_dict({"optimizer_states": shared})

    def teardown(self) -> None:
        """Leave the parts where they are: on another device they could not be gathered again."""
        assert self.cluster_environment is not None
        assert self.accelerator is not None
        self.cluster_environment.teardown()
        self.precision_plugin.teardown()
        self.accelerator.teardown()
        self.checkpoint_io.teardown()


def _like(parameter: Tensor, value: Any) -> Any:
    """``value`` shared out as the parameter is, if there is one of its elements for each of it."""
    if (
        isinstance(parameter, DTensor)
        and isinstance(value, Tensor)
        and value.shape == parameter.shape
    ):
        value = value.to(parameter.device)
        return distribute_tensor(value, parameter.device_mesh, parameter.placements)
    return value


def check_device(device: torch.device) -> None:
    """Raise a ``ValueError`` unless networks can be shared out on such devices."""
    if device.type not in ("cpu", "cuda"):
        raise ValueError(
            f'--strategy fsdp runs on processors and CUDA devices; this one is "{device.type}". '
            f"Take --accelerator cpu, or leave out --strategy."
        )
