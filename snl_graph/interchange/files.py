"""Files of weights, read without running code from them."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from snl_graph.interchange.errors import InterchangeError

NESTED = ("state_dict", "model_state_dict", "model_state", "model", "network", "net", "weights")
"""What training programs call the state dict in a checkpoint."""

Source = Mapping[str, Any] | str | os.PathLike[str]
"""A state dict, a checkpoint that holds one, or the path of a file of either."""


def weights_of(source: Source) -> dict[str, Tensor]:
    """The weights by name in a state dict, a checkpoint, or a file of one.

    Args:
        source: A mapping of names to tensors, a checkpoint that holds one, or a path:
            ``.safetensors``, or what ``torch.save`` wrote.

    Raises:
        InterchangeError: If there are no weights by name in it, or the file cannot be read.
        FileNotFoundError: If there is no such file.
        ImportError: If a ``.safetensors`` file needs the extra ``weights``.
        TypeError: If it is neither a mapping nor a path.
    """
    if isinstance(source, Mapping):
        return _state_dict_in(source, "the mapping")
    if not isinstance(source, (str, os.PathLike)):
        raise TypeError(
            f"weights are a state dict or the path of a file, got {type(source).__name__}. Of a "
            "module pass module.state_dict()."
        )
    path = Path(source)
    return _state_dict_in(_content(path), str(path))


def _content(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}.")
    if path.suffix.lower() == ".safetensors":
        return read_safetensors(path)[0]
    _refuse_others(path, "a file of torch.save")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "Unsupported" not in str(error):  # torch's word for what only code could make
            raise _unreadable(path, "a file of torch.save", error) from error
        raise InterchangeError(
            f"{path} was not loaded, for it holds more than tensors and plain values, and to load "
            "such objects could run code from the file. Save its state dict alone."
        ) from error
    except Exception as error:  # a broken file can fail in any way
        if isinstance(error, OSError) and error.filename is not None:  # it could not be opened
            raise
        raise _unreadable(path, "a file of torch.save", error) from error


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors by name and the metadata of a file.

    Raises:
        InterchangeError: If it cannot be read.
        FileNotFoundError: If there is none.
        ImportError: If the extra ``weights`` is not installed.
    """
    safetensors = require_safetensors()
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}.")
    _refuse_others(path, "a safetensors file", pickles=True)
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, dict(file.metadata() or {})
    except OSError:
        raise
    except Exception as error:  # safetensors has no error in common but Exception
        raise _unreadable(path, "safetensors", error) from error


def require_safetensors() -> Any:
    """The package ``safetensors``.

    Raises:
        ImportError: If it is not installed; names the extra.
    """
    try:
        import safetensors.torch
    except ImportError as error:
        raise ImportError(
            'files of weights need the package safetensors: pip install "snl-graph[weights]"'
        ) from error
    return safetensors


def _state_dict_in(content: Any, called: str) -> dict[str, Tensor]:
    candidates = []
    if isinstance(content, Mapping):  # a checkpoint may have tensors of its own beside the weights
        candidates = [content[name] for name in NESTED if name in content]
    for one in (*candidates, content):
        if not isinstance(one, Mapping):
            continue
        tensors = {str(name): value for name, value in one.items() if isinstance(value, Tensor)}
        if tensors:
            return tensors
    keys = (
        ", ".join(f'"{key}"' for key in list(content)[:6]) if isinstance(content, Mapping) else ""
    )
    raise InterchangeError(
        f"{called} holds no weights by name: expected a state dict, or a checkpoint with one "
        f'called "state_dict"; got {f"a mapping of {keys}" if keys else type(content).__name__}.'
    )


def _refuse_others(path: Path, wanted: str, *, pickles: bool = False) -> None:
    """Refuse what often stands under the name of weights, told by its first bytes."""
    with path.open("rb") as file:
        start = file.read(64)
    if start[4:8] == bytes(4):  # the length of a safetensors header, whatever its first byte
        return
    start = start.lstrip()
    if start.startswith(b"version https://git-lfs"):
        came = 'a pointer of Git LFS, which stands for the file. Fetch the file: "git lfs pull".'
    elif start.startswith(b"<"):
        came = "a page of the web, such as one about an error. Download the file again."
    elif pickles and start.startswith((b"PK\x03\x04", b"\x80")):
        came = (
            "a file of torch.save. Put the blocks in by insert_block and load it with "
            "model.load_state_dict(torch.load(path)), or read foreign blocks by convert_block."
        )
    else:
        return
    raise InterchangeError(f"{path} is not {wanted}, but {came}")


def _unreadable(path: Path, kind: str, error: Exception) -> InterchangeError:
    reason = " ".join(str(error).split())[:200].rstrip(".")
    return InterchangeError(
        f"{path} cannot be read as {kind} ({path.stat().st_size:,} bytes): it is empty, cut off, "
        f"or of another kind ({type(error).__name__}: {reason})."
    )
