"""Wrong calls of operators, kernels, filters, masks and spectra."""

from tests.misuse.case import Area, Case

OPERATORS = Area(
    "Operators, kernels and masks",
    """
import torch

import snl_graph
from snl_graph import affinity, to_feature_map, to_graph
from snl_graph.kernels import RBF, Dot
from snl_graph.masks import BooleanMatrix, EdgeList
from snl_graph.transforms import ImageToGraph

phi = torch.ones(6, 3)
""",
    (
        Case(
            "Features as an array",
            "affinity(phi.numpy())",
            TypeError,
            ("a tensor (*batch, N, r)", "got ndarray", "torch.as_tensor(phi)"),
        ),
        Case(
            "Features without an axis of channels",
            "affinity(phi[:, 0])",
            ValueError,
            ("has shape (*batch, N, r)", "got (6,)", "x.unsqueeze(-1)"),
        ),
        Case(
            "Whole numbers as features",
            "affinity(phi.long())",
            TypeError,
            ("must be floating point", "got torch.int64", "phi.float()"),
        ),
        Case(
            "Queries and keys of different width",
            "affinity(phi, torch.ones(6, 4))",
            ValueError,
            ("must share batch and r", "(6, 3) and (6, 4)"),
        ),
        Case(
            "Queries and keys of different precision",
            "affinity(phi, phi.double())",
            TypeError,
            ("must share dtype", "torch.float64", "psi.to(phi)"),
            "nari-labs/dia#158, cubiq/ComfyUI_IPAdapter_plus#395",
        ),
        Case(
            "More keys than queries under the symmetric normalisation",
            "affinity(phi, torch.ones(9, 3))",
            ValueError,
            ("only a square affinity", "9 sources to 6 targets", '"rw" or "none"'),
            "SHI-Labs/NATTEN#25",
        ),
        Case(
            "A kernel as a class",
            "affinity(phi, kernel=Dot)",
            TypeError,
            ("a name or a Kernel", "got the class Dot", "Make an object of it: Dot(...)"),
        ),
        Case(
            "A kernel with weights by its name",
            'affinity(phi, kernel="concatenation")',
            ValueError,
            ("has weights of its own", "Make it once and pass the object"),
        ),
        Case(
            "A width of the kernel in words",
            'RBF(gamma="auto")',
            ValueError,
            ("must be a positive number", "got 'auto'"),
        ),
        Case(
            "A mask of a grid, and no size",
            'affinity(phi, mask="criss_cross")',
            ValueError,
            ("needs the spatial size of the 6 positions", "size=(H, W)"),
        ),
        Case(
            "A size that is one number",
            'affinity(phi, mask="criss_cross", size=6)',
            ValueError,
            ("whole lengths ≥ 1, e.g. (H, W)", "got 6"),
        ),
        Case(
            "A size of other positions",
            'affinity(phi, mask="criss_cross", size=(2, 4))',
            ValueError,
            ("(2, 4) has 8 positions", "phi has 6 nodes"),
        ),
        Case(
            "Weights as a mask",
            "affinity(phi, mask=torch.ones(6, 6))",
            ValueError,
            ("shape (2, E)", "got (6, 6)", "boolean: matrix > 0"),
            "QwenAudio/CosyVoice#628",
        ),
        Case(
            "A mask of pairs as a list",
            "EdgeList([[0, 1], [1, 0]])",
            TypeError,
            ("a tensor (2, E)", "got list", "torch.as_tensor"),
        ),
        Case(
            "A mask of pairs, one pair a row",
            "EdgeList(torch.zeros(5, 2).long())",
            ValueError,
            ("shape (2, E)", "got (5, 2)", "pairs.t()"),
        ),
        Case(
            "A mask of numbers",
            "BooleanMatrix(torch.ones(3, 3))",
            ValueError,
            ("boolean of shape (N, N)", "torch.float32", "weights > 0"),
            "ArcInstitute/state#213",
        ),
        Case(
            "A mask as an array",
            "affinity(phi, mask=torch.ones(6, 6).bool().numpy())",
            TypeError,
            ("a boolean tensor (N, N)", "got ndarray", "torch.as_tensor(mask)"),
        ),
        Case(
            "Real nodes as a list",
            "affinity(phi, valid=[True] * 6)",
            TypeError,
            ("a boolean tensor of shape (6,)", "got list"),
        ),
        Case(
            "Real nodes as numbers",
            "affinity(phi, valid=torch.ones(6))",
            ValueError,
            ("boolean of shape (6,)", "got torch.float32", "unlike key_padding_mask"),
            "pytorch#27968",
        ),
        Case(
            "A signal of other nodes",
            "affinity(phi) @ torch.ones(5, 2)",
            ValueError,
            ("has shape (6, 6)", "got (5, 2)"),
        ),
        Case(
            "A signal without an axis of channels",
            "affinity(phi) @ torch.ones(6)",
            ValueError,
            ("signals (*batch, 6, C)", "got (6,)", "z.unsqueeze(-1)"),
        ),
        Case(
            "A signal of another precision",
            "affinity(phi) @ torch.ones(6, 2).double()",
            TypeError,
            ("the operator is torch.float32", "the signal torch.float64", "z.to(torch.float32)"),
        ),
        Case(
            "A signal on another device",
            'affinity(phi) @ torch.ones(6, 2, device="meta")',
            ValueError,
            ("the operator is on cpu", "the signal on meta"),
        ),
        Case(
            "Signals of another batch",
            "affinity(torch.ones(2, 6, 3)) @ torch.ones(3, 6, 2)",
            ValueError,
            ("has batch axes (2,)", "the signal (3,)"),
        ),
        Case(
            "A product of operators",
            "affinity(phi) @ affinity(phi)",
            TypeError,
            ("applied to a tensor", "got DenseOperator", "A.apply(B.apply(z))"),
        ),
        Case(
            "A large operator, written down",
            "affinity(torch.ones(1_000_000, 3)).to_dense()",
            ValueError,
            ("needs at least 3725.3 GiB", "1000000×1000000", "A @ z"),
            "pygsp#107",
            elided=(r"cpu has [\d.]+ GiB",),
        ),
        Case(
            "NaN in the features",
            "with snl_graph.value_checks():\n    affinity(phi / 0)",
            ValueError,
            ("phi has 18 non-finite values", "Look at the layer or file"),
        ),
        Case(
            "The graph of an array",
            "to_graph(torch.ones(1, 3, 4, 4).numpy())",
            TypeError,
            ("a tensor (B, C, *spatial)", "got ndarray", "torch.as_tensor"),
        ),
        Case(
            "Every pair of a large image",
            "to_graph(torch.ones(1, 3, 512, 512))",
            ValueError,
            ("this graph needs at least 1024.0 GiB", "68719476736 edges", '"window:R"'),
            elided=(r"cpu has [\d.]+ GiB",),
        ),
        Case(
            "A picture that is no tensor yet",
            "from PIL import Image\nImageToGraph()(Image.new('RGB', (4, 4)))",
            TypeError,
            ("a tensor (C, *spatial)", "got Image", "ToTensor()"),
            "timm#2219",
        ),
        Case(
            "A map of unknown size",
            "to_feature_map(torch.ones(16, 3))",
            ValueError,
            ("size of the grid is not known", "size=(H, W)"),
        ),
        Case(
            "A map of another size than the graph",
            "to_feature_map(torch.ones(16, 3), size=(4, 5))",
            ValueError,
            ("16 nodes do not fill whole grids", "size (4, 5) with 20 positions"),
            "grad-cam#76",
        ),
    ),
)

