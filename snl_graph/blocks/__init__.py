"""Nonlocal blocks: one class, one table of rows."""

from snl_graph.blocks.block import NonlocalBlock, SpectralUnit
from snl_graph.blocks.factory import nonlocal_block
from snl_graph.blocks.table import ROWS, Row

__all__ = ["ROWS", "NonlocalBlock", "Row", "SpectralUnit", "nonlocal_block"]
