"""Attention with query, key and value, and a scalar γ: CCNet, and the same over all positions."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import ClassVar

from snl_graph.interchange.errors import InterchangeError
from snl_graph.interchange.foreign import ForeignWeights
from snl_graph.interchange.layouts.base import Layout, Reading, Settings


class QueryKeyValue(Layout):
    """Y = X + γ A v(X) with A = softmax(q kᵀ) over the cross, or over all positions.

    The published cross has its centre twice, once with −∞: it counts once, as here. Rows of A sum
    to 1, so A (X W_v + b) = A X W_v + b, and γ W_v is W here, γ b its bias.
    """

    name = "ccnet"
    source = (
        "speedinghzl/CCNet and mmcv CrissCrossAttention; mode full: SAGAN, DANet's position module"
    )
    anchors = ("query_conv.weight",)
    takes = ("mode", "recurrence")
    modes = ("criss_cross", "full")
    refused: ClassVar[Mapping[str, str]] = {
        "queries": (
            "PAM_Module of CCNet's repository takes its softmax over the positions that look, so "
            "columns of A sum to 1, not rows; no normalisation here does that."
        )
    }

    def matches(self, names: Collection[str]) -> bool:
        wanted = ("query_conv.weight", "key_conv.weight", "value_conv.weight")
        has_gamma = "gamma" in names or "gamma.scale" in names
        return all(name in names for name in wanted) and has_gamma

    def read(self, weights: ForeignWeights, settings: Settings) -> Reading:
        query, key, value = (weights.linear(f"{name}_conv") for name in ("query", "key", "value"))
        name = "gamma" if weights.has("gamma") else "gamma.scale"
        gamma = weights.tensor(name)
        if gamma.numel() != 1:
            raise InterchangeError(f"{name} is one number; got shape {tuple(gamma.shape)}.")
        gamma = gamma.reshape(())
        channels, width = value.weight.shape
        if channels != width:
            raise InterchangeError(
                f"value_conv maps {width} channels to {channels}; the sum X + γ A v(X) needs as "
                "many as X has."
            )
        reading = Reading("cc", channels)
        reading.carry_map("affinity.phi", query)
        reading.carry_map("affinity.psi", key)
        reading.carry_map("units.0.w.1", value.times(gamma), name)
        reading.options |= {"hidden_channels": query.weight.shape[0], "norm": "none"}
        if self.mode_of(settings, reading) == "full":
            reading.options["mask"] = "full"
        if settings.recurrence is None:
            reading.assumed.append(
                "recurrence=1: how often the module is applied is said where it is called; CCNet's "
                "networks apply it twice"
            )
        else:
            reading.options["recurrence"] = settings.recurrence
        reading.differences.append(
            "γ is 0: the block is the identity, and value_conv is lost in W = γ W_v"
            if gamma == 0
            else "γ is part of W = γ W_v: the same function, but training has no common factor"
        )
        return reading
