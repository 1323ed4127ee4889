"""Feature maps as graphs: every edge by its definition, and back without loss."""

import itertools
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch_geometric.data import Batch, Data, HeteroData
from torch_geometric.loader import DataLoader
from torch_geometric.utils import contains_self_loops

from snl_graph.masks import BooleanMatrix, EdgeList, Mask
from snl_graph.transforms import ImageToGraph, to_feature_map, to_graph

SIZES = [(1,), (6,), (1, 1), (3, 4), (4, 2), (2, 3, 2), (3, 1, 2)]
NAMES = ["full", "criss_cross", "window:0", "window:1", "window:2"]


def joined(name: str, i: tuple[int, ...], j: tuple[int, ...]) -> bool:
    """Whether a mask joins two positions, by its definition."""
    distances = [abs(a - b) for a, b in zip(i, j, strict=True)]
    if name == "criss_cross":
        return sum(distance > 0 for distance in distances) <= 1
    if name.startswith("window:"):
        return max(distances) <= int(name.removeprefix("window:"))
    return name == "full"


def naive_edges(name: str, size: tuple[int, ...], copies: int) -> set[tuple[int, int]]:
    """All (j, i) of a batch, by a double loop over coordinates."""
    positions = list(itertools.product(*map(range, size)))
    return {
        (copy * len(positions) + j, copy * len(positions) + i)
        for copy in range(copies)
        for (j, at_j), (i, at_i) in itertools.product(enumerate(positions), repeat=2)
        if joined(name, at_i, at_j)
    }


def edges_of(graph: Data) -> set[tuple[int, int]]:
    """Edges as a set, after a check that none is there twice."""
    edges = [tuple(edge) for edge in graph.edge_index.T.tolist()]
    assert len(edges) == len(set(edges))
    return set(edges)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", NAMES)
def test_a_graph_has_the_positions_and_pairs_of_its_map(name: str, size: tuple[int, ...]) -> None:
    feature_map = torch.randn(3, 4, *size)
    graph = to_graph(feature_map, name)
    positions = list(itertools.product(*map(range, size)))
    assert isinstance(graph, Batch)
    assert graph.validate()
    assert edges_of(graph) == naive_edges(name, size, copies=3)
    assert graph.pos.tolist() == [list(map(float, position)) for position in positions * 3]
    assert graph.batch.tolist() == [copy for copy in range(3) for _ in positions]
    assert graph.ptr.tolist() == [copy * len(positions) for copy in range(4)]
    assert (graph.num_graphs, graph.grid_size) == (3, size)
    for node, (copy, position) in enumerate(itertools.product(range(3), positions)):
        assert torch.equal(graph.x[node], feature_map[(copy, slice(None), *position)])
    assert torch.equal(to_feature_map(graph), feature_map)


@given(
    size=st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple),
    copies=st.integers(1, 3),
    channels=st.integers(0, 3),
    name=st.sampled_from(NAMES),
    dtype=st.sampled_from([torch.float64, torch.float32, torch.bfloat16, torch.int64]),
)
def test_any_map_survives_the_way_there_and_back(
    size: tuple[int, ...], copies: int, channels: int, name: str, dtype: torch.dtype
) -> None:
    feature_map = torch.randint(-9, 9, (copies, channels, *size)).to(dtype)
    graph = to_graph(feature_map, name)
    again = to_feature_map(graph)
    assert again.dtype == dtype
    assert torch.equal(again, feature_map)
    assert edges_of(graph) == naive_edges(name, size, copies)


def test_self_loops_are_edges_and_the_default_joins_all() -> None:
    graph = to_graph(torch.zeros(2, 1, 2, 3))
    assert contains_self_loops(graph.edge_index)
    assert graph.num_edges == 2 * 6 * 6


@pytest.mark.parametrize("as_tensor", [True, False])
def test_a_directed_mask_keeps_its_direction(as_tensor: bool) -> None:
    edge_index = torch.tensor([[0, 0, 4], [1, 5, 2]])  # source over target
    matrix = torch.zeros(6, 6, dtype=torch.bool)
    matrix[edge_index[1], edge_index[0]] = True  # entry [i, j], i the target
    masks: list[Mask | Tensor] = [edge_index, matrix]
    if not as_tensor:
        masks = [EdgeList(edge_index), BooleanMatrix(matrix)]
    for mask in masks:
        graph = to_graph(torch.zeros(2, 1, 2, 3), mask)
        assert edges_of(graph) == {(0, 1), (0, 5), (4, 2), (6, 7), (6, 11), (10, 8)}


