"""A block as plain values: what ``nonlocal_block`` has to be told to make it again."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from torch import nn

from snl_graph.blocks import NonlocalBlock, SpectralUnit, nonlocal_block
from snl_graph.blocks.arrangements import Positions, PositionsTimesChannels
from snl_graph.blocks.linear import NodeLinear
from snl_graph.blocks.norms import BatchNorm, GroupNorm, LayerNorm, NoNorm
from snl_graph.blocks.pooling import Subsampling
from snl_graph.filters import FILTERS, Chebyshev, GraphFilter, Monomial, Polynomial
from snl_graph.interchange.errors import InterchangeError
from snl_graph.kernels import (
    RBF,
    Concatenation,
    Dot,
    DoubleSoftmax,
    EmbeddedGaussian,
    Gaussian,
    Kernel,
    SignedDot,
)
from snl_graph.masks import MASKS, Mask, Window
from snl_graph.names import lookup
from snl_graph.normalizations import NORMALIZATIONS

Description = dict[str, Any]

# Beyond these a file is not one of blocks, and what it asks for could fill the memory.
_MOST_TIMES, _MOST_CHANNELS = 256, 2**20

_KERNELS: dict[str, tuple[type[Kernel], tuple[str, ...]]] = {
    "dot": (Dot, ()),
    "signed_dot": (SignedDot, ("scale",)),
    "gaussian": (Gaussian, ("scale",)),
    "embedded_gaussian": (EmbeddedGaussian, ("scale",)),
    "rbf": (RBF, ("gamma",)),
    "double_softmax": (DoubleSoftmax, ()),
    "concatenation": (Concatenation, ("scale",)),
}
"""Kernels by name, and the options that are no weights."""


class NotDescribedError(InterchangeError):
    """A piece of a block that plain values do not say how to make."""


def describe(block: nn.Module) -> Description:
    """What a block is made of, as values that JSON has.

    Raises:
        NotDescribedError: If a piece of it is an object of the caller's own.

    Example:
        >>> describe(nonlocal_block("nl", 8))["kernel"]
        {'name': 'embedded_gaussian', 'scale': 1.0}
    """
    if type(block) is not NonlocalBlock:
        raise NotDescribedError(f"it is a {type(block).__name__}, made outside this library")
    pieces, units = block.affinity.pieces, cast(list[SpectralUnit], list(block.units))
    unit = units[0]
    weight = cast(NodeLinear, next(iter(unit.w.values())))
    first = block.affinity.phi
    arrangement = pieces.arrangement
    width = weight.in_features if first is None else first.out_features
    description = {
        "row": block.name,
        "channels": block.channels,
        "hidden_channels": width,
        "value_channels": None if unit.g is None else weight.in_features,
        "depth": len(units),
        "recurrence": block.recurrence,
        "heads": arrangement.heads if isinstance(arrangement, Positions) else 1,
        "groups": arrangement.groups if isinstance(arrangement, PositionsTimesChannels) else None,
        "kernel": _kernel(block.affinity.kernel),
        "mask": _mask(pieces.mask),
        "normalization": _name_of(NORMALIZATIONS, pieces.normalization, "normalization"),
        "filter": _filter(unit.filter),
        "norm": _norm(unit.bn),
        "activation": _activation(unit.activation),
        "bias": weight.bias is not None,
        "subsample": _subsampling(pieces.subsampling),
        "representation": pieces.representation,
    }
    # Units differ in nothing but their weights, and nothing was put in place of a piece.
    twin = make(description)
    if _structure(twin) != _structure(block):
        raise NotDescribedError("a part of it was replaced after it was made")
    return description


def make(description: Any) -> NonlocalBlock:
    """The block of a description, on the meta device: shapes without numbers.

    Raises:
        InterchangeError: If the description is not one, or asks for what no block is.
    """
    if not isinstance(description, Mapping) or set(description) != _FIELDS:
        raise InterchangeError(
            "its description is not one that this release understands; expected the fields "
            f"{', '.join(sorted(_FIELDS))}."
        )
    try:
        with torch.device("meta"):
            return _made(dict(description))
    except InterchangeError:
        raise
    except Exception as error:  # what somebody else wrote can fail in any way
        reason = " ".join(str(error).split())[:300]
        raise InterchangeError(f"its description is not that of a block: {reason}") from error


_FIELDS = {
    *("row", "channels", "hidden_channels", "value_channels", "depth", "recurrence", "heads"),
    *("groups", "kernel", "mask", "normalization", "filter", "norm", "activation", "bias"),
    *("subsample", "representation"),
}


def _made(fields: Description) -> NonlocalBlock:
    for name in ("depth", "recurrence"):
        _require_whole(name, fields[name], _MOST_TIMES)
    for name in ("channels", "hidden_channels"):
        _require_whole(name, fields[name], _MOST_CHANNELS)
    for name in ("row", "mask", "normalization", "representation"):
        if not isinstance(fields[name], str):
            raise TypeError(f"{name} is a name, got {fields[name]!r}.")
    if not isinstance(fields["bias"], bool):
        raise TypeError(f"bias is true or false, got {fields['bias']!r}.")
    norm, values = fields["norm"], fields["value_channels"]
    if values is not None:
        _require_whole("value_channels", values, _MOST_CHANNELS)
    block = nonlocal_block(
        fields["row"],
        fields["channels"],
        hidden_channels=fields["hidden_channels"],
        value_channels=None if values == fields["hidden_channels"] else values,
        depth=fields["depth"],
        recurrence=fields["recurrence"],
        heads=fields["heads"],
        groups=fields["groups"],
        kernel=_made_kernel(fields),
        mask=fields["mask"],
        normalization=fields["normalization"],
        filter=_made_filter(fields["filter"]),
        norm=norm["name"],
        activation=fields["activation"],
        bias=fields["bias"],
        subsample=Subsampling(
            _made_stride(fields["subsample"]["stride"]),
            keeps_rest=bool(fields["subsample"]["keeps_rest"]),
            pools_input=bool(fields["subsample"]["pools_input"]),
        ),
        representation=fields["representation"],
    )
    if norm["eps"] is not None:
        for unit in cast(list[SpectralUnit], list(block.units)):
            setattr(unit.bn, "eps", float(norm["eps"]))  # noqa: B010 - a Module types it a Tensor
    return block


def _require_whole(name: str, number: Any, most: int) -> None:
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= most:
        raise ValueError(f"{name} is a whole number from 1 to {most}; got {number!r}.")


def _kernel(kernel: Kernel) -> Description:
    for name, (kind, options) in _KERNELS.items():
        if type(kernel) is kind:
            return {"name": name, **{option: getattr(kernel, option) for option in options}}
    raise NotDescribedError(f"its kernel {type(kernel).__name__} is not one of this library")


def _made_kernel(fields: Description) -> Kernel:
    options = dict(fields["kernel"])
    kind, known = lookup(_KERNELS, options.pop("name"), "kernel")
    if set(options) != set(known):
        raise ValueError(f"its kernel has the options {list(known)}; got {list(options)}.")
    if any(isinstance(value, float) and not math.isfinite(value) for value in options.values()):
        raise ValueError(f"an option of its kernel is not finite: {options}.")
    if kind is Concatenation:
        options["channels"] = max(fields["hidden_channels"] // fields["heads"], 1)
    return cast(Callable[..., Kernel], kind)(**options)


def _mask(mask: Mask) -> str:
    if type(mask) is Window:
        return f"window:{mask.radius}"
    return _name_of(MASKS, mask, "mask")


def _name_of(table: Mapping[str, Any], piece: object, what: str) -> str:
    for name, kind in table.items():
        if type(piece) is kind:
            return name
    raise NotDescribedError(f"its {what} {piece} is an object of your own")


def _filter(filter: GraphFilter) -> Description:
    if type(filter) is Polynomial:
        taps = {str(tap): list(row) for tap, row in filter.coefficients.items()}
        if type(filter.basis) is Monomial:
            return {"name": "monomial", "taps": taps}
        if type(filter.basis) is Chebyshev and isinstance(filter.basis.lambda_max, int | float):
            return {"name": "chebyshev", "taps": taps, "lambda_max": filter.basis.lambda_max}
    for name, kind in FILTERS.items():
        if type(filter) is not kind:
            continue
        K = filter.order + 1 if name == "gpr" else len(filter.taps)
        for count in {K, (len(filter.taps) + 1) // 2}:  # a Cayley filter has two taps a degree
            if _plain(kind(count)) == _plain(filter):
                return {"name": name, "K": count}
    raise NotDescribedError(f"its filter {type(filter).__name__} was made with options of its own")


def _made_filter(options: Any) -> GraphFilter:
    name = options["name"]
    if name in ("monomial", "chebyshev"):
        taps = {int(tap): tuple(map(float, row)) for tap, row in options["taps"].items()}
        if not taps:
            raise ValueError("its filter has no taps.")
        count = len(next(iter(taps.values())))
        _require_whole("K", count, _MOST_TIMES)
        basis = Monomial() if name == "monomial" else Chebyshev(float(options["lambda_max"]))
        return Polynomial(count, basis, taps)
    _require_whole("K", options["K"], _MOST_TIMES)
    with torch.device("cpu"):  # it may count its steps, for which it needs numbers
        return lookup(FILTERS, name, "filter")(options["K"])


def _plain(module: nn.Module) -> dict[str, Any]:
    """All that makes a module and is not learned: attributes of it and of its parts."""
    facts: dict[str, Any] = {}
    saved = module.state_dict()
    for path, part in module.named_modules():
        facts[f"{path} is"] = type(part)
        for name, value in vars(part).items():
            if not name.startswith("_") and name != "training":
                facts[f"{path}.{name}"] = value
    facts["learned"] = {name: tuple(value.shape) for name, value in module.named_parameters()}
    for name, buffer in module.named_buffers():
        facts[f"buffer {name}"] = tuple(buffer.shape) if name in saved else buffer.tolist()
    return facts


def _norm(norm: nn.Module) -> Description:
    eps = getattr(norm, "eps", None)
    if type(norm) is GroupNorm:
        return {"name": f"group:{norm.num_groups}", "eps": eps}
    for name, kind in (("batch", BatchNorm), ("layer", LayerNorm), ("none", NoNorm)):
        if type(norm) is kind:
            return {"name": name, "eps": eps}
    raise NotDescribedError(f"its norm {type(norm).__name__} is not one of this library")


def _activation(activation: nn.Module) -> str | None:
    if type(activation) is nn.Identity:
        return None
    if type(activation) is nn.ReLU:
        return "relu"
    raise NotDescribedError(f"its activation {type(activation).__name__} has no name here")


def _subsampling(subsampling: Subsampling) -> Description:
    stride = subsampling.stride
    return {
        "stride": stride if isinstance(stride, int) else list(stride),
        "keeps_rest": subsampling.keeps_rest,
        "pools_input": subsampling.pools_input,
    }


def _made_stride(stride: Any) -> int | tuple[int, ...]:
    return stride if isinstance(stride, int) else tuple(stride)


def _structure(block: nn.Module) -> list[tuple[str, str]]:
    """Every part by name, type and own words; and the shapes of the weights."""
    parts = [
        (name, f"{type(part).__name__}({'' if name == '' else part.extra_repr()})")
        for name, part in block.named_modules()
    ]
    return parts + [(name, str(tuple(value.shape))) for name, value in block.state_dict().items()]
