"""
Segmentation with a criss-cross head
====================================

Nucleus or background? A pixel's brightness says it as long as the exposure is known. Where it is
not, only the surroundings can tell what counts as bright, and a small CNN does not see far. A
criss-cross block (Huang et al., CCNet) lets every position gather evidence from its row and its
column, and, run twice, from the whole picture, for a cost that grows with N·(H + W) instead of N².
"""

# %%
# A microscope's picture and its mask
# -----------------------------------
#
# The package stardist (Schmidt et al., Cell detection with star-convex polygons, MICCAI 2018;
# BSD-3) ships a fluorescence image of cell nuclei, 512 × 512, and its mask, one number a nucleus.
# It names as their source the 2018 Data Science Bowl, annotated by people: Caicedo et al.,
# Nucleus segmentation across imaging experiments, Nature Methods 16 (2019). The two files are read
# from where they are installed; none of the package's code runs.

import importlib.util
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from skimage.io import imread
from torch import nn
from torch.nn.functional import cross_entropy
from torchmetrics.functional.classification import binary_jaccard_index

from snl_graph import nonlocal_block
from snl_graph.attention import attention_of, block_inputs
from snl_graph.plotting import plot_attention_views

torch.set_num_threads(1)

package = importlib.util.find_spec("stardist")
if package is None:
    raise ModuleNotFoundError(
        "this example takes its picture from the package stardist, which is not installed. "
        'Install it with: python -m pip install "snl-graph[docs]", or stardist alone.'
    )
images = Path(package.submodule_search_locations[0], "data", "images")
picture = torch.from_numpy(imread(images / "img2d.tif").astype("float32"))
nuclei = torch.from_numpy(imread(images / "mask2d.tif").astype("int64"))
truth = (nuclei > 0).long()
print(f"{int(nuclei.unique().numel()) - 1} nuclei on {truth.float().mean():.0%} of the pixels")

# %%
# Training takes crops of the left 320 columns, turned and mirrored. The test takes ten tiles of
# 96 × 96 of the right 192 columns. No pixel is in both. Both come from one picture, so the test
# says how well nuclei of this dish are found, not those of another.

LEFT, CROP, TILE = 320, 56, 96
picture = (picture - picture[:, :LEFT].mean()) / picture[:, :LEFT].std()
both = torch.stack([picture, truth])


def tiles(pixels):
    """The right columns (512, 192), the last 32 rows left out, as tiles (10, TILE, TILE)."""
    return pixels[: 5 * TILE, LEFT:].unfold(0, TILE, TILE).unfold(1, TILE, TILE).flatten(0, 1)


def crops(count, generator):
    """Random crops of the left columns (count, CROP, CROP), and what is nucleus in them."""
    chosen = []
    for _ in range(count):
        i = int(torch.randint(both.shape[1] - CROP + 1, (), generator=generator))
        j = int(torch.randint(LEFT - CROP + 1, (), generator=generator))
        turns, mirrored = torch.randint(4, (2,), generator=generator).tolist()
        crop = both[:, i : i + CROP, j : j + CROP].rot90(turns, (1, 2))
        chosen.append(crop.flip(1) if mirrored % 2 else crop)
    pictures, classes = torch.stack(chosen, 1)
    return pictures, classes.long()


def exposed(pictures, generator):
    """Each under an exposure of its own: gain between 1/e and e, and another black level."""
    count = len(pictures)
    gain = torch.exp(2 * torch.rand(count, 1, 1, generator=generator) - 1)
    return pictures * gain + torch.randn(count, 1, 1, generator=generator)


def as_taken(pictures, generator):
    return pictures


def standardised(pictures, generator):
    """Under an exposure of its own, which is then taken out by hand: mean 0, variance 1."""
    pictures = exposed(pictures, generator)
    mean, deviation = pictures.mean((1, 2), keepdim=True), pictures.std((1, 2), keepdim=True)
    return (pictures - mean) / deviation


# %%
# Two networks that differ in one line
# ------------------------------------
#
# Three seeds each, on pictures as they were taken, under unknown exposure, and with the exposure
# taken out by hand. The number is the intersection over union (IoU) of the nuclei on the test
# tiles.


