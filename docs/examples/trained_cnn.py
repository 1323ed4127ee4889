"""Eigenvalues inside a trained CNN: complex where the block is nl, real in [0, 2] where it is snl.

    python docs/examples/trained_cnn.py OUT [STEPS]

Trains a small CNN on the handwritten digits of scikit-learn once with each block, STEPS steps, 300
unless told (a minute on one core), and writes ``OUT/trained_cnn.png`` and the weights,
``OUT/digits_nl.pt`` and ``OUT/digits_snl.pt``. The command line reads the latter:

    cd docs/examples
    snl-graph spectrum OUT/digit.png --model trained_cnn:network --set kind=nl \
        --checkpoint OUT/digits_nl.pt
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from snl_graph import insert_block, plotting, spectrum
from snl_graph.attention import block_inputs
from snl_graph.spectral import Spectrum

KINDS = ("nl", "snl")
TEST = 300
"""Digits that are kept for testing."""


def digits() -> tuple[Tensor, Tensor]:
    """Images (n, 1, 8, 8) in 0 .. 1, in a fixed random order, and their classes."""
    data = load_digits()
    order = torch.randperm(len(data.target), generator=torch.Generator().manual_seed(0))
    images = torch.from_numpy(data.images).float()[:, None] / 16
    return images[order], torch.from_numpy(data.target)[order]


def network(kind: str = "snl") -> nn.Module:
    """Two convolutions, a block that sees 8×8 positions, and a linear classifier."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(64, 10),
    )
    return insert_block(model, "3", kind, zero_init=False)


def train(model: nn.Module, images: Tensor, classes: Tensor, steps: int) -> None:
    """Adam on random batches of 64, at a rate that falls to 0."""
    optimizer = torch.optim.Adam(model.parameters())
    generator = torch.Generator().manual_seed(1)
    model.train()
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 0.003 * (1 - step / steps)
        batch = torch.randint(len(images), (64,), generator=generator)
        optimizer.zero_grad()
        cross_entropy(model(images[batch]), classes[batch]).backward()
        optimizer.step()
    model.eval()


def measured(model: nn.Module, image: Tensor) -> Spectrum:
    """Eigenvalues of the block's graph on one image."""
    (pair,) = block_inputs(model, image).values()
    (found,) = spectrum(pair)
    return found


def near_one(ax: Axes, found: Spectrum) -> None:
    """The same eigenvalues from close by: all but that of the constant signal, λ = 0."""
    plotting.plot_eigenvalues(found, ax, plane=True)
    rest = (found.eigenvalues - 1).abs().sort().values[:-1]
    reach = 1.2 * max(float(rest.max()), 1e-6)
    ax.set_aspect("auto")
    ax.set_xlim(1 - reach, 1 + reach)
    ax.set_ylim(-reach, reach)
    ax.set_title("near λ = 1", fontsize="small")
    ax.tick_params(axis="x", labelrotation=45)


def main(out: str, steps: str = "300") -> None:
    """Train, measure, draw."""
    images, classes = digits()
    picture = images[0]
    Image.fromarray((255 * picture[0]).byte().numpy()).save(Path(out) / "digit.png")
    figure = Figure(figsize=(13, 3.4), layout="constrained")
    shown, *axes = figure.subplots(1, 4, width_ratios=[0.6, 1, 1, 1])
    shown.imshow(picture[0].numpy(), cmap="gray_r")
    shown.set_axis_off()
    for kind, ax in zip(KINDS, (axes[0], axes[2]), strict=True):
        model = network(kind)
        train(model, images[TEST:], classes[TEST:], int(steps))
        torch.save(model.state_dict(), Path(out) / f"digits_{kind}.pt")
        with torch.no_grad():
            right = (model(images[:TEST]).argmax(1) == classes[:TEST]).float().mean()
        found = measured(model, picture[None])
        values = found.eigenvalues
        imaginary = 0.0 if found.is_real else float(values.imag.abs().max())
        print(
            f"{kind}: {right:.1%} of {TEST} test digits; λ from {values.real.min():.4f} to "
            f"{found.lambda_max:.4f}, largest |Im λ| = {imaginary:.2g}"
        )
        plotting.plot_eigenvalues(found, ax)
        ax.set_title(f"{kind}: {ax.get_title()}", fontsize="small")
        if kind == "nl":
            near_one(axes[1], found)
    figure.savefig(Path(out) / "trained_cnn.png", dpi=120)


if __name__ == "__main__":
    main(*sys.argv[1:3])
