"""Blocks with t, p, g and z: timm's nonlocal block, that of the CGNL authors, and CGNL itself."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping
from typing import ClassVar

from snl_graph.interchange.errors import InterchangeError
from snl_graph.interchange.foreign import ForeignWeights
from snl_graph.interchange.layouts.base import Layout, Reading, Settings
from snl_graph.interchange.layouts.theta_phi_g import read_maps
from snl_graph.kernels import EmbeddedGaussian, SignedDot


def _has_maps(names: Collection[str]) -> bool:
    return all(f"{name}.weight" in names for name in "tpgz")


class _Softmax(Layout):
    """A = softmax(s t pᵀ) and a batch norm; layouts differ in its name and in the scale s."""

    anchors = ("t.weight",)
    takes = ("use_scale",)
    norm: ClassVar[str]
    default: ClassVar[str]

    @abstractmethod
    def scale(self, channels: int) -> float | str:
        """The scale s unless it is switched off, of X with so many channels."""

    def matches(self, names: Collection[str]) -> bool:
        return _has_maps(names) and f"{self.norm}.weight" in names

    def read(self, weights: ForeignWeights, settings: Settings) -> Reading:
        t, p, g, z = (weights.linear(name) for name in "tpgz")
        reading = Reading("nl", z.weight.shape[0])
        read_maps(reading, t, p, g, z)
        reading.carry_norm(weights, self.norm)
        if settings.use_scale is None:
            reading.assumed.append(f"use_scale=True: {self.default}")
        scale = 1.0 if settings.use_scale is False else self.scale(reading.channels)
        reading.options["kernel"] = EmbeddedGaussian(scale)
        return reading


class Timm(_Softmax):
    """A = softmax(s t pᵀ) with s = 1/√C, C the width of X, and a batch norm called ``norm``."""

    name = "timm"
    source = "timm NonLocalAttn (attn_layer nl), from BAT-Image-Classification"
    norm = "norm"
    default = "the scale 1/√C is timm's default"

    def scale(self, channels: int) -> float | str:
        return float(channels**-0.5)


class SpatialNL(_Softmax):
    """A = softmax(s t pᵀ) with s = 1/√r, r the width of t, and a batch norm called ``bn``."""

    name = "spatial_nl"
    source = "KaiyuYue/cgnl-network.pytorch, SpatialNL"
    norm = "bn"
    default = "the scale 1/√r of their networks"

    def scale(self, channels: int) -> float | str:
        return "1/sqrt(r)"


class Cgnl(Layout):
    """In each channel group F = t (pᵀ g), and a group norm called ``gn`` behind a grouped z."""

    name = "cgnl"
    source = "KaiyuYue/cgnl-network.pytorch, SpatialCGNL"
    anchors = ("t.weight",)
    takes = ("mode", "use_scale")
    modes = ("dot",)
    refused: ClassVar[Mapping[str, str]] = {
        "rbf": "SpatialCGNLx sums powers of t and p, a kernel of several terms that is not here."
    }

    def matches(self, names: Collection[str]) -> bool:
        return _has_maps(names) and "gn.weight" in names

    def read(self, weights: ForeignWeights, settings: Settings) -> Reading:
        t, p, g = (weights.linear(name) for name in "tpg")
        width, narrow = t.weight.shape[0], weights.tensor("z.weight").shape[1]
        groups, rest = divmod(width, narrow)
        if rest or not groups:
            raise InterchangeError(
                f"z takes {narrow} channels a group, which do not divide the {width} of t, p and g."
            )
        z = weights.linear("z", groups)
        if z.weight.shape[0] % groups:
            raise InterchangeError(
                f"z gives {z.weight.shape[0]} channels, which {groups} groups do not divide."
            )
        reading = Reading("cgnl", z.weight.shape[0])
        reading.carry_map("affinity.phi", t)
        reading.carry_map("affinity.psi", p)
        reading.carry_map("units.0.g", g)
        reading.carry_map("units.0.w.1", z, how="block-diagonal" if groups > 1 else "")
        reading.carry_norm(weights, "gn")
        reading.options |= {
            "hidden_channels": width,
            "groups": groups,
            "norm": f"group:{groups}",
            "kernel": SignedDot("1/sqrt(n)" if settings.use_scale else 1.0),
        }
        self.mode_of(settings, reading)
        if settings.use_scale is None:
            reading.assumed.append("use_scale=False: as their networks are made")
        if groups > 1:
            reading.differences.append(
                f"z has {groups} groups there; here it is one matrix, zero outside {groups} "
                "blocks: the same function, but training fills what is zero"
            )
        return reading
