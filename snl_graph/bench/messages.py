"""The same operator as message passing of PyTorch Geometric: gather, weigh, scatter."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import functional_call
from torch_geometric.nn import ChebConv, MessagePassing
from torch_geometric.utils import remove_self_loops, scatter, softmax

from snl_graph.bench.naive import inverse_root
from snl_graph.blocks import NonlocalBlock
from snl_graph.kernels import Kernel, NodeSet, as_kernel
from snl_graph.masks import Mask


class WeightedSum(MessagePassing):
    """Σ_j α_ij z_j: a message for every edge."""

    def __init__(self) -> None:
        super().__init__(aggr="add", node_dim=0)

    def forward(self, z: Tensor, edge_index: Tensor, alpha: Tensor) -> Tensor:
        """Signals (N, C) and weights (E,) → (N, C)."""
        return self.propagate(edge_index, z=z, alpha=alpha)

    def message(self, z_j: Tensor, alpha: Tensor) -> Tensor:
        """α_ij z_j."""
        return alpha.unsqueeze(-1) * z_j


def batched_edges(mask: Mask, size: tuple[int, ...], batch: int) -> Tensor:
    """Edges (2, B·E) of B copies of one graph beside each other, as PyG batches them."""
    edges = mask.edges(size)
    nodes = torch.Size(size).numel()
    shift = torch.arange(batch).repeat_interleave(edges.shape[1]) * nodes
    return edges.repeat(1, batch) + shift


def edge_weights(
    kernel: Kernel | str, normalization: str, phi: Tensor, psi: Tensor, edge_index: Tensor
) -> Tensor:
    """A_ij at every edge j → i of B graphs of N nodes.

    Args:
        kernel: A name or a kernel.
        normalization: "sym", "rw" or "none".
        phi: Φ, shape (B, N, r).
        psi: Ψ, shape (B, N, r).
        edge_index: Shape (2, E) over the B·N nodes; for "sym" with every edge its reverse.
    """
    kernel = as_kernel(kernel, phi.shape[-1])
    phi, psi = (part.flatten(0, 1) for part in kernel.features(phi, psi, NodeSet()))
    source, target = edge_index
    scores = (phi[target] * psi[source]).sum(-1)
    if normalization == "rw" and kernel.is_exponential:
        return softmax(scores, target, num_nodes=len(phi))
    m = scores.exp() if kernel.is_exponential else kernel.link(scores)
    if normalization == "none":
        return m
    if normalization == "sym":
        reverse = (phi[source] * psi[target]).sum(-1)
        reverse = reverse.exp() if kernel.is_exponential else kernel.link(reverse)
        m = (m + reverse) / 2
    degree = scatter(m, target, dim_size=len(phi))
    if normalization == "rw":
        return m / degree[target]
    root = inverse_root(degree)
    return m * root[target] * root[source]


def message_product(
    kernel: Kernel | str, normalization: str, phi: Tensor, psi: Tensor, edge_index: Tensor
) -> Callable[[Tensor], Tensor]:
    """Z ↦ A Z by messages, for signals (B, N, C)."""
    alpha = edge_weights(kernel, normalization, phi, psi, edge_index)
    send = WeightedSum()
    return lambda z: send(z.flatten(0, 1), edge_index, alpha).view_as(z)


def chebyshev_block(block: NonlocalBlock, x: Tensor, edge_index: Tensor) -> Tensor:
    """The snl block with its filter taken by PyG's ``ChebConv`` on the same graph, without loops.

    ``ChebConv`` leaves every i → i out; M̂ is given to it as the weights of the edges. T_1(L̃) = −A,
    so the second matrix changes its sign.

    Args:
        block: An "snl" block.
        x: Shape (B, C, *spatial).
        edge_index: Shape (2, E) over the B·N nodes, without loops, with every edge its reverse.
    """
    unit = block._units[0]
    assert block.affinity.phi is not None
    assert block.affinity.psi is not None
    assert unit.g is not None
    nodes = x.flatten(2).mT.flatten(0, 1)
    phi, psi = (nodes @ part.weight.T for part in (block.affinity.phi, block.affinity.psi))
    phi, psi = phi.relu(), psi.relu()
    source, target = edge_index
    m = ((phi[target] * psi[source]).sum(-1) + (phi[source] * psi[target]).sum(-1)) / 2
    w = [unit.w.get_parameter(f"{tap}.weight") for tap in (0, 1)]
    conv = ChebConv(w[0].shape[1], w[0].shape[0], K=2, normalization="sym", bias=False)
    weights = {"lins.0.weight": w[0], "lins.1.weight": -w[1]}
    f = functional_call(conv, weights, (nodes @ unit.g.weight.T, edge_index, m))
    return x + unit.bn(f.view(len(x), -1, f.shape[-1]).mT.contiguous().view(x.shape))


def loop_free(edge_index: Tensor) -> Tensor:
    """The edges without loops."""
    return remove_self_loops(edge_index)[0]
