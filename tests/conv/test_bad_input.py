"""Every mistake of a caller gets one error that says what came, what was expected, what to do."""

import re

import pytest
import torch
from torch_geometric import EdgeIndex

import snl_graph
from snl_graph import SNLConv
from snl_graph.filters import Polynomial
from snl_graph.kernels import Dot
from tests.conv.formulas import EDGES, NODES

pytestmark = pytest.mark.filterwarnings("ignore:Sparse")

X = torch.ones(NODES, 4)
WEIGHT = torch.ones(9)
CHEBYSHEV = {"basis": "chebyshev"}
LEARNED = {"kernel": "dot"}


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"K": 0}, ValueError, "whole number ≥ 1; got 0"),
        ({"K": 1.5}, ValueError, "whole number ≥ 1; got 1.5"),
        ({"kernel": "dott"}, ValueError, 'unknown kernel "dott". Did you mean "dot"?'),
        ({"kernel": 3}, TypeError, "kernel must be a name or a Kernel, got int"),
        ({"basis": "hermite"}, ValueError, 'unknown basis "hermite"'),
        ({"filter": "boxcar"}, ValueError, 'unknown filter "boxcar"'),
        ({"normalization": "row"}, ValueError, 'unknown normalization "row"'),
        ({"kernel": "signed_dot"}, ValueError, 'Use kernel="dot" or normalization="none"'),
        ({"heads": 2}, ValueError, "kernel=None has none"),
        ({"hidden_channels": 2}, ValueError, "leave hidden_channels out"),
        ({**LEARNED, "heads": 0}, ValueError, "heads is a whole number ≥ 1; got 0"),
        ({**LEARNED, "heads": 3}, ValueError, "hidden_channels = 2 (out_channels by default)"),
        ({**LEARNED, "hidden_channels": 0}, ValueError, "hidden_channels is a whole number"),
        ({"kernel": "gaussian", "hidden_channels": 4}, ValueError, "has no meaning"),
        ({**LEARNED, "cached": True}, ValueError, "those of a kernel change"),
        ({"lambda_max": 1.5}, ValueError, 'Use basis="chebyshev"'),
        ({"lambda_max": "estimate"}, ValueError, 'Use basis="chebyshev"'),
        ({"filter": "chebyshev", "lambda_max": 1.5}, ValueError, "(and no filter)"),
        ({**CHEBYSHEV, "lambda_max": 0}, ValueError, "must be positive, got 0"),
        ({**CHEBYSHEV, "lambda_max": "guess"}, ValueError, 'got "guess"'),
        ({**CHEBYSHEV, "lambda_max": None}, TypeError, "got NoneType"),
        ({**CHEBYSHEV, "lambda_max": torch.ones(2, 2)}, ValueError, "of shape (2, 2)"),
        ({**CHEBYSHEV, "lambda_max": -torch.ones(2)}, ValueError, "positive, got [-1.0, -1.0]"),
        (
            {**CHEBYSHEV, "lambda_max": "estimate", "normalization": "rw"},
            ValueError,
            'normalization="sym"',
        ),
        ({"filter": "monomial", **CHEBYSHEV}, ValueError, "basis = 'chebyshev' came as well"),
        ({"filter": Polynomial(3), "K": 4}, ValueError, "leave K out"),
        ({"aggr": "mean"}, ValueError, "aggr is 'add'; got 'mean'"),
        ({"node_dim": 0}, ValueError, "node_dim is -2; got 0"),
        ({"flow": "sideways"}, ValueError, "sideways"),
        ({"normalisation": "rw"}, TypeError, "normalisation"),
    ],
)
def test_options(options, error, message):
    with pytest.raises(error, match=re.escape(message)):
        SNLConv(4, 2, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "different nodes. Use"),
        ({"normalization": "rw", "K": 3}, "K ≤ 2"),
        ({"normalization": "rw", **CHEBYSHEV, "lambda_max": 1.5}, "no lambda_max"),
    ],
)
def test_options_that_bipartite_graphs_do_not_have(options, message):
    pair = (torch.ones(5, 4), torch.ones(3, 4))
    with pytest.raises(ValueError, match=re.escape(message)):
        SNLConv((4, 4), 2, **options)
    with pytest.raises(ValueError, match=re.escape(message)):
        SNLConv(4, 2, **options)(pair, torch.zeros(2, 1, dtype=torch.long))