FILTERS = Area(
    "Filters",
    """
import torch
from torch import nn

from snl_graph import SNLConv, filter_response, nonlocal_block
from snl_graph.filters import ARMA, ChebyshevSeries, Heat, Polynomial, approximation_error
""",
    (
        Case(
            "Fewer times than taps",
            "Heat(3, times=(1, 2))",
            ValueError,
            ("has 3 times", "got 2"),
        ),
        Case(
            "A negative time",
            "Heat(2, times=(-1, 2))",
            ValueError,
            ("must be positive and finite", "(-1.0, 2.0)"),
        ),
        Case(
            "A pole where the recursion diverges",
            "ARMA(2, poles=(1.5, 0.2))",
            ValueError,
            ("the recursion diverges", "between -1 and 1", "got (1.5, 0.2)"),
        ),
        Case(
            "An accuracy that no order reaches",
            "Heat(2, tolerance=1e-30)",
            ValueError,
            ("256 steps leave an error", "tolerance of 1.0e-30", "a greater tolerance"),
            elided=(r"an error of [\d.e-]+",),
        ),
        Case(
            "A basis by its name, inside",
            'Polynomial(3, "chebyshev")',
            TypeError,
            ("basis must be an object", "got 'chebyshev'", "Chebyshev()"),
        ),
        Case(
            "A tap as one number",
            "Polynomial(2, taps={0: 1.0})",
            TypeError,
            ("its 2 coefficients", "got {0: 1.0}"),
        ),
        Case(
            "A filter by its name, inside",
            'approximation_error("heat")',
            TypeError,
            ("filter must be an object", "got 'heat'", "Heat(2)"),
        ),
        Case(
            "A filter of one's own without an axis for its taps",
            "class Own(ChebyshevSeries):\n"
            "    def __init__(self):\n"
            "        super().__init__()\n"
            "        self.taps = (0,)\n"
            "        self.settle_steps(None, 1e-2)\n"
            "    def response(self, lambdas):\n"
            "        return torch.exp(-lambdas)\n"
            "Own()",
            ValueError,
            ("Own.response gives (n, taps)", "got (401,)", "response.unsqueeze(-1)"),
        ),
        Case(
            "The response of a layer without a filter",
            "filter_response(nn.Linear(2, 2), torch.linspace(0, 2, 5))",
            TypeError,
            ("Linear has no graph filter", "expected a nonlocal block"),
        ),
        Case(
            "The response at one number",
            "filter_response(SNLConv(2, 2), 1.0)",
            ValueError,
            ("must have shape (n,)", "got ()"),
        ),
        Case(
            "The response of a layer that has not run",
            "filter_response(SNLConv(-1, 2), torch.linspace(0, 2, 5))",
            ValueError,
            ("has no weights yet", "Run it once first"),
            "galilai-group/stable-pretraining#189",
        ),
        Case(
            "The response everywhere",
            'filter_response(SNLConv(2, 2), "all")',
            TypeError,
            ("lambdas are numbers, shape (n,)", "got 'all'", "linspace(0, 2, 201)"),
        ),
        Case(
            "The response of several units at once",
            'filter_response(nonlocal_block("snl", 4, depth=2), torch.linspace(0, 2, 5))',
            ValueError,
            ("has 2 units with a filter each", "block.units[i]"),
        ),
    ),
)

