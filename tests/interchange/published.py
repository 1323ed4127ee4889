"""What blocks of other implementations compute, from their mathematics, under their own keys.

Nothing here imports the library. A block is its weights by name, and a formula of X and these.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

CHANNELS, WIDTH = 8, 4

Weights = dict[str, Tensor]
Formula = Callable[[Weights, Tensor], Tensor]


@dataclass(frozen=True)
class Published:
    """A block of another implementation.

    Args:
        layout: What its keys should be recognised as.
        weights: Draws its weights for maps of so many axes.
        formula: Y of weights and X, (B, C, *size).
        settings: What the weights do not tell, as ``convert_block`` takes it.
        axes: Numbers of spatial axes it exists for.
        is_exact: Whether every parameter is one here too.
        sizes: Maps to compare on, by number of axes; odd sides show what a pooling drops.
    """

    layout: str
    weights: Callable[[int], Weights]
    formula: Formula
    settings: dict[str, object] = field(default_factory=dict)
    axes: tuple[int, ...] = (2,)
    is_exact: bool = True


SIZES = {1: (11,), 2: (5, 7), 3: (2, 3, 5)}


def conv(name: str, out: int, inside: int, axes: int, bias: bool = True) -> Weights:
    weights = {f"{name}.weight": torch.randn(out, inside, *[1] * axes, dtype=torch.float64) / 2}
    return weights | ({f"{name}.bias": torch.randn(out, dtype=torch.float64)} if bias else {})


def batch_norm(name: str) -> Weights:
    shape = (CHANNELS,)
    return {
        f"{name}.weight": torch.randn(shape, dtype=torch.float64),
        f"{name}.bias": torch.randn(shape, dtype=torch.float64),
        f"{name}.running_mean": torch.randn(shape, dtype=torch.float64),
        f"{name}.running_var": torch.rand(shape, dtype=torch.float64) + 0.5,
        f"{name}.num_batches_tracked": torch.tensor(7),
    }


def group_norm(name: str) -> Weights:
    return {key: w for key, w in batch_norm(name).items() if key.split(".")[-1] in AFFINE}


AFFINE = ("weight", "bias")


def applied(weights: Weights, name: str, x: Tensor, groups: int = 1) -> Tensor:
    """A convolution by torch's own."""
    run = {3: F.conv1d, 4: F.conv2d, 5: F.conv3d}[x.dim()]
    return run(x, weights[f"{name}.weight"], weights.get(f"{name}.bias"), groups=groups)


def normed(weights: Weights, name: str, x: Tensor) -> Tensor:
    """A batch norm in evaluation mode by torch's own."""
    parts = [weights[f"{name}.{part}"] for part in ("running_mean", "running_var", *AFFINE)]
    return F.batch_norm(x, *parts)


def pooled(x: Tensor, stride: int | tuple[int, ...]) -> Tensor:
    """Max pooling by torch's own, which drops the rest at the border."""
    return {3: F.max_pool1d, 4: F.max_pool2d, 5: F.max_pool3d}[x.dim()](x, stride)


def usual_stride(x: Tensor) -> int | tuple[int, ...]:
    return (1, 2, 2) if x.dim() == 5 else 2


def mixed(attention: Tensor, g: Tensor, x: Tensor) -> Tensor:
    """Σ_j A_ij g_j as a map of the size of X."""
    return torch.einsum("bij,bcj->bci", attention, g.flatten(2)).unflatten(2, x.shape[2:])


def scores(theta: Tensor, phi: Tensor) -> Tensor:
    return torch.einsum("bci,bcj->bij", theta.flatten(2), phi.flatten(2))


def pair_scores(vector: Tensor, theta: Tensor, phi: Tensor) -> Tensor:
    """max(⟨w, [θ_i, φ_j]⟩, 0), every pair written out."""
    t, p = theta.flatten(2), phi.flatten(2)
    count, keys = t.shape[2], p.shape[2]
    pairs = torch.cat(
        [t[..., :, None].expand(-1, -1, count, keys), p[..., None, :].expand(-1, -1, count, keys)],
        1,
    )
    return torch.einsum("k,bkij->bij", vector.flatten(), pairs).clamp(min=0)


def attention(
    mode: str, theta: Tensor, phi: Tensor, scale: float = 1.0, vector: Tensor | None = None
) -> Tensor:
    if mode in ("embedded_gaussian", "gaussian"):
        return (scale * scores(theta, phi)).softmax(-1)
    m = scores(theta, phi) if vector is None else pair_scores(vector, theta, phi)
    return m / m.shape[-1]


def non_local(
    mode: str,
    end: str,
    out: str,
    norm: str | None,
    *,
    is_pooled: bool = False,
    scale: float = 1.0,
    vector: str = "",
) -> Formula:
    """mmcv (end ".conv") and the PyTorch ports (end "")."""

    def formula(weights: Weights, x: Tensor) -> Tensor:
        def key_or_value(name: str) -> Tensor:
            if not is_pooled:
                return applied(weights, f"{name}{end}", x)
            return pooled(applied(weights, f"{name}.0{end}", x), usual_stride(x))

        if mode == "gaussian":
            theta, phi = x, pooled(x, usual_stride(x)) if is_pooled else x
        else:
            theta, phi = applied(weights, f"theta{end}", x), key_or_value("phi")
        w = weights[vector] if mode == "concatenation" else None
        f = mixed(attention(mode, theta, phi, scale, w), key_or_value("g"), x)
        f = applied(weights, out, f)
        return x + (f if norm is None else normed(weights, norm, f))

    return formula


