"""Nonlocal blocks with θ, φ, g and an output map: mmcv, the PyTorch ports, SlowFast.

What they compute is Y = X + norm(out(A g(X))) with

- ``embedded_gaussian``: A = softmax(s θ φᵀ), s = 1 or 1/√r;
- ``gaussian``: A = softmax(X Xᵀ);
- ``dot_product``: A = θ φᵀ / N';
- ``concatenation``: A = max(⟨w, [θ, φ]⟩, 0) / N';

N' is the number of keys. Φ here is θ there, and Ψ here is φ there.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection
from typing import ClassVar

from snl_graph.blocks.pooling import Subsampling
from snl_graph.interchange.errors import InterchangeError
from snl_graph.interchange.foreign import ForeignWeights, LinearMap
from snl_graph.interchange.layouts.base import Layout, Reading, Settings
from snl_graph.kernels import Concatenation, EmbeddedGaussian, Gaussian, SignedDot

MODES = ("embedded_gaussian", "dot_product", "gaussian", "concatenation")
_POOLS: dict[int, int | tuple[int, ...]] = {1: 2, 2: 2, 3: (1, 2, 2)}


def read_maps(
    reading: Reading,
    theta: LinearMap | None,
    phi: LinearMap | None,
    g: LinearMap,
    out: LinearMap,
) -> None:
    """Carry θ, φ, g and the output map, and set the widths."""
    if theta is not None and phi is not None:
        reading.carry_map("affinity.phi", theta)
        reading.carry_map("affinity.psi", phi)
        reading.options["hidden_channels"] = theta.weight.shape[0]
        if g.weight.shape[0] != theta.weight.shape[0]:
            reading.options["value_channels"] = g.weight.shape[0]
    else:
        reading.options["hidden_channels"] = g.weight.shape[0]
    reading.carry_map("units.0.g", g)
    reading.carry_map("units.0.w.1", out)


def set_affinity(reading: Reading, mode: str, scale: float | str) -> None:
    """Kernel and normalisation of a mode."""
    if mode == "embedded_gaussian":
        reading.options["kernel"] = EmbeddedGaussian(scale)
    elif mode == "gaussian":
        reading.options["kernel"] = Gaussian()
    elif mode == "dot_product":
        reading.options |= {"kernel": SignedDot("1/n"), "normalization": "none"}
    else:
        width = reading.options["hidden_channels"]
        reading.options |= {"kernel": Concatenation(width, "1/n"), "normalization": "none"}


class ThetaPhiG(Layout):
    """What mmcv and the PyTorch ports share.

    In mode ``gaussian`` θ and φ are missing, in mode ``concatenation`` a vector w is there, and
    pooled keys show in the names: ``g.0``.
    """

    takes: ClassVar[tuple[str, ...]] = ("mode", "subsample")
    modes: ClassVar[tuple[str, ...]] = MODES
    conv: ClassVar[str]
    vector: ClassVar[str]
    out: ClassVar[tuple[str, ...]]

    def matches(self, names: Collection[str]) -> bool:
        def has(*modules: str) -> bool:
            return any(f"{module}.weight" in names for module in modules)

        return has(*self._pooled("g")) and has(*self.out)

    def read(self, weights: ForeignWeights, settings: Settings) -> Reading:
        g = weights.linear(weights.first_of(*self._pooled("g")))
        out = weights.linear(weights.first_of(*self.out))
        reading = Reading("nl", out.weight.shape[0])
        theta = phi = None
        if weights.has(f"theta{self.conv}.weight"):
            theta = weights.linear(f"theta{self.conv}")
            phi = weights.linear(weights.first_of(*self._pooled("phi")))
        read_maps(reading, theta, phi, g, out)
        mode = self._mode(weights, settings, reading, is_embedded=theta is not None)
        set_affinity(reading, mode, self._scale(settings, reading, mode))
        if mode == "concatenation":
            vector = weights.linear(self.vector)
            shaped = vector.weight.reshape(2, -1)
            reading.carry("affinity.kernel.weight", shaped, f"{self.vector}.weight")
        self._pool(reading, settings, g, phi)
        self._norm(weights, settings, reading)
        return reading

    def _pooled(self, name: str) -> tuple[str, str]:
        """Names of a convolution, alone and with a pooling behind it."""
        return f"{name}{self.conv}", f"{name}.0{self.conv}"

    def _mode(
        self, weights: ForeignWeights, settings: Settings, reading: Reading, *, is_embedded: bool
    ) -> str:
        if not is_embedded:
            told = "gaussian"
        elif weights.has(f"{self.vector}.weight"):
            told = "concatenation"
        else:
            if settings.mode in ("gaussian", "concatenation"):
                raise InterchangeError(
                    f'mode "{settings.mode}" has other weights than these, which are those of '
                    '"embedded_gaussian" or "dot_product".'
                )
            return self.mode_of(settings, reading, alike='"dot_product"')
        if settings.mode not in (None, told):
            raise InterchangeError(
                f'these weights are those of mode "{told}"; got mode "{settings.mode}".'
            )
        return told

    def _scale(self, settings: Settings, reading: Reading, mode: str) -> float | str:
        """Scale s of the embedded Gaussian."""
        return 1.0

    def _pool(
        self, reading: Reading, settings: Settings, g: LinearMap, phi: LinearMap | None
    ) -> None:
        """Pooling of keys and values, which drops the rest at the border there."""
        is_pooled = ".0" in g.name
        if phi is not None and (".0" in phi.name) != is_pooled:
            raise InterchangeError(
                f'"{g.name}" and "{phi.name}" disagree: keys and values are pooled together, '
                "or neither."
            )
        if not is_pooled:
            if settings.subsample is not None:
                raise InterchangeError(
                    f'keys and values are not pooled here: "{g.name}" has no pooling behind it. '
                    "Leave subsample out."
                )
            return
        stride = settings.subsample
        if stride is None:
            stride = _POOLS[min(max(g.axes, 1), 3)]
            reading.assumed.append(
                f"subsample={stride}: a pooling has no weights, and this is its usual stride"
            )
        reading.options["subsample"] = Subsampling(stride, keeps_rest=False)

    @abstractmethod
    def _norm(self, weights: ForeignWeights, settings: Settings, reading: Reading) -> None:
        """The norm behind the output map, if there is one."""


class NonLocalPytorch(ThetaPhiG):
    """``g, theta, phi, W`` or ``W.0, W.1``, and ``concat_project.0``; a pooled g is ``g.0``."""

    name = "non_local_pytorch"
    source = "AlexHex7/Non-local_pytorch and its many copies (TSM's ops/non_local.py, for one)"
    anchors = ("W.weight", "W.0.weight")
    conv = ""
    vector = "concat_project.0"
    out = ("W", "W.0")

    def _norm(self, weights: ForeignWeights, settings: Settings, reading: Reading) -> None:
        if weights.has("W.1.weight"):
            reading.carry_norm(weights, "W.1")
        else:
            reading.options["norm"] = "none"


class Mmcv(ThetaPhiG):
    """``g.conv, theta.conv, phi.conv, conv_out.conv, conv_out.bn``; a pooled g is ``g.0.conv``."""

    name = "mmcv"
    source = "mmcv NonLocal1d, NonLocal2d, NonLocal3d (MMDetection, MMAction, MMSegmentation)"
    anchors = ("conv_out.conv.weight",)
    takes = (*ThetaPhiG.takes, "use_scale", "norm")
    conv = ".conv"
    vector = "concat_project.conv"
    out = ("conv_out.conv",)

    def _scale(self, settings: Settings, reading: Reading, mode: str) -> float | str:
        if mode != "embedded_gaussian":
            return 1.0
        if settings.use_scale is None:
            reading.assumed.append("use_scale=True: the scale 1/√r is mmcv's default")
        return 1.0 if settings.use_scale is False else "1/sqrt(r)"

    def _norm(self, weights: ForeignWeights, settings: Settings, reading: Reading) -> None:
        if weights.has("conv_out.bn.running_mean"):
            reading.carry_norm(weights, "conv_out.bn")
        elif weights.has("conv_out.gn.weight"):
            if settings.norm is None:
                raise InterchangeError(
                    "the number of groups of conv_out.gn is not in its weights: pass "
                    'norm="group:32", or what it was.'
                )
            reading.options["norm"] = settings.norm
            reading.carry_norm(weights, "conv_out.gn")
        else:
            reading.options["norm"] = "none"


class SlowFast(Layout):
    """``conv_theta, conv_phi, conv_g, conv_out``, ``bn`` or ``norm``; pools X before φ and g."""

    name = "slowfast"
    source = "facebookresearch SlowFast (Nonlocal), and video-nonlocal-net converted to PyTorch"
    anchors = ("conv_theta.weight",)
    takes = ("mode", "subsample", "norm")
    modes = ("embedded_gaussian", "dot_product")

    def matches(self, names: Collection[str]) -> bool:
        wanted = ("conv_theta", "conv_phi", "conv_g", "conv_out")
        return all(f"{name}.weight" in names for name in wanted)

    def read(self, weights: ForeignWeights, settings: Settings) -> Reading:
        theta, phi, g, out = (
            weights.linear(f"conv_{name}") for name in ("theta", "phi", "g", "out")
        )
        reading = Reading("nl", out.weight.shape[0])
        read_maps(reading, theta, phi, g, out)
        set_affinity(reading, self.mode_of(settings, reading), "1/sqrt(r)")
        if settings.subsample is None:
            reading.assumed.append("subsample=1: whether X is pooled (pool_size) is not in weights")
        else:
            reading.options["subsample"] = Subsampling(
                settings.subsample, keeps_rest=False, pools_input=True
            )
        name = next((name for name in ("norm", "bn") if weights.has(f"{name}.weight")), None)
        if name is not None:
            reading.carry_norm(weights, name)
        elif settings.norm is not None:
            reading.options["norm"] = settings.norm
        else:
            reading.options["norm"] = "none"
            reading.assumed.append(
                'norm="none": norm_type "layernorm" has no weights either; it is norm="group:1"'
            )
        return reading
