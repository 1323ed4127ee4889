"""Lists of edges in text: two nodes and perhaps a weight on each line."""

from __future__ import annotations

import ast
import math
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from snl_graph.cli.errors import CommandError, one_line

HEADS = ({"source", "target"}, {"src", "dst"}, {"from", "to"})
"""What a first line may call the two columns of a table."""


def read_edge_list(path: Path, *, directed: bool = False) -> Any:
    """Weights M of an edge list, M_ij of j → i, as a sparse matrix; N in order of appearance.

    A line holds ``source target`` and perhaps a weight, 1 if absent, parted by blanks, tabs or
    commas. networkx's own lines, which end with a dict of attributes, are read too. What follows a
    ``#`` or ``%`` is a remark; a first line of three words, or of two such as ``source target``, is
    the head of a table. An edge that stands twice has its last weight, as in networkx.

    Args:
        path: The file.
        directed: Whether an edge leads from its source to its target alone.

    Raises:
        CommandError: If the file is no text, or a line no edge; says which.
    """
    number_of: dict[str, int] = {}
    weight_of: dict[tuple[int, int], float] = {}
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                edge = _edge(line, path, number)
                if edge is None:
                    continue
                source, target, weight = edge
                ends = [number_of.setdefault(name, len(number_of)) for name in (source, target)]
                pair = (ends[0], ends[1])
                weight_of[pair if directed else (min(pair), max(pair))] = weight
    except UnicodeDecodeError as error:
        raise CommandError(
            f"{path} is no text in UTF-8, so no edge list (byte {error.start} of a piece of it)."
        ) from error
    pairs = np.array(list(weight_of), dtype=np.int64).reshape(-1, 2)
    weights = np.array(list(weight_of.values()), dtype=np.float64)
    nodes = len(number_of)
    matrix = scipy.sparse.coo_array((weights, (pairs[:, 1], pairs[:, 0])), shape=(nodes, nodes))
    if directed:
        return matrix
    others = pairs[:, 0] != pairs[:, 1]  # a self-loop is its own reverse
    reverse = scipy.sparse.coo_array(
        (weights[others], (pairs[others, 0], pairs[others, 1])), shape=(nodes, nodes)
    )
    return (matrix + reverse).tocoo()


def _edge(line: str, path: Path, number: int) -> tuple[str, str, float] | None:
    content = line.partition("#")[0].partition("%")[0].strip()
    if not content:
        return None
    content, brace, attributes = content.partition("{")
    parts = content.replace(",", " ").split()
    if len(parts) == 2:
        if number == 1 and {part.lower() for part in parts} in HEADS:
            return None
        weight = _weight_in("{" + attributes, path, number) if brace else 1.0
        return parts[0], parts[1], weight
    if len(parts) == 3 and not brace:
        try:
            weight = float(parts[2])
        except ValueError:
            if number == 1 and not any(map(_is_number, parts)):
                return None  # the head of a table
        else:
            if not math.isfinite(weight):
                raise CommandError(f"{path}, line {number}: the weight {parts[2]} is not finite.")
            return parts[0], parts[1], weight
    raise CommandError(
        f"{path}, line {number}: expected two nodes and perhaps a weight, such as `a b 0.5`; got "
        f'"{one_line(line, 60)}".'
    )


def _weight_in(attributes: str, path: Path, number: int) -> float:
    try:
        weight = ast.literal_eval(attributes[:10_000]).get("weight", 1.0)
        if isinstance(weight, bool) or not math.isfinite(weight):
            raise ValueError
    except (AttributeError, MemoryError, RecursionError, SyntaxError, TypeError, ValueError):
        raise CommandError(
            f'{path}, line {number}: expected attributes such as {{"weight": 0.5}} with a finite '
            f'number; got "{one_line(attributes, 60)}".'
        ) from None
    return float(weight)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
