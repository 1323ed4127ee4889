"""Blocks and layers whose state dicts every release keeps reading, and how a release records them.

    python -m tests.interchange.first_release     # once a release: writes its two files

Only add cases: what a file of an older release names has to stay here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

import snl_graph
from snl_graph import SNLConv, insert_block, nonlocal_block, save_blocks
from snl_graph.blocks import ROWS
from snl_graph.filters import FILTERS
from snl_graph.kernels import Concatenation, SignedDot

DATA = Path(__file__).parents[1] / "data"
CHANNELS = 6


def _row(name: str, **options: object) -> Callable[[], nn.Module]:
    return lambda: nonlocal_block(name, CHANNELS, hidden_channels=4, **options)


def _layer(**options: object) -> Callable[[], nn.Module]:
    return lambda: SNLConv(CHANNELS, 4, **options)


def _network() -> nn.Module:
    net = nn.Sequential(nn.Conv2d(CHANNELS, CHANNELS, 1), nn.ReLU())
    example = torch.zeros(1, CHANNELS, 3, 4)
    insert_block(net, "0", "snl", example=example)
    return insert_block(net, "0", "nl", example=example)


BLOCKS = {
    **{name: _row(name) for name in ROWS},
    "gsnl chebyshev": _row("gsnl", K=4, basis="chebyshev"),
    **{f"gsnl {name}": _row("gsnl", filter=name, K=3) for name in FILTERS},
    "ns stage": _row("ns", depth=2, recurrence=2, activation="relu"),
    "snl heads": _row("snl", heads=2, norm="group"),
    "cgnl groups": _row("cgnl", groups=2, norm="group:2", kernel=SignedDot("1/n")),
    "nl concatenation": _row("nl", kernel=Concatenation(4, "1/n"), normalization="none"),
    "nl gaussian": _row("nl", kernel="gaussian", norm="layer", subsample=2),
    "nl bias": _row("nl", bias=True, norm="none", value_channels=3),
    "snl bias": _row("snl", bias=True),
}
"""Blocks by name: everything that decides the keys of a state dict."""

LAYERS = {
    "conv": _layer(),
    "conv chebyshev": _layer(K=3, basis="chebyshev"),
    "conv kernel": _layer(kernel="dot", hidden_channels=4),
    "conv heads": _layer(kernel="embedded_gaussian", hidden_channels=4, heads=2, bias=False),
    "conv concatenation": _layer(kernel="concatenation", hidden_channels=4),
    "conv cayley": _layer(filter="cayley"),
    "conv gpr": _layer(filter="gpr"),
}
"""Layers on graphs by name."""

NETWORKS = {"network": _network}
"""Networks with inserted blocks by name."""

CASES = {**BLOCKS, **LAYERS, **NETWORKS}

EDGES = torch.tensor([[0, 1, 1, 2, 2, 3, 4, 0, 3, 3], [1, 0, 2, 1, 3, 2, 0, 4, 4, 3]])
"""A directed graph of six nodes, with a self-loop at 3; node 5 is isolated."""


def output(name: str, module: nn.Module, x: Tensor) -> Tensor:
    """What a case makes of a map (2, C, 3, 4), in float64 and evaluation mode."""
    module = module.double().eval()
    with torch.no_grad():
        if name in LAYERS:
            return module(x[0].flatten(1).T[:6], EDGES)
        return module(x)


def _drawn(name: str) -> nn.Module:
    module = CASES[name]()
    for key, value in module.state_dict().items():
        if "running_var" in key or "filter" in key:
            continue  # a filter's own numbers have bounds; those it starts with will do
        if value.is_floating_point():
            nn.init.normal_(value, std=0.5)
    return module


def write(folder: Path) -> None:
    """Record this release: states and outputs, and the blocks as ``save_blocks`` writes them."""
    from safetensors.torch import save_file

    torch.manual_seed(0)
    tensors = {"x": torch.randn(2, CHANNELS, 3, 4, dtype=torch.float64)}
    modules = {name: _drawn(name) for name in CASES}
    for name, module in modules.items():
        for key, value in module.state_dict().items():
            tensors[f"{name}/{key}"] = value.clone()
    save_blocks(
        {name: modules[name] for name in BLOCKS},
        folder / f"release-{snl_graph.__version__}-blocks.safetensors",
    )
    for name, module in modules.items():
        tensors[f"{name} y"] = output(name, module, tensors["x"]).contiguous()
    path = folder / f"release-{snl_graph.__version__}.safetensors"
    if path.exists():
        raise FileExistsError(f"{path} exists: a release is recorded once.")
    save_file(tensors, path, {"version": snl_graph.__version__})


if __name__ == "__main__":
    write(DATA)
