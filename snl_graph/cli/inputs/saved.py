"""Graphs saved by PyTorch Geometric, loaded without running code from the file."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data, HeteroData
from torch_geometric.data.data import DataEdgeAttr, DataTensorAttr
from torch_geometric.data.storage import BaseStorage, EdgeStorage, GlobalStorage, NodeStorage

from snl_graph.cli.errors import CommandError, one_line
from snl_graph.cli.inputs.limits import require_room, require_room_for_bytes


class _SavedBatch:
    """The state of a saved Batch: PyG restores it through a class made while it loads."""

    def __setstate__(self, state: Any) -> None:
        self.state = state


def _saved_batch(*_: Any) -> _SavedBatch:
    return _SavedBatch()


class _Restorer:
    """Stands in for PyG's ``DynamicInheritanceGetter``."""

    def __new__(cls) -> Any:
        return _saved_batch


_ALLOWED: list[Any] = [
    Data,
    HeteroData,
    DataEdgeAttr,
    DataTensorAttr,
    BaseStorage,
    EdgeStorage,
    GlobalStorage,
    NodeStorage,
    _SavedBatch,
    _saved_batch,
    (_Restorer, "torch_geometric.data.batch.DynamicInheritanceGetter"),
    (_SavedBatch, "torch_geometric.data.batch.Batch"),
]


def load_plain(path: Path, allowed: list[Any] | None = None) -> Any:
    """Content of a file of ``torch.save``: tensors, plain values, and objects of allowed classes.

    Raises:
        CommandError: If the file is missing, unreadable, or names anything else; that is not run.
    """
    if not path.is_file():
        raise CommandError(f"there is no file {path}.")
    try:
        with torch.serialization.safe_globals(allowed or []):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).replace("torch.serialization.", "")
        raise CommandError(f"{path} was not loaded: {_refusal(path, reason)}") from error
    except Exception as error:  # a broken file can fail in any way
        if isinstance(error, OSError) and error.filename is not None:  # it could not be opened
            raise
        reason = one_line(str(error), 200).rstrip(".")
        raise CommandError(
            f"{path} cannot be read as a file of torch.save ({path.stat().st_size:,} bytes): it is "
            f"empty, cut off, or of another kind ({type(error).__name__}: {reason})."
        ) from error


def _refusal(path: Path, reason: str) -> str:
    try:
        unknown = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # no archive at all, or a broken one
        unknown = []
    if unknown:
        names = one_line(", ".join(sorted(unknown)), 200)
        return (
            f"it names {names}, and to load such objects could run code from the file. Nothing of "
            f"it was run. Save tensors, plain values or PyG's Data."
        )
    if "Unsupported global" in reason or "Trying to" in reason or "Can only" in reason:
        return "its pickle does what only code could need. Nothing of it was run."
    return "it is no file of torch.save, or a broken one."


def read_saved(path: Path) -> Any:
    """Graphs of a .pt file: a Data, a Batch, a list of Data, a dict of a Data, or a matrix.

    Raises:
        CommandError: If the file cannot be loaded safely, or holds no graph.
    """
    return graph_in(load_plain(path, _ALLOWED), path)


def graph_in(content: Any, path: Path) -> Any:
    """The graph, or list of graphs, that a file's content is.

    Raises:
        CommandError: If it is none.
    """
    if isinstance(content, Tensor):
        _require_stored(content, path)
        return content
    if isinstance(content, _SavedBatch):
        content = _batch_of(content.state, path)
    if isinstance(content, dict) and "edge_index" in content:
        names = ("edge_index", "edge_weight", "edge_attr", "num_nodes", "x", "batch", "ptr")
        content = Data(**{name: content[name] for name in names if name in content})
    if isinstance(content, list | tuple) and content:
        if isinstance(content, tuple) and any(isinstance(one, dict) for one in content[1:]):
            raise CommandError(
                f"{path} holds a whole data set (InMemoryDataset). Save one of its graphs: "
                f'torch.save(dataset[0], "graph.pt").'
            )
        found = [graph_in(one, path) for one in content]
        return [graph for one in found for graph in (one if isinstance(one, list) else [one])]
    if isinstance(content, HeteroData):
        raise CommandError(
            f"{path} holds a HeteroData, whose nodes are of several kinds. Save "
            f"data.to_homogeneous()."
        )
    if not isinstance(content, Data):
        raise CommandError(
            f"{path} holds {_kind(content)}; expected a PyG Data or Batch, a list of Data, or a "
            f"square tensor of weights."
        )
    return _checked(content, path)