def non_local_weights(
    mode: str, end: str, out: str, norm: str | None, *, is_pooled: bool = False, vector: str = ""
) -> Callable[[int], Weights]:
    zero = ".0" if is_pooled else ""

    def draw(axes: int) -> Weights:
        weights = conv(f"g{zero}{end}", WIDTH, CHANNELS, axes)
        if mode != "gaussian":
            weights |= conv(f"theta{end}", WIDTH, CHANNELS, axes)
            weights |= conv(f"phi{zero}{end}", WIDTH, CHANNELS, axes)
        if mode == "concatenation":
            weights[vector] = torch.randn(1, 2 * WIDTH, 1, 1, dtype=torch.float64)
        weights |= conv(out, CHANNELS, WIDTH, axes, bias=end == "" or norm is None)
        return weights | ({} if norm is None else batch_norm(norm))

    return draw


def port(mode: str, *, has_norm: bool = True, is_pooled: bool = False) -> Published:
    out, norm = ("W.0", "W.1") if has_norm else ("W", None)
    names = {"end": "", "out": out, "norm": norm}
    more = {"is_pooled": is_pooled, "vector": "concat_project.0.weight"}
    told = {"mode": mode} if mode == "dot_product" else {}
    return Published(
        "non_local_pytorch",
        non_local_weights(mode, **names, **more),
        non_local(mode, **names, **more),
        told,
        (1, 2, 3),
    )


def mmcv(
    mode: str, *, has_norm: bool = True, is_pooled: bool = False, use_scale: bool | None = None
) -> Published:
    names = {"end": ".conv", "out": "conv_out.conv", "norm": "conv_out.bn" if has_norm else None}
    more = {"is_pooled": is_pooled, "vector": "concat_project.conv.weight"}
    is_scaled = mode == "embedded_gaussian" and use_scale is not False
    return Published(
        "mmcv",
        non_local_weights(mode, **names, **more),
        non_local(mode, **names, **more, scale=WIDTH**-0.5 if is_scaled else 1.0),
        ({"mode": mode} if mode == "dot_product" else {})
        | ({} if use_scale is None else {"use_scale": use_scale}),
        (1, 2, 3),
    )


def slowfast(
    mode: str = "embedded_gaussian",
    norm: str | None = "bn",
    stride: tuple[int, int, int] | None = None,
) -> Published:
    def draw(axes: int) -> Weights:
        weights = conv("conv_out", CHANNELS, WIDTH, axes)
        for name in ("conv_theta", "conv_phi", "conv_g"):
            weights |= conv(name, WIDTH, CHANNELS, axes)
        return weights | (batch_norm(norm) if norm in ("bn", "norm") else {})

    def formula(weights: Weights, x: Tensor) -> Tensor:
        keys = x if stride is None else pooled(x, stride)  # before they are projected
        theta, phi = applied(weights, "conv_theta", x), applied(weights, "conv_phi", keys)
        a = attention(mode, theta, phi, WIDTH**-0.5)
        f = applied(weights, "conv_out", mixed(a, applied(weights, "conv_g", keys), x))
        if norm in ("bn", "norm"):
            f = normed(weights, norm, f)
        return x + (F.group_norm(f, 1) if norm == "group:1" else f)

    told = {"mode": mode} if mode != "embedded_gaussian" else {}
    told |= {} if stride is None else {"subsample": stride}
    told |= {"norm": norm} if norm == "group:1" else {}
    return Published("slowfast", draw, formula, told, (3,))


def spatial_nl(use_scale: bool = True) -> Published:
    def draw(axes: int) -> Weights:
        weights = conv("z", CHANNELS, WIDTH, axes, bias=False)
        for name in "tpg":
            weights |= conv(name, WIDTH, CHANNELS, axes, bias=False)
        return weights | batch_norm("bn")

    def formula(weights: Weights, x: Tensor) -> Tensor:
        t, p, g = (applied(weights, name, x) for name in "tpg")
        a = (scores(t, p) / (math.sqrt(WIDTH) if use_scale else 1)).softmax(-1)
        return x + normed(weights, "bn", applied(weights, "z", mixed(a, g, x)))

    return Published("spatial_nl", draw, formula, {"use_scale": use_scale})


