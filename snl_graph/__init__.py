"""Spectral nonlocal blocks as graph filters."""

from snl_graph.version import __version__

__all__ = ["__version__"]
