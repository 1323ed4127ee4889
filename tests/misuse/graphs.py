"""Wrong calls of the layer on graphs, most of them from the threads of PyTorch Geometric."""

from tests.misuse.case import Area, Case

START = """
import networkx as nx
import torch
from torch_geometric import EdgeIndex
from torch_geometric.data import Data
from torch_geometric.utils import from_scipy_sparse_matrix

import snl_graph
from snl_graph import SNLConv, SNLNet

x = torch.ones(4, 16)
edge_index = torch.tensor([[0, 1, 1, 2, 2, 3], [1, 0, 2, 1, 3, 2]])
conv = SNLConv(16, 32)
"""

EDGES = Area(
    "Edges of a graph",
    START,
    (
        Case(
            "Edges as a list of pairs",
            "conv(x, edge_index.t())",
            ValueError,
            ("has shape (2, E)", "got (6, 2)", "edge_index.t()"),
            "pyg#221",
        ),
        Case(
            "Edges of each graph of a batch, stacked",
            "conv(torch.ones(2, 4, 16), torch.stack([edge_index, edge_index]))",
            ValueError,
            ("has shape (2, E)", "got (2, 2, 6)", "share their edges", "Batch.from_data_list"),
            "pyg#3008",
        ),
        Case(
            "Edges as a tuple of rows and columns",
            "conv(x, (edge_index[0], edge_index[1]))",
            TypeError,
            ("a tensor (2, E)", "got tuple", "torch.as_tensor"),
            "pyg#1884",
        ),
        Case(
            "Edges as an array",
            "conv(x, edge_index.numpy())",
            TypeError,
            ("a tensor (2, E)", "got ndarray", "torch.as_tensor"),
        ),
        Case(
            "Edges and weights as one pair",
            "matrix = nx.to_scipy_sparse_array(nx.path_graph(4))\n"
            "conv(x, from_scipy_sparse_matrix(matrix))",
            TypeError,
            ("a tensor (2, E)", "got tuple", "pass both: layer(x, *pair)"),
            "pyg#9393",
        ),
        Case(
            "Edges as floating-point numbers",
            "conv(x, edge_index.float())",
            TypeError,
            ("holds indices (torch.int64)", "got torch.float32", "edge_index.long()"),
            "Shen-Lab/GraphCL#44, toooooodo/CompGCN-DGL#1",
        ),
        Case(
            "A dense adjacency matrix",
            "conv(x, torch.ones(4, 4))",
            TypeError,
            ("holds indices", "got torch.float32", "A.to_sparse_csr()"),
        ),
        Case(
            "A dense adjacency matrix of whole numbers",
            "conv(x, torch.ones(4, 4).long())",
            ValueError,
            ("has shape (2, E)", "got (4, 4)", "A.float().to_sparse_csr()"),
        ),
        Case(
            "A networkx graph",
            "conv(x, nx.path_graph(4))",
            TypeError,
            ("a tensor (2, E)", "got Graph", "from_networkx(graph).edge_index"),
        ),
        Case(
            "A scipy matrix",
            "conv(x, nx.to_scipy_sparse_array(nx.path_graph(4)))",
            TypeError,
            ("a tensor (2, E)", "got csr_array", "from_scipy_sparse_matrix"),
            "danielegrattarola/spektral#364",
        ),
        Case(
            "The whole Data in place of its edges",
            "conv(x, Data(x=x, edge_index=edge_index))",
            TypeError,
            ("a tensor (2, E)", "got Data", "data.edge_index"),
        ),
        Case(
            "Nodes counted from 1",
            "conv(x, edge_index + 1)",
            IndexError,
            ("must lie in 0 .. 3 for 4 nodes", "from 1 to 4"),
            "pyg#8902, pyg#8630, pyg#803, pyg#1529",
        ),
        Case(
            "Nodes by their numbers in a larger graph",
            "conv(x, 100 * edge_index)",
            IndexError,
            ("must lie in 0 .. 3 for 4 nodes", "from 0 to 300"),
            "pyg#207, pyg#814",
        ),
        Case(
            "Edges on another device",
            'conv(x, edge_index.to("meta"))',
            ValueError,
            ("edge_index is on meta", "x on cpu", "Move one"),
            "pyg#5028, snap-stanford/ogb#68",
        ),
        Case(
            "No edges, and no kernel to find some",
            "conv(x)",
            ValueError,
            ("without edge_index", "this layer has none", 'kernel="dot"'),
            "pyg#2658",
        ),
        Case(
            "A sparse adjacency of another graph",
            "conv(x, torch.eye(3).to_sparse())",
            ValueError,
            ("(targets, sources) = (4, 4)", "got (3, 3)"),
        ),
        Case(
            "A sparse adjacency read in the other direction",
            'SNLConv(16, 32, flow="target_to_source")(x, torch.eye(4).to_sparse())',
            ValueError,
            ('"target_to_source"', "in its rows", "adj_t.t()"),
            "pyg#10042, pyg#2446",
        ),
        Case(
            "A sparse adjacency and weights beside it",
            "conv(x, torch.eye(4).to_sparse(), torch.ones(4))",
            ValueError,
            ("holds its own weights", "edge_weight came as well", "Leave it out"),
        ),
        Case(
            "Weights of shape (E, 1)",
            "conv(x, edge_index, torch.ones(6, 1))",
            ValueError,
            ("one number an edge, shape (6,)", "got (6, 1)", "edge_attr[:, 0]"),
            "pyg#3338, pyg#2022, pyg#1441",
        ),
        Case(
            "Weights of other edges",
            "conv(x, edge_index, torch.ones(5))",
            ValueError,
            ("one number an edge, shape (6,)", "got (5,)"),
            "pyg#4615",
        ),
        Case(
            "Weights as an array",
            "conv(x, edge_index, torch.ones(6).numpy())",
            TypeError,
            ("must be a tensor (E,)", "got ndarray", "torch.as_tensor"),
            "Sazan-Mahbub/EGRET#1",
        ),
        Case(
            "Features of edges as weights",
            "conv(x, edge_index, torch.ones(6, 3))",
            ValueError,
            ("one number an edge, shape (6,)", "got (6, 3)", "edge_attr[:, 0]"),
            "pyg#4875",
        ),
        Case(
            "Whole numbers as weights",
            "conv(x, edge_index, torch.ones(6).long())",
            TypeError,
            ("must be floating point", "got torch.int64", "edge_weight.to(x.dtype)"),
            "pyg#2334",
        ),
        Case(
            "Negative weights under a square root",
            "conv(x, edge_index, -torch.ones(6))",
            ValueError,
            ("must be non-negative", "least value is -1", '"rw" or "none"'),
            "pyg#795, pyg#61",
        ),
        Case(
            "Weights that are not finite",
            "conv(x, edge_index, torch.ones(6) / 0)",
            ValueError,
            ("edge_weight has 6 non-finite values", "Look at the layer or file"),
            "BorealisAI/SLAPS-GNN#3",
        ),
    ),
)

