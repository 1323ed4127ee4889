"""Feature maps and images as PyTorch Geometric graphs, and back."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch_geometric.data import Batch, Data
from torch_geometric.transforms import BaseTransform

from snl_graph.grids import Size, flatten, num_positions, unflatten
from snl_graph.masks import Mask, as_mask
from snl_graph.memory import require_room


def to_graph(feature_map: Tensor, mask: Mask | Tensor | str = "full") -> Batch:
    """The graphs of a batch of feature maps: a node a position, an edge a pair of the mask.

    Positions are numbered row-major: the last spatial axis runs fastest.

    Args:
        feature_map: Shape (B, C, *spatial), B ≥ 1, one to three spatial axes.
        mask: ``"full"``, ``"criss_cross"``, ``"window:R"``, a mask object, a boolean matrix (N, N)
            or an edge list (2, E). Masks by name include self-loops.

    Returns:
        A batch of B graphs with

        - x (B·N, C), through which gradients flow to ``feature_map``,
        - edge_index (2, B·E): row 0 the source j, row 1 the target i of the weight A_ij,
        - pos (B·N, axes): pixel coordinates in the order of the spatial axes, e.g. (row, column),
        - batch (B·N,), ptr (B + 1,), and grid_size, the spatial size.

    Raises:
        ValueError: If the rank is wrong, there is no map or position, or the mask is unknown or
            does not fit the grid.
        TypeError: If ``feature_map`` is not a tensor.

    Cost: memory of 16·B·E bytes for the edges; E = N² for the full mask. A block takes the map
    itself without them.

    Example:
        >>> graph = to_graph(torch.zeros(2, 8, 4, 5), mask="window:1")
        >>> graph.x.shape, graph.pos[6].tolist(), graph.grid_size
        (torch.Size([40, 8]), [1.0, 1.0], (4, 5))
    """
    if not isinstance(feature_map, Tensor):
        raise TypeError(
            f"a feature map is a tensor (B, C, *spatial), got {type(feature_map).__name__}. Of an "
            "array: torch.as_tensor(feature_map); of one image see ImageToGraph."
        )
    nodes, size = flatten(feature_map)  # (B, N, C)
    if not len(nodes):
        raise ValueError(
            f"a batch of graphs needs at least one feature map; got shape "
            f"{tuple(feature_map.shape)}. Skip empty batches."
        )
    mask = as_mask(mask)
    count = mask.num_edges(size) * len(nodes)
    require_room(
        16 * count,
        feature_map.device,
        "this graph",
        f"{count} edges ({mask} mask on {len(nodes)} map(s) of size {size})",
        lambda: 'Use mask="criss_cross" or "window:R", or give the map itself to a block.',
    )
    edge_index = mask.edges(size, feature_map.device)
    pos = positions(size, feature_map)
    batch = Batch.from_data_list([Data(x, edge_index, pos=pos) for x in nodes])
    batch.grid_size = size  # set last: of all graphs, where PyG would list it for each
    return batch


def to_feature_map(graph_or_x: Data | Tensor, size: Sequence[int] | None = None) -> Tensor:
    """Feature map of node features on a grid; the inverse of :func:`to_graph`.

    Args:
        graph_or_x: A graph or a batch of graphs with x (B·N, C), or node features (B·N, C) or
            (B, N, C) themselves.
        size: Spatial size; None means the graph's ``grid_size``.

    Returns:
        Shape (B, C, *size), a view of the node features.

    Raises:
        ValueError: If the size is missing, or the nodes do not fill whole grids of that size.
        TypeError: If the argument is neither.

    Example:
        >>> feature_map = torch.randn(2, 8, 4, 5)
        >>> bool((to_feature_map(to_graph(feature_map)) == feature_map).all())
        True
    """
    num_graphs = None
    if isinstance(graph_or_x, Data):
        nodes = graph_or_x.x
        if nodes is None:
            raise ValueError("the graph has no node features x to lay out on a grid.")
        size = _grid_size(graph_or_x) if size is None else size
        if isinstance(graph_or_x, Batch):
            num_graphs = graph_or_x.num_graphs
        elif graph_or_x.batch is None:
            num_graphs = 1
    elif isinstance(graph_or_x, Tensor):
        nodes = graph_or_x
    else:
        came = type(graph_or_x).__name__
        raise TypeError(f"expected a PyG Data or Batch, or a tensor of features; got {came}.")
    size = _checked(size)
    if nodes.dim() == 3:
        return unflatten(nodes, size)
    if nodes.dim() != 2:
        raise ValueError(
            f"node features have shape (B·N, C) or (B, N, C); got {tuple(nodes.shape)}."
        )
    n = num_positions(size)
    count, rest = divmod(nodes.shape[0], n)
    if not count or rest or num_graphs not in (None, count):
        graphs = "" if num_graphs is None else f" of {num_graphs} graph(s)"
        raise ValueError(
            f"{nodes.shape[0]} nodes{graphs} do not fill whole grids of size {size} with {n} "
            "positions each."
        )
    return unflatten(nodes.unflatten(0, (count, n)), size)


class ImageToGraph(BaseTransform):
    """The graph of one image: a node a pixel, an edge a pair of the mask.

    A transform for torchvision and PyG data sets. Its graphs collate in PyG's ``DataLoader``, and
    :func:`to_feature_map` gives the images of a collated batch.

    Args:
        mask: As for :func:`to_graph`.

    Shapes:
        input (C, *spatial) with one to three spatial axes; output as :func:`to_graph` without
        ``batch`` and ``ptr``.

    Raises:
        ValueError: If the mask is unknown; in use, if the rank is wrong or the mask does not fit.
        TypeError: In use, if the image is not a tensor.

    Cost: the edges of the latest size are kept and shared by all its graphs: do not change
    ``edge_index`` in place.

    Example:
        >>> image = torch.zeros(3, 4, 5)
        >>> ImageToGraph("criss_cross")(image)
        Data(x=[20, 3], edge_index=[2, 160], pos=[20, 2], grid_size=[2])
    """

    def __init__(self, mask: Mask | Tensor | str = "full") -> None:
        self.mask = as_mask(mask)
        self._latest: tuple[tuple[Size, torch.device], Tensor] | None = None

    def __call__(self, data: Tensor) -> Data:
        """The graph of ``data``; PyG would copy the image first and lose its gradient."""
        return self.forward(data)

    def forward(self, data: Tensor) -> Data:
        """The graph of an image (C, *spatial)."""
        if not isinstance(data, Tensor):
            raise TypeError(
                f"an image is a tensor (C, *spatial), got {type(data).__name__}. Put "
                "torchvision.transforms.ToTensor() before."
            )
        if not 2 <= data.dim() <= 4:
            raise ValueError(
                "an image has shape (C, *spatial) with one to three spatial axes; got "
                f"{tuple(data.shape)}. to_graph takes a batch of them."
            )
        nodes, size = flatten(data.unsqueeze(0))
        key = (size, data.device)
        if self._latest is None or self._latest[0] != key:
            self._latest = (key, self.mask.edges(size, data.device))
        pos = positions(size, data)
        return Data(nodes[0], self._latest[1], pos=pos, grid_size=size)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.mask})"


def positions(size: Size, like: Tensor) -> Tensor:
    """Pixel coordinates (N, axes), in float32 at least: float16 cannot count past 2048."""
    dtype = like.dtype if like.is_floating_point() else torch.float32
    dtype = torch.promote_types(dtype, torch.float32)
    axes = [torch.arange(length, device=like.device, dtype=dtype) for length in size]
    return torch.stack([grid.flatten() for grid in torch.meshgrid(*axes, indexing="ij")], dim=1)


def _checked(size: Sequence[int] | None) -> Size:
    """``size`` as a tuple, if it is one of a feature map."""
    if size is None:
        raise ValueError("the size of the grid is not known; pass size, e.g. size=(H, W).")
    is_sequence = isinstance(size, Sequence)
    if (
        not is_sequence
        or not 1 <= len(size) <= 3
        or any(type(length) is float or length < 1 for length in size)
    ):
        raise ValueError(f"size lists one to three lengths ≥ 1, e.g. (H, W); got {size!r}.")
    return tuple(size)


def _grid_size(graph: Data) -> Size | None:
    """The one ``grid_size`` of a graph, of its batch, or of all items that PyG collated.

    Items of a batch that was taken apart again have none; their coordinates tell it.
    """
    grid_size = graph.get("grid_size")
    if grid_size is None:
        if graph.pos is None or not len(graph.pos):
            return None
        return tuple(int(last) + 1 for last in graph.pos.amax(dim=0))
    if isinstance(grid_size, tuple):
        return grid_size
    rows = torch.atleast_2d(grid_size) if isinstance(grid_size, Tensor) else grid_size
    if len(rows) and isinstance(rows[0], int):
        rows = [rows]
    sizes = sorted({tuple(map(int, row)) for row in rows})
    if len(sizes) > 1:
        raise ValueError(
            f"the graphs lie on grids of different sizes, {sizes}, which is no one feature map; "
            "call to_feature_map on each graph of batch.to_data_list()."
        )
    return sizes[0]
