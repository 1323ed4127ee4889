"""
Export a network with a block to ONNX, and run it
=================================================

A network with blocks exports as any other. ONNX files run without Python and without PyTorch, in
browsers, on phones, in C++ services. Here the file is checked against PyTorch on images, at a
size that the export has not seen, too.
"""

# %%
# A trained network
# -----------------
#
# A small CNN with an ``snl`` block learns scikit-learn's handwritten digits in a few seconds.

import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import onnxruntime
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy, pad

from snl_graph import insert_block

torch.set_num_threads(1)
digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16
classes = torch.tensor(digits.target)
order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
test, train = order[:500], order[500:]

torch.manual_seed(0)
model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1),
    nn.ReLU(),
    nn.Conv2d(16, 32, 3, padding=1),
    nn.ReLU(),
    nn.AdaptiveMaxPool2d(1),
    nn.Flatten(),
    nn.Linear(32, 10),
)
insert_block(model, after="3", block="snl", zero_init=False)
optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
for _ in range(300):
    batch = train[torch.randint(len(train), (64,))]
    optimizer.zero_grad()
    cross_entropy(model(images[batch]), classes[batch]).backward()
    optimizer.step()
_ = model.eval()

# %%
# Export
# ------
#
# ``dynamic_shapes`` names the axes whose size is not fixed: the number of images, their height
# and their width. The block then takes a form that is right at every size.

path = Path(tempfile.mkdtemp()) / "digits.onnx"
sizes = {0: torch.export.Dim("count", min=1), 2: torch.export.Dim("height", min=4)}
sizes[3] = torch.export.Dim("width", min=4)
program = torch.onnx.export(
    model,
    (images[test[:2]],),
    dynamo=True,
    dynamic_shapes=({0: sizes[0], 2: sizes[2], 3: sizes[3]},),
    verbose=False,
)
program.save(str(path))
print(f"{path.name}: {path.stat().st_size / 1024:.0f} KiB")

# %%
# Run it with onnxruntime
# -----------------------

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
(name,) = [entry.name for entry in session.get_inputs()]


def by_onnxruntime(x):
    return torch.tensor(session.run(None, {name: x.numpy()})[0])


@torch.no_grad()
def by_pytorch(x):
    return model(x)


wide = pad(images, (5, 7, 2, 1))  # the same digits on 11×20 pixels
found = {}
for size, x in (("8×8", images[test]), ("11×20", wide[test])):
    found[size] = by_pytorch(x), by_onnxruntime(x)
    ours, theirs = found[size]
    right = (theirs.argmax(1) == classes[test]).float().mean()
    print(
        f"{size:6} largest difference {float((ours - theirs).abs().max()):.1e}, "
        f"same answer for {int((ours.argmax(1) == theirs.argmax(1)).sum())} of {len(test)} digits, "
        f"{right:.1%} of them right"
    )
    assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-4)
    assert torch.equal(ours.argmax(1), theirs.argmax(1))

# %%
# The numbers agree to rounding at both sizes. That the *network* is worse on wide canvases, if it
# is, is a matter of training: it has never seen any. Neither program is promised to be faster
# than the other; what one image and a hundred cost here, on one thread, best of twenty:


def milliseconds(function, x):
    times = []
    for _ in range(20):
        start = time.perf_counter()
        function(x)
        times.append(1000 * (time.perf_counter() - start))
    return min(times)


programs = {"PyTorch": by_pytorch, "onnxruntime": by_onnxruntime}
cost = {
    name: [milliseconds(function, images[test[:count]]) for count in (1, 100)]
    for name, function in programs.items()
}
for name, (one, hundred) in cost.items():
    print(f"{name:12} {one:.2f} ms for one image, {hundred:.2f} ms for a hundred")

# %%
# Side by side
# ------------

figure, axes = plt.subplot_mosaic(
    [["0", "1", "2", "scores", "cost"], ["3", "4", "5", "scores", "cost"]],
    figsize=(10, 4),
    width_ratios=[0.55, 0.55, 0.55, 1.7, 1.1],
    layout="constrained",
)
for index in range(6):
    ax = axes[str(index)]
    ax.imshow(images[test[index], 0], cmap="gray_r")
    ax.set(xticks=[], yticks=[])
    ax.set_title(f"both: {int(found['8×8'][1][index].argmax())}", fontsize="medium")

ax = axes["scores"]
for (size, (ours, theirs)), mark, colour in zip(
    found.items(), ("o", "^"), ("#0072B2", "#D55E00"), strict=True
):
    ax.plot(
        ours.flatten(), theirs.flatten(), mark, color=colour, markersize=3, label=size, mfc="none"
    )
ax.set(xlabel="score by PyTorch", ylabel="score by onnxruntime", aspect="equal")
largest = max(float((ours - theirs).abs().max()) for ours, theirs in found.values())
ax.text(20, -20, f"largest difference {largest:.0e}", ha="right", fontsize="small")
ax.legend(frameon=False, title="pixels")

ax = axes["cost"]
for (name, times), mark, colour in zip(
    cost.items(), ("o", "^"), ("#0072B2", "#D55E00"), strict=True
):
    ax.plot([0, 1], times, mark, color=colour, markersize=8, label=name)
    for place, value in enumerate(times):
        ax.annotate(f"{value:.2g}", (place, value), (9, 0), textcoords="offset points", va="center")
ax.set_xticks([0, 1], ["1 image", "100 images"])
ax.set(yscale="log", ylabel="milliseconds", xlim=(-0.5, 1.7))
ax.margins(y=0.2)
ax.legend(frameon=False, loc="upper left", fontsize="small")
for ax in (axes["scores"], axes["cost"]):
    ax.spines[["top", "right"]].set_visible(False)
plt.show()
