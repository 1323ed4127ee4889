"""The pictures of the report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from torch import Tensor

from models.data.far_pair import SAME
from models.demo.graphs import LearnedGraph
from snl_graph.plotting import plot_attention_maps, plot_eigenvalues, plot_filter_response

Graphs = dict[str, dict[str, LearnedGraph]]


def eigenvalues(graphs: Graphs) -> Figure:
    """A row for each task: nl and snl side by side, in the complex plane if either needs it."""
    figure, axes = _grid(graphs)
    for row, (task, blocks) in zip(axes, graphs.items(), strict=True):
        in_plane = not all(graph.spectrum.is_real for graph in blocks.values())
        for ax, (name, graph) in zip(row, blocks.items(), strict=True):
            plot_eigenvalues(graph.spectrum, ax, plane=in_plane)
            ax.set_title(f"{task.replace('_', ' ')}, {name}: {ax.get_title()}", fontsize="small")
    return figure


def filter_responses(graphs: Graphs) -> Figure:
    """A row for each task: gains of the learned filters of nl and snl."""
    figure, axes = _grid(graphs)
    for row, (task, blocks) in zip(axes, graphs.items(), strict=True):
        for ax, (name, graph) in zip(row, blocks.items(), strict=True):
            plot_filter_response(graph.block, ax, spectrum=graph.spectrum)
            ax.set_title(f"{task.replace('_', ' ')}, {name}", fontsize="small")
        top = max(ax.get_ylim()[1] for ax in row)
        for ax in row:
            ax.set_ylim(0, top)
    return figure


def _grid(graphs: Graphs) -> tuple[Figure, list[list[mpl.axes.Axes]]]:
    figure = Figure(figsize=(8.4, 3.3 * len(graphs)), layout="constrained")
    axes = figure.subplots(len(graphs), 2, squeeze=False)
    return figure, axes.tolist()


def brightest(image: Tensor, rows: slice) -> tuple[int, int]:
    """Row and column of the brightest pixel among some rows of a picture (h, w)."""
    part = image[rows]
    index = int(part.argmax())
    return (rows.start or 0) + index // image.shape[1], index % image.shape[1]


def digit_attention(blocks: dict[str, LearnedGraph], count: int = 3) -> Figure:
    """Rows of A over real digits, from the brightest pixel of the upper and of the lower half."""
    figure = Figure(figsize=(8.4, 1.95 * count), layout="constrained")
    axes = figure.subplots(count, 1 + 2 * len(blocks))
    for index, row in enumerate(axes):
        for number, (name, graph) in enumerate(blocks.items()):
            picture = graph.images[index, 0]
            half = picture.shape[0] // 2
            positions = [brightest(picture, slice(0, half)), brightest(picture, slice(half, None))]
            first = 1 + 2 * number
            panels = list(row[first : first + 2])
            if number == 0:
                panels.insert(0, row[0])
            plot_attention_maps(
                graph.affinity[index],
                graph.size,
                positions,
                panels,
                image=picture if number == 0 else None,
            )
            for panel in row[first : first + 2]:
                panel.set_title(name, fontsize="small")
    return figure


def pair_attention(blocks: dict[str, LearnedGraph]) -> Figure:
    """One pair of one class and one of two: the rows of A of a position in the left digit."""
    some = next(iter(blocks.values()))
    indices = [int((some.classes == kind).nonzero()[0]) for kind in (SAME, 1 - SAME)]
    figure = Figure(figsize=(5.6, 7.6), layout="constrained")
    axes = iter(figure.subplots(2 * (1 + len(blocks)), 1))
    for index in indices:
        kind = "one class" if int(some.classes[index]) == SAME else "two classes"
        for number, (name, graph) in enumerate(blocks.items()):
            panels = [next(axes)] if number else [next(axes), next(axes)]
            picture = graph.images[index, 0] if number == 0 else None
            plot_attention_maps(graph.affinity[index], graph.size, [(0, 0)], panels, image=picture)
            panels[-1].set_title(name, fontsize="small", loc="left")
            if number == 0:
                panels[0].set_title(f"digits of {kind}", fontsize="small", loc="left")
    return figure


def save_all(graphs: Graphs, folder: Path) -> dict[str, str]:
    """Write every picture as a PNG file; returns caption by file name."""
    figures: dict[str, tuple[Callable[[], Figure], str]] = {
        "eigenvalues.png": (
            lambda: eigenvalues(graphs),
            "Eigenvalues of the learned graph's Laplacian L = I − A on the first test image. "
            "Circles are real, triangles are not.",
        ),
        "filter_response.png": (
            lambda: filter_responses(graphs),
            "Learned filters: singular values of g(λ), the gain of the filter at each eigenvalue. "
            "nl is (1 − λ) W and so silent at λ = 1; snl is W₁ + (1 − λ) W₂.",
        ),
        "attention_digits.png": (
            lambda: digit_attention(graphs["digits"]),
            "Rows of A on three test digits, from two marked pixels. Every map has its own scale, "
            "written below it.",
        ),
        "attention_far_pair.png": (
            lambda: pair_attention(graphs["far_pair"]),
            "Far pair: where the marked position in the left digit looks.",
        ),
    }
    captions = {}
    with mpl.rc_context({"font.size": 9}):
        for name, (draw, caption) in figures.items():
            draw().savefig(folder / name, dpi=120)
            captions[name] = caption
    return captions
