"""Any network, made by a function the caller names and filled from a checkpoint."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from snl_graph.cli.errors import CommandError, one_line
from snl_graph.cli.inputs.saved import load_plain

_NESTED = ("state_dict", "model_state_dict", "model_state", "model", "network", "net", "weights")
_PREFERRED = ("", "model.", "network.", "net.", "module.", "model.module.", "_orig_mod.")


def network(factory: str, checkpoint: Path | None, settings: Sequence[str]) -> nn.Module:
    """The network that ``factory`` makes, with the weights of the checkpoint, ready to be run.

    Args:
        factory: "package.module:name"; a function or class that returns a module, or a module.
        checkpoint: State dict, Lightning checkpoint or .safetensors; None keeps the weights that
            the factory gives.
        settings: "name=value" arguments of the factory. Others of its arguments are taken from the
            ``hyper_parameters`` of a Lightning checkpoint, by name.

    Raises:
        CommandError: If the factory cannot be imported or called, or the weights do not fit.
    """
    make = _imported(factory)
    content = None if checkpoint is None else _content(checkpoint)
    hyper_parameters = content.get("hyper_parameters") if isinstance(content, dict) else None
    model = (
        make if isinstance(make, nn.Module) else _called(make, factory, settings, hyper_parameters)
    )
    if isinstance(make, nn.Module) and settings:
        raise CommandError(f"{factory} is a finished module, which takes no --set.")
    if checkpoint is not None:
        load_weights(model, state_dict_in(content, checkpoint), checkpoint)
    return model.eval()


def _imported(factory: str) -> Any:
    module_name, colon, name = factory.partition(":")
    parts = module_name.split(".")
    if not colon or not name or not all(part.isidentifier() for part in parts):
        raise CommandError(
            f'--model is written package.module:factory, such as "torchvision.models:resnet18"; '
            f'got "{factory}".'
        )
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and module_name.startswith(error.name):
            raise CommandError(
                f'--model: there is no module "{error.name}" to import from {here} or the '
                f"installed packages. Run from the folder that holds it, or set PYTHONPATH."
            ) from error
        raise _failed(f'importing "{module_name}"', error) from error
    except (Exception, SystemExit) as error:
        raise _failed(f'importing "{module_name}"', error) from error
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            public = [one for one in dir(found) if callable(getattr(found, one, None))]
            shown = one_line(", ".join(one for one in public if not one.startswith("_")), 200)
            raise CommandError(
                f'--model: "{module_name}" has no "{name}". It has {shown or "nothing to call"}.'
            ) from error
    if not callable(found):
        raise CommandError(
            f"--model: {factory} is of type {type(found).__name__}; expected a function or class "
            f"that makes a network."
        )
    return found


def _called(
    make: Callable[..., Any], factory: str, settings: Sequence[str], known: Any
) -> nn.Module:
    given = dict(_setting(text) for text in settings)
    parameters = _parameters(make)
    takes_any = parameters is None or any(
        one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values()
    )
    if parameters is not None:
        unknown = [name for name in given if name not in parameters]
        if unknown and not takes_any:
            raise CommandError(
                f"{factory} takes no argument {', '.join(unknown)}; it takes "
                f"{', '.join(parameters) or 'none'}."
            )
        if isinstance(known, Mapping):
            given = {name: known[name] for name in parameters if name in known} | given
        missing = [
            name
            for name, one in parameters.items()
            if one.default is one.empty
            and one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
            and name not in given
        ]
        if missing:
            raise CommandError(
                f"{factory} needs {', '.join(missing)}: pass --set {missing[0]}=..., or name a "
                f"function without arguments."
            )
    try:
        model = make(**given)
    except (Exception, SystemExit) as error:
        raise _failed(f"calling {factory}", error) from error
    if not isinstance(model, nn.Module):
        raise CommandError(
            f"{factory} returned an object of type {type(model).__name__}; expected a torch "
            f"nn.Module."
        )
    return model


def _parameters(make: Callable[..., Any]) -> Mapping[str, inspect.Parameter] | None:
    try:
        return inspect.signature(make).parameters
    except (TypeError, ValueError):  # written in C
        return None


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise CommandError(f'--set is written name=value; got "{text}".')
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _failed(what: str, error: BaseException) -> CommandError:
    reason = one_line(str(error), 300).rstrip(".")
    return CommandError(
        f"{what} failed: {type(error).__name__}: {reason}. Set SNL_GRAPH_TRACEBACK=1 to see where."
    )


def _content(path: Path) -> Any:
    if path.suffix.lower() != ".safetensors":
        return load_plain(path)
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise CommandError(
            f"{path} needs the package safetensors: pip install safetensors"
        ) from error
    if not path.is_file():
        raise CommandError(f"there is no file {path}.")
    try:
        return load_file(path)
    except (SafetensorError, ValueError) as error:
        raise CommandError(
            f"{path} cannot be read as safetensors: {one_line(str(error), 200).rstrip('.')}."
        ) from error


def state_dict_in(content: Any, path: Path) -> dict[str, Tensor]:
    """The weights by name in what a checkpoint holds.

    Raises:
        CommandError: If there are none.
    """
    candidates = [content]
    if isinstance(content, Mapping):
        candidates += [content[name] for name in _NESTED if name in content]
    for one in candidates:
        if isinstance(one, Mapping) and one and all(isinstance(v, Tensor) for v in one.values()):
            return {str(name): value for name, value in one.items()}
    keys = ", ".join(map(str, list(content)[:6])) if isinstance(content, Mapping) else ""
    holds = f"a dict of {one_line(keys, 120) or 'nothing'}" if keys else type(content).__name__
    raise CommandError(
        f"{path} holds no weights: expected a state dict, or a checkpoint with one called "
        f'"state_dict"; got {holds}.'
    )


def load_weights(model: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Load weights whose names may have something before them, such as "model.".

    Raises:
        CommandError: If they are not exactly the model's; says which. The model is then unchanged.
    """
    ours = {
        name: tuple(value.shape)
        for name, value in model.state_dict().items()
        if isinstance(value, Tensor)
    }
    prefix = _prefix(ours, weights)
    theirs = {
        name.removeprefix(prefix): value
        for name, value in weights.items()
        if name.startswith(prefix)
    }
    missing = [name for name in ours if name not in theirs]
    extra = [name for name in theirs if name not in ours]
    shapes = [
        f"{name} {tuple(theirs[name].shape)} there, {shape} here"
        for name, shape in ours.items()
        if name in theirs and tuple(theirs[name].shape) != shape
    ]
    facts = [
        f"{len(found)} {kind} ({one_line(', '.join(found[:3]), 200)}{', …' if found[3:] else ''})"
        for kind, found in (
            ("of the network's weights are absent", missing),
            ("weights belong to no part of it", extra),
            ("have another shape", shapes),
        )
        if found
    ]
    if facts:
        raise CommandError(
            f"{path} does not fit the network that --model makes: {'; '.join(facts)}. Name the "
            f"factory of the network that was trained, blocks inserted."
        )
    with torch.no_grad():
        model.load_state_dict(dict(theirs))


def _prefix(ours: Mapping[str, Any], weights: Mapping[str, Tensor]) -> str:
    """What stands before the model's own names in a checkpoint."""
    if not ours:
        return ""
    last = max(ours, key=len)
    found = {name.removesuffix(last) for name in weights if name.endswith(last)}
    fitting = [p for p in found if all(p + name in weights for name in ours)]
    for prefix in (*_PREFERRED, *sorted(fitting, key=len)):
        if prefix in fitting:
            return prefix
    # None fits: judge by the one that most names have.
    near = [p for p in _PREFERRED if sum(name.startswith(p) for name in weights) == len(weights)]
    return max(near, key=len, default="")
