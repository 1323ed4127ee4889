"""What a submodule returns: run an example through a model and leave no trace of it."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

# Side lengths tried when no example is given: small ones first, then those that networks of fixed
# size ask for. Networks of other sizes need an example.
_SIDES = {
    1: (64, 96, 256, 1024, 16000),
    2: (64, 96, 224, 32, 128, 256, 299, 384, 28, 16, 8),
    3: (16, 32, 64, 112),
}


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Restore everything a forward pass can change, also after an error.

    That is: training flags, values of buffers, attributes (lists, dicts and sets by content) and
    torch's random state. Memory: one copy of the buffers.
    """
    attributes = [(m, m.__dict__.copy()) for m in model.modules()]
    containers = [
        (value, value.copy())
        for _, saved in attributes
        for value in saved.values()
        if type(value) in (list, set, dict, OrderedDict)  # a subclass may refuse to be changed
    ]
    buffers = [(b, b._version, b.detach().clone()) for b in model.buffers() if not b.is_inference()]
    devices = {t.get_device() for t in (*model.parameters(), *model.buffers()) if t.is_cuda}
    try:
        with torch.random.fork_rng(devices=sorted(devices)):
            yield
    finally:
        for container, saved in containers:
            container.clear()
            container.extend(saved) if isinstance(container, list) else container.update(saved)
        for module, saved in attributes:
            module.__dict__.clear()
            module.__dict__.update(saved)
        with torch.no_grad():
            for buffer, version, value in buffers:
                if buffer._version != version:  # an untouched one may be saved for a backward pass
                    buffer.copy_(value)


class Bystander(nn.Module):
    """A child that returns what it gets, and reports each call."""

    def __init__(self, report: Callable[[Any], None]) -> None:
        super().__init__()
        self.report = report

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The first argument."""
        self.report(args)
        return args[0] if args else None


@dataclass(frozen=True)
class Visit:
    """One run of an example: what the target returned at each call, and how the run ended."""

    outputs: list[Any] = field(default_factory=list)
    failure: Exception | None = None
    unbatched: tuple[int, ...] | None = None  # what the first convolution got, without a batch axis


def visit(model: nn.Module, target: nn.Module, example: Any) -> Visit:
    """Run ``example`` in evaluation mode, without gradients or autocast, and watch ``target``.

    A failure after the target was reached is no failure of the visit: a classifier may want another
    size than the example's.

    Args:
        model: The whole network.
        target: One of its modules.
        example: A tensor, a tuple of positional arguments, or a mapping of named ones.
    """
    args = () if isinstance(example, Mapping) else example
    args = args if isinstance(args, tuple) else (args,)
    kwargs = example if isinstance(example, Mapping) else {}
    outputs: list[Any] = []
    unbatched: list[tuple[int, ...] | None] = []

    def look(module: nn.Module, args: Any) -> None:
        shape = tuple(args[0].shape) if args and isinstance(args[0], Tensor) else ()
        is_one_item = len(shape) == cast(Tensor, module.weight).dim() - 1
        unbatched.append(shape if is_one_item else None)

    device = next((p.device.type for p in model.parameters()), "cpu")
    has_autocast = torch.amp.is_autocast_available(device)
    plain = torch.autocast(device, enabled=False) if has_autocast else nullcontext()
    with undisturbed(model), torch.no_grad(), plain:
        model.eval()
        target.register_forward_hook(lambda module, args, output: outputs.append(output))
        for module in model.modules():
            if isinstance(module, _ConvNd):
                module.register_forward_pre_hook(look)
        failure = None
        try:
            model(*args, **kwargs)
        except Exception as error:  # whatever a network raises at a size that does not suit it
            failure = error
    return Visit(outputs, failure, unbatched[0] if unbatched else None)


def calls_its_children_in_turn(model: nn.Module, target: nn.Module, example: Any) -> bool:
    """Whether a forward pass also calls a child of ``target`` that it does not know by name."""
    calls: list[Any] = []
    name = free_name(target)
    target.add_module(name, Bystander(calls.append))
    try:
        visit(model, target, example)
    finally:
        delattr(target, name)
    return bool(calls)


def free_name(module: nn.Module, name: str = "inserted") -> str:
    """``name``, with as many underscores behind it as make it new to ``module``."""
    while hasattr(module, name):
        name += "_"
    return name


def examples(model: nn.Module) -> Iterator[Tensor]:
    """Blank inputs for ``model``, as its first convolution or its timm configuration asks.

    Raises:
        ValueError: If the model has no convolution.
    """
    first = next((m for m in model.modules() if isinstance(m, _ConvNd)), None)
    if first is None:
        raise ValueError(
            f"{type(model).__name__} has no convolution to tell the shape of its input; pass "
            "example=, one input with its batch axis."
        )
    dim = first.weight.dim() - 2
    sizes = [(first.in_channels, *[side] * dim) for side in _SIDES[dim]]
    configured = getattr(model, "pretrained_cfg", None)
    if isinstance(configured, Mapping) and "input_size" in configured:
        trained_at = (first.in_channels, *configured["input_size"][1:])
        sizes = [*(size for size in sizes if size[1] < 128), trained_at, *sizes]
    for size in dict.fromkeys(sizes):
        yield first.weight.new_zeros(2, *size)


def smaller(example: Any) -> Iterator[Tensor]:
    """A quarter less of each spatial axis of a feature map, and a shorter sequence (B, N, ...)."""
    if not isinstance(example, Tensor):
        return
    if 3 <= example.dim() <= 5:
        less = example
        for axis in range(2, example.dim()):
            less = less.narrow(axis, 0, less.shape[axis] - less.shape[axis] // 4)
        yield less
    if 2 <= example.dim() <= 3 and example.shape[1] > 1:
        yield example[:, : -math.ceil(example.shape[1] / 4)]


def feature_map_of(model: nn.Module, name: str, example: Any) -> tuple[Tensor, Any]:
    """The target's feature map and the example that gave it."""
    target = model.get_submodule(name)
    found: list[tuple[Tensor, Any]] = []
    visits: list[Visit] = []
    for shown in examples(model) if example is None else chain([example], smaller(example)):
        visits.append(visit(model, target, shown))
        outputs = visits[-1].outputs
        if outputs:
            _check_batch_axis(visits[-1])
            _check_output(name, outputs)
            found.append((outputs[0], shown))
        elif example is not None and not found:
            break
        if len(found) == 2:
            break
    if not found:
        raise _not_found(name, visits, example)
    _check_layout(name, found)
    return found[0]