def test_gradients_pass_to_the_feature_map_and_back() -> None:
    feature_map = torch.randn(2, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    graph = to_graph(feature_map)
    (to_feature_map(graph.x, (4, 5)) * weight).sum().backward()
    assert torch.equal(feature_map.grad, weight)
    image = torch.randn(3, 4, 5, dtype=torch.float64, requires_grad=True)
    (to_feature_map(ImageToGraph()(image)) * weight[:1]).sum().backward()
    assert torch.equal(image.grad, weight[0])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.uint8])
def test_features_keep_their_dtype_and_coordinates_can_count(dtype: torch.dtype) -> None:
    graph = to_graph(torch.ones(1, 1, 2051).to(dtype), "window:0")
    assert graph.x.dtype == dtype
    assert graph.pos.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert graph.pos[-3:].flatten().tolist() == [2048, 2049, 2050]


def test_a_batch_that_was_taken_apart_gives_its_maps_back() -> None:
    feature_map = torch.randn(3, 2, 4, 5)
    graphs = to_graph(feature_map, "window:1").to_data_list()
    for graph, expected in zip(graphs, feature_map, strict=True):
        assert edges_of(graph) == naive_edges("window:1", (4, 5), copies=1)
        assert torch.equal(to_feature_map(graph), expected[None])
    assert torch.equal(to_feature_map(Batch.from_data_list(graphs)), feature_map)


def test_features_alone_need_a_size() -> None:
    feature_map = torch.randn(3, 2, 4, 5)
    x = to_graph(feature_map).x
    assert torch.equal(to_feature_map(x, (4, 5)), feature_map)
    assert torch.equal(to_feature_map(x.unflatten(0, (3, 20)), [4, 5]), feature_map)
    assert torch.equal(to_feature_map(x, (20,)), feature_map.flatten(2))
    loose = Data(x, batch=torch.arange(3).repeat_interleave(20))
    assert torch.equal(to_feature_map(loose, (4, 5)), feature_map)
    with pytest.raises(ValueError, match="size of the grid is not known"):
        to_feature_map(x)
    with pytest.raises(ValueError, match="size of the grid is not known"):
        to_feature_map(Data(x))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", NAMES)
def test_an_image_becomes_the_graph_of_its_map(name: str, size: tuple[int, ...]) -> None:
    transform = ImageToGraph(name)
    for _ in range(2):  # the second image meets the edges of the first
        image = torch.randn(4, *size)
        graph, expected = transform(image), to_graph(image[None], name)
        assert type(graph) is Data
        assert set(graph.keys()) == {"x", "edge_index", "pos", "grid_size"}
        for key in ("x", "edge_index", "pos"):
            assert torch.equal(graph[key], expected[key])
        assert graph.grid_size == size
        assert torch.equal(to_feature_map(graph), image[None])


def test_images_of_two_sizes_get_edges_of_their_own() -> None:
    transform = ImageToGraph("criss_cross")
    for size in [(2, 3), (3, 2), (2, 3)]:
        graph = transform(torch.zeros(1, *size))
        assert edges_of(graph) == naive_edges("criss_cross", size, copies=1)


class Pictures(torch.utils.data.Dataset):
    """A data set in the manner of torchvision: a picture through a transform, and its label."""

    def __init__(self, images: Tensor, transform: ImageToGraph) -> None:
        self.images, self.transform = images, transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Data, int]:
        return self.transform(self.images[index]), index


@pytest.mark.parametrize("workers", [0, 1])
def test_graphs_of_a_data_set_collate_and_go_back_to_maps(workers: int) -> None:
    images = torch.randn(5, 3, 4, 6)
    loader = DataLoader(Pictures(images, ImageToGraph("window:1")), 2, num_workers=workers)
    sizes = []
    for batch, labels in loader:
        assert torch.equal(to_feature_map(batch), images[labels])
        assert edges_of(batch) == naive_edges("window:1", (4, 6), copies=len(labels))
        assert torch.equal(batch.pos, to_graph(images[labels]).pos)
        sizes.append(len(labels))
    assert sizes == [2, 2, 1]


def test_the_transform_is_pickled_and_says_what_it_is() -> None:
    transform = ImageToGraph("window:2")
    again = pickle.loads(pickle.dumps(transform))
    image = torch.zeros(1, 4, 4)
    assert torch.equal(again(image).edge_index, transform(image).edge_index)
    assert repr(again) == "ImageToGraph(Window(2))"


