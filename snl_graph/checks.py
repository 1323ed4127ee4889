"""Checks of what callers pass; of values where that costs nothing, or on request.

Numbers, shapes, dtypes and devices are checked at every public call, for they are known without
looking at the data. Values (finite, non-negative, index range) cost a pass over the data and would
synchronise a GPU; they are looked at

- for the structure of a graph (edge indices, edge weights) on the CPU in eager mode, and
- for everything, on every device, inside ``with value_checks():``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from numbers import Integral

import torch
from torch import Tensor

from snl_graph.sharding import is_distributed

_requested: ContextVar[bool] = ContextVar("snl_graph_value_checks", default=False)


@contextmanager
def value_checks(enabled: bool = True) -> Iterator[None]:
    """Look at values too, on every device, while the context is open.

    Cost: one pass over each input, and one synchronisation with the device for each check.

    Args:
        enabled: False switches the checks off inside an outer context.

    Example:
        >>> import torch, snl_graph
        >>> conv = snl_graph.SNLConv(4, 4)
        >>> x = torch.full((3, 4), float("nan"))
        >>> with snl_graph.value_checks():
        ...     conv(x, torch.tensor([[0, 1], [1, 2]]))
        Traceback (most recent call last):
        ...
        ValueError: x has 12 non-finite values (NaN or infinity) of 12. ...
    """
    token = _requested.set(enabled)
    try:
        yield
    finally:
        _requested.reset(token)


def are_requested() -> bool:
    """Whether the caller asked for checks of values; never while a program is being traced."""
    return not torch.compiler.is_compiling() and _requested.get()


def are_free(tensor: Tensor) -> bool:
    """Whether looking at ``tensor`` synchronises nothing: a CPU tensor outside a trace."""
    if torch.compiler.is_compiling():
        return False
    return _requested.get() or tensor.device.type == "cpu"


def whole_number(value: object, name: str, least: int = 1) -> int:
    """``value`` as an ``int``, if it is a whole number of any type, such as NumPy's.

    Raises:
        ValueError: If it is none, or below ``least``; calls it ``name``.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < least:
        raise ValueError(f"{name} is a whole number ≥ {least}; got {value!r}.")
    return int(value)


def require_same_numbers(x: Tensor, name: str, weight: Tensor, owner: str) -> None:
    """Raise unless ``x`` is floating point, and of the device and dtype of a weight.

    Autocast brings both to one dtype; then any will do.

    Args:
        x: What the caller passed.
        name: Its name, for the error.
        weight: A parameter of a module.
        owner: What the module is, for the error.

    Raises:
        TypeError: If the dtype is not that of the weight.
        ValueError: If the device is another.
    """
    if not x.is_floating_point():
        raise TypeError(f"{name} must be floating point, got {x.dtype}. Use {name}.float().")
    if x.device != weight.device:
        raise ValueError(
            f"{name} is on {x.device} and the {owner} on {weight.device}. Move one: "
            f"{owner}.to({name}.device)."
        )
    if x.dtype != weight.dtype and not torch.is_autocast_enabled(x.device.type):
        raise TypeError(
            f"{name} is {x.dtype} and the {owner} {weight.dtype}. Cast one: "
            f"{name}.to({weight.dtype}) or {owner}.to({x.dtype})."
        )


def require_marks(marks: object, name: str, shape: Sequence[int], device: torch.device) -> None:
    """Raise unless ``marks`` is a boolean tensor of a shape, on a device: which nodes are real."""
    if not isinstance(marks, Tensor):
        raise TypeError(
            f"{name} is a boolean tensor of shape {tuple(shape)}; got {type(marks).__name__}."
        )
    if marks.dtype != torch.bool or marks.shape != tuple(shape):
        raise ValueError(
            f"{name} is boolean of shape {tuple(shape)}; got {marks.dtype} of shape "
            f"{tuple(marks.shape)}. True marks what is real, unlike key_padding_mask."
        )
    if marks.device != device:
        raise ValueError(f"{name} is on {marks.device} and the features on {device}. Move one.")


def require_finite(tensor: Tensor, name: str) -> None:
    """Raise a ``ValueError`` if ``tensor`` holds NaN or infinity."""
    bad = (~torch.isfinite(tensor.detach())).sum()
    if count := int(bad.full_tensor() if is_distributed(bad) else bad):
        raise ValueError(
            f"{name} has {count} non-finite values (NaN or infinity) of {tensor.numel()}. "
            "Look at the layer or file that made them."
        )


def require_nonnegative(tensor: Tensor, name: str, remedy: str) -> None:
    """Raise a ``ValueError`` if ``tensor`` holds a negative value."""
    if tensor.numel() and float(tensor.detach().min()) < 0:
        least = float(tensor.detach().min())
        raise ValueError(f"{name} must be non-negative; its least value is {least:g}. {remedy}")


def require_indices(index: Tensor, size: int, name: str) -> None:
    """Raise an ``IndexError`` if ``index`` has an entry outside ``0 .. size - 1``."""
    if index.numel() == 0:
        return
    low, high = int(index.min()), int(index.max())
    if low < 0 or high >= size:
        raise IndexError(
            f"{name} must lie in 0 .. {size - 1} for {size} nodes; it reaches from {low} to {high}."
        )
