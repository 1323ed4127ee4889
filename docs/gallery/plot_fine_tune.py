"""
Insert a block into a trained network, then fine-tune it
========================================================

You have a trained network and a task that it cannot do because its layers look at neighbourhoods.
``insert_block`` puts a nonlocal block behind any of its layers. The block starts as the identity,
so nothing is lost; then it learns, first alone, with the backbone frozen, later together with the
rest.

The task here: two handwritten digits stand at the ends of a strip. *Are they the same digit?* No
layer of the network sees both whole: the last one looks at 25 columns at a time, and the strip
has 32.
"""

# %%
# A network that somebody trained
# -------------------------------
#
# A small ResNet of torchvision's residual blocks, trained on scikit-learn's 8×8 digits. In your
# own work this is a checkpoint that you load; here it takes seconds to make one.

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn.functional import cross_entropy
from torchvision.models.resnet import BasicBlock, conv1x1

from snl_graph import insert_block, inserted_blocks
from snl_graph.attention import attention_of, block_inputs
from snl_graph.plotting import plot_block_attention

torch.set_num_threads(1)
digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16
train_x, test_x, train_y, test_y = train_test_split(
    images, torch.tensor(digits.target), test_size=540, random_state=0, stratify=digits.target
)


def residual(channels, out, stride):
    shortcut = nn.Sequential(conv1x1(channels, out, stride), nn.BatchNorm2d(out))
    return BasicBlock(channels, out, stride, shortcut)


def resnet(classes):
    model = nn.Sequential()
    model.add_module("stem", nn.Sequential(nn.Conv2d(1, 12, 3, padding=1), nn.ReLU()))
    model.add_module("layer1", residual(12, 16, stride=1))
    model.add_module("layer2", residual(16, 32, stride=2))
    model.add_module("layer3", residual(32, 32, stride=2))
    model.add_module("pool", nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    model.add_module("fc", nn.Linear(32, classes))
    return model


@torch.no_grad()
def accuracy(model, x, y):
    return (model.eval()(x).argmax(1) == y).float().mean().item()


torch.manual_seed(0)
trained = resnet(classes=10)
optimizer = torch.optim.Adam(trained.parameters(), lr=0.003)
for _ in range(4):
    for batch in torch.randperm(len(train_x)).split(64):
        optimizer.zero_grad()
        cross_entropy(trained.train()(train_x[batch]), train_y[batch]).backward()
        optimizer.step()
print(f"{accuracy(trained, test_x, test_y):.1%} of {len(test_x)} test digits")

# %%
# The new task
# ------------
#
# A strip of 8×32 pixels with a digit at each end. Half of the pairs are of one class. Test pairs
# are made of test digits alone.


def strips(x, y, count, seed):
    generator = torch.Generator().manual_seed(seed)
    same = torch.arange(count) % 2
    strip = torch.zeros(count, 1, 8, 32)
    for canvas, is_same in zip(strip, same, strict=True):
        left = torch.randint(len(x), (), generator=generator)
        partners = ((y == y[left]) == is_same.bool()).nonzero().flatten()
        right = partners[torch.randint(len(partners), (), generator=generator)]
        canvas[..., :8], canvas[..., -8:] = x[left], x[right]
    return strip, same


train_strips, train_same = strips(train_x, train_y, 3000, seed=1)
test_strips, test_same = strips(test_x, test_y, 300, seed=2)

# %%
# Insert the block
# ----------------
#
# One line. All weights keep their names and values, and the outputs are the same to the last bit.


def network(block):
    model = resnet(classes=10)
    model.load_state_dict(trained.state_dict())
    if block is not None:
        before = model.eval()(test_strips[:4])
        insert_block(model, after="layer2", block=block, example=test_strips[:4])
        assert torch.equal(model.eval()(test_strips[:4]), before)
        assert set(trained.state_dict()) < set(model.state_dict())
    model.fc = nn.Linear(32, 2)  # the new question has two answers
    return model


# %%
# First the block alone, then everything
# --------------------------------------
#
# In the first half of the steps the block and the classifier learn. The backbone gets no
# gradients, and its batch norms stay in evaluation mode, so that their statistics stay too. In
# the second half everything learns, the backbone at a third of the rate.

STEPS, HALF, EVERY = 400, 200, 40


def fine_tune(model):
    new = [model.fc, *inserted_blocks(model).values()]
    fresh = [p for module in new for p in module.parameters()]
    old = [p for p in model.parameters() if not any(p is other for other in fresh)]
    optimizer = torch.optim.Adam([{"params": fresh, "lr": 3e-3}, {"params": old, "lr": 1e-3}])
    falling = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.1, total_iters=STEPS)
    generator = torch.Generator().manual_seed(3)
    curve = [accuracy(model, test_strips, test_same)]
    for step in range(STEPS):
        is_frozen = step < HALF
        for parameter in old:
            parameter.requires_grad_(not is_frozen)
        model.train(not is_frozen)
        for module in new:
            module.train()
        batch = torch.randint(len(train_strips), (32,), generator=generator)
        optimizer.zero_grad()
        cross_entropy(model(train_strips[batch]), train_same[batch]).backward()
        optimizer.step()
        falling.step()
        if (step + 1) % EVERY == 0:
            curve.append(accuracy(model, test_strips, test_same))
    return curve


