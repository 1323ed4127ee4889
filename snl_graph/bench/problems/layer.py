"""``SNLConv`` on a large sparse graph, against ``ChebConv`` and the products it needs."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F
from torch_geometric.nn import ChebConv

from snl_graph.bench.contenders import Contender, Handwritten, Problem
from snl_graph.bench.problems.sizes import edge_bytes
from snl_graph.conv import SNLConv
from snl_graph.names import lookup

CHEB_CONV, PREPARED, LISTED, PRODUCTS = (
    "ChebConv (PyG)",
    "SNLConv, prepared adjacency",
    "SNLConv, edge_index",
    "the products alone",
)


@dataclass(frozen=True)
class LayerProblem(Problem):
    """K = 3 Chebyshev taps on an undirected random graph without loops, its weights all one.

    Args:
        num_nodes: N.
        edges: E, each direction counted.
        in_channels: F.
        out_channels: F'.
        dtype: Name of the dtype.
    """

    num_nodes: int
    edges: int
    in_channels: int
    out_channels: int
    dtype: str = "float32"

    @property
    def nodes(self) -> int:
        """N."""
        return self.num_nodes

    @property
    def names(self) -> tuple[str, ...]:
        return (CHEB_CONV, PREPARED, LISTED, PRODUCTS)

    def reference_of(self, name: str) -> str:
        return CHEB_CONV

    def contender(self, name: str) -> Contender:
        lookup(dict.fromkeys(self.names), name, "contender")
        dtype = getattr(torch, self.dtype)
        generator = torch.Generator().manual_seed(0)
        draw = partial(torch.randn, dtype=dtype, generator=generator)
        edge_index = random_graph(self.nodes, self.edges, generator)
        x = draw(self.nodes, self.in_channels).requires_grad_()
        upstream = draw(self.nodes, self.out_channels)
        weights = {f"lins.{k}.weight": draw(self.out_channels, self.in_channels) for k in range(3)}
        state = {**weights, "bias": draw(self.out_channels)}
        if name == PRODUCTS:
            inputs = [x, *(state[key].requires_grad_() for key in state)]
            products = Products(edge_index, self.nodes, x, inputs[1:], upstream)
            return Handwritten(
                name, products.output, inputs, upstream, CHEB_CONV, step=products.step
            )
        conv = self._layer(name).to(dtype)
        conv.load_state_dict(state)
        parameters = dict(conv.named_parameters())
        inputs = [x, *(parameters[key] for key in state)]
        graph = adjacency(edge_index, self.nodes, dtype) if name == PREPARED else edge_index
        output: Callable[[], Tensor] = partial(conv, x, graph)
        return Contender(name, output, inputs, upstream, CHEB_CONV)

    def _layer(self, name: str) -> torch.nn.Module:
        if name == CHEB_CONV:
            return ChebConv(self.in_channels, self.out_channels, K=3, normalization="sym")
        return SNLConv(self.in_channels, self.out_channels, K=3, basis="chebyshev")

    def bytes_needed(self, name: str, mode: str) -> int:
        gathers = name == CHEB_CONV
        return edge_bytes(1, self.edges, 1, 2 * self.in_channels, mode) if gathers else 0

    def small(self, dtype: str) -> Self:
        return replace(self, num_nodes=20, edges=60, in_channels=6, out_channels=4, dtype=dtype)


def random_graph(nodes: int, edges: int, generator: torch.Generator) -> Tensor:
    """An undirected graph without loops or copies of an edge, as edges (2, E) of both directions.

    Raises:
        ValueError: If there are not as many pairs of nodes.
    """
    pairs = edges // 2
    if pairs > nodes * (nodes - 1) // 2:
        raise ValueError(f"{nodes} nodes cannot have {edges} edges without loops or copies.")
    found = torch.empty(0, dtype=torch.long)
    while len(found) < pairs:
        ends = torch.randint(nodes, (2, 2 * pairs), generator=generator)
        low, high = ends.min(0).values, ends.max(0).values
        found = torch.cat([found, (low * nodes + high)[low != high]]).unique()
    found = found[torch.randperm(len(found), generator=generator)[:pairs]]
    half = torch.stack([found // nodes, found % nodes])
    return torch.cat([half, half.flip(0)], dim=1)


def adjacency(edge_index: Tensor, nodes: int, dtype: torch.dtype) -> Tensor:
    """The adjacency as a CSR matrix of ones."""
    return _csr(edge_index, torch.ones(edge_index.shape[1], dtype=dtype), nodes)


def _csr(edge_index: Tensor, values: Tensor, nodes: int) -> Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR", category=UserWarning)
        matrix = torch.sparse_coo_tensor(
            edge_index.flip(0), values, (nodes, nodes), check_invariants=False
        )
        return matrix.to_sparse_csr()


class Products:
    """F = X V_0 + L̃ (X V_1 + L̃ (X V_2)): three dense products, two sparse ones, their gradients.

    L̃ = −D^-½ M D^-½ as for λ_max = 2, and V = (W_0 − W_2, W_1, 2 W_2): the Chebyshev filter of
    three taps by Clenshaw's recurrence, at the width of the output. The matrix is normalised and
    compressed beforehand; each dense product is added where its sum already stands. In float32 the
    sparse product is the fastest that PyTorch has on a CPU (a bag of weighted rows); the BLAS'
    takes several times as long.
    """

    def __init__(
        self, edge_index: Tensor, nodes: int, x: Tensor, weights: list[Tensor], upstream: Tensor
    ) -> None:
        degree = torch.bincount(edge_index[0], minlength=nodes).to(x.dtype)
        root = degree.clamp(min=1).rsqrt()
        laplacian = _csr(edge_index, -root[edge_index[0]] * root[edge_index[1]], nodes)
        self.laplacian, self.entries = laplacian, laplacian.values()
        self.pointer = laplacian.crow_indices().to(torch.int32)
        self.columns = laplacian.col_indices().to(torch.int32)
        self.x, self.weights, self.upstream = x.detach(), weights, upstream

    def output(self) -> Tensor:
        """F."""
        w0, w1, w2, bias = (weight.detach() for weight in self.weights)
        inner = self._times(self.x @ (2 * w2).T).addmm_(self.x, w1.T)
        return self._times(inner).addmm_(self.x, (w0 - w2).T).add_(bias)

    def step(self) -> tuple[Tensor, ...]:
        """F and its gradients by X, W_0, W_1, W_2 and the bias; L̃ is its own transpose."""
        y, g = self.output(), self.upstream
        w0, w1, w2, _ = (weight.detach() for weight in self.weights)
        once = self._times(g)
        twice = self._times(once)
        of_x = (g @ (w0 - w2)).addmm_(once, w1).addmm_(twice, 2 * w2)
        d0, d1, d2 = (part.T @ self.x for part in (g, once, twice))
        return y, of_x, d0, d1, 2 * d2 - d0, g.sum(0)

    def _times(self, z: Tensor) -> Tensor:
        """L̃ z."""
        if z.dtype != torch.float32:
            return self.laplacian @ z
        return F.embedding_bag(
            self.columns,
            z,
            self.pointer,
            mode="sum",
            per_sample_weights=self.entries,
            include_last_offset=True,
        )
