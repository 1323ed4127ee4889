"""From what a person names on the command line to graphs, images and networks."""

from snl_graph.cli.inputs.sources import Graph, Network, graphs_of, seen_by_network

__all__ = ["Graph", "Network", "graphs_of", "seen_by_network"]