models, curves = {}, {}
for name, block in {"no block": None, "snl": "snl"}.items():
    torch.manual_seed(1)
    models[name] = network(block)
    curves[name] = fine_tune(models[name])
    frozen, tuned = curves[name][HALF // EVERY], curves[name][-1]
    print(f"{name:9} backbone frozen {frozen:.1%}, fine-tuned {tuned:.1%}")

# %%
# Without a block the network stays near chance: what each position saw is averaged over the
# strip, and an average of two digits does not say whether they are alike. With the block each
# digit sees the other before that average is taken. One seed each, so small differences mean
# nothing; this one is not small.

assert curves["no block"][-1] < 0.65
assert curves["snl"][-1] > max(curves["snl"][HALF // EVERY], curves["no block"][-1] + 0.1)

# %%
# What it did, and where it looks
# -------------------------------
#
# Below, the attention of one position (ring) on the left digit of two test strips: row *i* of the
# graph's matrix A, laid out as the feature map is.

figure, axes = plt.subplot_mosaic(
    [["curve", "input 0"], ["curve", "map 0"], ["curve", "input 1"], ["curve", "map 1"]],
    figsize=(10, 4.6),
    width_ratios=[1, 1.2],
    layout="constrained",
)
steps = range(0, STEPS + 1, EVERY)
ax = axes["curve"]
for name, style, color in (("snl", "o-", "#0072B2"), ("no block", "^--", "#D55E00")):
    ax.plot(steps, curves[name], style, color=color, markersize=4)
    ax.text(STEPS + 8, curves[name][-1], name, color=color, va="center")
ax.axhline(0.5, color="#595959", linewidth=0.8, linestyle=":")
ax.text(STEPS, 0.49, "chance", color="#595959", ha="right", va="top")
ax.axvline(HALF, color="#595959", linewidth=0.8)
ax.text(HALF - 6, 0.985, "backbone frozen", ha="right", va="top")
ax.text(HALF + 6, 0.985, "all layers", ha="left", va="top")
ax.set(xlabel="step", ylabel="accuracy on test pairs", ylim=(0.4, 1.0), xlim=(0, STEPS))
ax.spines[["top", "right"]].set_visible(False)

for row, index in enumerate([0, 1]):
    strip = test_strips[index : index + 1]
    ((block, x),) = block_inputs(models["snl"], strip).values()
    seen = attention_of(block, x)
    pair = [axes[f"input {row}"], axes[f"map {row}"]]
    plot_block_attention(seen, [(1, 1)], pair, image=strip[0, 0])
    verdict = "the same" if models["snl"].eval()(strip).argmax() else "different"
    truth = "the same" if test_same[index] else "different"
    pair[0].set_title(f"network: {verdict}; truth: {truth}", fontsize="medium")
    pair[0].set_xlabel("")
    limits = pair[1].get_xlabel().split(": ")[-1]
    pair[1].set_xlabel(f"attention, {limits}", fontsize="small")
plt.show()
