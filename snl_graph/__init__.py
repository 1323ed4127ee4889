"""Spectral nonlocal blocks as graph filters: one operator, every block, any graph."""

from snl_graph.affinity import affinity
from snl_graph.blocks import NonlocalBlock, nonlocal_block
from snl_graph.checks import value_checks
from snl_graph.version import __version__

__all__ = ["NonlocalBlock", "__version__", "affinity", "nonlocal_block", "value_checks"]
