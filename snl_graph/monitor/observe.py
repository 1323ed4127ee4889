"""One look at a block and the feature map that enters it."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from torch_geometric.data import Data

from snl_graph.blocks import NonlocalBlock
from snl_graph.blocks.graphs import graph_map
from snl_graph.checks import whole_number
from snl_graph.grids import flatten
from snl_graph.monitor.eigenvalues import Ends, ends_of
from snl_graph.monitor.maps import Maps, maps_of, sampled_rows
from snl_graph.monitor.observation import BlockObservation
from snl_graph.monitor.weights import gradient_norm, is_dead, norm_scale, response_norms
from snl_graph.operators import AffinityOperator
from snl_graph.spectral.items import item

LAMBDAS = (0.0, 0.5, 1.0, 1.5, 2.0)
"""Where the response is taken: the range of λ under symmetric normalisation (Property 2)."""


@torch.no_grad()
def observe(
    block: NonlocalBlock,
    x: Tensor | Data,
    valid: Tensor | None = None,
    *,
    items: int = 2,
    rows: int = 64,
    lambdas: Sequence[float] = LAMBDAS,
) -> BlockObservation:
    """Spectrum, maps, response and state of a block at one input.

    The block does not run: A is made of the input, in the dtype of the block's weights also under
    autocast, in the block's first pass. Nothing of the block changes, nor does any random state.

    Args:
        block: The block.
        x: Feature map (B, C, *spatial) that enters it, or a PyG ``Data`` or ``Batch``. Graphs with
            edges are one graph in several pieces, looked at as a whole: their gap is 0.
        valid: Shape (B, *spatial), bool: real positions of padded maps.
        items: How many items of the batch are looked at, from the first on.
        rows: How many rows of A entropy and query dependence are taken of; the same positions
            every time.
        lambdas: Where the response is taken.

    Raises:
        TypeError: If ``block`` is no :class:`~snl_graph.NonlocalBlock`.
        ValueError: If a number is below 1, or ``x`` does not fit.

    Cost: :func:`~snl_graph.monitor.eigenvalues.ends_of` for each item and head, and two products
        with ``rows`` signals; A is not written down above 256 nodes.

    Example:
        >>> import torch, snl_graph
        >>> block = snl_graph.nonlocal_block("snl", 8, zero_init=True)
        >>> seen = observe(block, torch.randn(2, 8, 5, 7))
        >>> seen.is_dead, seen.asymmetry, 0 <= seen.lambda_max <= 2
        (True, 0.0, True)
        >>> [key for key in seen.to_dict() if key.startswith("response")]
        ['response_0', 'response_0.5', 'response_1', 'response_1.5', 'response_2']
    """
    if not isinstance(block, NonlocalBlock):
        raise TypeError(f"observe looks at a NonlocalBlock; got {type(block).__name__}.")
    for name, number in (("items", items), ("rows", rows)):
        whole_number(number, name)
    with _full_precision(next(block.parameters()).device.type):
        return _observe(block, x, valid, items, rows, tuple(float(at) for at in lambdas))


def _observe(
    block: NonlocalBlock,
    x: Tensor | Data,
    valid: Tensor | None,
    items: int,
    rows: int,
    lambdas: tuple[float, ...],
) -> BlockObservation:
    a = _affinity(block, x, valid, items)
    nonfinite = _share_not_finite(a)
    ends, maps = [], Maps(None, None)
    if not nonfinite and a.shape.numel():
        maps = maps_of(sampled_rows(a, rows))
        if a.shape[-1] == a.shape[-2]:
            ends = [ends_of(item(a, i)) for i in itertools.product(*map(range, a.shape[:-2]))]
    return BlockObservation(
        **_summary(ends),
        entropy=maps.entropy,
        query_dependence=maps.query_dependence,
        nonfinite=nonfinite,
        is_nonnegative=a.is_nonnegative,
        is_dead=is_dead(block),
        scale=norm_scale(block),
        gradient=gradient_norm(block),
        lambdas=lambdas,
        responses=response_norms(block, lambdas),
        solver=ends[0].solver if ends else None,
    )


def _full_precision(device: str) -> AbstractContextManager[object]:
    """No autocast, where the device has one."""
    has_autocast = torch.amp.is_autocast_available(device)
    return torch.autocast(device, enabled=False) if has_autocast else nullcontext()


def _affinity(
    block: NonlocalBlock, x: Tensor | Data, valid: Tensor | None, items: int
) -> AffinityOperator:
    dtype = next(block.parameters()).dtype
    if not isinstance(x, Data):
        few = x.detach()[:items].to(dtype)
        return block.affinity_of(few, None if valid is None else valid[:items])
    graph = copy.copy(x)
    graph.x = x.x.detach().to(dtype)
    as_map = graph_map(graph, block.channels)
    nodes, size = flatten(as_map.x[:items])
    is_node = None if as_map.is_node is None else as_map.is_node[:items].flatten(1)
    phi, psi = block.affinity.embed(nodes, size=size, valid=is_node)
    a: AffinityOperator = block.affinity(
        phi, psi, size, is_node, mask=as_map.mask, node_set=as_map.node_set
    )
    return a


def _share_not_finite(a: AffinityOperator) -> float:
    """Share of the rows that hold NaN or infinity: either makes their sum one."""
    ones = torch.ones(a.shape[-1], 1, dtype=a.dtype, device=a.device)
    sums = a.apply(ones.expand(*a.shape[:-2], *ones.shape))
    return float((~sums.isfinite()).float().mean()) if sums.numel() else 0.0


def _summary(ends: list[Ends]) -> dict[str, float | None]:
    if not ends:
        return dict.fromkeys(("lambda_max", "gap", "max_imag", "asymmetry"))
    gaps = [one.gap for one in ends if one.gap is not None]
    return {
        "lambda_max": max(one.lambda_max for one in ends),
        "gap": sum(gaps) / len(gaps) if gaps else None,
        "max_imag": max(one.max_imag for one in ends),
        "asymmetry": sum(one.asymmetry for one in ends) / len(ends),
    }
