"""A block from the name of its row and the pieces that the caller changes."""

from __future__ import annotations

import copy
from collections.abc import Callable

from torch import Tensor, nn

from snl_graph.blocks.affinity import AffinityPieces, FeatureAffinity
from snl_graph.blocks.arrangements import Arrangement, Positions, PositionsTimesChannels
from snl_graph.blocks.block import NonlocalBlock, SpectralUnit
from snl_graph.blocks.norms import NoNorm, as_norm
from snl_graph.blocks.pooling import Subsampling
from snl_graph.blocks.table import ROWS, Row
from snl_graph.checks import whole_number
from snl_graph.filters import GraphFilter, Polynomial, as_basis, as_filter
from snl_graph.kernels import Kernel, as_kernel
from snl_graph.masks import Mask, as_mask
from snl_graph.names import lookup
from snl_graph.normalizations import Normalization, as_normalization

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"relu": nn.ReLU}
"""What may follow the normalisation layer, by name."""


def nonlocal_block(
    name: str,
    channels: int,
    *,
    hidden_channels: int | None = None,
    reduction: int = 2,
    depth: int = 1,
    K: int | None = None,
    kernel: Kernel | str | None = None,
    mask: Mask | Tensor | str | None = None,
    normalization: Normalization | str | None = None,
    basis: str = "monomial",
    filter: GraphFilter | str | None = None,
    heads: int = 1,
    groups: int | None = None,
    recurrence: int = 1,
    norm: str = "batch",
    activation: str | None = None,
    zero_init: bool = False,
    subsample: int | tuple[int, ...] | Subsampling = 1,
    representation: str = "auto",
    bias: bool = False,
    value_channels: int | None = None,
) -> NonlocalBlock:
    """A nonlocal block: Y = X + BN(Σ_k P_k(A) Z W_k), A = normalise(kernel(Φ, Ψ) ⊙ mask).

    Source: Zhu et al., Table 1 and Eq. 13. The name picks the pieces of a row; every piece can be
    replaced.

    Args:
        name: "nl", "ns", "a2", "cgnl", "cc", "snl" or "gsnl".
        channels: C of the feature map.
        hidden_channels: C_s of Φ, Ψ and Z; None means channels // reduction.
        reduction: C / C_s, where ``hidden_channels`` is not given.
        depth: Units that share one affinity (a nonlocal stage).
        K: Number of taps of a row with free K (``gsnl``: 3).
        kernel: A kernel or its name, in place of that of the row.
        mask: A mask, its name, an edge list or a boolean matrix, in place of that of the row.
        normalization: "sym", "rw", "none" or an object, in place of that of the row.
        basis: "monomial" (A^k) or "chebyshev" (T_k(−A)), for rows with free taps.
        filter: A filter or its name, in place of the polynomial of the row.
        heads: Parts of the channels, each with its own A.
        groups: Channel groups of ``cgnl``; 1 by default.
        recurrence: How often the units are applied, A made anew each time.
        norm: "batch", "group", "group:G" with G groups, "layer" or "none".
        activation: "relu" puts one between the norm and the residual sum.
        zero_init: Start as the identity, for insertion into a trained network. Trained from
            scratch it can keep ``snl`` from ever leaving zero.
        subsample: s pools keys and values by s along each axis; A is then N × N/s^d. A
            :class:`~snl_graph.blocks.pooling.Subsampling` says how.
        representation: "auto", or how A is held: "dense", "edges", "factored", "grid" or
            "streaming", as far as the kernel and the mask have it.
        bias: Whether Φ, Ψ, Z and F have a learned bias each, as blocks trained elsewhere have.
        value_channels: Width of Z where it is not C_s.

    Returns:
        The block, with parameters affinity.phi, affinity.psi (C_s, C), units.{i}.g (C_s, C),
        units.{i}.w.{k} (C, C_s) and units.{i}.bn; with ``bias`` one of phi, psi, g and the first w.

    Raises:
        ValueError: If a name is unknown, a number out of range, or pieces do not go together.

    Cost: 2·N·C·C_s operations a projection, and that of A.

    Example:
        >>> import torch
        >>> block = nonlocal_block("snl", 8)
        >>> block(torch.randn(2, 8, 5, 7)).shape
        torch.Size([2, 8, 5, 7])
        >>> sorted(name for name, _ in block.named_parameters() if "units" not in name)
        ['affinity.phi.weight', 'affinity.psi.weight']
    """
    row = lookup(ROWS, name, "block")
    channels = whole_number(channels, "channels")
    hidden_channels = _hidden_channels(channels, hidden_channels, reduction)
    depth, recurrence = whole_number(depth, "depth"), whole_number(recurrence, "recurrence")
    heads = whole_number(heads, "heads")
    if activation == "relu" and zero_init:
        raise ValueError(
            'zero_init with activation="relu" would never train, for ReLU has no gradient at 0. '
            "Leave one of them out."
        )
    arrangement = _arrangement(name, row, heads, groups)
    made_filter = _filter(name, row, K, basis, filter)
    head_channels = hidden_channels if row.nodes_are_channels else hidden_channels // heads
    pieces = AffinityPieces(
        kernel=as_kernel(row.kernel if kernel is None else kernel, max(head_channels, 1)),
        mask=as_mask(row.mask if mask is None else mask),
        normalization=as_normalization(
            row.normalization if normalization is None else normalization
        ),
        arrangement=arrangement,
        subsampling=subsample if isinstance(subsample, Subsampling) else Subsampling(subsample),
        representation=representation,
    )
    width = _width_of_values(name, row, channels, hidden_channels, value_channels)
    what = "hidden_channels" if value_channels is None else "value_channels"
    arrangement.check(width, what if row.is_projected else "channels")
    if pieces.kernel.is_embedded:
        arrangement.check(hidden_channels, "hidden_channels")
    else:
        arrangement.check(channels, "channels")
    if row.nodes_are_channels and not pieces.kernel.is_embedded:
        raise ValueError(
            f"kernel {pieces.kernel} compares X itself, whose {channels} channels are not the "
            f'{hidden_channels} of Z; block "{name}" needs an embedded kernel.'
        )
    units = [
        _unit(channels, width if row.is_projected else None, unit_filter, norm, activation, bias)
        # Each unit learns the parameters of its own filter, as it does its matrices.
        for unit_filter in (made_filter, *(copy.deepcopy(made_filter) for _ in range(depth - 1)))
    ]
    if zero_init:
        for unit in units:
            _start_at_zero(unit)
    affinity = FeatureAffinity(channels, hidden_channels, pieces, bias)
    return NonlocalBlock(affinity, nn.ModuleList(units), recurrence, name)


