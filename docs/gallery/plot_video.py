"""
A video: which frame does not belong?
=====================================

A handwritten digit drifts over six frames, but one of the frames shows another digit. A network
that reads frame by frame cannot know which: every frame looks fine by itself. A block over three
axes, time and the two of space, lets every position of every frame look at all positions of all
frames.
"""

# %%
# Clips of real digits
# --------------------
#
# scikit-learn's 8×8 digits drift over a field of 12×12 pixels. The intruder is a digit of another
# class. Clips are written to a video file and read back by PyAV, as clips of your own would be:
# H.264, so with small losses.

import tempfile
from pathlib import Path

import av
import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy

from snl_graph import nonlocal_block
from snl_graph.attention import attention_of, block_inputs
from snl_graph.plotting import plot_block_attention

torch.set_num_threads(1)
FRAMES, SIDE = 6, 12
digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32) / 16
labels = torch.tensor(digits.target)


def clip(pool, generator):
    """A clip (FRAMES, SIDE, SIDE) of digits from the pool, and the number of the odd frame."""

    def random(high):
        return int(torch.randint(high, (), generator=generator))

    shown = pool[random(len(pool))]
    others = pool[labels[pool] != labels[shown]]
    intruder, odd = others[random(len(others))], random(FRAMES)
    row, column = random(5), random(5)
    frames = torch.zeros(FRAMES, SIDE, SIDE)
    for t in range(FRAMES):
        frames[t, row : row + 8, column : column + 8] = images[intruder if t == odd else shown]
        row = min(4, max(0, row + random(3) - 1))
        column = min(4, max(0, column + random(3) - 1))
    return frames, odd


def clips(pool, count, seed):
    generator = torch.Generator().manual_seed(seed)
    frames, odd = zip(*(clip(pool, generator) for _ in range(count)), strict=True)
    return torch.stack(frames), torch.tensor(odd)


def through_a_video_file(frames):
    """Write frames (T, H, W) as H.264 and read them back; each pixel becomes 4×4."""
    path = Path(tempfile.mkdtemp()) / "clips.mp4"
    pixels = (255 * frames).byte().repeat_interleave(4, 1).repeat_interleave(4, 2).numpy()
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=25, options={"crf": "12"})
        stream.height, stream.width = pixels.shape[1:]
        stream.pix_fmt = "yuv420p"
        for picture in pixels:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="gray")
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    with av.open(str(path)) as file:
        read = [frame.to_ndarray(format="gray") for frame in file.decode(video=0)]
    size = path.stat().st_size
    whole = torch.tensor(np.stack(read), dtype=torch.float32)[:, None] / 255
    return nn.functional.avg_pool2d(whole, 4)[:, 0], size


order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
written, odd = clips(order[:300], 400, seed=1)
frames, size = through_a_video_file(written.flatten(0, 1))
test, test_odd = frames.view_as(written)[:, None], odd  # (clips, 1, T, H, W)
error = (test[:, 0] - written).abs().mean()
print(f"{len(frames)} test frames in {size / 1024:.0f} KiB, mean error {error:.4f} of 1")
train, train_odd = clips(order[300:], 4000, seed=2)
train = train[:, None]

# %%
# Convolutions inside the frames, the block between them
# ------------------------------------------------------
#
# The kernels are 1×3×3, so without the block no frame knows of another. The head gives each frame
# a score, and the frame of the largest score is the answer.


class Network(nn.Module):
    def __init__(self, block):
        super().__init__()
        inside, pad = (1, 3, 3), (0, 1, 1)
        layers = [nn.Conv3d(1, 16, inside, (1, 2, 2), pad), nn.BatchNorm3d(16), nn.ReLU()]
        layers += [nn.Conv3d(16, 32, inside, 1, pad), nn.BatchNorm3d(32), nn.ReLU()]
        if block is not None:
            layers += [nonlocal_block(block, 32)]
        layers += [nn.Conv3d(32, 32, 1), nn.BatchNorm3d(32), nn.ReLU()]
        self.layers, self.score = nn.Sequential(*layers), nn.Linear(32, 1)

    def forward(self, x):  # (B, 1, T, H, W)
        return self.score(self.layers(x).mean((-2, -1)).mT)[..., 0]  # (B, T)


