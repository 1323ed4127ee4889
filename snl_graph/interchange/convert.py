"""A block that was trained with another implementation, as one of this library."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from snl_graph.blocks import NonlocalBlock, nonlocal_block
from snl_graph.interchange.errors import InterchangeError
from snl_graph.interchange.files import Source, weights_of
from snl_graph.interchange.foreign import ForeignWeights
from snl_graph.interchange.layouts import LAYOUTS, Layout, Reading, Settings
from snl_graph.interchange.report import ConversionReport
from snl_graph.names import lookup


class Converted(NamedTuple):
    """A block made of foreign weights, and what became of them."""

    block: NonlocalBlock
    report: ConversionReport


def foreign_blocks(weights: Source) -> dict[str, str]:
    """Blocks of other implementations in a state dict, found by their keys.

    Args:
        weights: A state dict, a checkpoint with one, or the path of a file.

    Returns:
        The layout of each block by the prefix of its keys, ready for :func:`convert_block`.

    Raises:
        InterchangeError: If there are no weights in it, or the file cannot be read.

    Example:
        >>> import torch
        >>> maps = {f"head.nl.{n}.weight": torch.zeros(2, 4, 1, 1) for n in ("t", "p", "g")}
        >>> maps["head.nl.z.weight"] = torch.zeros(4, 2, 1, 1)
        >>> maps["head.nl.bn.weight"] = torch.ones(4)
        >>> foreign_blocks(maps)
        {'head.nl': 'spatial_nl'}
    """
    return _found(weights_of(weights))


def convert_block(
    weights: Source,
    prefix: str | None = None,
    *,
    layout: str | None = None,
    mode: str | None = None,
    use_scale: bool | None = None,
    subsample: int | tuple[int, ...] | None = None,
    recurrence: int | None = None,
    norm: str | None = None,
    strict: bool = True,
) -> Converted:
    r"""A block trained with another implementation, as a :class:`~snl_graph.NonlocalBlock`.

    .. math:: Y = X + \mathrm{norm}(A\, X W_g\, W + b), \qquad A = \mathrm{normalise}(M)

    with the weights, biases and affinity of the block there. What weights do not tell (the mode,
    a scale, a pooling) is taken from the arguments, else as that implementation has it by default;
    the report says so. Outputs and gradients are the same unless the report says where not.

    Source: the key names and formulas of each implementation, listed in ``docs/weights.md``.

    Args:
        weights: A state dict, a checkpoint with one, or the path of a file (``.safetensors``, or
            what ``torch.save`` wrote; no code of it is run).
        prefix: What the keys of the block begin with, ``"backbone.layer2.0.non_local_block"``;
            :func:`foreign_blocks` lists them. None takes the only block there is.
        layout: "mmcv", "non_local_pytorch", "slowfast", "timm", "spatial_nl", "cgnl", "ccnet" or
            "a2"; None finds it by the keys.
        mode: Which affinity: "embedded_gaussian", "dot_product", "gaussian" or "concatenation" of a
            nonlocal block, "criss_cross" or "full" of layout "ccnet".
        use_scale: Whether the logits are scaled, as the argument of that name there.
        subsample: Stride of the pooling of keys and values.
        recurrence: How often the block is applied ("ccnet").
        norm: The norm behind the block where weights do not tell: "group:G", "layer", "none".
        strict: Refuse weights below the prefix that have no place in the block; otherwise they are
            listed in the report.

    Returns:
        The block, in the dtype and on the device of the weights and in training mode, and the
        report.

    Raises:
        InterchangeError: If the block is not found, its weights are not those of the layout, or it
            computes what no block of this library does; a ``ValueError``.
        FileNotFoundError: If there is no such file.

    Cost: that of a copy of the weights.

    Example:
        >>> import torch
        >>> weights = {f"{n}.weight": torch.randn(4, 8, 1, 1) for n in ("g", "theta", "phi")}
        >>> weights["W.weight"] = torch.randn(8, 4, 1, 1)
        >>> block, report = convert_block(weights, mode="dot_product")
        >>> block(torch.randn(2, 8, 5, 7)).shape, report.is_exact
        (torch.Size([2, 8, 5, 7]), True)
    """
    tensors = weights_of(weights)
    chosen = lookup(LAYOUTS, layout, "layout") if layout is not None else None
    prefix, chosen = _place(tensors, prefix, chosen)
    settings = Settings(mode, use_scale, subsample, recurrence, norm)
    chosen.check(settings)
    foreign = ForeignWeights(tensors, prefix)
    reading = chosen.read(foreign, settings)
    unused = dict.fromkeys(foreign.untaken, f'no part of a block of layout "{chosen.name}"')
    if unused and strict:
        raise InterchangeError(
            f"{_named(prefix)} has weights that have no place in a block of layout "
            f'"{chosen.name}": {", ".join(list(unused)[:6])}. What they do there would be missing '
            "here. Pass strict=False to leave them out all the same."
        )
    block, added = _built(reading, chosen)
    report = ConversionReport(
        layout=chosen.name,
        source=chosen.source,
        prefix=prefix,
        row=reading.row,
        options={name: _text(value) for name, value in reading.options.items()},
        matched=tuple(reading.matched),
        added=added,
        unused=unused,
        assumed=tuple(reading.assumed),
        differences=tuple(reading.differences),
    )
    return Converted(block, report)


def _found(tensors: dict[str, Tensor]) -> dict[str, str]:
    found: dict[str, str] = {}
    for layout in LAYOUTS.values():
        for name in tensors:
            for anchor in layout.anchors:
                if name != anchor and not name.endswith(f".{anchor}"):
                    continue
                prefix = name.removesuffix(anchor).removesuffix(".")
                if layout.matches(ForeignWeights(tensors, prefix).names):
                    found.setdefault(prefix, layout.name)
    return found


def _place(
    tensors: dict[str, Tensor], prefix: str | None, layout: Layout | None
) -> tuple[str, Layout]:
    """Where the block is and what layout it has."""
    found = _found(tensors)
    if layout is not None:
        names = {place for place, name in found.items() if name == layout.name}
        found = dict.fromkeys(names, layout.name)
    listed = ", ".join(f'"{place}" ({name})' for place, name in found.items()) or "none"
    if prefix is None:
        if len(found) != 1:
            what = "no block" if not found else f"{len(found)} blocks"
            of = "" if layout is None else f' of layout "{layout.name}"'
            raise InterchangeError(
                f"the weights hold {what}{of}; found by their keys: {listed}. "
                + ("Pass prefix=." if found else f"Known layouts: {', '.join(LAYOUTS)}.")
            )
        (prefix,) = found
    prefix = prefix.removesuffix(".")
    if layout is None and prefix not in found:
        raise InterchangeError(
            f"{_named(prefix)} is no block of a known layout ({', '.join(LAYOUTS)}). Blocks found "
            f"by their keys: {listed}."
        )
    return prefix, layout or LAYOUTS[found[prefix]]


def _built(reading: Reading, layout: Layout) -> tuple[NonlocalBlock, dict[str, str]]:
    """The block with its weights, and what it has that the other has not."""
    tensors = reading.tensors
    own = [name for name in tensors if not name.startswith("units.0.bn.")]
    if any(name.endswith(".bias") for name in own):
        reading.options["bias"] = True
    try:
        block = nonlocal_block(reading.row, reading.channels, **reading.options)
    except ValueError as error:
        raise InterchangeError(f'the weights of this "{layout.name}" block: {error}') from error
    added: dict[str, str] = {}
    state: dict[str, Tensor] = {}
    for name, ours in block.state_dict().items():
        if name not in tensors:
            state[name], added[name] = _filling(name, ours, layout)
        elif tensors[name].shape == ours.shape:
            state[name] = tensors[name]
        else:
            source = next(one for one in reading.matched if one.name == name)
            raise InterchangeError(
                f"{source} has shape {tuple(tensors[name].shape)}, but with the other weights it "
                f"should be {tuple(ours.shape)}: these are not the weights of one block."
            )
    for name in tensors.keys() - state.keys():
        raise InterchangeError(f'"{name}" has no place in a block "{reading.row}".')
    first = tensors["units.0.w.1.weight"]
    block.to(device=first.device, dtype=_common_dtype(own, tensors))
    block.load_state_dict(state)
    return block, added


def _filling(name: str, ours: Tensor, layout: Layout) -> tuple[Tensor, str]:
    """What a weight without a source is."""
    if name.endswith("num_batches_tracked"):
        return ours, "0: it was not saved"
    if name.startswith("units.0.bn."):
        if "running" in name:
            raise InterchangeError(
                f"the norm behind this block has no {name.rpartition('.')[2]}; batch norms without "
                "running statistics are not blocks of this library."
            )
        return ours, f"{'1' if name.endswith('weight') else '0'}: the norm there has none"
    if name.endswith(".bias"):
        return torch.zeros_like(ours), "0: there is none there"
    raise InterchangeError(f'no weight of a block of layout "{layout.name}" becomes "{name}".')


def _common_dtype(names: list[str], tensors: dict[str, Tensor]) -> torch.dtype:
    dtype = tensors[names[0]].dtype
    for name in names[1:]:
        dtype = torch.promote_types(dtype, tensors[name].dtype)
    if not dtype.is_floating_point:
        raise InterchangeError(f"weights are floating point; got {dtype}.")
    return dtype


def _named(prefix: str) -> str:
    return f'"{prefix}"' if prefix else "the state dict"


def _text(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)
