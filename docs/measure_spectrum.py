"""Time and memory of the spectrum of a large block and of the density of a large graph.

python docs/measure_spectrum.py
"""

import resource
import time
from collections.abc import Callable

import torch
from torch_geometric.data import Data

from snl_graph import check_laplacian, nonlocal_block, spectral_density, spectrum

PIXELS = 256
EDGES = 1_000_000


def measure(name: str, function: Callable[[], object]) -> None:
    """Print what one call takes; see above."""
    start = time.process_time()
    found = function()
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{name:<58} {seconds:6.1f} s  {peak:5.2f} GB  {found}")


def main() -> None:
    """Measure on one core."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for channels in (64, 256):
        block = nonlocal_block("snl", channels).eval()
        x = torch.randn(1, channels, PIXELS, PIXELS)
        measure(
            f"spectrum, {PIXELS**2:,} pixels, {channels} channels",
            lambda: f"λ_max {spectrum((block, x))[0].lambda_max:.3f}",  # noqa: B023
        )
    for nodes in (100_000, 1_000_000):
        graph = Data(edge_index=torch.randint(nodes, (2, EDGES)), num_nodes=nodes)
        measure(
            f"spectral_density, {EDGES:,} edges, {nodes:,} nodes",
            lambda: f"error {spectral_density(graph).error:.4f}",  # noqa: B023
        )
        measure(
            f"check_laplacian, {EDGES:,} edges, {nodes:,} nodes",
            lambda: "ok" if check_laplacian(graph).ok else "not ok",  # noqa: B023
        )


if __name__ == "__main__":
    main()
