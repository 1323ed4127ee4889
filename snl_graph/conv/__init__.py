"""The spectral nonlocal layer on any graph."""

from snl_graph.conv.layer import SNLConv

__all__ = ["SNLConv"]
