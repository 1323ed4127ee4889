"""The graphs that trained blocks make of test images, and numbers about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.data import ImageDataModule
from models.data.far_pair import DIGIT, WIDTH
from models.demo.tasks import TASKS, VARIANTS, Result, trained
from snl_graph import inserted_blocks
from snl_graph.spectral import Spectrum, spectrum

BLOCKS = tuple(variant for variant in VARIANTS if variant != "none")
IMAGES = 200


@dataclass(frozen=True)
class LearnedGraph:
    """A block of one trained network on test images.

    Attributes:
        block: The block.
        images: Network inputs, (n, 1, H, W).
        classes: (n,).
        affinity: A of each image, (n, N, N).
        size: (h, w) of the map the block sees, N = h · w.
        spectrum: Of the first image.
    """

    block: nn.Module
    images: Tensor
    classes: Tensor
    affinity: Tensor
    size: tuple[int, int]
    spectrum: Spectrum


def learned_graph(result: Result, count: int = IMAGES) -> LearnedGraph:
    """What the block of a result makes of the first ``count`` test images."""
    network = trained(result)
    ((_, block),) = inserted_blocks(network).items()
    data = ImageDataModule(TASKS[result.task].recipe.dataset, batch_size=count)
    data.setup()
    images, classes = next(iter(data.test_dataloader()))
    seen: list[Tensor] = []
    handle = block.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    with torch.no_grad():
        network(images)
        handle.remove()
        affinity = block.affinity_of(seen[0]).to_dense()  # type: ignore[operator]
    height, width = seen[0].shape[-2:]
    return LearnedGraph(
        block, images, classes, affinity, (height, width), spectrum((block, seen[0][:1]))[0]
    )


def first_seed_graphs(results: Sequence[Result]) -> dict[str, dict[str, LearnedGraph]]:
    """By task and block, the graphs of the networks trained with the first seed."""
    graphs: dict[str, dict[str, LearnedGraph]] = {}
    first = min(result.seed for result in results)
    for result in results:
        if result.seed == first and result.variant != "none":
            graphs.setdefault(result.task, {})[result.variant] = learned_graph(result)
    return graphs


def weight_shares(graph: LearnedGraph) -> dict[str, float]:
    """Where the positions of the left digit look, as shares of the weight of their rows of A.

    Returns:
        Shares "themselves", "the other digit" and "the empty canvas", which add up to 1.
    """
    height, width = graph.size
    columns = torch.arange(height * width) % width
    edge = width * DIGIT // WIDTH
    left, right = columns < edge, columns >= width - edge
    rows = graph.affinity[:, left]
    total = rows.sum()
    own, other = float(rows[..., left].sum() / total), float(rows[..., right].sum() / total)
    return {"themselves": own, "the other digit": other, "the empty canvas": 1 - own - other}


def about_spectrum(name: str, graph: LearnedGraph) -> str:
    """Facts about the eigenvalues, in words."""
    found = graph.spectrum
    values = found.eigenvalues
    if found.is_real:
        kind = "all real"
    else:
        count = int((values.imag != 0).sum())
        kind = f"{count} not real, largest |Im λ| = {float(values.imag.abs().max()):.2g}"
    low = round(float(values.real.min()), 3) + 0.0  # no minus sign before a zero
    return (
        f"{name}: {len(values)} eigenvalues, {kind}; Re λ from {low:.3f} to {found.lambda_max:.3f}."
    )