ZERO = torch.zeros(NODES, dtype=torch.long)


@pytest.mark.parametrize(
    ("options", "call", "error", "message"),
    [
        ({}, ([1.0], EDGES), TypeError, "x must be a tensor (N, F) or (B, N, F), or"),
        ({}, (X[0], EDGES), ValueError, "got (4,)"),
        ({}, (X[None, None], EDGES), ValueError, "got (1, 1, 7, 4)"),
        ({}, (X[:, :3], EDGES), ValueError, "has 3 channels"),
        ({}, (X.long(), EDGES), TypeError, "got torch.int64. Use x.float()"),
        ({}, (X.double(), EDGES), TypeError, "x is torch.float64 and the layer torch.float32"),
        ({}, (X.to("meta"), EDGES), ValueError, "x is on meta and the layer on cpu"),
        ({}, (X.to_sparse(), EDGES), TypeError, "features are dense"),
        ({}, ((X, None), EDGES), TypeError, "both given; got a tuple of 2"),
        ({}, (X, EDGES.tolist()), TypeError, "got list"),
        ({}, (X, EDGES.to("meta")), ValueError, "edge_index is on meta"),
        ({}, (X, EDGES.t()), ValueError, "A list of pairs (E, 2) is edge_index.t()"),
        ({}, (X, EDGES.float()), TypeError, "got torch.float32"),
        ({}, (X, torch.eye(NODES)), TypeError, "A.to_sparse_csr()"),
        ({}, (X, EDGES.short()), TypeError, "Use edge_index.long()"),
        ({}, (X, EDGES + 3), IndexError, "0 .. 6 for 7 nodes; it reaches from 3 to 8"),
        ({}, (X, EDGES - 1), IndexError, "it reaches from -1"),
        ({}, (X, EDGES, WEIGHT[1:]), ValueError, "shape (9,); got (8,)"),
        ({}, (X, EDGES, WEIGHT[:, None]), ValueError, "shape (9,); got (9, 1)"),
        ({}, (X.expand(2, -1, -1), EDGES, WEIGHT.expand(3, -1)), ValueError, "(9,) or (2, 9)"),
        ({}, (X, EDGES, WEIGHT.long()), TypeError, "edge_weight must be floating point"),
        ({}, (X, EDGES, [1.0] * 9), TypeError, "got list"),
        ({}, (X, EDGES, WEIGHT.to("meta")), ValueError, "edge_weight is on meta"),
        ({}, (X, EDGES, -WEIGHT), ValueError, 'Use normalization="rw" or "none"'),
        ({}, (X, EDGES, WEIGHT / 0), ValueError, "edge_weight has 9 non-finite values"),
        (
            {"kernel": "rbf", "normalization": "rw"},
            (X, EDGES, -WEIGHT),
            ValueError,
            "adds their logarithm",
        ),
        ({}, (X, EDGES, None, ZERO[1:]), ValueError, "shape (7,); got (6,)"),
        ({}, (X, EDGES, None, ZERO.int()), TypeError, "torch.int64), got torch.int32"),
        ({}, (X, EDGES, None, ZERO.to("meta")), ValueError, "batch is on meta"),
        ({}, (X, EDGES, None, ZERO + 2, None, 2), IndexError, "batch must lie in 0 .. 1"),
        ({}, (X, EDGES, None, 1 - ZERO.cumsum(0).add(1).clamp(max=1).flip(0)), ValueError, ""),
        ({}, (X, EDGES, None, None, None, 2), ValueError, "batch_size = 2 graphs need batch"),
        ({}, (X, EDGES, None, None, 1.5), ValueError, 'Use basis="chebyshev"'),
        (CHEBYSHEV, (X, EDGES, None, None, torch.ones(2)), ValueError, "needs batch"),
        (CHEBYSHEV, (X, EDGES, None, ZERO, torch.ones(2), 3), ValueError, "there are 3 graphs"),
        (
            {**CHEBYSHEV, **LEARNED},
            (X, None, None, ZERO, torch.ones(2)),
            ValueError,
            "there are 1 graphs",
        ),
        (CHEBYSHEV, (X, EDGES, None, None, -1.0), ValueError, "must be positive"),
        ({}, (X,), ValueError, "Pass edge_index, or make the layer with kernel"),
        (LEARNED, (X, None, WEIGHT), ValueError, "Pass both or neither"),
        ({}, (X, torch.eye(3).to_sparse_csr()), ValueError, "= (7, 7)"),
        ({}, (X, torch.eye(7).long().to_sparse_csr()), TypeError, "Use adj_t.float()"),
        ({}, (X, torch.eye(7).to_sparse_csr(), WEIGHT), ValueError, "holds its own weights"),
        ({}, (X, -torch.eye(7).to_sparse_csr()), ValueError, "sparse adjacency must be non-neg"),
        (
            {"flow": "target_to_source"},
            (X, torch.eye(7).to_sparse_csr()),
            ValueError,
            "Pass adj_t.t()",
        ),
        ({}, (X, EdgeIndex(EDGES, sparse_size=(9, 9))), ValueError, "of size (9, 9)"),
    ],
)
def test_call(options, call, error, message):
    layer = SNLConv(4, 2, **options)
    if message == "":  # a batch vector that goes back to graph 0
        call = (X, EDGES, None, torch.tensor([0, 0, 1, 1, 0, 0, 0]))
        message = "batch must be sorted"
    with pytest.raises(error, match=re.escape(message)):
        layer(*call)


