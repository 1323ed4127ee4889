"""Eigenvalues of three social networks, and what the second eigenvector knows of one of them.

    python docs/examples/social_network.py OUT

Writes ``OUT/social_network.png`` and prints what is in it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import networkx as nx
from matplotlib.figure import Figure

from snl_graph import check_laplacian, plotting, spectrum

NETWORKS = {
    "karate club": nx.karate_club_graph,
    "Les Misérables": nx.les_miserables_graph,
    "Davis": nx.davis_southern_women_graph,
}


def clubs(graph: nx.Graph) -> tuple[float, float]:
    """λ of the second eigenvector, and the share of members it puts into their later club."""
    found = spectrum(graph, vectors=True)
    side = found.eigenvectors[:, 1] > 0
    members = [graph.nodes[node]["club"] == "Officer" for node in graph]
    agree = sum(bool(one) == member for one, member in zip(side, members, strict=True))
    return float(found.eigenvalues[1]), max(agree, len(members) - agree) / len(members)


def draw() -> Figure:
    """Eigenvalues above, the karate club's second eigenvector below."""
    figure = Figure(figsize=(11, 7), layout="constrained")
    above, below = figure.subfigures(2, 1)
    for ax, (name, make) in zip(above.subplots(1, 3), NETWORKS.items(), strict=True):
        plotting.plot_eigenvalues(spectrum(make()), ax)
        ax.axhline(2, linestyle=":", color="grey", linewidth=0.8)
        ax.set_title(f"{name}: {ax.get_title()}", fontsize="small")
    left, right = below.subplots(1, 2)
    graph = nx.karate_club_graph()
    found = spectrum(graph, vectors=True)
    vector = found.eigenvectors[:, 1]
    plotting.plot_graph_signal(graph, -vector * vector[0].sign(), left)  # Mr. Hi, node 0, below 0
    left.set_title(f"second eigenvector, λ = {found.eigenvalues[1]:.3f}", fontsize="medium")
    later = [1.0 if graph.nodes[node]["club"] == "Officer" else -1.0 for node in graph]
    plotting.plot_graph_signal(graph, later, right)
    right.set_title("the two clubs it fell into", fontsize="medium")
    return figure


def main(out: str) -> None:
    """Print facts, write the picture."""
    for name, make in NETWORKS.items():
        report = check_laplacian(make())
        attains = "attains the bound 2" if report.attains_bound else "below the bound 2"
        print(f"{name}: λ_max = {report.lambda_max:.4f}, {attains}, bipartite: {report.bipartite}")
    at, share = clubs(nx.karate_club_graph())
    print(f"karate club: the eigenvector of λ = {at:.3f} tells the later club of {share:.0%}")
    draw().savefig(Path(out) / "social_network.png", dpi=120)


if __name__ == "__main__":
    main(*sys.argv[1:2])
