"""Graphs in NumPy's files; nothing in them is unpickled."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
import torch
from torch_geometric.data import Data

from snl_graph.cli.errors import CommandError, one_line
from snl_graph.cli.inputs.limits import require_room, require_room_for_bytes

_BROKEN = (EOFError, KeyError, OSError, SyntaxError, TypeError, ValueError, zipfile.BadZipFile)
_MATRIX_NAMES = ("adjacency", "weights", "matrix", "arr_0")


def read_npy(path: Path) -> Any:
    """The array of a .npy file.

    Raises:
        CommandError: If it cannot be read, or holds Python objects.
    """
    try:
        # Mapped first, so that a head that promises more than the file holds allocates nothing.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (*_BROKEN, zlib.error) as error:
        raise _unreadable(path, error) from error
    if not isinstance(array, np.ndarray):
        raise CommandError(f"{path} is no .npy file of one array.")
    require_room_for_bytes(str(path), array.nbytes)
    return np.array(array)


def read_npz(path: Path) -> Any:
    """The graph of a .npz file.

    That is a matrix saved by ``scipy.sparse.save_npz``, a square matrix of weights (the only array,
    or "adjacency", "weights" or "matrix"), or "edge_index" with "edge_weight" and "num_nodes".

    Raises:
        CommandError: If it cannot be read, holds Python objects, or holds no graph.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            require_room_for_bytes(str(path), sum(part.file_size for part in archive.infolist()))
        with np.load(path, allow_pickle=False) as file:
            if "format" in file:
                return _sparse(path)
            arrays = {name: file[name] for name in file.files}
    except CommandError:
        raise
    except (*_BROKEN, zlib.error, NotImplementedError, RuntimeError) as error:
        raise _unreadable(path, error) from error
    if "edge_index" in arrays:
        return _edges(path, arrays)
    name = next((name for name in _MATRIX_NAMES if name in arrays), None)
    if name is None and len(arrays) == 1:
        (name,) = arrays
    if name is None:
        raise CommandError(
            f'{path} holds no graph: expected a matrix called "adjacency", or "edge_index"; got '
            f"{one_line(', '.join(arrays), 200) or 'no array'}."
        )
    return arrays[name]


def _sparse(path: Path) -> Any:
    matrix = scipy.sparse.load_npz(path)
    # Indices out of range would be read as addresses by SciPy's compiled code.
    if hasattr(matrix, "check_format"):
        matrix.check_format(full_check=True)
    else:
        matrix = matrix.tocoo()
        scipy.sparse.coo_array((matrix.data, (matrix.row, matrix.col)), shape=matrix.shape)
    require_room(str(path), max(matrix.shape), matrix.nnz)
    return matrix


def _edges(path: Path, arrays: dict[str, Any]) -> Data:
    edge_index = arrays["edge_index"]
    if edge_index.ndim != 2 or edge_index.shape[0] != 2 or edge_index.dtype.kind not in "iu":
        raise CommandError(
            f"{path}: edge_index has shape (2, E) and whole numbers; got shape {edge_index.shape}, "
            f"{edge_index.dtype}."
        )
    data = Data(edge_index=torch.from_numpy(edge_index.astype(np.int64)))
    if "edge_weight" in arrays:
        weight = arrays["edge_weight"]
        if weight.dtype.kind not in "fiub":
            raise CommandError(f"{path}: weights are real numbers; got {weight.dtype}.")
        data.edge_weight = torch.from_numpy(weight.astype(np.float64))
    if "num_nodes" in arrays:
        count = arrays["num_nodes"]
        if count.size != 1 or count.dtype.kind not in "iu" or int(count.reshape(())) < 0:
            raise CommandError(f"{path}: num_nodes is one whole number; got {count!r}.")
        data.num_nodes = int(count.reshape(()))
    else:
        data.num_nodes = int(edge_index.max(initial=-1)) + 1
    require_room(str(path), max(data.num_nodes, 0), edge_index.shape[1])
    return data


def _unreadable(path: Path, error: Exception) -> CommandError:
    reason = one_line(str(error), 200).rstrip(".")
    if any(word in reason for word in ("allow_pickle", "pickled", "Object arrays", "objects in")):
        return CommandError(
            f"{path} holds pickled Python objects, which could run code; not read. Save plain "
            f"arrays of numbers."
        )
    kind = path.suffix.lower()
    return CommandError(f"{path} cannot be read as {kind}: {reason or type(error).__name__}.")
