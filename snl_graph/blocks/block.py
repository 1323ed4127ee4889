"""The block: Y = X + BN(F), F = Σ_k P_k(A) Z W_k."""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from snl_graph import checks
from snl_graph.blocks.affinity import FeatureAffinity
from snl_graph.blocks.fused import fused_filter
from snl_graph.blocks.graphs import graph_map
from snl_graph.blocks.linear import NodeLinear, combined, projected
from snl_graph.blocks.norms import normalised
from snl_graph.blocks.sharded import on_shards, position_shards
from snl_graph.filters import GraphFilter
from snl_graph.grids import Size, flatten, flattened, require_positions, unflatten
from snl_graph.kernels import NodeSet, ShardedNodeSet
from snl_graph.masks import Mask
from snl_graph.operators import AffinityOperator
from snl_graph.sharding import is_distributed, require_distributed


class SpectralUnit(nn.Module):
    """F = Σ_t g_t(L) Z W_t with Z = X W_g, and the layer that normalises it.

    Source: Zhu et al., Eq. 8 and 13.

    Args:
        channels: C of X and F.
        hidden_channels: C_s of Z; None means Z = X.
        filter: The responses g_t.
        norm: Normalisation layer of F.
        activation: What follows it.
        bias: Whether Z has one, and F, at its first tap.
    """

    def __init__(
        self,
        channels: int,
        hidden_channels: int | None,
        filter: GraphFilter,
        norm: nn.Module,
        activation: nn.Module,
        bias: bool = False,
    ) -> None:
        super().__init__()
        self.g = None if hidden_channels is None else NodeLinear(channels, hidden_channels, bias)
        width = channels if hidden_channels is None else hidden_channels
        first = filter.taps[0]
        self.w = nn.ModuleDict(
            {str(tap): NodeLinear(width, channels, bias and tap == first) for tap in filter.taps}
        )
        self.bn = norm
        self.filter = filter
        self.activation = activation

    def filtered(
        self,
        affinity: FeatureAffinity,
        a: AffinityOperator,
        nodes: Tensor,
        z: Tensor,
        size: Size,
        valid: Tensor | None,
    ) -> Tensor:
        """F before the normalisation layer, (B, N, C), of X and its Z: (B, N, C_s)."""
        arrangement, subsampling = affinity.pieces.arrangement, affinity.pieces.subsampling
        source = None
        if subsampling.pools_input:
            pooled = subsampling.pool(nodes, size, valid)
            source = arrangement.arrange(pooled if self.g is None else self.g(pooled))
        elif not subsampling.is_identity:
            source = arrangement.arrange(subsampling.pool(z, size, valid))
        signals = self.filter.signals(a, arrangement.arrange(z), source)
        restored = [arrangement.restore(signal, z.shape[-2]) for signal in signals]
        return combined(restored, self.taps)

    def fused(self, affinity: FeatureAffinity, nodes: Tensor, size: Size) -> Tensor | None:
        """F of X as one function, (B, N, C), or None where the pieces have to be asked."""
        maps = (affinity.phi, affinity.psi, self.g, *self.w.values())
        return fused_filter(nodes, size, affinity, self.filter, maps)

    def added(
        self,
        x: Tensor,
        f: Tensor,
        size: Size,
        valid: Tensor | None = None,
        node_set: NodeSet | None = None,
    ) -> Tensor:
        """X plus the normalised F, a map (B, C, *spatial)."""
        f = normalised(self.bn, unflatten(f, size), valid, node_set)
        return x + self.activation(f)

    @property
    def projections(self) -> list[nn.Module]:
        """The map X ↦ Z, or none where Z = X."""
        return [] if self.g is None else [self.g]

    @property
    def taps(self) -> list[nn.Module]:
        """The maps Z ↦ Z W_t, in the order of the filter's taps."""
        return list(self.w.values())


