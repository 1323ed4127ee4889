"""Make every picture of docs/pictures.md.

    python docs/examples/make_pictures.py DATA NETWORKS OUT

DATA holds Fashion-MNIST, NETWORKS what ``garment_scenes.py`` trained; the pictures become PNG files
in the folder OUT.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import networkx as nx
import torch
from garment_explorer import GARMENTS, TOE
from garment_scenes import KINDS, SIDE, garments, network
from matplotlib.figure import Figure
from torch import Tensor, nn

from snl_graph import plotting, spectrum
from snl_graph.attention import attention_of, block_inputs
from snl_graph.filters import ARMA, Cayley, Heat, MexicanHat, Meyer
from snl_graph.spectral import Spectrum, spectral_density

Seen = dict[str, tuple[nn.Module, Tensor]]


def trained(data: str, folder: str) -> tuple[Tensor, Seen]:
    """The scene of the explorer's picture, and each block with what enters it."""
    pictures, _ = garments(data, False)
    quarters = pictures[list(GARMENTS)].view(2, 2, SIDE, SIDE)
    scene = quarters.transpose(1, 2).reshape(1, 1, 2 * SIDE, 2 * SIDE)
    seen = {}
    for kind in KINDS:
        model = network(kind)
        model.load_state_dict(torch.load(Path(folder) / f"{kind}.pt", weights_only=True))
        (seen[kind],) = block_inputs(model, scene).values()
    return scene, seen


def eigenvalues(found: dict[str, Spectrum]) -> Figure:
    """Sorted, as a histogram, in the complex plane."""
    figure = Figure(figsize=(11, 3.2), layout="constrained")
    ranked, counted, plane = figure.subplots(1, 3)
    karate = spectrum(nx.karate_club_graph())
    plotting.plot_eigenvalues(karate, ranked)
    plotting.plot_eigenvalue_histogram(found["snl"], counted, log=True)
    plotting.plot_eigenvalues(found["nl"], plane)
    for ax, name in ((ranked, "karate club"), (counted, "snl"), (plane, "nl")):
        ax.set_title(f"{name}: {ax.get_title()}", fontsize="small")
    return figure


def density() -> Figure:
    """A graph that is counted, and one that is estimated."""
    figure = Figure(figsize=(8.4, 3.2), layout="constrained")
    small, large = figure.subplots(1, 2)
    clubs = nx.karate_club_graph()
    plotting.plot_spectral_density(spectral_density(clubs, bins=24), small)
    grown = nx.barabasi_albert_graph(5000, 4, seed=0)
    plotting.plot_spectral_density(spectral_density(grown, bins=60), large)
    small.set_title("karate club, 34 nodes", fontsize="medium")
    large.set_title(f"preferential attachment, 5,000: {large.get_title()}", fontsize="small")
    return figure


def responses(seen: Seen, found: dict[str, Spectrum]) -> Figure:
    """Learned gains of two blocks, and the taps of two filters."""
    figure = Figure(figsize=(11.6, 6.2), layout="constrained")
    (nl, snl, error), (meyer, hat, cayley) = figure.subplots(2, 3)
    for name, ax in (("nl", nl), ("snl", snl)):
        plotting.plot_filter_response(seen[name][0], ax, spectrum=found[name])
        ax.set_title(f"{name}, learned", fontsize="medium")
    kinds = {"heat": Heat(1), "Mexican hat": MexicanHat(4), "Meyer": Meyer(4), "ARMA": ARMA(1)}
    plotting.plot_approximation_error(kinds, [1, 2, 4, 8, 16, 32], error)
    for ax, name, one in (
        (meyer, "Meyer", Meyer(4)),
        (hat, "Mexican hat", MexicanHat(4)),
        (cayley, "Cayley", Cayley(3)),
    ):
        plotting.plot_taps(one, ax)
        ax.set_title(f"{name}: {ax.get_title()}", fontsize="medium")
    return figure


def signals(seen: Seen) -> Figure:
    """The first eigenvectors of a social network, and of what snl made of the scene."""
    figure = Figure(figsize=(11, 5.4), layout="constrained")
    above, below = figure.subplots(2, 3)
    clubs = nx.karate_club_graph()
    layout = nx.spring_layout(clubs, seed=3)
    found = spectrum(clubs, vectors=True)
    for ax, index in zip(above, (1, 2, 33), strict=True):
        vector = found.eigenvectors[:, index]
        plotting.plot_graph_signal(clubs, vector, ax, positions=layout)
        ax.set_title(f"karate club, λ = {found.eigenvalues[index]:.3f}", fontsize="medium")
    (block, x) = seen["snl"]
    (learned,) = spectrum((block, x), vectors=True)
    for ax, index in zip(below, (0, 1, 2), strict=True):
        vector = learned.eigenvectors[:, index]
        plotting.plot_grid_signal(vector * vector.sum().sign(), tuple(x.shape[2:]), ax)
        ax.set_title(f"snl on a scene, λ = {learned.eigenvalues[index]:.3f}", fontsize="medium")
    return figure


def attention(scene: Tensor, seen: Seen) -> Figure:
    """Two positions under two blocks, and the passes of a third."""
    figure = Figure(figsize=(8.8, 7.4), layout="constrained")
    rows = figure.subplots(3, 4)
    image = scene[0, 0]
    places = [TOE, (16, 8), (8, 17)]
    for row, name, gamma in zip(rows, ("nl", "snl"), (0.5, 1.0), strict=False):
        found = attention_of(*seen[name])
        plotting.plot_block_attention(found, places, row, image=image, gamma=gamma)
        row[0].set_title(name, fontsize="medium", loc="left")
    plotting.plot_attention_views(
        attention_of(*seen["cc"]), (8, 17), rows[2], image=image, gamma=0.5
    )
    rows[2, 0].set_title("cc, twice", fontsize="medium", loc="left")
    return figure


def feature_maps(seen: Seen) -> Figure:
    """Before and after each block, as in the paper's Fig. 3 A."""
    figure = Figure(figsize=(9, 7), layout="constrained")
    for row, (name, (block, x)) in zip(figure.subplots(3, 3), seen.items(), strict=True):
        plotting.plot_before_and_after(block, x, row)
        row[0].set_ylabel(name)
    return figure


def main(data: str, networks: str, out: str) -> None:
    """Draw all of them."""
    scene, seen = trained(data, networks)
    found = {name: spectrum(pair)[0] for name, pair in seen.items()}
    figures: dict[str, Callable[[], Figure]] = {
        "pictures_eigenvalues": lambda: eigenvalues(found),
        "pictures_density": density,
        "pictures_responses": lambda: responses(seen, found),
        "pictures_signals": lambda: signals(seen),
        "pictures_attention": lambda: attention(scene, seen),
        "pictures_feature_maps": lambda: feature_maps(seen),
    }
    with mpl.rc_context({"font.size": 9}):
        for name, draw in figures.items():
            draw().savefig(Path(out) / f"{name}.png", dpi=120)
            print(name)


if __name__ == "__main__":
    main(*sys.argv[1:4])
