"""
The spectrum of a social network and of a trained CNN
=====================================================

``spectrum`` gives the eigenvalues λ of the Laplacian L = I − A: of a graph that you have, or of
the graph that a nonlocal block makes of an image. Small λ belong to signals that vary slowly over
the graph, large λ to signals that alternate along its edges.
"""

# %%
# Three social networks
# ---------------------
#
# networkx ships them: Zachary's karate club, the characters of *Les Misérables*, and Davis's
# women with the events they went to. All eigenvalues lie in [0, 2]. The bound 2 is attained by
# the last alone, the only one that is bipartite: no woman is joined to a woman, no event to an
# event.

import matplotlib.pyplot as plt
import networkx as nx
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy

from snl_graph import check_laplacian, insert_block, spectrum
from snl_graph.attention import block_inputs
from snl_graph.plotting import plot_eigenvalues, plot_graph_signal

torch.set_num_threads(1)
NETWORKS = {
    "karate club": nx.karate_club_graph(),
    "Les Misérables": nx.les_miserables_graph(),
    "Davis": nx.davis_southern_women_graph(),
}
for name, graph in NETWORKS.items():
    report = check_laplacian(graph)
    assert report.ok
    assert report.attains_bound == report.bipartite == (name == "Davis")
    print(f"{name:15} λ_max = {report.lambda_max:.4f}, bipartite: {report.bipartite}")

# %%
# What the second eigenvector knows
# ---------------------------------
#
# The karate club split in two after a quarrel. The eigenvector of its second eigenvalue, computed
# from the ties before the split, tells for all members but one which of the two clubs they
# joined. (Left: the eigenvector. Right: the clubs. Squares are negative.)

club = NETWORKS["karate club"]
found = spectrum(club, vectors=True)
vector = found.eigenvectors[:, 1]
vector = -vector * vector[0].sign()  # an eigenvector has no sign of its own; node 0 is Mr. Hi
later = torch.tensor([1.0 if club.nodes[node]["club"] == "Officer" else -1.0 for node in club])
wrong = int((vector.sign() != later).sum())
print(f"λ = {found.eigenvalues[1]:.3f}: {wrong} of {len(club)} members on the wrong side")
assert wrong == 1

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
layout = nx.spring_layout(club, seed=3)
plot_graph_signal(club, vector, left, positions=layout)
left.set_title(f"second eigenvector, λ = {found.eigenvalues[1]:.3f}", fontsize="medium")
plot_graph_signal(club, later, right, positions=layout)
right.collections[0].colorbar.remove()  # two values need no scale
right.set_title("the club each member joined later", fontsize="medium")
plt.show()

# %%
# Inside a trained CNN
# --------------------
#
# Two small CNNs learn scikit-learn's handwritten digits, one with an ``nl`` block, one with
# ``snl``. Each block makes of an image a graph of 8×8 positions.

digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16
classes = torch.tensor(digits.target)
order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
test, train = order[:300], order[300:]


def trained(block, steps=300):
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
    insert_block(model, "3", block, zero_init=False)  # False: this network is not trained yet
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    falling = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, total_iters=steps)
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        batch = train[torch.randint(len(train), (64,), generator=generator)]
        optimizer.zero_grad()
        cross_entropy(model(images[batch]), classes[batch]).backward()
        optimizer.step()
        falling.step()
    return model.eval()


spectra = {}
for block in ("nl", "snl"):
    model = trained(block)
    with torch.no_grad():
        right_answers = (model(images[test]).argmax(1) == classes[test]).float().mean()
    (pair,) = block_inputs(model, images[test[:1]]).values()  # the block and what enters it
    (spectra[block],) = spectrum(pair)
    values = spectra[block].eigenvalues
    imaginary = float(values.imag.abs().max()) if values.is_complex() else 0.0
    print(f"{block:4} {right_answers:.1%} of {len(test)} digits; largest |Im λ| = {imaginary:.2g}")

# %%
# The affinity of ``nl`` is not symmetric: position *i* may look at *j* without *j* looking back.
# Its eigenvalues need not be real, and here many are not, though their imaginary parts are small.
# They are drawn as they are, in the complex plane. ``snl`` is symmetric by construction, so its
# spectrum is real, in [0, 2], and its frequencies have a meaning.
#
# Both recognise the digits about equally well: on these small images the difference is one of
# interpretation, not of accuracy.

assert not spectra["nl"].is_real
assert spectra["snl"].is_real
assert -1e-5 < spectra["snl"].eigenvalues.min() <= spectra["snl"].lambda_max <= 2

figure, axes = plt.subplot_mosaic(
    [["digit", "nl", "near"], ["digit", "snl", "snl"]],
    figsize=(10, 5.6),
    width_ratios=[0.7, 1, 1],
    layout="constrained",
)
axes["digit"].imshow(images[test[0], 0], cmap="gray_r")
axes["digit"].set(xticks=[], yticks=[], title="the image")
plot_eigenvalues(spectra["nl"], axes["nl"])
plot_eigenvalues(spectra["nl"], axes["near"])
rest = (spectra["nl"].eigenvalues - 1).abs().sort().values[:-1]  # all but λ = 0
reach = 1.15 * float(rest.max())
axes["near"].set_aspect("auto")
axes["near"].set(xlim=(1 - reach, 1 + reach), ylim=(-reach, reach))
axes["near"].set_title("nl, near λ = 1", fontsize="medium")
axes["nl"].set_title("nl: " + axes["nl"].get_title(), fontsize="medium")
plot_eigenvalues(spectra["snl"], axes["snl"])
axes["snl"].axhline(2, color="#595959", linestyle=":", linewidth=0.8)
axes["snl"].set_title(
    "snl: " + axes["snl"].get_title() + "; dotted: the bound 2", fontsize="medium"
)
plt.show()
