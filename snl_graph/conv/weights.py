"""M on the edges of a graph: of weights that were given, or of a kernel."""

from __future__ import annotations

import torch
from torch import Tensor

from snl_graph.conv.edges import Edges
from snl_graph.kernels import Kernel, NodeSet
from snl_graph.operators import EdgeOperator, LogEdgeOperator
from snl_graph.operators.diagonal import accumulation_dtype
from snl_graph.representations import edge_operator


def given_affinity(edges: Edges, dtype: torch.dtype, *, is_nonnegative: bool) -> EdgeOperator:
    """M of the weights that came with the edges, in float32 at least.

    Args:
        edges: The edges.
        dtype: That of the features.
        is_nonnegative: Whether the weights are to be taken for non-negative.
    """
    dtype = accumulation_dtype(dtype)
    if edges.weight is None:
        weight = edges.edge_index.new_ones(edges.edge_index.shape[1], dtype=dtype)
    else:
        weight = edges.weight.to(dtype)
    return EdgeOperator(
        edges.edge_index,
        weight,
        edges.shape,
        is_nonnegative=is_nonnegative,
        is_symmetric=edges.is_symmetric,
    )


def learned_affinity(
    edges: Edges, kernel: Kernel, phi: Tensor, psi: Tensor, nodes: NodeSet, dtype: torch.dtype
) -> EdgeOperator | LogEdgeOperator:
    """M_ij = kernel(φ_i, ψ_j) · w_ij on the edges; an exponential kernel adds log w_ij instead.

    Args:
        edges: The edges, with their weights w if they have any.
        kernel: The kernel.
        phi: Φ of the targets, shape (*batch, N, r), or (*batch, H, N, r) for several heads.
        psi: Ψ of the sources.
        nodes: Which nodes belong to one graph.
        dtype: That of the features.

    Cost: O(E·r) time and memory.
    """
    precise = accumulation_dtype(dtype)
    with torch.autocast(device_type=phi.device.type, enabled=False):
        phi, psi = kernel.features(phi.to(precise), psi.to(precise), nodes)
    weight = edges.weight
    if weight is None:
        return edge_operator(kernel, phi, psi, edges.edge_index, edges.shape, dtype)
    if weight.dim() == 2 and phi.dim() == 4:
        weight = weight.unsqueeze(-2)  # (B, 1, E), the same for every head
    weight = weight.to(precise)
    is_joined = weight != 0 if kernel.is_exponential else None
    m = edge_operator(kernel, phi, psi, edges.edge_index, edges.shape, dtype, is_joined)
    if isinstance(m, LogEdgeOperator):
        assert is_joined is not None
        logits = m.logits + torch.where(is_joined, weight, 1).log()
        return LogEdgeOperator(m.edge_index, logits, edges.shape, dtype)
    return EdgeOperator(
        m.edge_index, m.weight * weight, edges.shape, is_nonnegative=m.is_nonnegative
    )
