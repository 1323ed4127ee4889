"""Where `SNLConv` spends its time on a large graph, and what it spares where a graph stays.

Run `python docs/measure_layer.py`: 100,000 nodes, 1,000,000 edges, 128 → 32 channels, three
Chebyshev taps, float32, the case of `snl-graph bench --case snlconv`. Processor time of one thread,
the least of several.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch.nn.functional import embedding_bag
from torch_geometric import EdgeIndex

from snl_graph import SNLConv
from snl_graph.bench.problems.layer import adjacency, random_graph

NODES, EDGES, INPUT, OUTPUT = 100_000, 1_000_000, 128, 32


def milliseconds(program: Callable[[], object], times: int = 5) -> float:
    """Least processor time of a call."""
    found = []
    for _ in range(times):
        start = time.process_time()
        program()
        found.append(time.process_time() - start)
    return 1e3 * min(found)


def show(what: str, spent: float) -> None:
    """A row of a table."""
    print(f"  {what:<68} {spent:7.1f} ms")


def parts() -> None:
    """What one call is made of, each alone."""
    generator = torch.Generator().manual_seed(0)
    edge_index = random_graph(NODES, EDGES, generator)
    matrix = adjacency(edge_index, NODES, torch.float32)
    pointer, columns = matrix.crow_indices(), matrix.col_indices()
    x, z, g = (torch.randn(NODES, width) for width in (INPUT, OUTPUT, OUTPUT))
    weights = [torch.randn(OUTPUT, INPUT) for _ in range(3)]
    print("The parts of one call:")
    show("three taps, X W_k each", milliseconds(lambda: [x @ weight.T for weight in weights]))
    bag = (columns.to(torch.int32), z, pointer.to(torch.int32))
    entries = matrix.values()
    show(
        "one sparse product, embedding_bag",
        milliseconds(
            lambda: embedding_bag(
                *bag, mode="sum", per_sample_weights=entries, include_last_offset=True
            )
        ),
    )
    show("one sparse product, CSR of the BLAS", milliseconds(lambda: matrix @ z))
    show("one sum of two signals", milliseconds(lambda: z + g))
    source, target = edge_index
    show(
        "gradient of the edge weights, sampled product",
        milliseconds(lambda: torch.sparse.sampled_addmm(matrix, g, z.T, beta=0.0)),
    )
    show(
        "gradient of the edge weights, gathering both ends",
        milliseconds(lambda: (g[target] * z[source]).sum(1)),
    )


@torch.no_grad()
def remembered() -> None:
    """One call, forward, by the form of the graph."""
    generator = torch.Generator().manual_seed(0)
    edge_index = random_graph(NODES, EDGES, generator)
    x = torch.randn(NODES, INPUT)

    def layer(**options: bool) -> SNLConv:
        return SNLConv(INPUT, OUTPUT, K=3, basis="chebyshev", **options)

    conv = layer()
    matrices = [adjacency(edge_index, NODES, torch.float32) for _ in range(3)]
    waiting = iter(matrices)
    undirected = EdgeIndex(edge_index, sparse_size=(NODES, NODES), is_undirected=True)
    undirected = undirected.sort_by("row").values
    cached = layer(cached=True)
    cached(x, edge_index)
    print("One call, forward:")
    first = milliseconds(lambda: conv(x, next(waiting)), times=3)
    show("torch.sparse matrix, first call", first)
    show("torch.sparse matrix, later calls", milliseconds(lambda: conv(x, matrices[0])))
    show("edge_index", milliseconds(lambda: conv(x, edge_index)))
    show("EdgeIndex, is_undirected=True", milliseconds(lambda: conv(x, undirected)))
    show("edge_index, cached=True, later calls", milliseconds(lambda: cached(x, edge_index)))


def main() -> None:
    """Print both tables."""
    torch.set_num_threads(1)
    parts()
    remembered()


if __name__ == "__main__":
    main()
