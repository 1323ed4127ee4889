"""
Nodes sharded over two processes
================================

A graph that joins every pair of N nodes has N² weights. The factored operator never writes them
down: what A Z needs of other nodes is a sum of r × C numbers. So the nodes can live in different
processes, on different machines, and only such sums travel. Here two processes filter a graph of
pixels: the numbers are those of one process, and the bytes that are sent do not depend on the
number of nodes.
"""

# %%
# What every process runs
# -----------------------
#
# An ordinary program of ``torch.distributed``. The nodes are the pixels of a photograph that
# scikit-learn ships, their features colour and place. Each process takes its own part of them as
# a ``DTensor`` that is sharded along the axis of the nodes; the layer is the same one as on one
# process. A context counts what is exchanged.

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_sample_image
from torch.nn.functional import interpolate

from snl_graph import SNLConv

PROGRAM = """
import json, os, sys
import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor, Shard, distribute_module, init_device_mesh
from torch.distributed.tensor.debug import CommDebugMode
from snl_graph import SNLConv

torch.set_num_threads(1)
folder = sys.argv[1]
mesh = init_device_mesh("cpu", (int(os.environ["WORLD_SIZE"]),), mesh_dim_names=("nodes",))
torch.manual_seed(0)
layer = distribute_module(SNLConv(5, 8, K=3, kernel="dot", hidden_channels=8).double(), mesh)

sent = []
all_reduce = dist.all_reduce

def counted(tensor, *args, **kwargs):
    sent.append(tensor.numel() * tensor.element_size())
    return all_reduce(tensor, *args, **kwargs)

dist.all_reduce = counted
facts = []
for file in sys.argv[2:]:
    nodes = torch.load(file)  # as an example; your processes would each load their own part
    mine = nodes.tensor_split(mesh.size())[mesh.get_rank()]
    x = DTensor.from_local(mine, mesh, [Shard(0)], shape=nodes.shape, stride=nodes.stride())
    sent.clear()
    with CommDebugMode() as collectives:
        y = layer(x)
    calls = {str(name): count for name, count in collectives.get_comm_counts().items()}
    facts.append({"nodes": len(nodes), "mine": len(mine), "bytes": sum(sent), "calls": calls})
    whole = y.detach().full_tensor()  # gathered here only to compare it
    if mesh.get_rank() == 0:
        torch.save(whole, file + ".filtered")
weights = {name: p.full_tensor() for name, p in layer.state_dict().items()}
if mesh.get_rank() == 0:
    torch.save(weights, folder + "/layer.pt")
    print(json.dumps(facts))
dist.destroy_process_group()
"""

# %%
# The photograph at four sizes, so four graphs: the largest has 49,152 nodes, and would have 2.4
# billion weights, 19 GB of them. Then the program is started with two processes, as ``torchrun
# --nproc-per-node 2`` does.

ROWS = (16, 32, 64, 192)
photograph = torch.tensor(load_sample_image("china.jpg")).movedim(-1, 0)[None] / 255
folder = Path(tempfile.mkdtemp())


def pixels(rows):
    """Colour and place of each pixel, (N, 5), and the size of the picture."""
    size = (rows, rows * 4 // 3)
    colours = interpolate(photograph, size, mode="bilinear", antialias=True)[0]
    place = torch.stack(torch.meshgrid(*(torch.linspace(0, 1, n) for n in size), indexing="ij"))
    return torch.cat([colours, place]).flatten(1).T.double().contiguous(), size


graphs = {}
for rows in ROWS:
    graphs[rows], _ = pixels(rows)
    torch.save(graphs[rows], folder / f"{rows}.pt")

program = folder / "program.py"
program.write_text(PROGRAM)
launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
run = subprocess.run(
    [*launch, str(program), str(folder), *(str(folder / f"{rows}.pt") for rows in ROWS)],
    capture_output=True,
    text=True,
    env={
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    },
)
assert run.returncode == 0, run.stderr
facts = json.loads(run.stdout.splitlines()[-1])

# %%
# The same numbers as on one process
# ----------------------------------
#
# Here, in this one process, the layer gets the same weights and all nodes at once.

torch.set_num_threads(1)
layer = SNLConv(5, 8, K=3, kernel="dot", hidden_channels=8).double()
layer.load_state_dict(torch.load(folder / "layer.pt"))
differences = []
for rows, fact in zip(ROWS, facts, strict=True):
    with torch.no_grad():
        alone = layer(graphs[rows])
    together = torch.load(folder / f"{rows}.pt.filtered")
    differences.append(float((alone - together).abs().max() / alone.abs().max()))
    print(
        f"{fact['nodes']:6} nodes, {fact['mine']:6} in the first process: "
        f"{sum(fact['calls'].values())} all-reduces of {fact['bytes']} bytes, "
        f"difference {differences[-1]:.1e}"
    )
    torch.testing.assert_close(together, alone, rtol=1e-10, atol=1e-10)
    assert set(fact["calls"]) == {"c10d.allreduce_"}  # sums, and no node was gathered
assert len({fact["bytes"] for fact in facts}) == 1

# %%
# The column sums of Φ and Ψ, 2r numbers, give the degrees, and each of the K − 1 applications of
# A needs Ψᵀ Z and Φᵀ Z, 2rC numbers. With r = 8, C = 5, K = 3 and eight bytes a number:

r, channels, K = 8, 5, 3
assert facts[0]["bytes"] == 8 * (2 * r + (K - 1) * 2 * r * channels)

# %%
# Two halves, one picture
# -----------------------
#
# Left: the nodes of each process. Middle: one channel of what the two processes computed, each
# for its own half; no seam, for every pixel was joined to every other. Right: what was sent,
# beside what sending the nodes or the matrix would take. Being independent of N is a property of
# kernels that factor; an exponential one is refused on sharded nodes.

_, size = pixels(ROWS[-1])
height, width = size
colours = graphs[ROWS[-1]][:, :3].view(height, width, 3)
filtered = torch.load(folder / f"{ROWS[-1]}.pt.filtered")[:, 0].view(size)

figure, (left, middle, right) = plt.subplots(
    1, 3, figsize=(10.5, 3.3), width_ratios=[1.25, 1.25, 1], layout="constrained"
)
left.imshow(colours.clamp(0, 1))
middle.imshow(filtered, cmap="cividis")
for ax, title in ((left, "the nodes"), (middle, "filtered: first channel")):
    ax.axhline(height / 2 - 0.5, color="white", linewidth=1.5, linestyle="--")
    for rank, y in enumerate((height / 2 - 8, height / 2 + 20)):
        ax.text(6, y, f"process {rank}", color="white", weight="bold", fontsize="small")
    ax.set(xticks=[], yticks=[])
    ax.set_title(title, fontsize="medium")
count = torch.tensor([fact["nodes"] for fact in facts], dtype=torch.float64)
right.loglog(count, 8 * count**2, "s:", color="#595959", label="the matrix A")
right.loglog(count, 8 * 5 * count, "^--", color="#D55E00", label="all nodes")
right.loglog(count, [fact["bytes"] for fact in facts], "o-", color="#0072B2", label="sent")
right.set(xlabel="nodes N", ylabel="bytes", ylim=(100, None))
right.set_title(f"{facts[0]['bytes']:,} bytes at every N", fontsize="medium")
right.legend(frameon=False, fontsize="small")
right.spines[["top", "right"]].set_visible(False)
plt.show()
