"""Weights from elsewhere, and blocks alone: converting, saving, loading."""

from snl_graph.interchange.convert import Converted, convert_block, foreign_blocks
from snl_graph.interchange.errors import InterchangeError
from snl_graph.interchange.layouts import LAYOUTS, Layout
from snl_graph.interchange.loading import load_blocks
from snl_graph.interchange.report import Carried, ConversionReport
from snl_graph.interchange.saving import save_blocks

__all__ = [
    "LAYOUTS",
    "Carried",
    "ConversionReport",
    "Converted",
    "InterchangeError",
    "Layout",
    "convert_block",
    "foreign_blocks",
    "load_blocks",
    "save_blocks",
]