def _not_found(name: str, visits: list[Visit], example: Any) -> ValueError:
    if any(one.failure is None for one in visits):
        return ValueError(
            f'"{name}" was not reached: the model does not call it. Name a module that runs in '
            "every forward pass."
        )
    failure = visits[0].failure
    reason = f"{type(failure).__name__}: {str(failure).partition(chr(10))[0]}"
    error = ValueError(
        f"the model failed on {len(visits)} inputs made up from its first convolution; pass "
        f"example=, one input with its batch axis. The first failure: {reason}"
        if example is None
        else f'the model failed on the example before it reached "{name}": {reason} '
        "Pass one input as the model takes it: a tensor with its batch axis, a tuple of arguments "
        "or a dict of named ones."
    )
    error.__cause__ = failure
    return error


def _check_batch_axis(shown: Visit) -> None:
    """Refuse an example of one item: convolutions take it, and its channels seem to be a batch."""
    if shown.unbatched is not None:
        raise ValueError(
            f"the example has no batch axis: the first convolution got shape {shown.unbatched}. "
            "Pass example=x.unsqueeze(0)."
        )


def _check_output(name: str, outputs: list[Any]) -> None:
    """Refuse anything but one real feature map from one call."""
    output = outputs[0]
    wanted = "a block needs one tensor (B, C, *spatial) with one to three spatial axes"
    if not isinstance(output, Tensor):
        raise ValueError(
            f'"{name}" returns a {type(output).__name__}; {wanted}. Name a submodule of it.'
        )
    if not 3 <= output.dim() <= 5:
        raise ValueError(
            f'"{name}" returns shape {tuple(output.shape)}; {wanted}. Name an earlier submodule.'
        )
    if not output.is_floating_point():
        raise ValueError(f'"{name}" returns {output.dtype}; {wanted} of floating dtype.')
    if len(outputs) > 1:
        raise ValueError(
            f'"{name}" is called {len(outputs)} times in one forward pass, so one block would mix '
            "the statistics of different feature maps. Name a module that is called once."
        )


def _check_layout(name: str, found: list[tuple[Tensor, Any]]) -> None:
    """Refuse tokens (B, N, C) and channels-last (B, H, W, C), as far as they can be told."""
    shapes = [tuple(output.shape) for output, _ in found]
    hint = "Name a submodule that returns (B, C, *spatial)."
    if len(shapes) == 2 and shapes[0] != shapes[1]:
        # A video's frames may lie on the batch axis; a sequence's may only if it is not the first.
        kept = slice(0 if len(shapes[0]) == 3 else 1, 2)
        if shapes[0][kept] != shapes[1][kept]:
            raise ValueError(
                f'axis 1 of the output of "{name}" does not hold channels: shapes {shapes[0]} and '
                f"{shapes[1]} belong to inputs that differ in size alone. {hint}"
            )
        return
    shape, shown = shapes[0], found[0][1]
    is_token_like = len(shape) == 3 and isinstance(shown, Tensor) and shown.dim() > 3
    is_channels_last_like = len(shape) > 3 and len(set(shape[1:-1])) == 1 and shape[-1] != shape[1]
    if is_token_like or is_channels_last_like:
        raise ValueError(
            f'the output of "{name}" has shape {shape}, whose channels seem to be its last axis. '
            f"{hint}"
        )
