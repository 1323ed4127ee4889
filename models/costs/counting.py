"""Parameters and multiply-adds, counted without computing anything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode


@contextmanager
def shapes_only() -> Iterator[None]:
    """Build and run networks on tensors that have a shape and no numbers.

    The tensors say they are on the processor, so every choice is made as it would be there.
    """
    with FakeTensorMode():
        yield


def count_parameters(module: nn.Module) -> int:
    """Learned numbers of a module."""
    return sum(parameter.numel() for parameter in module.parameters())


class MacCounter:
    """Multiply-adds of the products and convolutions that run inside ``with``: half the FLOPs.

    Counted by ``torch.utils.flop_counter``. Sums, norms, activations and exponentials are not
    counted, as is usual.

    Example:
        >>> import torch
        >>> with MacCounter() as counter:
        ...     torch.zeros(3, 4) @ torch.zeros(4, 5)
        tensor([[0., 0., 0., 0., 0.],
                [0., 0., 0., 0., 0.],
                [0., 0., 0., 0., 0.]])
        >>> counter.macs
        60
    """

    def __init__(self) -> None:
        self._mode = FlopCounterMode(display=False)

    def __enter__(self) -> MacCounter:
        self._mode.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._mode.__exit__(*error)

    @property
    def macs(self) -> int:
        """Multiply-adds so far."""
        return self._mode.get_total_flops() // 2


def count_macs(module: nn.Module, *inputs: object) -> int:
    """Multiply-adds of one forward pass.

    Args:
        module: Made inside :func:`shapes_only`, as its inputs are, or a real one with real inputs.
        *inputs: Its positional arguments.

    Example:
        >>> import torch
        >>> with shapes_only():
        ...     count_macs(nn.Conv2d(3, 8, 3), torch.zeros(1, 3, 12, 10))
        17280
    """
    with MacCounter() as counter:
        module(*inputs)
    return counter.macs
