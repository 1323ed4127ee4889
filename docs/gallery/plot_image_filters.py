"""
Low-pass and high-pass filters on the graph of an image
=======================================================

Let pixels be nodes, and join near pixels by how alike their colours are. Slow signals on this
graph are those that stay constant within an object. A low-pass filter smooths objects without
mixing them with what is beside them; a high-pass filter keeps the rest, texture and noise.
"""

# %%
# A photograph as a graph
# -----------------------
#
# The flower that scikit-learn ships, 128 rows of it, with noise added so that there is something
# to filter out. The weight of two pixels is exp(−γ ‖difference of their colours‖²), between
# pixels at most two rows and columns apart. The operator A holds edges, not a matrix of 24,576 ×
# 24,576. Colours are taken from the noisy picture itself, averaged over 3×3 pixels.

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_sample_image
from torch.nn.functional import avg_pool2d, interpolate

from snl_graph import affinity, spectrum
from snl_graph.filters import Heat
from snl_graph.kernels import RBF

torch.set_num_threads(1)
photograph = torch.tensor(load_sample_image("flower.jpg")).movedim(-1, 0)[None] / 255
clean = interpolate(photograph, (128, 192), mode="bilinear", antialias=True)[0].double()
torch.manual_seed(0)
noisy = clean + 0.1 * torch.randn_like(clean)
rough_colours = avg_pool2d(noisy[None], 3, 1, 1, count_include_pad=False)[0]


def graph_of(colours, gamma=30.0):
    phi = colours.flatten(1).T  # (N, 3)
    return affinity(phi, kernel=RBF(gamma), mask="window:2", size=tuple(colours.shape[1:]))


by_colour = graph_of(rough_colours)
by_place = graph_of(torch.zeros_like(clean))  # all weights 1: near is near, whatever the colour
print(f"{by_colour.shape[0]} nodes, held as {by_colour.representation}")

# %%
# One filter, two graphs
# ----------------------
#
# Heat that flows over the graph for a time τ: g(λ) = e^(−τλ). High frequencies fade first.
# ``Heat`` evaluates it by a few products with A, without eigenvectors. What it takes away, 1 − g,
# is a high-pass filter.


def low_pass(a, picture, time):
    (signal,) = Heat(1, times=(time,)).signals(a, picture.flatten(1).T)
    return signal.T.view_as(picture).detach()


def psnr(picture):
    """Likeness to the clean picture in decibels; more is better."""
    return float(-10 * torch.log10((picture - clean).square().mean()))


TIMES = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
likeness = {
    "colour graph": [psnr(low_pass(by_colour, noisy, time)) for time in TIMES],
    "plain grid": [psnr(low_pass(by_place, noisy, time)) for time in TIMES],
}
print(f"noisy: {psnr(noisy):.1f} dB")
for name, values in likeness.items():
    best = max(values)
    print(f"{name}: {best:.1f} dB at best, τ = {TIMES[values.index(best)]:g}")

# %%
# The same filter does better on the graph that knows the colours, for it does not flow across
# edges of objects.

assert max(likeness["colour graph"]) > max(likeness["plain grid"]) > psnr(noisy)

time = 2.0
low, blurred = low_pass(by_colour, noisy, time), low_pass(by_place, noisy, time)
high = noisy - low

# %%
# That the one is low-pass and the other high-pass can be measured on the eigenvectors, on a
# picture small enough to have them all: the energy of its signal by eigenvalue, before and after.

small = interpolate(noisy[None], (24, 36), mode="bilinear", antialias=True)[0]
a = graph_of(small)
found = spectrum(a, vectors=True)
energy = {
    "picture": small,
    "low-pass": low_pass(a, small, time),
    "high-pass": small - low_pass(a, small, time),
}
energy = {
    name: (found.eigenvectors.T @ signal.flatten(1).T).square().sum(1)
    for name, signal in energy.items()
}
gain = (energy["low-pass"] / energy["picture"]).sqrt()
error = float((gain - torch.exp(-time * found.eigenvalues)).abs().max())
print(f"{len(gain)} eigenvalues; gain at each of them e^(−τλ), but for {error:.1g}")
assert found.is_real
assert error < 0.01  # the tolerance that Heat chooses its number of products by

# %%
# Flower, low-pass, high-pass
# ---------------------------

figure, axes = plt.subplots(2, 3, figsize=(10, 5), layout="constrained")


def show(ax, picture, title):
    ax.imshow(picture.clamp(0, 1).movedim(0, -1))
    ax.set_title(title, fontsize="medium")
    ax.set(xticks=[], yticks=[])


show(axes[0, 0], noisy, f"noisy, {psnr(noisy):.1f} dB")
show(axes[0, 1], low, f"low-pass, colour graph, {psnr(low):.1f} dB")
show(axes[1, 0], high + 0.5, "high-pass, colour graph (0 is grey)")
show(axes[1, 1], blurred, f"low-pass, plain grid, {psnr(blurred):.1f} dB")

ax = axes[0, 2]
styles = {"colour graph": ("o-", "#0072B2"), "plain grid": ("^--", "#D55E00")}
for name, (style, colour) in styles.items():
    ax.plot(TIMES, likeness[name], style, color=colour, label=name)
ax.set(xlabel="time τ", ylabel="likeness to the clean\npicture, dB")
ax.legend(frameon=False, fontsize="small")

ax = axes[1, 2]
edges = torch.linspace(0, 1.5, 16, dtype=torch.float64)
middle = (edges[:-1] + edges[1:]) / 2
for (name, values), style, colour in zip(
    energy.items(), ("s:", "o-", "^--"), ("black", "#0072B2", "#D55E00"), strict=True
):
    bins = torch.bucketize(found.eigenvalues, edges) - 1
    sums = torch.zeros(len(middle), dtype=torch.float64)
    sums.index_add_(0, bins.clamp(0, len(middle) - 1), values)
    ax.semilogy(middle, sums.clamp(min=1e-9), style, color=colour, markersize=4, label=name)
ax.set(xlabel="eigenvalue λ", ylabel="energy of the signal", ylim=(1e-3, None))
ax.legend(frameon=False, fontsize="small")
for ax in axes[:, 2]:
    ax.spines[["top", "right"]].set_visible(False)
plt.show()
