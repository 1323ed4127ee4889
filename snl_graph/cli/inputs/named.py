"""Graphs by name: those that textbooks use, and families with a size."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import networkx as nx

from snl_graph.cli.errors import CommandError
from snl_graph.cli.inputs.limits import require_room
from snl_graph.names import lookup

FAMOUS: dict[str, Callable[[], Any]] = {
    "karate": nx.karate_club_graph,
    "les_miserables": nx.les_miserables_graph,
    "davis": nx.davis_southern_women_graph,
    "florentine": nx.florentine_families_graph,
    "petersen": nx.petersen_graph,
}
"""Graphs that networkx ships with; their edges' weights count."""


@dataclass(frozen=True)
class Family:
    """Graphs of one kind, made of numbers.

    Attributes:
        form: How it is written.
        make: The graph.
        extent: Nodes and edges of it, before it is made.
        fewest: Least value of each number.
    """

    form: str
    make: Callable[..., Any]
    extent: Callable[..., tuple[int, int]]
    fewest: tuple[int, ...]


FAMILIES: dict[str, Family] = {
    "path": Family("path:N", nx.path_graph, lambda n: (n, n), (0,)),
    "cycle": Family("cycle:N", nx.cycle_graph, lambda n: (n, n), (1,)),
    "star": Family("star:LEAVES", nx.star_graph, lambda n: (n + 1, n), (0,)),
    "complete": Family("complete:N", nx.complete_graph, lambda n: (n, n * (n - 1) // 2), (0,)),
    "empty": Family("empty:N", nx.empty_graph, lambda n: (n, 0), (0,)),
    "bipartite": Family(
        "bipartite:MxN",
        nx.complete_bipartite_graph,
        lambda m, n: (m + n, m * n),
        (0, 0),
    ),
    "grid": Family("grid:HxW", nx.grid_2d_graph, lambda h, w: (h * w, 2 * h * w), (1, 1)),
    "torus": Family(
        "torus:HxW",
        lambda h, w: nx.grid_2d_graph(h, w, periodic=True),
        lambda h, w: (h * w, 2 * h * w),
        (3, 3),
    ),
    "regular": Family(
        "regular:NxDEGREE",
        lambda n, degree: nx.random_regular_graph(degree, n, seed=0),
        lambda n, degree: (n, n * degree // 2),
        (1, 0),
    ),
    "barabasi_albert": Family(
        "barabasi_albert:NxM",
        lambda n, m: nx.barabasi_albert_graph(n, m, seed=0),
        lambda n, m: (n, n * m),
        (2, 1),
    ),
}
"""Families; random ones are drawn with seed 0."""

CHOICES = ", ".join([*FAMOUS, *(family.form for family in FAMILIES.values())])

# A networkx graph takes several times what arrays take.
_OBJECTS = 6


def is_name(source: str) -> bool:
    """Whether ``source`` is written as a graph of these tables."""
    name = _parts(source)[0]
    return name in FAMOUS or name in FAMILIES


def nearest_name(source: str) -> str | None:
    """The name of these tables that ``source`` resembles, if there is one."""
    near = difflib.get_close_matches(_parts(source)[0], [*FAMOUS, *FAMILIES], n=1)
    return near[0] if near else None


def _parts(source: str) -> tuple[str, str, str]:
    """Name, colon and numbers; "Les Misérables" and "les-miserables" are names as well."""
    name, colon, numbers = source.partition(":")
    letters = unicodedata.normalize("NFKD", name.strip()).encode("ascii", "ignore").decode()
    return letters.lower().replace(" ", "_").replace("-", "_"), colon, numbers


def named_graph(source: str) -> Any:
    """The graph of that name.

    Raises:
        CommandError: If there is none, its numbers do not fit, or it is too large for the memory.
    """
    name, colon, numbers = _parts(source)
    if name in FAMOUS and not colon:
        return FAMOUS[name]()
    if name in FAMOUS:
        raise CommandError(f'"{name}" is one graph and has no size; got "{source}".')
    family = lookup(FAMILIES, name, "graph")
    try:
        sizes = [int(number) for number in numbers.split("x")] if numbers else []
    except ValueError:
        sizes = []
    if len(sizes) != len(family.fewest) or any(
        size < least for size, least in zip(sizes, family.fewest, strict=True)
    ):
        least = " and ".join(map(str, family.fewest))
        raise CommandError(
            f'"{name}" is written {family.form}, in whole numbers of at least {least}; got '
            f'"{source}".'
        )
    nodes, edges = family.extent(*sizes)
    require_room(source, nodes, edges, times=_OBJECTS)
    try:
        return family.make(*sizes)
    except nx.NetworkXException as error:
        raise CommandError(f'there is no graph "{source}": {error}.') from error
