"""Whole graph networks of spectral nonlocal layers, in the manner of PyG's models."""

from snl_graph.nets.network import SNLNet

__all__ = ["SNLNet"]
