"""Put a block behind any submodule of a finished network, and take it out again.

The block becomes a grandchild of the submodule, with state-dict keys of its own, and a forward hook
of the submodule runs it. The hook knows the block by name alone, so copies, pickles and replicas of
the network run their own blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils.hooks import RemovableHandle

from snl_graph import places, probe
from snl_graph.blocks import nonlocal_block

ModelT = TypeVar("ModelT", bound=nn.Module)


class Inserted(nn.ModuleList):
    """The blocks behind one submodule, run in order by its hook.

    ``forward`` returns its input, for the sake of containers that call all their children in turn:
    the block would otherwise run twice.
    """

    def __init__(self) -> None:
        super().__init__()
        self.levels: list[int] = []  # how far above the submodule the caller's name for it ends
        # Kept here because a handle that is unpickled keeps later hooks from taking its number.
        self.handle: RemovableHandle

    def forward(self, x: Any) -> Any:
        """The input, unchanged."""
        return x

    def run(self, x: Tensor) -> Tensor:
        """Every block in turn."""
        for block in self:
            x = block(x)
        return x


@dataclass(frozen=True)
class RunInserted:
    """Forward hook: send the output of a module through the blocks found below it.

    Attributes:
        path: Name of the :class:`Inserted`, relative to the hooked module.
    """

    path: str

    def __call__(self, module: nn.Module, args: Any, output: Tensor) -> Tensor:
        """Output of the last block."""
        return self.blocks_of(module).run(output)

    def blocks_of(self, module: nn.Module) -> Inserted:
        """What the hook runs for ``module``."""
        return cast(Inserted, module.get_submodule(self.path))


def insert_block(
    model: ModelT,
    after: str = "layer3.4",
    block: str | nn.Module = "snl",
    *,
    example: Any = None,
    zero_init: bool = True,
    **overrides: Any,
) -> ModelT:
    """Run a nonlocal block behind a submodule of ``model``, which is changed in place.

    Keys and values of the original state dict are untouched; the block brings keys of its own,
    ``{after}.inserted.0.*``. With ``zero_init`` the outputs stay those of the original, bit for
    bit. Behind an ``nn.Sequential`` the block follows its last child, so that code that iterates
    over the Sequential runs it too. Several blocks at one place run in the order of insertion.
    Feature extractors see the output of the block; one that traces the network with ``torch.fx``
    takes it as a leaf: ``tracer_kwargs={"leaf_modules": [NonlocalBlock]}``.

    Args:
        model: Any network. Insert before ``torch.compile``, DistributedDataParallel and the
            optimizer; load the original's checkpoint first.
        after: Name of a submodule that returns one tensor (B, C, *spatial) with one to three
            spatial axes and is called once in a forward pass; ``"layer3.4"`` is before the last
            block of res4 in ResNet-50, ``""`` the model itself.
        block: A row of Table 1, or a module that keeps the shape of its input.
        example: One input of the model, by which the number of channels is found: a tensor, a
            tuple of positional arguments or a dict of named ones. None makes one up from the
            model's first convolution. It runs in evaluation mode and changes nothing, but forward
            hooks of yours see it.
        zero_init: Start a named block as the identity.
        **overrides: Arguments of :func:`~snl_graph.nonlocal_block`.

    Returns:
        The same ``model``. The block has the dtype and device of the submodule's output and the
        submodule's training mode.

    Raises:
        ValueError: If there is no such submodule, it returns something else, is shared, called
            more or less than once, or the block does not fit. Nothing has been changed then.
        TypeError: If an argument has the wrong type.

    Example:
        >>> import torch
        >>> net = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 3), torch.nn.ReLU())
        >>> net = insert_block(net, after="0", block="snl")
        >>> inserted_blocks(net).keys(), net(torch.zeros(1, 3, 8, 8)).shape
        (dict_keys(['0']), torch.Size([1, 16, 6, 6]))
    """
    _check_arguments(model, after, block, overrides)
    places.check_name(model, after)
    name = places.last_of_sequential(model, after)
    target = model.get_submodule(name)
    places.check_callable(model, name)
    output, shown = probe.feature_map_of(model, name, example)
    if isinstance(block, str):
        ready: nn.Module = nonlocal_block(block, output.shape[1], zero_init=zero_init, **overrides)
    else:
        ready = block
        _check_fits(block, output)

    holder = _holder_of(target)
    if holder is None:
        host = places.host(model, name, shown)
        holder = Inserted().train(target.training)
        free = probe.free_name(target.get_submodule(host))
        target.get_submodule(host).add_module(free, holder)
        holder.handle = target.register_forward_hook(RunInserted(f"{host}.{free}".lstrip(".")))
    holder.append(ready.to(output.device, output.dtype).train(target.training))
    holder.levels.append(_depth(name) - _depth(after))
    return model


def inserted_blocks(model: nn.Module) -> dict[str, nn.Module]:
    """Blocks that :func:`insert_block` put into ``model``, by the name they were inserted behind.

    A second block at one place is called ``"layer3.4#2"``, and so on.

    Example:
        >>> inserted_blocks(nn.Linear(2, 2))
        {}
    """
    blocks: dict[str, nn.Module] = {}
    for name, _, _, holder in _places(model):
        for block, level in zip(holder, holder.levels, strict=True):
            place = key = ".".join(name.split(".")[: _depth(name) - level])
            count = 1
            while key in blocks:
                count += 1
                key = f"{place}#{count}"
            blocks[key] = block
    return blocks


def remove_blocks(model: ModelT) -> ModelT:
    """Take every inserted block out of ``model``, in place: what is left is the original.

    Parameters that were trained since keep their values.

    Returns:
        The same ``model``, also if it has no blocks.
    """
    for _, module, path, holder in list(_places(model)):
        _remove_place(module, path, holder)
    return model


def remove_block(model: ModelT, block: nn.Module) -> ModelT:
    """Take one inserted block out of ``model``, in place; the others stay.

    Returns:
        The same ``model``.

    Raises:
        ValueError: If the block is none of those that were inserted.
    """
    for _, module, path, holder in list(_places(model)):
        for number, other in enumerate(holder):
            if other is block:
                del holder[number], holder.levels[number]
                if not len(holder):
                    _remove_place(module, path, holder)
                return model
    raise ValueError(f"this {type(block).__name__} is no block that was inserted into the model.")


def _remove_place(module: nn.Module, path: str, holder: Inserted) -> None:
    host, _, name = path.rpartition(".")
    holder.handle.remove()
    delattr(module.get_submodule(host), name)


def _depth(name: str) -> int:
    return len(name.split(".")) if name else 0


def _places(model: nn.Module) -> Iterator[tuple[str, nn.Module, str, Inserted]]:
    """Name, module, path and blocks of every place with a hook of ours."""
    _require_module(model)
    for name, module in model.named_modules():
        for hook in module._forward_hooks.values():
            if isinstance(hook, RunInserted):
                yield name, module, hook.path, hook.blocks_of(module)


def _holder_of(target: nn.Module) -> Inserted | None:
    return next((holder for name, _, _, holder in _places(target) if name == ""), None)


def _require_module(model: object) -> None:
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"model must be a torch.nn.Module, got {type(model).__name__}. Build the network first."
        )


def _check_arguments(
    model: nn.Module, after: str, block: str | nn.Module, overrides: dict[str, Any]
) -> None:
    _require_module(model)
    if not isinstance(after, str):
        raise TypeError(
            f"after must be the name of a submodule, got {type(after).__name__}. "
            "model.named_modules() lists the names."
        )
    if not isinstance(block, (str, nn.Module)):
        came = f"the class {block.__name__}" if isinstance(block, type) else type(block).__name__
        raise TypeError(
            f'block must be a name or a module, got {came}. Write block="snl", or '
            'block=nonlocal_block("snl", channels).'
        )
    if "channels" in overrides:
        raise ValueError(
            f"channels={overrides['channels']!r} is found by running the example. Leave it out."
        )
    for module, what in ((model, "model"), (block, "block")):
        if isinstance(module, nn.Module) and any(
            is_lazy(t) for t in chain(module.parameters(), module.buffers())
        ):
            raise ValueError(
                f"the {what} has lazy layers, whose shapes are not known yet; run it once first."
            )
    if isinstance(block, nn.Module):
        if overrides:
            raise ValueError(
                f"block is a ready {type(block).__name__}, so {places.quote(overrides)} would be "
                "ignored; pass them where you build it."
            )
        if not {id(m) for m in block.modules()}.isdisjoint(id(m) for m in model.modules()):
            raise ValueError(
                f"this {type(block).__name__} is part of the model already; a block has one place. "
                "Insert a copy: copy.deepcopy(block)."
            )


def _check_fits(block: nn.Module, output: Tensor) -> None:
    """Refuse a ready block that fails on the feature map or changes its shape."""
    own = next(block.parameters(), output)
    visit = probe.visit(block, block, torch.zeros_like(output, device=own.device, dtype=own.dtype))
    if visit.failure is not None:
        raise ValueError(
            f"the block {type(block).__name__} fails on a feature map of shape "
            f"{tuple(output.shape)}: {visit.failure}"
        ) from visit.failure
    result = visit.outputs[0]
    if not isinstance(result, Tensor) or result.shape != output.shape:
        came = tuple(result.shape) if isinstance(result, Tensor) else type(result).__name__
        raise ValueError(
            f"a block keeps the shape of its input: {type(block).__name__} turned "
            f"{tuple(output.shape)} into {came}."
        )