def test_a_batch_of_grids_of_two_sizes_is_no_feature_map() -> None:
    transform = ImageToGraph("window:1")
    graphs = [transform(torch.zeros(1, 2, 6)), transform(torch.zeros(1, 4, 3))]
    with pytest.raises(ValueError, match=r"different sizes, \[\(2, 6\), \(4, 3\)\]"):
        to_feature_map(Batch.from_data_list(graphs))


@pytest.mark.parametrize(
    ("nodes", "size", "message"),
    [
        (torch.zeros(7, 2), (2, 3), r"7 nodes do not fill whole grids of size \(2, 3\) with 6"),
        (torch.zeros(0, 2), (2, 3), "0 nodes do not fill"),
        (Data(torch.zeros(12, 2)), (2, 3), r"12 nodes of 1 graph\(s\) do not fill"),
        (to_graph(torch.zeros(2, 1, 2, 3)), (3, 4), r"12 nodes of 2 graph\(s\) do not fill"),
        (torch.zeros(2, 7, 2), (2, 3), "7 nodes do not fill a grid"),
        (torch.zeros(6), (2, 3), r"\(B·N, C\) or \(B, N, C\); got \(6,\)"),
        (Data(), (2, 3), "no node features x"),
        (torch.zeros(6, 2), 6, "size lists one to three lengths"),
        (torch.zeros(6, 2), (), "size lists one to three lengths"),
        (torch.zeros(6, 2), (2, 0), "size lists one to three lengths"),
        (torch.zeros(6, 2), (1, 1, 2, 3), "size lists one to three lengths"),
    ],
)
def test_nodes_that_do_not_fill_the_grid_are_refused(
    nodes: Tensor | Data, size: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        to_feature_map(nodes, size)


def test_a_graph_that_lost_nodes_is_refused() -> None:
    graph = to_graph(torch.zeros(1, 1, 4, 5))
    with pytest.raises(ValueError, match=r"19 nodes .* do not fill"):
        to_feature_map(graph.subgraph(torch.arange(19)))


@pytest.mark.parametrize(
    ("feature_map", "mask", "message"),
    [
        (torch.zeros(3, 4), "full", "wrong|has shape"),
        (torch.zeros(1, 1, 1, 1, 1, 1), "full", "one to three spatial axes"),
        (torch.zeros(0, 3, 4, 4), "full", "at least one feature map"),
        (torch.zeros(2, 3, 0, 4), "full", "at least one position"),
        (torch.zeros(2, 3, 4, 4), "fall", 'unknown mask "fall". Did you mean "full"'),
        (torch.zeros(2, 3, 4, 4), "window:x", "whole R"),
        (torch.zeros(2, 3, 4, 4), torch.ones(15, 15, dtype=torch.bool), "joins 15 nodes"),
        (torch.zeros(2, 3, 4, 4), torch.tensor([[0], [16]]), "names node 16"),
    ],
)
def test_a_map_or_mask_that_does_not_fit_is_refused(
    feature_map: Tensor, mask: Tensor | str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        to_graph(feature_map, mask)


def test_an_image_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown mask"):
        ImageToGraph("ful")
    for shape in [(4,), (1, 1, 1, 1, 1)]:
        with pytest.raises(ValueError, match=r"an image has shape \(C, \*spatial\)"):
            ImageToGraph()(torch.zeros(shape))
    with pytest.raises(ValueError, match="joins 15 nodes"):
        ImageToGraph(torch.ones(15, 15, dtype=torch.bool))(torch.zeros(1, 4, 4))


def test_anything_but_tensors_and_graphs_is_refused() -> None:
    with pytest.raises(TypeError, match=r"a feature map is a tensor .*, got list"):
        to_graph([[1.0]])
    with pytest.raises(TypeError, match="tensor of features; got HeteroData"):
        to_feature_map(HeteroData(), (2, 2))
    with pytest.raises(TypeError, match=r"an image is a tensor .*ToTensor\(\)"):
        ImageToGraph()("picture.png")


@pytest.mark.parametrize("size", [(2, 3), [2, 3], torch.tensor([2, 3]), torch.tensor([[2, 3]])])
def test_a_grid_size_of_ones_own_may_be_a_tuple_a_list_or_a_tensor(
    size: tuple[int, ...] | list[int] | Tensor,
) -> None:
    x = torch.arange(24.0).reshape(6, 4)
    expected = to_feature_map(x, size=(2, 3))
    assert torch.equal(to_feature_map(Data(x=x, grid_size=size)), expected)
