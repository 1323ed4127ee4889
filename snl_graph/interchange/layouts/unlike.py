"""Blocks that people take for nonlocal ones and that no filter of an affinity is."""

from __future__ import annotations

from collections.abc import Collection

from snl_graph.interchange.errors import InterchangeError
from snl_graph.interchange.foreign import ForeignWeights
from snl_graph.interchange.layouts.base import Layout, Reading, Settings


class Bat(Layout):
    """Rows and columns are mixed by two matrices that pooled features predict: known, refused."""

    name = "bat"
    source = "timm BatNonLocalAttn (attn_layer bat)"
    anchors = ("ba.conv_p.weight",)

    def matches(self, names: Collection[str]) -> bool:
        return "ba.conv_p.weight" in names and "ba.conv_q.weight" in names

    def read(self, weights: ForeignWeights, settings: Settings) -> Reading:
        raise InterchangeError(
            f"{self.source} is no nonlocal block of Table 1: it computes P X Q with matrices P and "
            "Q of fixed size that a network predicts from pooled features, not from pairs of "
            "positions. Keep their module; insert_block takes any module that keeps its shape."
        )
