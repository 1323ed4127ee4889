"""Graphs in files, each kind told by the suffix of the name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import networkx as nx

from snl_graph.cli.errors import CommandError, one_line
from snl_graph.cli.inputs.arrays import read_npy, read_npz
from snl_graph.cli.inputs.edge_list import read_edge_list
from snl_graph.cli.inputs.saved import read_saved


def read_graphml(path: Path) -> Any:
    """A graph in GraphML; its edges' attribute "weight" counts.

    Raises:
        CommandError: If the file is no GraphML, or declares entities, which can be made to grow
            without bound.
    """
    with path.open("rb") as file:
        start = file.read(1 << 16).replace(b"\0", b"")  # UTF-16 too
    if b"<!ENTITY" in start:
        raise CommandError(f"{path} declares XML entities, which no GraphML needs; not read.")
    try:
        return nx.read_graphml(path)
    except ParseError as error:
        raise CommandError(f"{path} is no whole XML file, so no GraphML: {error}.") from error
    except (nx.NetworkXException, AttributeError, KeyError, TypeError, ValueError) as error:
        reason = one_line(str(error), 200) or type(error).__name__
        raise CommandError(f"{path} is no GraphML that networkx can read: {reason}.") from error


READERS: dict[str, Callable[[Path], Any]] = {
    ".graphml": read_graphml,
    ".xml": read_graphml,
    ".npz": read_npz,
    ".npy": read_npy,
    ".pt": read_saved,
    ".pth": read_saved,
}
EDGE_LISTS = (".txt", ".csv", ".tsv", ".edges", ".edgelist")


def read_graph_file(path: Path, *, directed: bool = False) -> Any:
    """What the file holds, as :func:`~snl_graph.spectrum` takes it; a list for several graphs.

    Raises:
        CommandError: If there is no such file, its kind is unknown, or it cannot be read.
    """
    if not path.exists():
        raise CommandError(f"there is no file {path}.")
    if not path.is_file():
        raise CommandError(f"{path} is no file but a folder or device.")
    suffix = path.suffix.lower()
    if suffix in EDGE_LISTS:
        return read_edge_list(path, directed=directed)
    if directed:
        raise CommandError("--directed goes with an edge list; other files say it themselves.")
    if suffix not in READERS:
        known = ", ".join([*READERS, *EDGE_LISTS])
        raise CommandError(f"{path}: graphs are read from {known}; got {suffix or 'no suffix'}.")
    return READERS[suffix](path)