@torch.no_grad()
def accuracy(model):
    return (model.eval()(test).argmax(1) == test_odd).float().mean().item()


STEPS = 400
models, scores = {}, {}
for name, block in {"no block": None, "snl": "snl"}.items():
    torch.manual_seed(0)
    model = models[name] = Network(block)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=STEPS)
    generator = torch.Generator().manual_seed(3)
    model.train()
    for _ in range(STEPS):
        batch = torch.randint(len(train), (32,), generator=generator)
        optimizer.zero_grad()
        cross_entropy(model(train[batch]), train_odd[batch]).backward()
        optimizer.step()
        schedule.step()
    scores[name] = accuracy(model)
    print(f"{name:9} finds the odd frame of {scores[name]:.1%} of {len(test)} test clips")

# %%
# Chance is one in six. Without the block a frame's score depends on that frame alone. At best
# such a score puts an odd frame either above all the others or below all of them, so it can be
# right in half of the clips and never knows when. With the block each frame is compared with the
# rest of its clip.

assert scores["no block"] < 0.5
assert scores["snl"] > 0.75

# %%
# Attention over space and time
# -----------------------------
#
# A test clip that the network with the block gets right. From a stroke in the odd frame (1) and
# from one in another frame (2): where does the block look? Below right the same, summed over
# space: how much of what a frame gets comes from each frame.

correct = (models["snl"].eval()(test).argmax(1) == test_odd) & (test_odd == 3)
chosen = int(correct.nonzero()[0])
((block, x),) = block_inputs(models["snl"], test[chosen : chosen + 1]).values()
seen = attention_of(block, x)
strokes = nn.functional.avg_pool2d(test[chosen, 0], 2)  # on the 6×6 positions of the block's map
places = [(t, *divmod(int(strokes[t].argmax()), SIDE // 2)) for t in (3, 1)]

a = block.affinity_of(x).to_dense()[0].detach()
between = a.view(FRAMES, -1, FRAMES, a.shape[-1] // FRAMES).sum(-1).mean(1)
share = between / between.sum(1, keepdim=True)
print(f"a frame gets {share.min():.0%} to {share.max():.0%} of its weight from any one frame")
assert share.max() < 2 * share.min()

figure, axes = plt.subplot_mosaic(
    [["clip", "clip"], ["odd", "odd"], ["other", "other"], ["scores", "time"]],
    figsize=(9, 7.4),
    height_ratios=[1, 1, 1, 1.8],
    layout="constrained",
)
rows = [axes["clip"], axes["odd"], axes["other"]]
plot_block_attention(seen, places, rows, image=test[chosen, 0])
axes["clip"].set_title("six frames of a test clip; the fourth does not belong", fontsize="medium")
axes["clip"].set_xlabel("")
for ax, name in ((axes["odd"], "from 1, in the odd frame"), (axes["other"], "from 2")):
    ax.set_title(name, fontsize="medium")
    ax.set_xlabel("weights " + ax.get_xlabel().split(": ")[-1], fontsize="small")

bars = axes["scores"]
bars.barh(list(scores), list(scores.values()), color=["#D55E00", "#0072B2"], height=0.5)
for row, value in enumerate(scores.values()):
    bars.text(value + 0.015, row, f"{value:.0%}", va="center")
bars.axvline(1 / FRAMES, color="black", linestyle=":")
bars.text(1 / FRAMES + 0.015, 0.5, "chance", va="center")
bars.set(xlim=(0, 1.08), xlabel="share of test clips in which the odd frame is found")
bars.spines[["top", "right"]].set_visible(False)

drawn = axes["time"].imshow(share, cmap="cividis", vmin=0)
number = range(1, FRAMES + 1)
axes["time"].set_xticks(range(FRAMES), number)
axes["time"].set_yticks(range(FRAMES), number)
axes["time"].set(xlabel="from frame", ylabel="to frame")
figure.colorbar(drawn, ax=axes["time"], label="share of the weight")
plt.show()

# %%
# The block looks at the strokes of all frames, and hardly prefers one frame to another: to know
# what does not belong, it takes the average of the clip, and what follows compares each frame
# with that.
