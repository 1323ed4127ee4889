"""What a layer's options ask for, and which of them do not go together."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from numbers import Integral
from typing import Any, TypeGuard

from torch import Tensor, nn
from torch_geometric.nn import MessagePassing
from torch_geometric.nn.dense import Linear

from snl_graph.checks import whole_number
from snl_graph.conv.inputs import check_lambda_max
from snl_graph.filters import Basis, Chebyshev, GraphFilter, Polynomial, as_basis, as_filter
from snl_graph.kernels import Kernel
from snl_graph.normalizations import Normalization, Symmetric


def message_passing_options(options: Mapping[str, Any], layer: type) -> dict[str, Any]:
    """Options for ``MessagePassing``.

    Raises:
        TypeError: If it has no such option, and so neither it nor ``layer`` has.
        ValueError: If they ask for anything but a sum over nodes.
    """
    of_layer, of_base = (list(inspect.signature(one).parameters) for one in (layer, MessagePassing))
    for name in options:
        if name not in of_base:
            own = [known for known in of_layer if known != "kwargs"]
            near = difflib.get_close_matches(name, own, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"It has {', '.join(own)}."
            raise TypeError(f"{layer.__name__} has no option {name}={options[name]!r}. {hint}")
    for name, values in (("aggr", ("add", "sum")), ("node_dim", (-2,))):
        if name in options and options[name] not in values:
            raise ValueError(
                f"a product with A sums over nodes, so {name} is {values[0]!r}; got "
                f"{options[name]!r}. Leave it out."
            )
    return {**options, "aggr": "add", "node_dim": -2}


def make_filter(
    filter: GraphFilter | str | None,
    K: int,
    basis: Basis | str,
    lambda_max: float | Tensor | str,
) -> GraphFilter:
    """The filter of these options.

    Raises:
        ValueError: If K or a basis is given beside a filter that has its own, or lambda_max is not
            a positive number, a tensor of them or "estimate".
    """
    check_lambda_max(lambda_max)
    if filter is None:
        made = as_basis(basis)
        if basis == "chebyshev" and not isinstance(lambda_max, Tensor | str):
            made = Chebyshev(lambda_max)
        return Polynomial(K, made)
    if basis != "monomial":
        raise ValueError(f"a filter has a basis of its own; basis = {basis!r} came as well.")
    chosen = as_filter(filter, K)
    if chosen is filter and K not in (2, filter.order + 1):
        raise ValueError(
            f"K = {K} came with a filter of order {filter.order}, which has its own: leave K out."
        )
    return chosen


def chebyshev_basis(filter: GraphFilter) -> Chebyshev | None:
    """The basis that λ_max scales, if the filter has it."""
    basis = filter.basis if isinstance(filter, Polynomial) else None
    return basis if isinstance(basis, Chebyshev) else None


def check_heads(
    heads: int, hidden_channels: int | None, kernel: Kernel | str | None, cached: bool
) -> None:
    """Raise a ``ValueError`` if options of a kernel come without one."""
    if kernel is None and (heads > 1 or hidden_channels is not None):
        name = "heads" if heads > 1 else "hidden_channels"
        raise ValueError(
            f"{name} shape the features of a kernel, and kernel=None has none. Pass a kernel, such "
            f'as kernel="dot", or leave {name} out.'
        )
    if kernel is not None and cached:
        raise ValueError(
            "cached=True keeps the weights of the first call, but those of a kernel change with "
            "the features. Leave one of them out."
        )


def check_width(kernel: Kernel, hidden_channels: int | None, width: int, heads: int) -> None:
    """Raise a ``ValueError`` if Φ and Ψ of this width cannot be made, or split into heads.

    Args:
        kernel: The kernel.
        hidden_channels: What the caller passed.
        width: That, or its default.
        heads: Number of heads.
    """
    if not kernel.is_embedded and hidden_channels is not None:
        raise ValueError(
            f"kernel {kernel} compares the features themselves, so hidden_channels = "
            f"{hidden_channels} has no meaning. Leave it out."
        )
    if kernel.is_embedded and width % heads:
        raise ValueError(
            f"hidden_channels = {width} (out_channels by default) cannot be split into {heads} "
            "heads. Pass a positive multiple of heads."
        )


def check_scale(
    lambda_max: float | Tensor | str, normalization: Normalization, is_scaled: bool
) -> None:
    """Raise unless ``lambda_max`` is of a kind that the layer can use.

    Args:
        lambda_max: What the caller passed.
        normalization: That of the layer.
        is_scaled: Whether the layer has the Chebyshev basis, which λ_max scales.
    """
    if isinstance(lambda_max, str) and not isinstance(normalization, Symmetric):
        raise ValueError(
            'lambda_max="estimate" needs a symmetric A: normalization="sym". Pass a number.'
        )
    is_default = not isinstance(lambda_max, Tensor | str) and lambda_max == 2
    if not is_default and not is_scaled:
        raise ValueError(
            f"lambda_max = {lambda_max!r} scales the Chebyshev basis, which this layer does not "
            'have. Use basis="chebyshev" (and no filter), or leave lambda_max out.'
        )


def check_bipartite(
    normalization: Normalization, filter: GraphFilter, lambda_max: float | Tensor | str
) -> None:
    """Raise a ``ValueError`` unless these options have a meaning for bipartite graphs."""
    if normalization.needs_square:
        raise ValueError(
            "symmetric normalisation averages an edge and its reverse, (M + Mᵀ)/2, which bipartite "
            "input does not have: its sources and targets are different nodes. Use "
            'normalization="rw" or "none".'
        )
    if not isinstance(filter, Polynomial) or filter.order > 1:
        raise ValueError(
            "bipartite input has no powers of A, so the filter is a polynomial of K ≤ 2 (W_0 on "
            f"the targets, W_1 on A x_src); this layer has {filter}."
        )
    if isinstance(lambda_max, Tensor | str) or lambda_max != 2:
        raise ValueError("bipartite input has no Laplacian I − A, so no lambda_max: leave it at 2.")


def channel_pair(channels: int | tuple[int, int]) -> tuple[int, int]:
    """Channels of the sources and of the targets."""
    return (channels, channels) if isinstance(channels, int) else (channels[0], channels[1])


def check_channels(in_channels: object, out_channels: object) -> None:
    """Raise unless the input has a number of channels, two of them or -1, and the output one."""
    pair = in_channels if isinstance(in_channels, tuple | list) else (in_channels,)
    if len(pair) > 2 or not all(_is_whole(c) and (c == -1 or int(c) >= 1) for c in pair):
        raise ValueError(
            "in_channels is a whole number ≥ 1, or -1 to take that of the first x; a pair of them "
            f"(sources, targets) of bipartite graphs; got {in_channels!r}."
        )
    whole_number(out_channels, "out_channels")


def _is_whole(number: object) -> TypeGuard[Integral]:
    return isinstance(number, Integral) and not isinstance(number, bool)


def linear(in_channels: int, out_channels: int) -> Linear:
    """A learned matrix, Glorot-uniform; -1 takes its width from the first input."""
    return Linear(in_channels, out_channels, bias=False, weight_initializer="glorot")


def linear_maps(
    taps: tuple[int, ...], target_channels: int, source_channels: int, out_channels: int
) -> nn.ModuleList | nn.ModuleDict:
    """One map W_k a tap, its key the name of the tap; tap 0 alone acts on the targets."""
    maps = {tap: linear(source_channels if tap else target_channels, out_channels) for tap in taps}
    if tuple(taps) == tuple(range(len(taps))):
        return nn.ModuleList(maps.values())
    return nn.ModuleDict({str(tap): lin for tap, lin in maps.items()})