SPECTRA = Area(
    "Spectra",
    """
import networkx as nx
import numpy as np
import torch
from torch import nn
from torch_geometric.data import Data

from snl_graph import (
    affinity, check_laplacian, gft, nonlocal_block, spectral_density, spectrum
)

graph = nx.path_graph(4)
""",
    (
        Case(
            "A file in place of a graph",
            'spectrum("karate.graphml")',
            TypeError,
            ("no graph in str", "expected an operator", "networkx.read_graphml"),
        ),
        Case(
            "A list in place of a matrix",
            "spectrum([[0, 1], [1, 0]])",
            TypeError,
            ("no graph in list", "a tensor or an array of weights"),
        ),
        Case(
            "A matrix that is not square",
            "spectrum(torch.ones(4, 5))",
            ValueError,
            ("are square, (*batch, N, N)", "got (4, 5)"),
            "networkx#1293, networkx#4092",
        ),
        Case(
            "Edges in place of a matrix",
            "spectrum(torch.zeros(2, 5).long())",
            ValueError,
            ("are square, (*batch, N, N)", "got (2, 5)", "Data(edge_index=edge_index"),
        ),
        Case(
            "Negative weights",
            "spectrum(torch.ones(4, 4) - 2 * torch.eye(4))",
            ValueError,
            ("must be non-negative", "least value is -1", "Take absolute values"),
            "networkx#6865",
        ),
        Case(
            "Weights that are not finite",
            "spectrum(np.full((3, 3), np.nan))",
            ValueError,
            ("9 non-finite values", "Look at the layer or file"),
        ),
        Case(
            "Words as weights",
            'near = nx.Graph()\nnear.add_edge(0, 1, weight="near")\nspectrum(near)',
            TypeError,
            ('the attribute "weight"', "'near'", "Give every edge a number"),
            "pyg#1645",
        ),
        Case(
            "Complex weights",
            "spectrum(torch.ones(3, 3) * 1j)",
            TypeError,
            ("weights are real numbers", "holds torch.complex64"),
        ),
        Case(
            "More eigenvalues than there are",
            "spectrum(graph, k=5)",
            ValueError,
            ("how many of the 4 eigenvalues", "got 5"),
            "scipy#6430, scipy#4935",
        ),
        Case(
            "All eigenvalues of a large graph",
            'a = affinity(torch.ones(30_000, 3), kernel="rbf", normalization="rw")\nspectrum(a)',
            ValueError,
            ("all eigenvalues of 30000 nodes", "8192 nodes is the most", "k=16"),
            "pygsp#107",
        ),
        Case(
            "A block without a map",
            'spectrum(nonlocal_block("snl", 8))',
            TypeError,
            ("no graph in NonlocalBlock", "(block, feature map)"),
        ),
        Case(
            "A whole network",
            "net = nn.Sequential(nn.Conv2d(3, 8, 3))\nspectrum((net, torch.ones(1, 3, 8, 8)))",
            TypeError,
            ("no graph in the tuple (Sequential, Tensor)", "block_inputs(model, x)"),
        ),
        Case(
            "Queries and pooled keys",
            'spectrum((nonlocal_block("nl", 8, subsample=2), torch.ones(1, 8, 4, 4)))',
            ValueError,
            ("needs a square operator", "(1, 16, 4)", "subsampled"),
        ),
        Case(
            "A Data without edges",
            "spectrum(Data(x=torch.ones(3, 2)))",
            ValueError,
            ("has no edge_index", "data.edge_index, or data.adj_t"),
        ),
        Case(
            "A Data with its edges as pairs",
            "spectrum(Data(edge_index=torch.zeros(5, 2).long()))",
            ValueError,
            ("of shape (2, E)", "of shape (5, 2)", "pairs.t()"),
            "pyg#221",
        ),
        Case(
            "Features of edges as weights",
            "edges = torch.tensor([[0, 1], [1, 0]])\n"
            "spectrum(Data(edge_index=edges, edge_attr=torch.ones(2, 3), num_nodes=2))",
            ValueError,
            ("one weight each, shape (E,)", "edge_attr has (2, 3)", "data.edge_weight"),
        ),
        Case(
            "Properties of a Laplacian that is none",
            "a = affinity(\n"
            '    torch.eye(3) + 1, torch.eye(3), kernel="signed_dot", normalization="none"\n'
            ")\n"
            "check_laplacian(a).raise_if_failed()",
            ValueError,
            ("is not a normalised Laplacian", "Property", 'normalization="sym"'),
            "pygsp#106",
            elided=(r"(?<=: ).*(?= Use normalization)",),
        ),
        Case(
            "No bins",
            "spectral_density(graph, bins=0)",
            ValueError,
            ("a whole number ≥ 1", "got 0"),
        ),
        Case(
            "The distribution of nothing",
            "spectral_density(nx.Graph())",
            ValueError,
            ("a graph without nodes", "no eigenvalues"),
        ),
        Case(
            "A signal of other nodes",
            "gft(graph, torch.ones(5, 2))",
            ValueError,
            ("on 4 nodes has shape (4,) or (4, C)", "got (5, 2)"),
        ),
    ),
)