def test_bipartite_calls():
    layer = SNLConv(4, 2, normalization="rw")
    pair, edges = (torch.ones(5, 4), torch.ones(3, 4)), torch.tensor([[4], [2]])
    with pytest.raises(IndexError, match=re.escape("edge_index[1] must lie in 0 .. 2")):
        layer(pair, edges.flip(0))
    with pytest.raises(ValueError, match="belong to one set of nodes"):
        layer(pair, edges, batch=torch.zeros(3, dtype=torch.long))
    with pytest.raises(ValueError, match="same batch axes"):
        layer((torch.ones(2, 5, 4), torch.ones(3, 4)), edges)
    with pytest.raises(ValueError, match=r"x\[1\] has 3 channels"):
        layer((torch.ones(5, 4), torch.ones(3, 3)), edges)
    gaussian = SNLConv((4, 3), 2, normalization="rw", kernel="gaussian")
    with pytest.raises(ValueError, match="features of the same width"):
        gaussian((torch.ones(5, 4), torch.ones(3, 3)), edges)


def test_channels_that_heads_do_not_divide():
    with pytest.raises(ValueError, match="5 channels cannot be split into 2 heads"):
        SNLConv(5, 2, kernel="dot", heads=2)(torch.ones(NODES, 5), EDGES)


def test_features_are_looked_at_on_request():
    layer, x = SNLConv(4, 2), X.clone()
    x[3, 1] = torch.nan
    assert layer(x, EDGES).isnan().any()
    with snl_graph.value_checks(), pytest.raises(ValueError, match="x has 1 non-finite values"):
        layer(x, EDGES)


def test_a_failed_call_changes_nothing():
    layer = SNLConv(-1, 2, 3, kernel=Dot(), hidden_channels=2)
    for call in ((X, EDGES + 9), (X, EDGES, -WEIGHT)):
        with pytest.raises((ValueError, IndexError)):
            layer(*call)
    layer(torch.ones(NODES, 3), EDGES)  # still lazy: another width is welcome
    assert layer.lins[0].weight.shape == (2, 3)
