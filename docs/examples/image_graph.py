"""Eigenvalues of an image: pixels are nodes, and near pixels of like colour are joined.

    python docs/examples/image_graph.py OUT [IMAGE] [ROWS]

Writes ``OUT/image_graph.png``. Without an image it takes scikit-learn's picture of a flower. The
image is shrunk to ROWS rows, 32 unless told: all eigenvalues cost O(N³) for N pixels.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from sklearn.datasets import load_sample_image
from torch import Tensor
from torch.nn.functional import interpolate

from snl_graph import affinity, plotting, spectrum
from snl_graph.kernels import RBF
from snl_graph.operators import AffinityOperator

GAMMA = 64.0
"""The weight of two pixels is exp(−γ ‖difference of their colours‖²), colours from 0 to 1."""


def read(image: str | None, rows: int) -> Tensor:
    """Colours (3, H, W) in 0 .. 1."""
    picture = load_sample_image("flower.jpg") if image is None else Image.open(image).convert("RGB")
    colours = torch.from_numpy(np.array(picture)).movedim(-1, 0)[None] / 255
    height, width = colours.shape[2:]
    size = (rows, max(1, round(rows * width / height)))
    return interpolate(colours, size, mode="bilinear", antialias=True)[0]


def graph_of(colours: Tensor) -> AffinityOperator:
    """A of the pixels: Gaussian in the colours, between pixels at most two rows and columns off."""
    phi = colours.double().flatten(1).T  # (N, 3)
    return affinity(phi, kernel=RBF(GAMMA), mask="window:2", size=tuple(colours.shape[1:]))


def draw(colours: Tensor) -> Figure:
    """The image, its eigenvalues, and its smoothest signals, which are its regions."""
    found = spectrum(graph_of(colours), vectors=True)
    size = tuple(colours.shape[1:])
    figure = Figure(figsize=(12, 5.4), layout="constrained")
    (shown, ranked, counted), signals = figure.subplots(2, 3)
    shown.imshow(colours.movedim(0, -1).numpy())
    shown.set_axis_off()
    plotting.plot_eigenvalues(found, ranked)
    plotting.plot_eigenvalue_histogram(found, counted)
    for index, ax in enumerate(signals, start=1):
        plotting.plot_grid_signal(found.eigenvectors[:, index], size, ax)
        ax.set_title(f"eigenvector of λ = {found.eigenvalues[index]:.2g}", fontsize="medium")
    print(f"{len(found.eigenvalues)} pixels: real {found.is_real}, λ_max = {found.lambda_max:.4f}")
    return figure


def main(out: str, image: str | None = None, rows: str = "32") -> None:
    """Write the picture."""
    draw(read(image, int(rows))).savefig(Path(out) / "image_graph.png", dpi=120)


if __name__ == "__main__":
    main(*sys.argv[1:4])
