"""
Segmentation with a criss-cross head
====================================

Grass or gravel? Seven pixels of a photograph are often too few to tell, and a small CNN sees no
more. A criss-cross block (Huang et al., CCNet) lets every position gather evidence from its row
and its column, and, run twice, from the whole picture, for a cost that grows with N·(H + W)
instead of N².
"""

# %%
# Photographs and a mask
# ----------------------
#
# scikit-image ships no photographs with hand-drawn masks, so the pictures are composed, and the
# truth is known by construction: three of its photographs of textures (brick, grass, gravel), of
# which one fills the inside of a shape and another the outside. Each photograph has mean 0 and
# variance 1, so brightness does not give the answer away.
#
# Training: upper halves of the photographs, random blobs as shapes. Test: lower halves, and as
# shape the silhouette of a horse, a mask that the package does ship. Training has seen neither
# these pixels nor this shape.

import matplotlib.pyplot as plt
import torch
from matplotlib.colors import ListedColormap
from skimage import data
from skimage.transform import resize
from torch import nn
from torch.nn.functional import cross_entropy, interpolate

from snl_graph import nonlocal_block
from snl_graph.attention import attention_of, block_inputs
from snl_graph.plotting import plot_attention_views

torch.set_num_threads(1)
SIDE = 80
TEXTURES = ("brick", "grass", "gravel")


def photograph(name):
    shrunk = resize(getattr(data, name)() / 255, (256, 256), anti_aliasing=True)
    return torch.tensor((shrunk - shrunk.mean()) / shrunk.std(), dtype=torch.float32)


photographs = torch.stack([photograph(name) for name in TEXTURES])
upper, lower = photographs.split(128, dim=1)
horse = torch.tensor(resize(~data.horse(), (64, SIDE)) > 0.5)
horse = nn.functional.pad(horse, (0, 0, 8, 8))


def blob(generator):
    noise = torch.randn(1, 1, 4, 4, generator=generator)
    smooth = interpolate(noise, (SIDE, SIDE), mode="bicubic")[0, 0]
    return smooth > smooth.median()


def scenes(half, count, generator, shape=None):
    """Pictures (count, 1, SIDE, SIDE) and the class of each pixel."""
    pictures, classes = [], []
    for _ in range(count):
        mask = blob(generator) if shape is None else shape
        inside, outside = torch.randperm(3, generator=generator)[:2].tolist()
        crops = []
        for texture in (inside, outside):
            i = int(torch.randint(half.shape[1] - SIDE + 1, (), generator=generator))
            j = int(torch.randint(half.shape[2] - SIDE + 1, (), generator=generator))
            crops.append(half[texture, i : i + SIDE, j : j + SIDE])
        pictures.append(torch.where(mask, *crops)[None])
        classes.append(torch.where(mask, inside, outside))
    return torch.stack(pictures), torch.stack(classes)


test, truth = scenes(lower, 60, torch.Generator().manual_seed(0), horse)

# %%
# Two networks that differ in one line
# ------------------------------------


def network(block):
    layers = [nn.Conv2d(1, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU()]
    layers += [nn.Conv2d(16, 24, 3, 1, 1), nn.BatchNorm2d(24), nn.ReLU()]
    if block == "cc":
        layers += [nonlocal_block("cc", 24, recurrence=2)]
    layers += [nn.Conv2d(24, 24, 1), nn.BatchNorm2d(24), nn.ReLU(), nn.Conv2d(24, 3, 1)]
    return nn.Sequential(*layers)


@torch.no_grad()
def segmented(model, pictures):
    """The class of each pixel; scores are found at every second pixel."""
    return interpolate(model.eval()(pictures), (SIDE, SIDE), mode="bilinear").argmax(1)


def mean_iou(found, truth):
    """Intersection over union, averaged over the three textures."""
    pairs = [(found == texture, truth == texture) for texture in range(3)]
    return sum(float((f & t).sum() / (f | t).sum()) for f, t in pairs) / 3


STEPS = 120
found, models = {}, {}
for name in ("no block", "cc"):
    torch.manual_seed(0)
    model = models[name] = network(name)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=STEPS)
    generator = torch.Generator().manual_seed(1)
    model.train()
    for _ in range(STEPS):
        pictures, classes = scenes(upper, 8, generator)
        optimizer.zero_grad()
        cross_entropy(model(pictures), classes[:, ::2, ::2]).backward()
        optimizer.step()
        schedule.step()
    found[name] = segmented(model, test)
    pixels = (found[name] == truth).float().mean()
    print(f"{name:9} {pixels:.1%} of the pixels, mean IoU {mean_iou(found[name], truth):.3f}")

# %%
# The same steps, the same pictures, one seed each. The block is worth it here, for the texture of
# a shape is spread over the whole shape. Where a pixel's neighbourhood decides already, do not
# expect this.

assert mean_iou(found["cc"], truth) > mean_iou(found["no block"], truth) + 0.03

# %%
# The horse
# ---------
#
# Above: a test picture, its mask, and what the two networks say. Below: where one position on the
# horse (ring) looks, in each pass and in both together. One pass reaches a row and a column, the
# second everything.

shares = [(found["cc"][i] == truth[i]).float().mean() for i in range(len(test))]
shown = int(torch.stack(shares).argsort()[len(shares) // 2])  # the median picture, not the best
figure, axes = plt.subplots(2, 4, figsize=(9.5, 5), layout="constrained")
colours = ListedColormap(["#D55E00", "#009E73", "#56B4E9"])
axes[0, 0].imshow(test[shown, 0], cmap="gray")
axes[0, 0].set_title("picture")
panels = {"mask": truth, "no block": found["no block"], "criss-cross": found["cc"]}
for ax, (name, classes) in zip(axes[0, 1:], panels.items(), strict=True):
    ax.imshow(classes[shown], cmap=colours, vmin=0, vmax=2, interpolation="nearest")
    share = (classes[shown] == truth[shown]).float().mean()
    ax.set_title(name if name == "mask" else f"{name}: {share:.0%}")
((block, x),) = block_inputs(models["cc"], test[shown : shown + 1]).values()
seen = attention_of(block, x)
row, column, width = 18, 20, SIDE // 2
reached = {view.label: found[0] > 0 for view, found in seen.rows([row * width + column]).items()}
cross = torch.zeros(width, width, dtype=torch.bool)
cross[row], cross[:, column] = True, True
assert not (reached["pass 1"] & ~cross.flatten()).any()
assert reached["all 2 passes"].all()
plot_attention_views(seen, (row, column), axes[1], image=-test[shown, 0], gamma=0.5)  # drawn as ink
handles = [plt.Rectangle((0, 0), 1, 1, color=colours(i)) for i in range(3)]
figure.legend(handles, TEXTURES, loc="outside lower center", ncols=3, frameon=False)
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])
plt.show()
