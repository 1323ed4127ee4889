"""Double attention: A², Chen et al. (2018)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import ClassVar

from snl_graph.interchange.errors import InterchangeError
from snl_graph.interchange.foreign import ForeignWeights
from snl_graph.interchange.layouts.base import Layout, Reading, Settings
from snl_graph.interchange.layouts.theta_phi_g import read_maps


class DoubleAttention(Layout):
    """F = softmax_channels(V) softmax_positions(B)ᵀ A through ``conv_reconstruct``.

    Φ here is V there, Ψ is B, and Z is A. Published modules return F; the block here returns X + F.
    """

    name = "a2"
    source = "nguyenvo09/Double-Attention-Network and its copies (DoubleAttention)"
    anchors = ("convA.weight",)
    takes = ("mode",)
    modes = ("channels",)
    refused: ClassVar[Mapping[str, str]] = {
        "positions": (
            "both softmaxes run over positions, so the rows of A sum to anything, and no kernel "
            "here does that."
        ),
        "batch": (
            "softmax without dim runs over the items of the batch, so what an image becomes "
            "depends on the others."
        ),
    }

    def matches(self, names: Collection[str]) -> bool:
        return all(f"conv{name}.weight" in names for name in "ABV")

    def read(self, weights: ForeignWeights, settings: Settings) -> Reading:
        if not weights.has("conv_reconstruct.weight"):
            raise InterchangeError(
                "there is no conv_reconstruct: F has the channels of convA, and nothing maps them "
                "back to those of X. If the network has such a map elsewhere, put its weights "
                'under "conv_reconstruct" and convert again.'
            )
        a, b, v = (weights.linear(f"conv{name}") for name in "ABV")
        out = weights.linear("conv_reconstruct")
        reading = Reading("a2", out.weight.shape[0])
        read_maps(reading, v, b, a, out)
        reading.options["norm"] = "none"
        self.mode_of(settings, reading)
        reading.differences.append(
            "published modules return F alone, here Y = X + F: where the network adds X itself, "
            "take that out"
        )
        return reading