class NonlocalBlock(nn.Module):
    """Y = X + BN(F): any row of Table 1, on sequences, images, videos and graphs.

    Source: Zhu et al., Eq. 13 and Fig. 2. Make one with :func:`nonlocal_block`.

    Args:
        affinity: Makes A of X.
        units: One or more units that share A (Tao et al., a nonlocal stage).
        recurrence: How often the units are applied, A made anew each time (CCNet).
        name: Row of the table, for display.
    """

    def __init__(
        self,
        affinity: FeatureAffinity,
        units: nn.ModuleList,
        recurrence: int = 1,
        name: str = "",
    ) -> None:
        super().__init__()
        self.affinity = affinity
        self.units = units
        self.recurrence = recurrence
        self.name = name

    @property
    def channels(self) -> int:
        """C, the number of channels of X and Y."""
        return self._first_weight.out_features

    @property
    def _first_weight(self) -> NodeLinear:
        return cast(NodeLinear, next(iter(cast(SpectralUnit, self.units[0]).w.values())))

    @property
    def _units(self) -> list[SpectralUnit]:
        return cast(list[SpectralUnit], list(self.units))

    def forward(self, x: Tensor | Data, valid: Tensor | None = None) -> Tensor | Data:
        """Y of X.

        Args:
            x: Feature map (B, C, *spatial) with one to three spatial axes, or a PyG ``Data`` or
                ``Batch`` with node features (N, C). Its ``edge_index``, if it has one, is the
                mask; without one every graph is fully connected. Weights of its edges are not
                read: the kernel gives those of A.
            valid: Shape (B, *spatial), bool: real positions of padded maps. The others get and
                give no weight and do not enter the statistics of the norm.

        A map may be a DTensor with ``Shard`` on a spatial axis, once the block's weights are on the
        same mesh (``distribute_module``): see ``docs/scaling.md``.

        Returns:
            The same form, shape and memory format as ``x``.

        Raises:
            ValueError: If rank, channels or ``valid`` do not fit.
            TypeError: If ``x`` is not floating point.
        """
        if isinstance(x, Data):
            if valid is not None:
                raise ValueError("a graph has no padding; pass valid with feature maps only.")
            return self._on_graph(x)
        self._check(x, valid)
        if is_distributed(x):
            return self._on_sharded_map(x, valid)
        return self._on_map(x, valid)

    def _on_sharded_map(self, x: Tensor, valid: Tensor | None) -> Tensor:
        shards = position_shards(x, valid, self.affinity.pieces)

        def on_map(x: Tensor, valid: Tensor | None, nodes: ShardedNodeSet) -> Tensor:
            return self._on_map(x, valid, node_set=nodes)

        return on_shards(self, on_map, x, valid, shards)

    def _on_graph(self, graph: Data) -> Data:
        result = copy.copy(graph)
        as_map = graph_map(graph, self.channels)
        checks.require_same_numbers(as_map.x, "x", self._first_weight.weight, "block")
        if as_map.x.numel():
            y = self._on_map(as_map.x, as_map.is_node, as_map.mask, as_map.node_set)
            result.x = as_map.restore(y)
        return result

    def _on_map(
        self,
        x: Tensor,
        valid: Tensor | None,
        mask: Mask | None = None,
        node_set: NodeSet | None = None,
    ) -> Tensor:
        is_valid = None if valid is None else valid.flatten(1)
        units = self._units
        is_plain = len(units) == 1 and valid is None and mask is None and node_set is None
        for _ in range(self.recurrence):
            nodes, size = _nodes(x)
            f = units[0].fused(self.affinity, nodes, size) if is_plain else None
            if f is not None:
                x = units[0].added(x, f, size)
                continue
            phi, psi, *z = self.affinity.embed(
                nodes, *units[0].projections, size=size, valid=is_valid
            )
            a = self.affinity(
                phi,
                psi,
                size,
                is_valid,
                mask=mask,
                node_set=node_set,
                applications=sum(unit.filter.order for unit in units),
            )
            for number, unit in enumerate(units):
                if number:
                    nodes, _ = _nodes(x)
                    z = list(projected(nodes, unit.projections))
                signal = z[0] if z else nodes
                f = unit.filtered(self.affinity, a, nodes, signal, size, is_valid)
                x = unit.added(x, f, size, valid, node_set)
        return x

    def affinity_of(self, x: Tensor, valid: Tensor | None = None) -> AffinityOperator:
        """The normalised operator A of that input, in its first pass.

        Args:
            x: Feature map (B, C, *spatial).
            valid: Shape (B, *spatial), bool.

        Returns:
            Operator of shape (B, N, N), (B, heads, N, N) with several heads, and (B, [groups,]
            N·C_s, N·C_s) where nodes are (position, channel) pairs.

        Raises:
            ValueError: If rank, channels or ``valid`` do not fit.
            TypeError: If ``x`` is a graph, or not floating point.

        Example:
            >>> import torch, snl_graph
            >>> block = snl_graph.nonlocal_block("snl", 8)
            >>> block.affinity_of(torch.randn(2, 8, 5, 7)).shape
            torch.Size([2, 35, 35])
        """
        if isinstance(x, Data):
            raise TypeError(
                "affinity_of takes a feature map, a tensor (B, C, *spatial); got "
                f"{type(x).__name__}. Of the A of a graph: snl_graph.spectrum((block, graph))."
            )
        self._check(x, valid)
        if is_distributed(x):
            raise ValueError(
                "the positions of this map are spread over processes, where no process holds A. "
                "Gather the map first: block.affinity_of(x.full_tensor()) of a block whose weights "
                "are plain tensors."
            )
        nodes, size = flatten(x)
        is_valid = None if valid is None else valid.flatten(1)
        phi, psi = self.affinity.embed(nodes, size=size, valid=is_valid)
        applications = sum(unit.filter.order for unit in self._units)
        return self.affinity(phi, psi, size, is_valid, applications=applications)

    def _check(self, x: Tensor, valid: Tensor | None) -> None:
        if not isinstance(x, Tensor):
            hint = {
                "HeteroData": "Of several types of nodes: x.to_homogeneous().",
                "list": "Of a list: torch.stack(x), or Batch.from_data_list(x) of graphs.",
            }.get(type(x).__name__, "Of an array: torch.as_tensor(x).")
            raise TypeError(
                "x is a feature map, a tensor (B, C, *spatial), or a PyG Data; got "
                f"{type(x).__name__}. {hint}"
            )
        if not 3 <= x.dim() <= 5:
            raise ValueError(
                "x has shape (B, C, *spatial) with one to three spatial axes; got "
                f"{tuple(x.shape)}. A single image needs a batch axis: x.unsqueeze(0)."
            )
        require_positions(x)
        first = self._first_weight
        if x.shape[1] != first.out_features:
            raise ValueError(
                f"this block takes {first.out_features} channels, got x of shape "
                f"{tuple(x.shape)} with {x.shape[1]}. Channels are axis 1."
                f"{_where_channels_are(x, first.out_features)}"
            )
        require_distributed(x, "x", first.weight, 2)
        checks.require_same_numbers(x, "x", first.weight, "block")
        if valid is not None:
            checks.require_marks(valid, "valid", (x.shape[0], *x.shape[2:]), x.device)
        if checks.are_requested():
            checks.require_finite(x, "x")

    def extra_repr(self) -> str:
        recurrence = f", recurrence={self.recurrence}" if self.recurrence > 1 else ""
        return f'"{self.name}", {self.channels}{recurrence}'


def _where_channels_are(x: Tensor, channels: int) -> str:
    """A hint where they seem to be, if one axis tells."""
    if x.shape[0] == channels and x.dim() < 5:
        return " A single image or clip needs a batch axis: x.unsqueeze(0)."
    if x.shape[-1] == channels:
        return " A map with its channels last is x.movedim(-1, 1)."
    return ""


def _nodes(x: Tensor) -> tuple[Tensor, Size]:
    """Node signals (B, N, C) of a map and its size, in the layout that is cheaper to project.

    Few positions of more channels are copied once, channels last: one wide product for the whole
    batch then takes the place of a narrow one an item.
    """
    nodes, size = flattened(x)
    # A traced program keeps its sizes open, and its compiler chooses layouts itself.
    is_narrow = not torch.compiler.is_compiling() and nodes.shape[1] < min(65, nodes.shape[2])
    return (nodes.contiguous() if is_narrow else nodes), size
