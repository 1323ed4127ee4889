"""Places in a network where a block can go: submodules that run once, by a name of their own."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from snl_graph import probe


def quote(names: Iterable[str]) -> str:
    """The names in quotation marks, with commas."""
    return ", ".join(f'"{name}"' for name in names)


def check_name(model: nn.Module, after: str) -> None:
    """Refuse a name that is missing or lies inside something that does not run its hooks."""
    modules = dict(model.named_modules(remove_duplicate=False))
    parts = after.split(".") if after else []
    above = [".".join(parts[:depth]) for depth in range(len(parts) + 1)]
    for name in above:
        module = modules.get(name)
        if module is None:
            break
        called = f'"{name}"' if name else "the model"
        if "_orig_mod" in module._modules or module._compiled_call_impl:
            raise ValueError(
                f"{called} is compiled, and a compiled module does not notice a new block. Insert "
                "first, then compile."
            )
        if isinstance(module, nn.parallel.DistributedDataParallel):
            raise ValueError(
                "DistributedDataParallel would not average the gradients of a block inserted now. "
                "Insert first, then wrap."
            )
        if isinstance(module, torch.jit.ScriptModule):
            raise ValueError(f"{called} is TorchScript, which runs no hooks. Insert before.")
    if after not in modules:
        parent = [name for name in above if name in modules][-1]
        children = [name for name, _ in modules[parent].named_children()]
        where = f'"{parent}"' if parent else "the model"
        near = [name for name in (f"module.{after}",) if name in modules]  # DataParallel's prefix
        near = near or difflib.get_close_matches(after, modules, n=3)
        raise ValueError(
            f'the model has no submodule "{after}".'
            + (f" Near names: {quote(near)}." if near else "")
            + f" {where} has {quote(children) or 'no submodules'}."
        )


def last_of_sequential(model: nn.Module, name: str) -> str:
    """Name of the module whose output is that of ``name``: a Sequential's last child."""
    module = model.get_submodule(name)
    while type(module).forward is nn.Sequential.forward:
        children = [child for child, _ in module.named_children()]
        if not children:
            raise ValueError(
                f'"{name}" is an empty Sequential, which only passes on what it gets. Name the '
                "module before it."
            )
        name = f"{name}.{children[-1]}".lstrip(".")
        module = model.get_submodule(name)
    return name


def check_callable(model: nn.Module, name: str) -> None:
    """Refuse a module that has no forward of its own or several names."""
    target = model.get_submodule(name)
    if type(target).forward is nn.Module.forward:
        children = [f"{name}.{child}".lstrip(".") for child, _ in target.named_children()]
        raise ValueError(
            f'"{name}" is a {type(target).__name__}, which is never called itself. Name one of '
            f"its elements: {quote(children)}."
        )
    names = [n for n, m in model.named_modules(remove_duplicate=False) if m is target]
    if len(names) > 1:
        raise ValueError(
            f"{quote(names)} are one shared {type(target).__name__}: a block behind one of them "
            "would run behind all. Give each place a module of its own, or name another one."
        )


def host(model: nn.Module, name: str, shown: Any) -> str:
    """Where below the target new children do no harm, as a name relative to it.

    That is the target itself, unless it calls its children in turn (a DenseNet block, for one,
    feeds them lists): then the last of its modules that has no children.
    """
    target = model.get_submodule(name)
    is_container = isinstance(target, (nn.Sequential, nn.ModuleList, nn.ModuleDict))
    if not is_container and not probe.calls_its_children_in_turn(model, target, shown):
        return ""
    everywhere = [m for _, m in target.named_modules(remove_duplicate=False)]
    leaves = [
        leaf
        for leaf, module in target.named_modules()
        if leaf and not list(module.children()) and everywhere.count(module) == 1
    ]
    if not leaves:
        raise ValueError(
            f'"{name}" ({type(target).__name__}) calls its children in turn and has none of its '
            "own to keep a block in. Name one of its elements."
        )
    return leaves[-1]
