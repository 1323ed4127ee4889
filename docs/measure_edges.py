"""Time of sparse masks as edges and as a matrix, forward and backward.

Run `python docs/measure_edges.py`. One row a mask, a size and a width; the last two columns are
what an edge costs in entries of a matrix, measured and by `edge_cost` of `snl_graph`, which was
fitted to them. Processor time of one thread, the least of several.
"""

from __future__ import annotations

import itertools
import time

import torch

from snl_graph import affinity
from snl_graph.choice import edge_cost
from snl_graph.masks import CrissCross, Mask, Window

SIDES = (12, 16, 24, 32)
WIDTHS = (16, 64)
MASKS: tuple[Mask, ...] = (Window(1), Window(3), CrissCross())
KERNELS = (("dot", "sym"), ("embedded_gaussian", "rw"))


def milliseconds(
    representation: str, mask: Mask, side: int, width: int, kernel: str, normalization: str
) -> float:
    """Least processor time of one forward and backward pass over a side × side map."""
    phi, psi, z = (torch.randn(1, side**2, width, requires_grad=True) for _ in range(3))
    times = []
    for _ in range(max(3, 20_000 // side**2)):
        start = time.process_time()
        a = affinity(
            phi,
            psi,
            kernel=kernel,
            mask=mask,
            normalization=normalization,
            representation=representation,
            size=(side, side),
        )
        a.apply(z).sum().backward()
        times.append(time.process_time() - start)
    return 1e3 * min(times)


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    print("kernel             mask          side width  dense ms  edges ms  cost  fitted")
    for (kernel, normalization), mask, side, width in itertools.product(
        KERNELS, MASKS, SIDES, WIDTHS
    ):
        dense, edges = (
            milliseconds(representation, mask, side, width, kernel, normalization)
            for representation in ("dense", "edges")
        )
        cost = edges / mask.num_edges((side, side)) / (dense / side**4)
        fitted = edge_cost(width, is_symmetric=normalization == "sym")
        print(
            f"{kernel:18} {mask!s:13} {side:4} {width:5} {dense:9.2f} {edges:9.2f} {cost:5.1f} "
            f"{fitted:7.1f}"
        )


if __name__ == "__main__":
    main()
