"""Spectral nonlocal blocks as graph filters: one operator, every block, any graph."""

import warnings

with warnings.catch_warnings():
    # PyTorch Geometric scripts a class while it is imported, which PyTorch has begun to deprecate.
    # A user of this library can do nothing about it.
    warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated", FutureWarning)
    import torch_geometric  # noqa: F401

from snl_graph.affinity import affinity
from snl_graph.blocks import NonlocalBlock, nonlocal_block
from snl_graph.checks import value_checks
from snl_graph.conv import SNLConv
from snl_graph.insert import insert_block, inserted_blocks, remove_blocks
from snl_graph.interchange import convert_block, foreign_blocks, load_blocks, save_blocks
from snl_graph.nets import SNLNet
from snl_graph.spectral import (
    check_laplacian,
    filter_response,
    gft,
    igft,
    spectral_density,
    spectrum,
)
from snl_graph.transforms import ImageToGraph, to_feature_map, to_graph
from snl_graph.version import __version__

__all__ = [
    "ImageToGraph",
    "NonlocalBlock",
    "SNLConv",
    "SNLNet",
    "__version__",
    "affinity",
    "check_laplacian",
    "convert_block",
    "filter_response",
    "foreign_blocks",
    "gft",
    "igft",
    "insert_block",
    "inserted_blocks",
    "load_blocks",
    "nonlocal_block",
    "remove_blocks",
    "save_blocks",
    "spectral_density",
    "spectrum",
    "to_feature_map",
    "to_graph",
    "value_checks",
]
