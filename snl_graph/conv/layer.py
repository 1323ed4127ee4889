"""``SNLConv``: a spectral filter of the affinity of any graph, as a PyG layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing
from torch_geometric.utils import scatter

from snl_graph import checks
from snl_graph.affinity import affinity, check_pieces
from snl_graph.checks import whole_number
from snl_graph.conv.accepted import Accepted
from snl_graph.conv.attention import attention_weights
from snl_graph.conv.cache import CachedAffinity
from snl_graph.conv.complete import PaddedNodes
from snl_graph.conv.edges import Edges
from snl_graph.conv.heads import join_heads, split_heads
from snl_graph.conv.inputs import (
    check_batch,
    check_edges_within_graphs,
    check_lambda_max,
)
from snl_graph.conv.lambda_max import RescaledOperator
from snl_graph.conv.listeners import is_small, needs_messages
from snl_graph.conv.nodes import Nodes, count_graphs
from snl_graph.conv.normalized import Normalized
from snl_graph.conv.options import (
    channel_pair,
    chebyshev_basis,
    check_bipartite,
    check_channels,
    check_heads,
    check_scale,
    check_width,
    linear,
    linear_maps,
    make_filter,
    message_passing_options,
)
from snl_graph.conv.sharded import ShardedNodes, check_sharded_call
from snl_graph.conv.sparse_tensor import without_torch_sparse
from snl_graph.conv.weights import given_affinity, learned_affinity
from snl_graph.filters import Basis, Chebyshev, GraphFilter, Polynomial
from snl_graph.filters.maps import JointMaps
from snl_graph.kernels import Kernel, as_kernel
from snl_graph.normalizations import Normalization, Symmetric, as_normalization
from snl_graph.operators import AffinityOperator
from snl_graph.operators.diagonal import accumulation_dtype
from snl_graph.sharding import is_distributed, part_here, plain_weights


class SNLConv(MessagePassing):
    r"""The spectral nonlocal layer on any graph.

    .. math::
        F = \sum_{k=0}^{K-1} P_k(A)\, X W_k, \qquad
        A = \hat D^{-1/2} \hat M \hat D^{-1/2}, \quad \hat M = \tfrac12 (M + M^⊤)

    M is the weighted adjacency of the graph, M_ij the weight of the edge j → i: given
    (``kernel=None``) or learned from the features, M_ij = kernel(x_i W_φ, x_j W_ψ), on the edges
    given or, without any, on all pairs of nodes. Directed input is symmetrised under "sym".

    Source: Zhu et al., Eq. 6–8 and 13. Departures: self-loops stay as they are, none is added; an
    isolated node keeps a zero row of A.

    Args:
        in_channels: F, or -1 to take it from the first input; a pair (sources, targets) for
            bipartite graphs.
        out_channels: F'.
        K: Number of taps, ≥ 1: polynomials of A of degree 0 .. K-1.
        kernel: None, a name of ``snl_graph.kernels.KERNELS``, or a kernel.
        hidden_channels: Width of Φ and Ψ, all heads together; ``out_channels`` by default.
        heads: Φ, Ψ and X are split by head, each head filters its part of X with its own A.
        basis: "monomial": P_k(A) = A^k. "chebyshev": P_k(A) = T_k(L̃), L̃ = 2 L / λ_max − I,
            L = I − A; then with λ_max = 2 on an undirected graph without self-loops the layer
            equals ``ChebConv``, parameter for parameter.
        filter: A name of ``snl_graph.filters.FILTERS`` or a filter, instead of K and basis.
        normalization: "sym", "rw" (A = D^-1 M), "none" (A = M), or an object.
        lambda_max: For the Chebyshev basis: a number, a tensor with one number a graph, or
            "estimate" (see ``snl_graph.conv.lambda_max``; for "sym" only).
        cached: Keep the normalised weights of the first call, and use them for all later ones,
            which must be of the same graph (its values are looked at on the CPU).
        bias: Whether to add a bias.
        **kwargs: Of ``MessagePassing`` (``flow``, ``decomposed_layers``).

    Shapes:
        - **input:** features (N, F), or (B, N, F) for B signals on one graph, or a pair of them
          (bipartite); edges (2, E), an ``EdgeIndex``, or a torch.sparse matrix (N, N) with row =
          target (COO, CSR, CSC; a ``torch_sparse.SparseTensor`` is made one); weights (E,) or
          (B, E).
        - **output:** (N, F') or (B, N, F').

    Without edges x may be a DTensor with ``Shard`` on its nodes, and so is the output, once the
    layer's weights are on the same mesh (``distribute_module``): see ``docs/scaling.md``.

    Raises:
        ValueError: If options or shapes do not go together, or values are out of range.
        TypeError: If something has another type or dtype than expected.

    Cost: K - 1 products with A at the smaller width of F and F': time O(E·min(F, F')), memory
    O(N·min(F, F')), forward and backward, with heads at width F. An edge list is sorted at every
    call, O(E), once more for each direction under "sym"; a torch.sparse matrix once in its life
    (``cached`` does the same for the layer's one graph). Without edges as
    :func:`snl_graph.affinity`; the size of the largest graph of a batch is then read from the
    device.

    On small graphs, and wherever somebody reads messages (an explainer, a hook, a subclass, an
    exported program), PyG messages take the place of the fused product, with O(E·F) memory.

    Explainers see one message for each of the caller's edges, in their order (under "sym" a second
    round in the other direction). PyG's explainers take every layer for one hop when they cut the
    neighbourhood of a node; this one has K - 1.

    Example:
        >>> import torch
        >>> from snl_graph import SNLConv
        >>> edge_index = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
        >>> conv = SNLConv(16, 32, K=3, kernel="dot", heads=4)
        >>> conv
        SNLConv(16, 32, K=3, kernel=Dot(), heads=4)
        >>> conv(torch.rand(3, 16), edge_index).shape
        torch.Size([3, 32])
        >>> conv(torch.rand(3, 16)).shape  # every pair of nodes is joined
        torch.Size([3, 32])
    """

    def __init__(
        self,
        in_channels: int | tuple[int, int],
        out_channels: int,
        K: int = 2,
        *,
        kernel: Kernel | str | None = None,
        hidden_channels: int | None = None,
        heads: int = 1,
        basis: Basis | str = "monomial",
        filter: GraphFilter | str | None = None,
        normalization: Normalization | str = "sym",
        lambda_max: float | Tensor | str = 2.0,
        cached: bool = False,
        bias: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**message_passing_options(kwargs, type(self)))
        check_channels(in_channels, out_channels)
        heads = whole_number(heads, "heads")
        if hidden_channels is not None:
            hidden_channels = whole_number(hidden_channels, "hidden_channels")
        check_heads(heads, hidden_channels, kernel, cached)
        self.in_channels, self.out_channels = in_channels, out_channels
        self.heads, self.cached = heads, cached
        self.normalization = as_normalization(normalization)
        self.filter = make_filter(filter, K, basis, lambda_max)
        self._is_scaled = filter is None and chebyshev_basis(self.filter) is not None
        check_scale(lambda_max, self.normalization, self._is_scaled)
        if isinstance(lambda_max, Tensor):
            self.register_buffer("lambda_max", lambda_max, persistent=False)
        else:
            self.lambda_max = lambda_max

        source_channels, target_channels = channel_pair(in_channels)
        if not isinstance(in_channels, int):
            check_bipartite(self.normalization, self.filter, lambda_max)
        self.lins = linear_maps(self.filter.taps, target_channels, source_channels, out_channels)
        self.kernel, self.phi, self.psi = None, None, None
        if kernel is not None:
            width = out_channels if hidden_channels is None else hidden_channels
            self.kernel = as_kernel(kernel, max(width // heads, 1))
            check_pieces(self.kernel, self.normalization)
            check_width(self.kernel, hidden_channels, width, heads)
            if self.kernel.is_embedded:
                self.phi = linear(target_channels, width)
                self.psi = linear(source_channels, width)
        self.register_parameter("bias", nn.Parameter(torch.zeros(out_channels)) if bias else None)
        self._cached: CachedAffinity | None = None

    def reset_parameters(self) -> None:
        """Draw every weight anew, also those of the kernel, and forget the cached graph."""
        super().reset_parameters()
        for module in (*self.lins.children(), self.phi, self.psi, self.kernel, self.filter):
            reset = getattr(module, "reset_parameters", None)
            if reset is not None:
                reset()
        if self.bias is not None:
            nn.init.zeros_(self.bias)
        self._cached = None

    def forward(
        self,
        x: Tensor | tuple[Tensor, Tensor],
        edge_index: Tensor | None = None,
        edge_weight: Tensor | None = None,
        batch: Tensor | None = None,
        lambda_max: float | Tensor | str | None = None,
        batch_size: int | None = None,
        return_attention_weights: bool | None = None,
    ) -> Tensor | tuple[Tensor, tuple[Tensor, Tensor]]:
        """Filter the features.

        Args:
            x: Node features (N, F) or (B, N, F). For bipartite graphs a pair: x[0] the nodes that
                ``edge_index[0]`` counts and x[1] those of ``edge_index[1]``.
            edge_index: The edges; None joins every pair of nodes of a graph (needs a kernel).
            edge_weight: Weights of the edges; with a kernel they multiply its values, so a weight
                of 0 takes an edge away. (An exponential kernel adds their logarithm; a weight of
                exactly 0 gets no gradient there.)
            batch: Graph of each node, shape (N,), sorted.
            lambda_max: Instead of that of the constructor.
            batch_size: Number of graphs; spares ``batch.max()``, which synchronises.
            return_attention_weights: True returns ``(out, (edge_index, alpha))`` with the entries
                A_ij of the operator at the caller's edges j → i, in their order: alpha (E,), or
                (E, heads) for several heads; after an axis of size B where every sample has its
                own. Under "sym" the entry counts both directions (A_ij = A_ji), and the reverse of
                an edge is listed only if the caller listed it. Copies of an edge share its entry.
                A sparse adjacency comes back with alpha as its values; without edges all pairs do.

        Returns:
            Shape (N, F') or (B, N, F').
        """
        edge_index = without_torch_sparse(edge_index)
        accepted = self._accepted()
        target, source = accepted.ends(x, next(iter(self.lins.parameters())), self.lambda_max)
        check_batch(batch, batch_size, target.shape[-2], target.device)
        is_bipartite = source is not target
        if is_bipartite and (batch is not None or lambda_max is not None):
            raise ValueError("batch and lambda_max belong to one set of nodes, but x is a pair.")
        if lambda_max is not None:
            check_lambda_max(lambda_max)
            check_scale(lambda_max, self.normalization, self._is_scaled)

        if is_distributed(target) or is_distributed(source):
            check_sharded_call(
                edge_index=edge_index,
                edge_weight=edge_weight,
                batch=batch,
                return_attention_weights=return_attention_weights,
            )
            accepted.check_complete(None)
            return self._on_sharded_nodes(target, source, lambda_max)

        nodes = Nodes(batch, batch_size)
        if edge_index is None:
            accepted.check_complete(edge_weight)
            if batch is not None:
                nodes = PaddedNodes(batch, count_graphs(batch, batch_size), self.heads)
                target = source = nodes.pack(target)
            a = product = measured = self._complete_affinity(target, source, nodes)
        else:
            accepted.check_edges(edge_index, edge_weight, target, source)
            check_edges_within_graphs(edge_index, batch)
            sends = needs_messages(self, SNLConv) or is_small(edge_index, source)
            edges = accepted.edges(
                edge_index, edge_weight, target, source, self._send if sends else None
            )
            normalized = self._edge_affinity(edges, target, source, nodes)
            a, product = normalized.a, normalized.product(edges.route)
            measured = a if sends else product  # a measurement sends no messages
        ratio = self._ratio(measured, lambda_max, target, nodes)
        out = self._filtered(product, ratio, target, source, nodes)
        if not return_attention_weights:
            return out
        return out, attention_weights(a, edge_index, nodes, self.heads)

    def message(self, x_j: Tensor, alpha: Tensor) -> Tensor:
        """Weighted signals of the sources; alpha (E, *batch) is A at the edges, (*batch, E, C)."""
        return alpha.movedim(0, -1).unsqueeze(-1) * x_j

    def aggregate(self, inputs: Tensor, index: Tensor, dim_size: int | None = None) -> Tensor:
        """Sum of the messages at each target, taken in float32 at least."""
        terms = inputs.to(accumulation_dtype(inputs.dtype))
        sums = scatter(terms, index, dim=self.node_dim, dim_size=dim_size, reduce="sum")
        return sums.to(inputs.dtype)

    def __repr__(self) -> str:
        parts = [f"{self.in_channels}, {self.out_channels}"]
        if isinstance(self.filter, Polynomial):
            parts.append(f"K={self.filter.K}")
            if isinstance(self.filter.basis, Chebyshev):
                parts.append("basis=chebyshev")
        else:
            parts.append(f"filter={self.filter}")
        if self.kernel is not None:
            parts.append(f"kernel={self.kernel}")
        if self.heads > 1:
            parts.append(f"heads={self.heads}")
        if not isinstance(self.normalization, Symmetric):
            parts.append(f"normalization={self.normalization}")
        return f"{type(self).__name__}({', '.join(parts)})"

    def _accepted(self) -> Accepted:
        """What this layer takes."""
        return Accepted(
            channel_pair(self.in_channels),
            self.normalization,
            self.filter,
            self.kernel,
            is_reversed=self.flow == "target_to_source",
        )

    # The operator --------------------------------------------------------------------------------

    def _edge_affinity(
        self, edges: Edges, target: Tensor, source: Tensor, nodes: Nodes
    ) -> Normalized:
        """A on the caller's edges."""
        dtype = target.dtype
        if self.kernel is not None:
            phi, psi = self._embedded(self.kernel, target, source)
            m = learned_affinity(edges, self.kernel, phi, psi, nodes.node_set(), dtype)
            return Normalized(self.normalization(m).to(dtype))

        def make() -> AffinityOperator:
            # Negative weights are refused where looking costs nothing; a negative degree is NaN.
            is_nonnegative = self.normalization.needs_nonnegative
            m = given_affinity(edges, dtype, is_nonnegative=is_nonnegative)
            return self.normalization(m).to(dtype)

        if self.cached:
            if self._cached is None:
                self._cached = CachedAffinity.of(edges, make)
            return self._cached.checked(edges)
        if edges.adjacency is not None:
            return edges.adjacency.remember(self.normalization, dtype, make)
        return Normalized(make())

    def _complete_affinity(self, target: Tensor, source: Tensor, nodes: Nodes) -> AffinityOperator:
        """A on all pairs of nodes of each graph."""
        assert self.kernel is not None
        phi, psi = self._embedded(self.kernel, target, source)
        return affinity(
            phi,
            psi,
            kernel=self.kernel,
            normalization=self.normalization,
            valid=nodes.valid.expand(phi.shape[:-1]) if isinstance(nodes, PaddedNodes) else None,
            node_set=nodes.node_set() if isinstance(nodes, ShardedNodes) else None,
            applications=max(self.filter.order, 1),
        )

    def _embedded(self, kernel: Kernel, target: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
        """Φ of the targets and Ψ of the sources, (*batch, N, r), or (*batch, H, N, r / H)."""
        if self.phi is not None and self.psi is not None:
            target, source = self.phi(target), self.psi(source)
        elif target.shape[-1] != source.shape[-1]:
            raise ValueError(
                f"kernel {kernel} compares features of the same width; the sources have "
                f"{source.shape[-1]} channels and the targets {target.shape[-1]}."
            )
        return split_heads(target, self.heads), split_heads(source, self.heads)

    def _ratio(
        self, a: AffinityOperator, given: float | Tensor | str | None, x: Tensor, nodes: Nodes
    ) -> float | Tensor | None:
        """Of the λ_max in the basis to the λ_max of this call; None where it is 1."""
        basis = chebyshev_basis(self.filter)
        if basis is None or not self._is_scaled:
            return None
        wanted = self.lambda_max if given is None else given
        if isinstance(wanted, str):
            return basis.lambda_max / nodes.estimate(a)
        if not isinstance(wanted, Tensor):
            return None if wanted == basis.lambda_max else basis.lambda_max / wanted
        if wanted.numel() == 1:
            return basis.lambda_max / wanted.reshape(())
        at_nodes = nodes.at_nodes(wanted, x)
        has_heads = self.heads > 1 and at_nodes.dim() > 2
        return basis.lambda_max / (at_nodes.unsqueeze(-3) if has_heads else at_nodes)

    # The filter ----------------------------------------------------------------------------------

    def _on_sharded_nodes(
        self, target: Tensor, source: Tensor, lambda_max: float | Tensor | str | None
    ) -> Tensor:
        """F for nodes on several processes: each filters those that it has."""
        nodes = ShardedNodes(target, source)
        target_here = part_here(target)
        source_here = target_here if source is target else part_here(source)
        # Values were checked on the whole: a process that stopped alone would keep the others.
        with checks.value_checks(False), plain_weights(self, nodes.shards.mesh):
            a = self._complete_affinity(target_here, source_here, nodes)
            ratio = self._ratio(a, lambda_max, target_here, nodes)
            out = self._filtered(a, ratio, target_here, source_here, nodes)
        return nodes.shards.whole(out, -2, target.shape[-2])

    def _filtered(
        self,
        a: AffinityOperator,
        ratio: float | Tensor | None,
        target: Tensor,
        source: Tensor,
        nodes: Nodes,
    ) -> Tensor:
        """F = Σ_t g_t(L) X W_t and the bias, for the caller's nodes; L scaled by the ratio."""
        if ratio is not None:
            a = RescaledOperator(a, ratio)

        lins = dict(zip(self.filter.taps, self.lins.children(), strict=True))
        z_source = None if source is target else split_heads(source, self.heads)
        is_joint = self.heads == 1 and self.decomposed_layers == 1 and z_source is None
        if is_joint and self.out_channels < target.shape[-1]:
            # The maps act on channels, so they may be taken before A, of the nodes as they are.
            out = nodes.unpack(self.filter(a, target, JointMaps(lins, self.out_channels)))
        else:

            def mapped(lin: nn.Module) -> Callable[[Tensor], Tensor]:
                return lambda signal: lin(nodes.unpack(join_heads(signal, self.heads)))

            maps = {tap: mapped(lin) for tap, lin in lins.items()}
            out = self.filter(a, split_heads(target, self.heads), maps, source=z_source)
        return out if self.bias is None else out + self.bias

    def _send(self, edge_index: Tensor, weight: Tensor, z: Tensor, size: tuple[int, int]) -> Tensor:
        """One round of PyG messages along edges j → i, whatever the flow."""
        if self.flow == "target_to_source":
            edge_index, size = edge_index.flip(0), (size[1], size[0])
        alpha = weight.movedim(-1, 0)  # edges first, as PyG's attention layers have it
        # propagate_type: (x: Tensor, alpha: Tensor)
        return self.propagate(edge_index, x=z, alpha=alpha, size=size)

    def __prepare_scriptable__(self) -> None:
        """Refuse ``torch.jit.script``, which asks every module of a network."""
        raise TypeError(
            "SNLConv is no TorchScript. Use torch.export.export(model, ...) or "
            "torch.onnx.export(..., dynamo=True)."
        )

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> SNLConv:
        """A layer that moves to another device or dtype leaves its cached graph behind."""
        self._cached = None
        return super()._apply(fn, recurse)
