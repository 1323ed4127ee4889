"""The layer written out naively: the oracle of ``SNLConv``, and the graphs it is tried on.

Nothing here uses message passing: M is a matrix, one entry after the other.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.utils import to_undirected

from tests import oracles
from tests.factories import KERNELS

NODES = 7
# Directed; node 2 has a self-loop, 3 → 1 is listed twice, 4 and 0 are joined both ways, 6 is alone,
# 2 → 0 weighs nothing.
EDGES = torch.tensor([[0, 1, 2, 2, 3, 3, 4, 0, 5], [1, 2, 2, 0, 1, 1, 0, 4, 3]])
WEIGHTS = torch.tensor([0.5, 2.0, 1.5, 0.0, 1.0, 3.0, 0.75, 1.25, 0.6], dtype=torch.float64)
UNDIRECTED = torch.tensor([[0, 1, 1, 2, 2, 0, 3, 4, 5], [1, 0, 2, 1, 0, 2, 3, 5, 4]])


def circle(*, weighted: bool = False) -> Data:
    """Fourteen nodes in a circle with two chords: the far side is some hops away."""
    nodes = torch.arange(14)
    ring = torch.stack([nodes, (nodes + 1) % 14])
    edges = torch.cat([ring, torch.tensor([[0, 9], [3, 12]])], 1)
    weight = torch.rand(edges.shape[1], dtype=torch.float64) + 0.5
    edges, weight = to_undirected(edges, weight)
    data = Data(x=torch.randn(14, 4, dtype=torch.float64), edge_index=edges)
    if weighted:
        data.edge_weight = weight
    return data


def polynomials(a: Tensor, count: int, basis: str, lambda_max: float = 2.0) -> list[Tensor]:
    """P_0(A), ..., P_{count-1}(A): powers of A (Eq. 8), or T_k(2 (I − A) / λ_max − I) (Eq. 6)."""
    eye = torch.eye(len(a), dtype=a.dtype)
    step = a if basis == "monomial" else 2 * (eye - a) / lambda_max - eye
    terms = [eye, step]
    for _ in range(2, count):
        following = step @ terms[-1]
        terms.append(following if basis == "monomial" else 2 * following - terms[-2])
    return terms[:count]


def kernel_matrix(layer: nn.Module, name: str, x: Tensor, joined: Tensor, head: int = 0) -> Tensor:
    """kernel(φ_i, ψ_j) of one head wherever ``joined``, else 0."""
    phi = x if layer.phi is None else x @ layer.phi.weight.T
    psi = x if layer.psi is None else x @ layer.psi.weight.T
    width = phi.shape[1] // layer.heads
    part = slice(head * width, (head + 1) * width)
    m = KERNELS[name].formula(layer.kernel, phi[:, part], psi[:, part], None)
    return m * joined


def filtered(
    layer: nn.Module,
    x: Tensor,
    matrices: list[Tensor],
    normalization: str,
    basis: str = "monomial",
    lambda_max: float = 2.0,
) -> Tensor:
    """Σ_k P_k(A) X W_k + b of one graph, with one M for each head."""
    width = x.shape[1] // len(matrices)
    count = len(layer.lins)
    signals: list[list[Tensor]] = [[] for _ in range(count)]
    for head, m in enumerate(matrices):
        part = x[:, head * width : (head + 1) * width]
        a = oracles.normalized(m, normalization)
        for k, term in enumerate(polynomials(a, count, basis, lambda_max)):
            signals[k].append(term @ part)
    out = sum(
        torch.cat(parts, 1) @ lin.weight.T for parts, lin in zip(signals, layer.lins, strict=True)
    )
    return out if layer.bias is None else out + layer.bias


def gradients(out: Tensor, inputs: list[Tensor]) -> list[Tensor]:
    """Gradients of one fixed function of the output, zeros where it does not depend."""
    weight = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out)
    loss = (weight * out + out.square() / 3).sum()
    found = torch.autograd.grad(loss, inputs, allow_unused=True)
    return [
        torch.zeros_like(given) if grad is None else grad
        for given, grad in zip(inputs, found, strict=True)
    ]
