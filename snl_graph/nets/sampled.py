"""What a loader of sampled subgraphs must give for outputs that equal those of the whole graph."""

from __future__ import annotations

from torch_geometric.loader import NeighborLoader
from torch_geometric.sampler.base import SubgraphType


def check_trimming(hops: int, *, is_undirected: bool) -> None:
    """Raise a ``ValueError`` if a sampled graph cannot lose one hop a layer.

    Args:
        hops: How far the layer that reaches farthest does.
        is_undirected: Whether the layers expect each edge in both directions.
    """
    if is_undirected:
        raise ValueError(
            "num_sampled_nodes_per_hop trims a graph of sampled, directed edges, and symmetric "
            "normalisation needs each edge in both directions. Leave num_sampled_* out and sample "
            'with subgraph_type="bidirectional", or make the network with normalization="rw".'
        )
    if hops > 1:
        raise ValueError(
            f"trimming takes one hop off the graph for each layer, but a layer here reaches {hops} "
            "hops (K - 1). Leave num_sampled_* out, or make the network with K=2."
        )


def check_whole_neighbourhoods(loader: object, hops: int, *, is_undirected: bool) -> None:
    """Raise unless one layer sees in each mini-batch what it sees in the whole graph.

    A layer of order h reads the rows of A of nodes up to h - 1 hops away, so all edges into them.
    Under symmetric normalisation it also reads the degrees of nodes h hops away: one hop more.

    Args:
        loader: What the caller passed.
        hops: How far the layer that reaches farthest does.
        is_undirected: Whether the layers expect each edge in both directions.
    """
    if not isinstance(loader, NeighborLoader):
        raise TypeError(
            f"inference takes a torch_geometric NeighborLoader, got {type(loader).__name__}. For "
            "the full graph call the network itself: net(x, edge_index)."
        )
    needed = max(hops + is_undirected, 1)
    wanted = f"NeighborLoader(data, num_neighbors=[-1] * {needed}"
    wanted += ', subgraph_type="bidirectional", ...)' if is_undirected else ", ...)"
    sizes = list(loader.node_sampler.num_neighbors.values)
    if len(sizes) < needed or any(size != -1 for size in sizes):
        raise ValueError(
            f"inference needs all neighbours of {needed} hops for each layer; the loader samples "
            f"{sizes}. Make it as {wanted}."
        )
    if is_undirected and loader.node_sampler.subgraph_type == SubgraphType.directional:
        raise ValueError(
            "the loader gives directed edges, and symmetric normalisation needs each edge in both "
            f'directions. Make it as {wanted}, or the network with normalization="rw".'
        )
    if len(loader.dataset) != loader.data.num_nodes or loader.drop_last:
        raise ValueError(
            f"inference gives one output for each of {loader.data.num_nodes} nodes; the loader "
            f"visits {len(loader.dataset)} of them{' and drops some' * loader.drop_last}. Leave "
            "input_nodes and drop_last out."
        )