FEATURES = Area(
    "Features of nodes, and batches",
    START,
    (
        Case(
            "The whole Data in place of its features",
            "conv(Data(x=x, edge_index=edge_index))",
            TypeError,
            ("must be a tensor (N, F)", "got Data", "data.x, data.edge_index"),
        ),
        Case(
            "A graph that has no features",
            "data = Data(edge_index=edge_index, num_nodes=4)\nconv(data.x, data.edge_index)",
            TypeError,
            ("must be a tensor (N, F)", "got NoneType"),
            "pyg#2148, pyg#1578",
        ),
        Case(
            "Nodes of several types",
            'conv({"paper": x}, {("paper", "cites", "paper"): edge_index})',
            TypeError,
            ("must be a tensor (N, F)", "got dict", "one type of nodes", "to_hetero"),
        ),
        Case(
            "Features as an array",
            "conv(x.numpy(), edge_index)",
            TypeError,
            ("must be a tensor (N, F)", "got ndarray", "torch.as_tensor"),
            "yongqyu/MolGAN-pytorch#8",
        ),
        Case(
            "Whole numbers as features",
            "conv(x.long(), edge_index)",
            TypeError,
            ("must be floating point", "got torch.int64", "x.float()"),
            "pyg#1660, pyg#1299",
        ),
        Case(
            "Features in double precision",
            "conv(x.double(), edge_index)",
            TypeError,
            ("x is torch.float64", "the layer torch.float32", "x.to(torch.float32)"),
            "pyg#1134, dgl#3052",
        ),
        Case(
            "Features of another width",
            "conv(x[:, :3], edge_index)",
            ValueError,
            ("x has 3 channels", "made for 16", "in_channels=3"),
            "pyg#1939, pyg#1198",
        ),
        Case(
            "One number a node, without an axis for it",
            "SNLConv(1, 32)(x[:, 0], edge_index)",
            ValueError,
            ("has shape (N, F)", "got (4,)", "x.unsqueeze(-1)"),
            "pyg#221",
        ),
        Case(
            "Sparse features",
            "conv(x.to_sparse(), edge_index)",
            TypeError,
            ("x is sparse", "features are dense", "x.to_dense()"),
            "pyg#290",
        ),
        Case(
            "Features on another device than the layer",
            'conv(x.to("meta"), edge_index)',
            ValueError,
            ("x is on meta", "the layer on cpu", "layer.to(x.device)"),
            "pyg#9479",
        ),
        Case(
            "NaN that came in with the features",
            "with snl_graph.value_checks():\n    conv(x / 0, edge_index)",
            ValueError,
            ("x has 64 non-finite values", "Look at the layer or file"),
            "facebookresearch/deit#29",
        ),
        Case(
            "Two sets of nodes for a layer of one",
            "conv((x, x[:2]), edge_index)",
            ValueError,
            ("bipartite input does not have", '"rw" or "none"'),
            "pyg#3487, pyg#8034",
        ),
        Case(
            "The batch vector as a list",
            "conv(x, edge_index, batch=[0, 0, 1, 1])",
            TypeError,
            ("(torch.int64)", "got list", "torch.as_tensor(batch)"),
        ),
        Case(
            "The batch vector of other nodes",
            "conv(x, edge_index, batch=torch.tensor([0, 0, 1]))",
            ValueError,
            ("shape (4,)", "got (3,)", "the same nodes as x"),
            "pyg#2703",
        ),
        Case(
            "Graphs of a batch in disorder",
            "conv(x, edge_index, batch=torch.tensor([0, 1, 0, 1]))",
            ValueError,
            ("batch must be sorted", "stand together", "Sort the nodes"),
            "pyg#523",
        ),
        Case(
            "Graphs of a batch counted from -1",
            "conv(x, edge_index, batch=torch.tensor([-1, -1, 0, 0]))",
            IndexError,
            ("must be ≥ 0, the numbers of the graphs", "from -1 to 0"),
        ),
        Case(
            "The batch vector as the number of graphs",
            "conv(x, edge_index, batch_size=torch.tensor([0, 0, 1, 1]))",
            TypeError,
            ("how many graphs there are", "graph of each node is batch"),
        ),
        Case(
            "Edges from one graph of a batch to another",
            "batch = torch.tensor([0, 0, 1, 1])\n"
            "with snl_graph.value_checks():\n"
            "    conv(x, edge_index, batch=batch)",
            ValueError,
            ("2 of 6 edges join nodes of two graphs", "as PyG's DataLoader does"),
            "pyg#1822",
        ),
        Case(
            "Edges that an EdgeIndex takes for undirected",
            "pairs = edge_index[:, ::2].contiguous()\n"
            "edges = EdgeIndex(pairs, sparse_size=(4, 4), is_undirected=True)\n"
            "with snl_graph.value_checks():\n"
            "    conv(x, edges)",
            ValueError,
            ("EdgeIndex says of its edges what is not so", "without sort_order and is_undirected"),
        ),
        Case(
            "One λ_max a graph, and no batch",
            'SNLConv(16, 32, basis="chebyshev")(x, edge_index, lambda_max=torch.ones(2))',
            ValueError,
            ("lambda_max", "needs batch"),
            "pyg#901, pyg#1202",
        ),
        Case(
            "λ_max of more graphs than there are",
            'layer = SNLConv(16, 32, basis="chebyshev")\n'
            "batch = torch.tensor([0, 0, 1, 1])\n"
            "layer(x, edge_index, batch=batch, lambda_max=torch.ones(3))",
            ValueError,
            ("lambda_max has 3 numbers", "there are 2 graphs"),
        ),
        Case(
            "A cached graph, and then another",
            "layer = SNLConv(16, 32, cached=True)\n"
            "y = layer(x, edge_index)\n"
            "layer(x, edge_index[:, :2])",
            ValueError,
            ("of 4 nodes and 6 edges", "this one has 4 and 2", "cached=False"),
            "pyg#1173, pyg#619, pyg#7173",
        ),
        Case(
            "A cached graph, and then another of the same size",
            "layer = SNLConv(16, 32, cached=True)\n"
            "y = layer(x, edge_index)\n"
            "layer(x, (edge_index + 1) % 4)",
            ValueError,
            ("as many edges, but others", "cached=False"),
        ),
        Case(
            "A cached graph, and then other weights",
            "layer = SNLConv(16, 32, cached=True)\n"
            "y = layer(x, edge_index)\n"
            "layer(x, edge_index, torch.arange(6.0))",
            ValueError,
            ("weights of the first call", "these edges have others", "cached=False"),
        ),
        Case(
            "Edges in one direction only",
            "SNLNet(16, 32, num_layers=2)(x, edge_index[:, ::2])",
            ValueError,
            ("3 of 3 edges are listed in one direction only", 'normalization="rw"'),
            "pyg#2219, google-deepmind/jraph#32",
        ),
        Case(
            "Features of edges for a network without any",
            "SNLNet(16, 32, num_layers=2)(x, edge_index, edge_attr=torch.ones(6, 3))",
            ValueError,
            ("no features of edges", "Pass edge_weight (E,)"),
        ),
        Case(
            "A layer as TorchScript",
            "torch.jit.script(conv)",
            TypeError,
            ("SNLConv is no TorchScript", "torch.export.export"),
            "pyg#7844, pyg#1797, pyg#9638",
        ),
    ),
)

