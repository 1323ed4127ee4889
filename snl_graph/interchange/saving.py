"""Blocks alone, written to a file: their weights and what they are made of."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from snl_graph import places
from snl_graph.blocks import NonlocalBlock
from snl_graph.insert import inserted_blocks
from snl_graph.interchange.description import NotDescribedError, describe
from snl_graph.interchange.errors import InterchangeError
from snl_graph.interchange.files import require_safetensors
from snl_graph.version import __version__

FORMAT = 1
"""Version of the form of such files; a release reads all forms up to its own."""

ENTRY = "snl_graph"
"""Where in the metadata of a file the list of its blocks stands."""


def save_blocks(
    model: nn.Module | Mapping[str, nn.Module],
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
) -> Path:
    """Write the blocks of a network to a file, without the network.

    The file holds the weights, in their own dtype, under ``{place}/{key}``, and in its metadata
    what each block is made of: ``load_blocks`` makes them again, or checks that a network has
    them. It is written whole or not at all.

    Args:
        model: A network with inserted blocks, one block, or blocks by name.
        path: File to write, ``.safetensors``; its folder must exist.
        overwrite: Replace a file that is there.

    Returns:
        The path.

    Raises:
        InterchangeError: If there are no blocks, or weights that are no plain tensors.
        FileExistsError: If there is a file already and ``overwrite`` is off.
        FileNotFoundError: If there is no such folder.
        ImportError: If the extra ``weights`` is not installed.

    Example:
        >>> import tempfile, torch, snl_graph
        >>> net = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU())
        >>> net = snl_graph.insert_block(net, after="0", block="snl")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = save_blocks(net, f"{folder}/blocks.safetensors")
        ...     list(snl_graph.load_blocks(path))
        ['0']
    """
    safetensors = require_safetensors()
    if isinstance(model, str | os.PathLike):
        raise TypeError(
            f"the network comes first, got {type(model).__name__}. Write save_blocks(model, path)."
        )
    where = _checked_path(path, overwrite)
    tensors: dict[str, Tensor] = {}
    entries: dict[str, Any] = {}
    for place, block in _blocks_of(model).items():
        entries[place] = _entry(block)
        for key, value in block.state_dict().items():
            name = f"{place}/{key}"
            if name in tensors:
                raise InterchangeError(f'two blocks have a weight "{name}"; rename one of them.')
            tensors[name] = _plain_tensor(name, value)
    content = {"format": FORMAT, "version": __version__, "blocks": entries}
    metadata = {"format": "pt", ENTRY: json.dumps(content, ensure_ascii=False)}
    part = where.with_name(f".{where.stem}.{os.getpid()}{where.suffix}")
    try:
        part.write_bytes(safetensors.torch.save(tensors, metadata))
        _put_in_place(part, where, overwrite)
    finally:
        part.unlink(missing_ok=True)
    return where


def _blocks_of(model: nn.Module | Mapping[str, nn.Module]) -> dict[str, nn.Module]:
    if isinstance(model, NonlocalBlock):
        return {"": model}
    if isinstance(model, Mapping):
        for name, block in model.items():
            if not isinstance(name, str) or not isinstance(block, nn.Module):
                raise TypeError(
                    f"blocks by name are modules by strings; got a {type(block).__name__} at "
                    f"{name!r}."
                )
        if not model:
            raise InterchangeError("there is no block to save in the mapping.")
        return dict(model)
    if not isinstance(model, nn.Module):
        raise TypeError(f"model is a network or blocks by name, got {type(model).__name__}.")
    blocks = inserted_blocks(model)
    if not blocks:
        built_in = [name for name, m in model.named_modules() if isinstance(m, NonlocalBlock)]
        raise InterchangeError(
            "the network has no inserted blocks."
            + (
                f" It has some of its own, {places.quote(built_in)}: save them as "
                "{name: network.get_submodule(name), ...}."
                if built_in
                else " insert_block puts one in; for the network itself use torch.save."
            )
        )
    return blocks


def _entry(block: nn.Module) -> dict[str, Any]:
    entry: dict[str, Any] = {"class": type(block).__name__, "made": None}
    try:
        entry["made"] = describe(block)
    except NotDescribedError as error:
        entry["why"] = str(error)
    return entry


def _plain_tensor(name: str, value: Any) -> Tensor:
    if not isinstance(value, Tensor) or value.layout != torch.strided:
        kind = f"{value.layout}" if isinstance(value, Tensor) else type(value).__name__
        raise InterchangeError(f'"{name}" is no dense tensor but {kind}, which no such file holds.')
    if hasattr(value, "full_tensor"):
        raise InterchangeError(
            f'"{name}" is spread over processes. Gather the weights first: tensor.full_tensor().'
        )
    # A copy, for weights that share memory cannot be stored each on its own.
    return value.detach().cpu().contiguous().clone()


def _checked_path(path: str | os.PathLike[str], overwrite: bool) -> Path:
    where = Path(path)
    if where.suffix.lower() != ".safetensors":
        raise ValueError(f"end the name of a file of blocks in .safetensors; got {where}.")
    if not where.parent.is_dir():
        raise FileNotFoundError(f"no folder {where.parent} to write {where.name} to.")
    if where.is_dir():
        raise IsADirectoryError(f"{where} is a folder; name a file, {where}/blocks.safetensors.")
    if where.exists() and not overwrite:
        raise _exists(where)
    return where


def _put_in_place(part: Path, where: Path, overwrite: bool) -> None:
    """Give the finished file its name; a file that came into being meanwhile is left as it is."""
    if overwrite:
        os.replace(part, where)
        return
    try:
        os.link(part, where)  # fails where there is one, which renaming does not
    except FileExistsError as error:
        raise _exists(where) from error
    except OSError:  # a file system without links
        if where.exists():
            raise _exists(where) from None
        os.replace(part, where)


def _exists(where: Path) -> FileExistsError:
    return FileExistsError(
        f"{where} exists and was left as it is. Choose another name, or overwrite it on purpose "
        "with overwrite=True."
    )
