"""Where the names of other projects are documented, known without asking.

Sphinx links a name such as ``torch.Tensor`` to another project's pages by that project's
inventory, a file on its site. A build must not need the network, so the few names that these pages
use stand here with their addresses. ``SNL_DOCS_ONLINE=1`` takes the projects' own inventories, and
these where one cannot be had.
"""

from __future__ import annotations

import zlib
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

SITES = {
    "python": "https://docs.python.org/3",
    "torch": "https://docs.pytorch.org/docs/stable",
    "torch_geometric": "https://pytorch-geometric.readthedocs.io/en/latest",
    "networkx": "https://networkx.org/documentation/stable",
    "matplotlib": "https://matplotlib.org/stable",
    "torchvision": "https://docs.pytorch.org/vision/stable",
    "lightning": "https://lightning.ai/docs/pytorch/stable",
}
"""Root of each project's documentation."""

_GENERATED = "generated/{0}.html#{0}"

NAMES: dict[str, dict[str, tuple[str, str]]] = {
    "python": {
        "abc.ABC": ("class", "library/abc.html#abc.ABC"),
        "collections.abc.Callable": ("class", "library/collections.abc.html#{0}"),
        "collections.abc.Collection": ("class", "library/collections.abc.html#{0}"),
        "collections.abc.Iterator": ("class", "library/collections.abc.html#{0}"),
        "collections.abc.Mapping": ("class", "library/collections.abc.html#{0}"),
        "collections.abc.Sequence": ("class", "library/collections.abc.html#{0}"),
        "os.PathLike": ("class", "library/os.html#{0}"),
        "pathlib.Path": ("class", "library/pathlib.html#{0}"),
        "dict": ("class", "library/stdtypes.html#{0}"),
        "bool": ("class", "library/functions.html#{0}"),
        "float": ("class", "library/functions.html#{0}"),
        "int": ("class", "library/functions.html#{0}"),
        "list": ("class", "library/stdtypes.html#{0}"),
        "object": ("class", "library/functions.html#{0}"),
        "str": ("class", "library/stdtypes.html#{0}"),
        "tuple": ("class", "library/stdtypes.html#{0}"),
        "TypeError": ("exception", "library/exceptions.html#{0}"),
        "ValueError": ("exception", "library/exceptions.html#{0}"),
    },
    "torch": {
        "torch.Size": ("class", "size.html#{0}"),
        "torch.Tensor": ("class", "tensors.html#{0}"),
        "torch.device": ("class", "tensor_attributes.html#{0}"),
        "torch.dtype": ("class", "tensor_attributes.html#{0}"),
        "torch.distributed.device_mesh.DeviceMesh": ("class", "distributed.html#{0}"),
        "torch.distributed.tensor.DTensor": ("class", "distributed.tensor.html#{0}"),
        "torch.nn.Module": ("class", _GENERATED),
        "torch.nn.ModuleList": ("class", _GENERATED),
        "torch.optim.Optimizer": ("class", "optim.html#{0}"),
    },
    "torch_geometric": {
        "torch_geometric.data.Batch": ("class", _GENERATED),
        "torch_geometric.data.Data": ("class", _GENERATED),
        "torch_geometric.loader.NeighborLoader": ("class", "modules/loader.html#{0}"),
        "torch_geometric.nn.conv.ChebConv": ("class", _GENERATED),
        "torch_geometric.nn.conv.MessagePassing": ("class", _GENERATED),
        "torch_geometric.transforms.BaseTransform": ("class", _GENERATED),
    },
    "networkx": {
        "networkx.Graph": ("class", "reference/classes/graph.html#{0}"),
    },
    "matplotlib": {
        "matplotlib.axes.Axes": ("class", "api/_as_gen/{0}.html#{0}"),
        "matplotlib.figure.Figure": ("class", "api/_as_gen/{0}.html#{0}"),
    },
    "torchvision": {
        "torchvision.models.WeightsEnum": ("class", "models.html#{0}"),
    },
    "lightning": {
        "lightning.pytorch.LightningModule": ("class", "common/lightning_module.html#{0}"),
        "lightning.pytorch.Trainer": ("class", "common/trainer.html#{0}"),
        "lightning.pytorch.callbacks.Callback": ("class", "extensions/callbacks.html#{0}"),
    },
}
"""Of each project: name, its kind, and its page below the root; ``{0}`` is the name."""

DEFINED_AT = {
    "torchvision.models._api.WeightsEnum": "torchvision.models.WeightsEnum",
    "matplotlib.axes._axes.Axes": "matplotlib.axes.Axes",
    "torch.nn.modules.module.Module": "torch.nn.Module",
    "torch.nn.modules.container.ModuleList": "torch.nn.ModuleList",
    "torch.optim.optimizer.Optimizer": "torch.optim.Optimizer",
    "torch_geometric.data.batch.Batch": "torch_geometric.data.Batch",
    "torch_geometric.data.data.Data": "torch_geometric.data.Data",
    "torch_geometric.loader.neighbor_loader.NeighborLoader": (
        "torch_geometric.loader.NeighborLoader"
    ),
    "torch_geometric.nn.conv.message_passing.MessagePassing": (
        "torch_geometric.nn.conv.MessagePassing"
    ),
    "torch_geometric.transforms.base_transform.BaseTransform": (
        "torch_geometric.transforms.BaseTransform"
    ),
    "lightning.pytorch.core.module.LightningModule": "lightning.pytorch.LightningModule",
    "lightning.pytorch.trainer.trainer.Trainer": "lightning.pytorch.Trainer",
    "lightning.pytorch.callbacks.callback.Callback": "lightning.pytorch.callbacks.Callback",
}
"""Names that a class has where it is defined, and those that its project documents it under."""


def inventory_of(project: str) -> bytes:
    """Inventory of a project's names, in the format of Sphinx (version 2).

    Example:
        >>> inventory_of("torch").splitlines()[0]
        b'# Sphinx inventory version 2'
    """
    head = (
        "# Sphinx inventory version 2\n"
        f"# Project: {project}\n"
        "# Version: \n"
        "# The remainder of this file is compressed using zlib.\n"
    )
    lines = [
        f"{name} py:{kind} 1 {page.format(name)} -\n"
        for name, (kind, page) in sorted(NAMES[project].items())
    ]
    return head.encode() + zlib.compress("".join(lines).encode())


def intersphinx_mapping_of(
    folder: Path, *, online: bool
) -> dict[str, tuple[str, tuple[str | None, ...]]]:
    """The setting ``intersphinx_mapping``, whose inventories are written into ``folder``.

    Args:
        folder: Made where it does not exist.
        online: Ask each project's site first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mapping: dict[str, tuple[str, tuple[str | None, ...]]] = {}
    for project in NAMES:
        path = folder / f"{project}.inv"
        path.write_bytes(inventory_of(project))
        mapping[project] = (SITES[project], (None, str(path)) if online else (str(path),))
    return mapping


def rename(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement
) -> None:
    """Before intersphinx looks a name up."""
    node["reftarget"] = DEFINED_AT.get(node["reftarget"], node["reftarget"])


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("missing-reference", rename, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