LAYER = Area(
    "Options of SNLConv",
    START,
    (
        Case(
            "No channels",
            "SNLConv(0, 32)",
            ValueError,
            ("in_channels is a whole number ≥ 1", "got 0"),
            "pyg#439",
        ),
        Case(
            "Channels in words",
            'SNLConv("16", 32)',
            ValueError,
            ("in_channels is a whole number ≥ 1", "got '16'"),
        ),
        Case(
            "A number of channels that is not whole",
            "SNLConv(16, 64 / 2)",
            ValueError,
            ("out_channels is a whole number ≥ 1", "got 32.0"),
            "tonylins/pytorch-mobilenet-v2#25",
        ),
        Case(
            "No taps",
            "SNLConv(16, 32, K=0)",
            ValueError,
            ("K is a whole number ≥ 1", "got 0"),
        ),
        Case(
            "A kernel by a name that is none",
            'SNLConv(16, 32, kernel="softmax")',
            ValueError,
            ('unknown kernel "softmax"', 'Did you mean "double_softmax"?', "Choices:"),
        ),
        Case(
            "A function as kernel",
            "SNLConv(16, 32, kernel=torch.cosine_similarity)",
            TypeError,
            ("must be a name or a Kernel", "Names:"),
            elided=("got [a-z_]+",),
        ),
        Case(
            "Heads of a layer that compares nothing",
            "SNLConv(16, 32, heads=4)",
            ValueError,
            ("heads shape the features of a kernel", "kernel=None has none", 'kernel="dot"'),
        ),
        Case(
            "Heads that do not divide the channels",
            'SNLConv(16, 32, kernel="dot", heads=3)',
            ValueError,
            ("hidden_channels = 32", "cannot be split into 3 heads", "a positive multiple"),
            "pytorch#28719",
        ),
        Case(
            "Bipartite graphs with the symmetric normalisation",
            "SNLConv((16, 8), 32)",
            ValueError,
            ("bipartite input does not have", '"rw" or "none"'),
            "pyg#7467",
        ),
        Case(
            "An option of GCNConv",
            "SNLConv(16, 32, normalize=False)",
            TypeError,
            ("has no option normalize=False", "Did you mean normalization?"),
            "pyg#1833, pyg#836, pyg#2359",
        ),
        Case(
            "An option of attention layers",
            'SNLConv(16, 32, kernel="dot", dropout=0.1)',
            TypeError,
            ("has no option dropout=0.1", "It has in_channels, out_channels, K"),
            "lucidrains/meshgpt-pytorch#65",
        ),
        Case(
            "Another aggregation than the sum",
            'SNLConv(16, 32, aggr="mean")',
            ValueError,
            ("sums over nodes", "got 'mean'", "Leave it out"),
        ),
        Case(
            "λ_max for a basis that it does not scale",
            "SNLConv(16, 32, lambda_max=1.5)",
            ValueError,
            ("lambda_max = 1.5", 'Use basis="chebyshev"', "or leave lambda_max out"),
            "pyg#901",
        ),
        Case(
            "λ_max = 0",
            'SNLConv(16, 32, basis="chebyshev", lambda_max=0)',
            ValueError,
            ("lambda_max must be positive", "got 0"),
        ),
        Case(
            "A kernel that learns, and a cache",
            'SNLConv(16, 32, kernel="dot", cached=True)',
            ValueError,
            ("keeps the weights of the first call", "change with the features", "Leave one"),
        ),
        Case(
            "A signed kernel under a square root",
            'SNLConv(16, 32, kernel="signed_dot")',
            ValueError,
            ("needs a non-negative affinity", 'kernel="dot" or normalization="none"'),
            "sklearn#20754",
        ),
    ),
)

