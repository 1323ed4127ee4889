"""Which representation `auto` takes: counted operations, weighed by measured costs."""

from __future__ import annotations

import torch

from snl_graph.grids import Size
from snl_graph.kernels import Kernel
from snl_graph.masks import Mask
from snl_graph.representations import REPRESENTATIONS


def edge_cost(width: int, *, is_symmetric: bool) -> float:
    """Cost of an edge in entries of a matrix, forward and backward, for ``width`` channels.

    A message moves all its channels through memory, where an entry of a matrix waits in the cache;
    a symmetrised edge sends two. Fitted to ``python docs/measure_edges.py`` on one thread: with 16
    channels 10 to 17 entries (symmetrised 17 to 31), with 64 channels 16 to 26 (27 to 51).
    """
    return (16 + width / 2) / (1 if is_symmetric else 2)


LINES_COST = 250
"""What the many small products of a grid cost, in weights a node: see ``docs/operator.md``."""


STREAMING_FROM = 2**14
"""Pairs of nodes below which the calls of the streaming form cost more than their work."""

DENSE_UP_TO = 2**22
"""Pairs of nodes from which on matrices are not written down (16 MiB each in float32)."""


MATRIX_CREDIT = 4096
"""What the fewer calls of the dense form are worth, in entries of a matrix: small maps take it."""


def streaming_cost(width: int, applications: int, *, is_symmetric: bool) -> tuple[float, float]:
    """Cost of a pair in the streaming and in the dense form, in ns: see ``docs/operator.md``.

    A fused call is an exponential and two products of that width; the symmetric form takes two for
    the degrees and two an application. A dense matrix is written down in several passes.
    """
    calls = 2 + 2 * applications if is_symmetric else applications
    passes = 16 if is_symmetric else 8
    return calls * (2 + width / 16), passes + width * (1 + applications) / 40


def choose(
    kernel: Kernel,
    mask: Mask,
    size: Size,
    shape: tuple[int, int],
    width: int,
    *,
    is_symmetric: bool,
    applications: int = 1,
) -> str:
    """The representation that ``auto`` takes: the cheapest by counted operations.

    - Full mask and inner-product kernel: p applications of the factored form cost 4·N·r·C·p (twice
      that when symmetrised), those of the dense form 2·N²·r to write A down and 2·N²·C·p to apply
      it. With C = r the factored form is cheaper from N = 2·p·r/(p + 1) on (4·p·r/(p + 1)). It
      takes more calls, which on maps up to some 8×8 cost more (``MATRIX_CREDIT``).
    - Criss-cross mask: ``grid`` when its ΣS weights a node (S: the lengths of the axes) and
      ``LINES_COST`` more are fewer than 2·N, for an entry of a matrix has its mask to be written
      down too: from 12×12 on.
    - Other sparse masks: ``edges`` when E edges, each :func:`edge_cost` times as dear as an entry
      of a matrix, are cheaper than N² entries.
    - Full mask and exponential kernel: ``streaming`` from :data:`STREAMING_FROM` pairs on, where
      its fused calls are cheaper (:func:`streaming_cost`), and from :data:`DENSE_UP_TO` pairs on in
      any case, for the sake of memory.
    - ``dense`` otherwise.

    While a program is exported its sizes are symbols, and the choice must be right at every N:
    ``factored`` or ``grid`` where the kernel and the mask have it, else ``dense``.

    Args:
        kernel: The kernel.
        mask: Which pairs are joined.
        size: Spatial size of the targets.
        shape: (N, N').
        width: r, the width of Φ and Ψ.
        is_symmetric: Whether A will be symmetrised.
        applications: p, how often A is applied.

    Returns:
        A name of ``REPRESENTATIONS``.
    """
    has_factors = mask.is_full and kernel.is_inner_product
    has_lines = REPRESENTATIONS["grid"].serves(mask)
    if torch.compiler.is_exporting():
        return "factored" if has_factors else "grid" if has_lines else "dense"
    targets, sources = shape
    if has_lines:
        return "grid" if sum(size) + LINES_COST <= 2 * sources else "dense"
    if not mask.is_full:
        edges = mask.num_edges(size) * edge_cost(width, is_symmetric=is_symmetric)
        return "edges" if edges <= targets * sources else "dense"
    if kernel.is_exponential:
        pairs = targets * sources
        if pairs < STREAMING_FROM:
            return "dense"
        streaming, dense = streaming_cost(width, applications, is_symmetric=is_symmetric)
        return "streaming" if streaming <= dense or pairs >= DENSE_UP_TO else "dense"
    if not has_factors:
        return "dense"
    factored_cost = (2 if is_symmetric else 1) * (targets + sources) * width * applications
    dense_cost = targets * sources * (1 + applications) - MATRIX_CREDIT
    return "factored" if factored_cost <= dense_cost else "dense"