def cgnl(groups: int, use_scale: bool = False) -> Published:
    def draw(axes: int) -> Weights:
        weights = conv("z", CHANNELS, WIDTH // groups, axes, bias=False)
        for name in "tpg":
            weights |= conv(name, WIDTH, CHANNELS, axes, bias=False)
        return weights | group_norm("gn")

    def formula(weights: Weights, x: Tensor) -> Tensor:
        parts = []
        for t, p, g in zip(
            *(applied(weights, name, x).chunk(groups, 1) for name in "tpg"), strict=True
        ):
            agreement = (p * g).flatten(1).sum(1)
            if use_scale:
                agreement = agreement / math.sqrt(t[0].numel())
            parts.append(t * agreement.view(-1, *[1] * (x.dim() - 1)))
        f = applied(weights, "z", torch.cat(parts, 1), groups)
        return x + F.group_norm(f, groups, weights["gn.weight"], weights["gn.bias"])

    told = {"use_scale": True} if use_scale else {}
    return Published("cgnl", draw, formula, told, (2,), is_exact=groups == 1)


def query_key_value(mode: str, gamma: str, recurrence: int = 1) -> Published:
    def draw(axes: int) -> Weights:
        weights = conv("query_conv", 2, CHANNELS, axes) | conv("key_conv", 2, CHANNELS, axes)
        weights |= conv("value_conv", CHANNELS, CHANNELS, axes)
        shape = (1,) if gamma == "gamma" else ()
        return weights | {gamma: torch.full(shape, 0.7, dtype=torch.float64)}

    def once(weights: Weights, x: Tensor) -> Tensor:
        q, k, v = (applied(weights, f"{name}_conv", x) for name in ("query", "key", "value"))
        if mode == "full":
            out = mixed(scores(q, k).softmax(-1), v, x)
        else:
            height = x.shape[2]
            column = torch.einsum("bchw,bcgw->bhwg", q, k)
            itself = torch.eye(height, dtype=torch.bool)[:, None, :]  # the row counts it
            column = column.masked_fill(itself, -math.inf)
            row = torch.einsum("bchw,bchv->bhwv", q, k)
            both = torch.cat([column, row], -1).softmax(-1)
            out = torch.einsum("bhwg,bcgw->bchw", both[..., :height], v)
            out = out + torch.einsum("bhwv,bchv->bchw", both[..., height:], v)
        return x + weights[gamma] * out

    def formula(weights: Weights, x: Tensor) -> Tensor:
        for _ in range(recurrence):
            x = once(weights, x)
        return x

    told = ({"mode": mode} if mode == "full" else {}) | (
        {"recurrence": recurrence} if recurrence > 1 else {}
    )
    return Published("ccnet", draw, formula, told, is_exact=False)


def double_attention(keys: int = WIDTH) -> Published:
    def draw(axes: int) -> Weights:
        weights = conv("convA", WIDTH, CHANNELS, axes)
        weights |= conv("convB", keys, CHANNELS, axes) | conv("convV", keys, CHANNELS, axes)
        return weights | conv("conv_reconstruct", CHANNELS, WIDTH, axes)

    def formula(weights: Weights, x: Tensor) -> Tensor:
        a, b, v = (applied(weights, f"conv{name}", x).flatten(2) for name in "ABV")
        gathered = a @ b.softmax(2).mT  # (B, c_m, c_n)
        spread = (gathered @ v.softmax(1)).unflatten(2, x.shape[2:])
        return x + applied(weights, "conv_reconstruct", spread)  # published modules leave out X

    return Published("a2", draw, formula, axes=(2, 3), is_exact=False)


PUBLISHED = {
    "port embedded": port("embedded_gaussian"),
    "port embedded, no norm, pooled": port("embedded_gaussian", has_norm=False, is_pooled=True),
    "port gaussian": port("gaussian"),
    "port gaussian, pooled": port("gaussian", is_pooled=True),
    "port dot product": port("dot_product"),
    "port dot product, pooled": port("dot_product", is_pooled=True),
    "port concatenation": port("concatenation"),
    "port concatenation, pooled": port("concatenation", has_norm=False, is_pooled=True),
    "mmcv embedded": mmcv("embedded_gaussian"),
    "mmcv embedded, no scale, pooled": mmcv("embedded_gaussian", use_scale=False, is_pooled=True),
    "mmcv gaussian": mmcv("gaussian", has_norm=False),
    "mmcv gaussian, pooled": mmcv("gaussian", is_pooled=True),
    "mmcv dot product": mmcv("dot_product", has_norm=False),
    "mmcv concatenation": mmcv("concatenation"),
    "slowfast": slowfast(),
    "slowfast dot product, pooled": slowfast("dot_product", "norm", (1, 2, 2)),
    "slowfast pooled": slowfast(stride=(1, 2, 2)),
    "slowfast no norm": slowfast(norm=None),
    "slowfast layer norm": slowfast(norm="group:1"),
    "spatial_nl": spatial_nl(),
    "spatial_nl, no scale": spatial_nl(use_scale=False),
    "cgnl": cgnl(1),
    "cgnl, grouped": cgnl(2),
    "cgnl, grouped and scaled": cgnl(2, use_scale=True),
    "ccnet": query_key_value("criss_cross", "gamma"),
    "ccnet twice": query_key_value("criss_cross", "gamma", 2),
    "mmcv cross": query_key_value("criss_cross", "gamma.scale"),
    "position attention": query_key_value("full", "gamma"),
    "a2": double_attention(),
    "a2, other keys": double_attention(3),
}