NETWORK = Area(
    "Options of SNLNet",
    START,
    (
        Case(
            "No layers",
            "SNLNet(16, 32, num_layers=0)",
            ValueError,
            ("num_layers is a whole number ≥ 1", "got 0"),
        ),
        Case(
            "Dropout in percent",
            "SNLNet(16, 32, num_layers=2, dropout=20)",
            ValueError,
            ("the probability to drop", "got 20", "Write 0.2 for 20 %"),
            "nlpyang/hiersumm#17",
        ),
        Case(
            "Dropout as yes or no",
            "SNLNet(16, 32, num_layers=2, dropout=True)",
            ValueError,
            ("the probability to drop", "from 0 to 1", "got True"),
        ),
        Case(
            "An activation as a class",
            "SNLNet(16, 32, num_layers=2, act=torch.nn.SiLU)",
            TypeError,
            ("the name of an activation or one itself", "got the class SiLU", "act=SiLU()"),
            "paul-krug/pytorch-tcn#20",
        ),
        Case(
            "A norm as a class",
            "SNLNet(16, 32, num_layers=2, norm=torch.nn.BatchNorm1d)",
            TypeError,
            ("got the class BatchNorm1d", "norm=BatchNorm1d(hidden_channels)"),
        ),
        Case(
            "A norm without channels, by its name",
            'SNLNet(16, 32, num_layers=2, norm="PairNorm")',
            ValueError,
            ('norm "PairNorm" has no number of channels', "norm=torch_geometric.nn.PairNorm()"),
            "pyg#10337",
        ),
        Case(
            "A way to join layers that is not there",
            'SNLNet(16, 32, num_layers=2, jk="concat")',
            ValueError,
            ('unknown jk "concat"', 'Did you mean "cat"?'),
        ),
    ),
)