def network(has_head):
    layers = [nn.Conv2d(1, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU()]
    layers += [nn.Conv2d(16, 24, 3, 1, 1), nn.BatchNorm2d(24), nn.ReLU()]
    if has_head:
        layers += [nonlocal_block("cc", 24, recurrence=2)]
    layers += [nn.Conv2d(24, 24, 1), nn.BatchNorm2d(24), nn.ReLU(), nn.Conv2d(24, 2, 1)]
    return nn.Sequential(*layers, nn.Upsample(scale_factor=2, mode="bilinear"))


STEPS, SEEDS = 60, range(3)


def trained(has_head, seen_as, seed):
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = network(has_head)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.015)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.015, total_steps=STEPS)
    for _ in range(STEPS):
        pictures, classes = crops(8, generator)
        optimizer.zero_grad()
        cross_entropy(model(seen_as(pictures, generator)[:, None]), classes).backward()
        optimizer.step()
        schedule.step()
    return model.eval()


@torch.no_grad()
def segmented(model, pictures):
    return model(pictures[:, None]).argmax(1)


masks = tiles(truth)
iou, models = {}, {}
print("IoU of the nuclei    " + "".join(f"  seed {seed}" for seed in SEEDS) + "    mean")
for seen_as, has_head in [
    (as_taken, False),
    (as_taken, True),
    (exposed, False),
    (exposed, True),
    (standardised, False),
]:
    test = seen_as(tiles(picture), torch.Generator().manual_seed(0))
    case = seen_as.__name__, has_head
    models[case] = [trained(has_head, seen_as, seed) for seed in SEEDS]
    scores = [float(binary_jaccard_index(segmented(model, test), masks)) for model in models[case]]
    iou[case] = sum(scores) / len(scores)
    name = f"{case[0].replace('_', ' ')}, {'head' if has_head else 'no head'}"
    print(f"{name:21}" + "".join(f"{score:8.3f}" for score in [*scores, iou[case]]))

# %%
# Under unknown exposure the head is what makes it work. On the picture as it was taken it brings
# nothing: brightness decides there, and the head is one more thing to train. And whoever knows
# that the exposure is the trouble takes it out by hand, which is simpler and does better; the
# head has to find that out from the examples.

assert iou["exposed", True] > iou["exposed", False] + 0.15
assert iou["as_taken", True] < iou["as_taken", False] + 0.03
assert iou["standardised", False] > iou["exposed", True]

# %%
# Where it looks
# --------------
#
# Above: a test tile under its exposure, its mask, and what the two networks say. Below:
# where a position on a nucleus (ring) looks, in both passes together and in each. One pass reaches
# a row and a column, two the whole tile, except where a weight is too small for its float.

test = exposed(tiles(picture), torch.Generator().manual_seed(0))
found = {has_head: segmented(models["exposed", has_head][0], test) for has_head in (False, True)}
each = [float(binary_jaccard_index(*pair)) for pair in zip(found[True], masks, strict=True)]
shown = sorted(range(len(each)), key=each.__getitem__)[len(each) // 2]  # the median, not the best
figure, axes = plt.subplots(2, 4, figsize=(9.5, 5), layout="constrained")
axes[0, 0].imshow(test[shown], cmap="gray")
axes[0, 0].set_title("picture")
axes[0, 1].imshow(masks[shown], cmap="gray")
axes[0, 1].set_title("mask")
for ax, (has_head, classes) in zip(axes[0, 2:], found.items(), strict=True):
    ax.imshow(classes[shown], cmap="gray", vmin=0, vmax=1)
    score = float(binary_jaccard_index(classes[shown], masks[shown]))
    ax.set_title(f"{'criss-cross head' if has_head else 'no head'}: IoU {score:.2f}")
((block, x),) = block_inputs(models["exposed", True][0], test[shown][None, None]).values()
seen = attention_of(block, x)
width = TILE // 2
on_nucleus = masks[shown, ::2, ::2].nonzero()
to_middle = (on_nucleus - width // 2).square().sum(1)
row, column = on_nucleus[to_middle.argmin()].tolist()
reached = {view.label: rows[0] > 0 for view, rows in seen.rows([row * width + column]).items()}
cross = torch.zeros(width, width, dtype=torch.bool)
cross[row], cross[:, column] = True, True
assert not (reached["pass 1"] & ~cross.flatten()).any()
assert reached["all 2 passes"].sum() > 10 * cross.sum()
plot_attention_views(seen, (row, column), axes[1], image=-test[shown], gamma=0.5)  # drawn as ink
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])
plt.show()
