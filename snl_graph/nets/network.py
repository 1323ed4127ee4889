"""``SNLNet``: a graph network of spectral nonlocal layers, used as PyG's own models are."""

import copy
from collections.abc import Callable
from typing import Any, Final

import torch
from rich.progress import track
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.loader import CachedLoader, NeighborLoader
from torch_geometric.nn.models.basic_gnn import BasicGNN

from snl_graph.conv import SNLConv
from snl_graph.conv.sparse_tensor import without_torch_sparse
from snl_graph.nets.options import check_options
from snl_graph.nets.sampled import check_trimming, check_whole_neighbourhoods
from snl_graph.nets.undirected import require_undirected

# Names, and no postponed annotations: the torch.fx of older PyTorch, which `to_hetero` traces with,
# wants one type to be one object wherever it stands.
MaybeTensor = Tensor | None
MaybeCounts = list[int] | None


class SNLNet(BasicGNN):
    r"""A graph network of :class:`~snl_graph.SNLConv` layers, in the manner of PyG's ``BasicGNN``.

    .. math::
        X_{l+1} = \mathrm{dropout}(\mathrm{act}(\mathrm{norm}(\mathrm{SNLConv}_l(X_l, M))))

    The last layer gives its output as it is; with ``jk`` the outputs of all layers are joined and
    mapped linearly. Training loops, explainers and loaders written for PyG's ``GCN`` run with it.

    Source: PyG's ``BasicGNN`` for the network; Zhu et al., Eq. 6–8 and 13, for its layers.
    Departures from ``BasicGNN``: ``batch`` reaches the layers, so that graphs of a mini-batch do
    not mix; ``inference`` uses edge weights, knows every ``jk``, and refuses a loader whose
    subgraphs give other numbers than the whole graph; ``edge_attr`` is refused, not ignored.

    Args:
        in_channels: F, or -1 to take it from the first input.
        hidden_channels: Width of the hidden layers.
        num_layers: Number of layers.
        out_channels: F'; None leaves the width at ``hidden_channels``.
        dropout: Probability.
        act: Name of an activation, or one itself, or None.
        act_first: Whether the activation comes before the norm.
        act_kwargs: Its arguments.
        norm: Name of a norm of PyG, made for ``hidden_channels``, or a norm itself, or None.
        norm_kwargs: Its arguments.
        jk: None, "last", "cat", "max" or "lstm".
        kernel_channels: Width of Φ and Ψ in each layer, its ``hidden_channels``.
        **kwargs: Of each :class:`~snl_graph.SNLConv`: ``K``, ``kernel``, ``heads``, ``basis``,
            ``filter``, ``normalization``, ... A kernel or filter object is copied for each layer.

    Shapes:
        - **input:** features (N, F); edges (2, E), an ``EdgeIndex``, a torch.sparse matrix or
          a ``torch_sparse.SparseTensor`` (N, N); weights (E,).
        - **output:** (N, F').

    Raises:
        ValueError: If the number of layers, ``dropout`` or ``jk`` is none of these, or a norm of
            PyG without channels is asked for by its name.
        TypeError: If an activation or norm is a class.
        ValueError: In ``forward``, if normalization="sym" gets a graph that lists edges in one
            direction only, as a sampled one does. It would filter another graph: each of those
            edges with half its weight. Looked for on the processor, at each graph once, elsewhere
            inside :func:`snl_graph.value_checks`. (``SNLConv`` itself takes directed edges.)

    Cost: that of its layers; the look at a graph O(E log E), once.

    Example:
        >>> import torch
        >>> from snl_graph import SNLNet
        >>> net = SNLNet(16, 32, num_layers=2, out_channels=7, K=3, dropout=0.5, norm="batch")
        >>> net
        SNLNet(16, 7, num_layers=2)
        >>> net.num_hops
        4
        >>> edge_index = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
        >>> net(torch.rand(3, 16), edge_index).shape
        torch.Size([3, 7])
        >>> net(torch.rand(3, 16), edge_index[:, 1:])
        Traceback (most recent call last):
        ...
        ValueError: 1 of 3 edges are listed in one direction only, and symmetric normalisation ...
    """

    supports_edge_weight: Final[bool] = True
    supports_edge_attr: Final[bool] = False

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        num_layers: int,
        out_channels: int | None = None,
        dropout: float = 0.0,
        act: str | Callable[..., Any] | None = "relu",
        act_first: bool = False,
        act_kwargs: dict[str, Any] | None = None,
        norm: str | Callable[..., Any] | None = None,
        norm_kwargs: dict[str, Any] | None = None,
        jk: str | None = None,
        **kwargs: Any,
    ) -> None:
        check_options(num_layers, dropout, act, norm, jk)
        super().__init__(
            in_channels,
            hidden_channels,
            num_layers,
            out_channels,
            dropout=dropout,
            act=act,
            act_first=act_first,
            act_kwargs=act_kwargs,
            norm=norm,
            norm_kwargs=norm_kwargs,
            jk=jk,
            **kwargs,
        )

    def init_conv(
        self,
        in_channels: int | tuple[int, int],
        out_channels: int,
        *,
        kernel_channels: int | None = None,
        **kwargs: Any,
    ) -> SNLConv:
        """One layer; modules among its options are its own copies."""
        own: dict[str, Any] = {
            name: copy.deepcopy(option) if isinstance(option, nn.Module) else option
            for name, option in kwargs.items()
        }
        return SNLConv(in_channels, out_channels, hidden_channels=kernel_channels, **own)

    @property
    def num_hops(self) -> int:
        """How far an output looks: as many hops a sampler has to take."""
        return sum(conv.filter.order for conv in self.convs)

    def forward(
        self,
        x: Tensor,
        edge_index: MaybeTensor = None,
        edge_weight: MaybeTensor = None,
        edge_attr: MaybeTensor = None,
        batch: MaybeTensor = None,
        batch_size: int | None = None,
        num_sampled_nodes_per_hop: MaybeCounts = None,
        num_sampled_edges_per_hop: MaybeCounts = None,
    ) -> Tensor:
        """Output for each node.

        Args:
            x: Node features (N, F).
            edge_index: The edges; None joins every pair of nodes of a graph (needs a kernel).
            edge_weight: Their weights (E,).
            edge_attr: Not used by these layers: must be None.
            batch: Graph of each node, sorted.
            batch_size: Number of graphs; spares ``batch.max()``.
            num_sampled_nodes_per_hop: Of a ``NeighborLoader``'s batch, ``num_sampled_nodes``:
                leaves out what later layers need no more. For K ≤ 2 without "sym".
            num_sampled_edges_per_hop: The same, ``num_sampled_edges``.
        """
        if isinstance(edge_attr, Tensor):
            raise ValueError(
                "SNLConv has weights of edges, one number each, but no features of edges. Pass "
                "edge_weight (E,), or leave edge_attr out."
            )
        is_trimmed = num_sampled_nodes_per_hop is not None
        if is_trimmed:
            check_trimming(self._reach(), is_undirected=self._is_undirected())
        else:
            edge_index = without_torch_sparse(edge_index)
            if isinstance(edge_index, Tensor) and self._is_undirected():
                require_undirected(edge_index, x.shape[-2])
        hidden = []
        for layer in range(self.num_layers):
            if is_trimmed:
                x, edge_index, edge_weight = self._trim(
                    layer,
                    num_sampled_nodes_per_hop,
                    num_sampled_edges_per_hop,
                    x,
                    edge_index,
                    edge_weight,
                )
            x = self._layer(layer, x, edge_index, edge_weight, batch, batch_size)
            hidden.append(x)
        return self._joined(hidden)

    @torch.no_grad()
    def inference(
        self,
        loader: NeighborLoader,
        device: torch.device | str | None = None,
        embedding_device: torch.device | str = "cpu",
        progress_bar: bool = False,
        cache: bool = False,
    ) -> Tensor:
        """Output for each node of a large graph, layer by layer: that of the full graph.

        Args:
            loader: Samples all neighbours, as many hops as one layer reaches, K - 1, and one more
                with ``subgraph_type="bidirectional"`` under "sym"; over all nodes, in any order.
            device: Where the layers run.
            embedding_device: Where outputs are kept.
            progress_bar: Whether to draw one.
            cache: Whether to sample once for all layers, and keep the subgraphs.

        Returns:
            Shape (N, F'), on ``embedding_device``. Kernels and norms that look at all nodes of a
            graph at once ("double_softmax", "signed_dot" with 1/n, ``GraphNorm``) see those of a
            mini-batch.

        Raises:
            ValueError: If the network is training, estimates λ_max of the graph, or the loader's
                subgraphs are not enough.
        """
        if self.training:
            raise ValueError("inference is for a trained network: call net.eval() first.")
        if any(isinstance(conv.lambda_max, str) for conv in self.convs):
            raise ValueError(
                'lambda_max="estimate" would be that of each mini-batch. Pass a number.'
            )
        check_whole_neighbourhoods(loader, self._reach(), is_undirected=self._is_undirected())
        batches = CachedLoader(loader, device=device, transform=_graph_alone) if cache else loader
        x = loader.data.x.to(embedding_device)
        hidden: list[Tensor] = []
        for layer in range(self.num_layers):
            parts, nodes = [], []
            told = f"layer {layer + 1} of {self.num_layers}"
            for data in track(batches, told, len(loader), disable=not progress_bar):
                here = x[data.n_id.to(x.device)].to(device)
                out = self._layer(layer, here, *_weighted_graph(data, loader.data, device))
                parts.append(out[: data.batch_size].to(embedding_device))
                nodes.append(data.n_id[: data.batch_size].to(embedding_device))
            x = torch.cat(parts)[torch.cat(nodes).argsort()]
            hidden.append(x)
        rows = torch.arange(len(x), device=x.device).split(loader.batch_size or len(x))
        outputs = [self._joined([x[part].to(device) for x in hidden]) for part in rows]
        return torch.cat(outputs).to(embedding_device)

    def _layer(
        self,
        layer: int,
        x: Tensor,
        edge_index: Tensor | None,
        edge_weight: Tensor | None,
        batch: Tensor | None = None,
        batch_size: int | None = None,
    ) -> Tensor:
        """One layer with what follows it."""
        # What was not given is left out, so that `to_hetero` does not take it for node features.
        given = {"batch": batch} if isinstance(batch, Tensor) else {}
        sizes = {"batch_size": batch_size} if isinstance(batch_size, int) else {}
        x = self.convs[layer](x, edge_index, edge_weight=edge_weight, **given, **sizes)
        if layer == self.num_layers - 1 and self.jk_mode is None:
            return x
        if self.act is not None and self.act_first:
            x = self.act(x)
        norm = self.norms[layer]
        x = norm(x, batch, batch_size) if self.supports_norm_batch else norm(x)
        if self.act is not None and not self.act_first:
            x = self.act(x)
        return self.dropout(x)

    def _joined(self, hidden: list[Tensor]) -> Tensor:
        """The network's output, of those of its layers."""
        out = self.jk(hidden) if hasattr(self, "jk") else hidden[-1]
        return self.lin(out) if hasattr(self, "lin") else out

    def _reach(self) -> int:
        """How many hops the layer that reaches farthest does."""
        return max(conv.filter.order for conv in self.convs)

    def _is_undirected(self) -> bool:
        """Whether the layers expect each edge in both directions."""
        return any(conv.normalization.needs_square for conv in self.convs)


def _graph_alone(data: Data) -> Data:
    """What ``inference`` needs of a mini-batch, without its features."""
    kept = ("edge_index", "adj_t", "edge_weight", "n_id", "batch_size")
    return Data.from_dict({name: data[name] for name in kept if name in data})


def _weighted_graph(
    data: Data, whole: Data, device: torch.device | str | None
) -> tuple[Tensor, Tensor | None]:
    """Edges of a mini-batch and their weights, if the whole graph has some."""
    if "adj_t" in data:
        return without_torch_sparse(data.adj_t).to(device), None
    if "edge_weight" in whole and "edge_weight" not in data:
        raise ValueError(
            "the loader dropped the weights of the edges. Keep them as values of a sparse "
            "adjacency: torch_geometric.transforms.ToSparseTensor(attr='edge_weight')."
        )
    weight = data.edge_weight.to(device) if "edge_weight" in whole else None
    return data.edge_index.to(device), weight