def _kind(content: Any) -> str:
    if isinstance(content, dict):
        keys = one_line(", ".join(map(str, list(content)[:5])), 120)
        return f"a dict of {keys or 'nothing'} (weights of a network go to --checkpoint)"
    return f"an object of type {type(content).__name__}"


def _batch_of(state: Any, path: Path) -> Data:
    mapping = getattr(state.get("_store"), "_mapping", None) if isinstance(state, dict) else None
    if not isinstance(mapping, dict):
        raise CommandError(f"{path} holds a Batch without content.")
    kept = {name: value for name, value in mapping.items() if isinstance(name, str)}
    return Data(**{name: value for name, value in kept.items() if name.isidentifier()})


def _checked(data: Data, path: Path) -> Any:
    """The graph as it is, or the graphs of a batch; every tensor of it looked at."""
    try:
        fields = {
            name: data.get(name) for name in ("edge_index", "edge_weight", "edge_attr", "ptr", "x")
        }
        adj_t, nodes = data.get("adj_t"), data.num_nodes
    except Exception as error:  # a state that PyG itself would never write
        raise CommandError(
            f"{path} holds a Data that is broken ({type(error).__name__})."
        ) from error
    if fields["edge_index"] is None and isinstance(adj_t, Tensor):
        return adj_t
    for name, value in fields.items():
        if value is not None and not isinstance(value, Tensor):
            raise CommandError(f"{path}: {name} must be a tensor; got {type(value).__name__}.")
        if value is not None:
            _require_stored(value, path)
    edge_index = fields["edge_index"]
    if edge_index is None:
        raise CommandError(f"{path} holds a graph without edge_index; expected shape (2, E).")
    is_whole = not (edge_index.is_floating_point() or edge_index.is_complex())
    if edge_index.dim() != 2 or edge_index.shape[0] != 2 or not is_whole:
        raise CommandError(
            f"{path}: edge_index has shape (2, E) and whole numbers; got "
            f"{tuple(edge_index.shape)}, {edge_index.dtype}."
        )
    if not isinstance(nodes, int) or nodes < 0:
        raise CommandError(f"{path}: num_nodes must be a whole number; got {nodes!r}.")
    require_room(str(path), nodes, edge_index.shape[1])
    ptr = fields["ptr"]
    return _split(data, ptr) if ptr is not None and ptr.numel() > 2 else data


def _require_stored(value: Tensor, path: Path) -> None:
    """Refuse a tensor that repeats a few numbers so often that a copy would fill the memory."""
    require_room_for_bytes(str(path), value.numel() * value.element_size())


def _split(data: Data, ptr: Tensor) -> list[Data]:
    """The graphs of a batch, whose nodes stand one graph after another."""
    graphs = []
    weight = data.edge_weight if "edge_weight" in data else data.edge_attr
    for first, last in zip(ptr[:-1].tolist(), ptr[1:].tolist(), strict=True):
        inside = (data.edge_index[0] >= first) & (data.edge_index[0] < last)
        graph = Data(edge_index=data.edge_index[:, inside] - first, num_nodes=last - first)
        if weight is not None:
            graph.edge_weight = weight[inside]
        if data.x is not None:
            graph.x = data.x[first:last]
        graphs.append(graph)
    return graphs