def _hidden_channels(channels: int, hidden_channels: int | None, reduction: int) -> int:
    reduction = whole_number(reduction, "reduction")
    if hidden_channels is None:
        return max(channels // reduction, 1)
    hidden_channels = whole_number(hidden_channels, "hidden_channels")
    if reduction != 2:
        raise ValueError(
            f"hidden_channels={hidden_channels} and reduction={reduction} both set C_s; give one."
        )
    return hidden_channels


def _width_of_values(
    name: str, row: Row, channels: int, hidden_channels: int, value_channels: int | None
) -> int:
    """Width of Z."""
    if value_channels is None:
        return hidden_channels if row.is_projected else channels
    value_channels = whole_number(value_channels, "value_channels")
    if not row.is_projected:
        raise ValueError(f'block "{name}" has Z = X, of {channels} channels; no value_channels.')
    if row.nodes_are_channels and value_channels != hidden_channels:
        raise ValueError(
            f'block "{name}" has a node for every channel of Φ, Ψ and Z alike: {hidden_channels} '
            f"of them and value_channels={value_channels} do not go together. Leave it out."
        )
    return value_channels


def _arrangement(name: str, row: Row, heads: int, groups: int | None) -> Arrangement:
    if row.nodes_are_channels:
        if heads > 1:
            raise ValueError(f'block "{name}" splits its channels with groups, not heads.')
        return PositionsTimesChannels(1 if groups is None else groups)
    if groups is not None:
        raise ValueError(f'groups is for block "cgnl"; "{name}" splits its channels with heads.')
    return Positions(heads)


def _filter(
    name: str, row: Row, K: int | None, basis: str, filter: GraphFilter | str | None
) -> GraphFilter:
    if filter is not None:
        if basis != "monomial":
            raise ValueError("a filter brings its own basis; leave basis out.")
        if isinstance(filter, GraphFilter):
            if K is not None:
                raise ValueError("a filter object brings its own K; leave K out.")
            return filter
        return as_filter(filter, row.K if K is None else K)
    if K is not None and not row.any_K:
        raise ValueError(f'block "{name}" has fixed taps; K is for block "gsnl".')
    if row.taps is None:
        return Polynomial(row.K if K is None else K, as_basis(basis))
    if basis != "monomial":
        raise ValueError(
            f'block "{name}" has fixed taps in powers of A; basis is for blocks "snl" and "gsnl".'
        )
    return Polynomial(len(next(iter(row.taps.values()))), taps=row.taps)


def _unit(
    channels: int,
    hidden_channels: int | None,
    filter: GraphFilter,
    norm: str,
    activation: str | None,
    bias: bool,
) -> SpectralUnit:
    after = nn.Identity() if activation is None else lookup(ACTIVATIONS, activation, "activation")()
    layer = as_norm(norm, channels)
    return SpectralUnit(channels, hidden_channels, filter, layer, after, bias)


def _start_at_zero(unit: SpectralUnit) -> None:
    """Make F = 0: the weight of the norm, or where there is no norm those of the taps."""
    if isinstance(unit.bn, NoNorm):
        for weight in unit.w.parameters():
            nn.init.zeros_(weight)
    else:
        nn.init.zeros_(unit.bn.get_parameter("weight"))
