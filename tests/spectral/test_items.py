"""An item of a batch is the operator of that item, in every representation."""

import pytest
import torch

from snl_graph import affinity
from snl_graph.conv.lambda_max import RescaledOperator
from snl_graph.operators import LinearDiagonal, ScaledOperator, SymmetrizedOperator
from snl_graph.spectral.graph import OneGraph
from snl_graph.spectral.items import for_each_item, item

SIZE = (3, 4)
CASES = [
    ("dot", "full", "factored"),
    ("dot", "full", "dense"),
    ("dot", "full", "edges"),
    ("dot", "criss_cross", "grid"),
    ("rbf", "criss_cross", "grid"),
    ("gaussian", "full", "streaming"),
    ("gaussian", "full", "dense"),
    ("gaussian", "window:1", "edges"),
]


@pytest.mark.parametrize("normalization", ["sym", "rw", "none"])
@pytest.mark.parametrize(("kernel", "mask", "representation"), CASES)
def test_an_item_is_the_operator_of_the_item(kernel, mask, representation, normalization):
    torch.manual_seed(0)
    phi, psi = torch.randn(2, 2, 3, 12, 2, dtype=torch.float64)
    options = {
        "kernel": kernel,
        "mask": mask,
        "representation": representation,
        "normalization": normalization,
        "size": SIZE,
    }
    batch = affinity(phi, psi, **options)
    z = torch.randn(12, 2, dtype=torch.float64)
    for a in (
        batch,
        RescaledOperator(batch, 0.7),
        ScaledOperator(batch, LinearDiagonal(phi[..., 0]), LinearDiagonal(psi[0, 0, :, 0])),
        SymmetrizedOperator(batch),
    ):
        for index in ((0, 0), (1, 2)):
            one = item(a, index)
            expected = a.to_dense()[index]
            assert one.shape == (12, 12)
            assert one.is_symmetric == a.is_symmetric
            torch.testing.assert_close(one.to_dense(), expected)
            torch.testing.assert_close(one.apply(z), expected @ z)
            torch.testing.assert_close(one.T.apply(z), expected.mT @ z)
            torch.testing.assert_close(one.degree(), a.degree()[index])
            graph = OneGraph(one)
            torch.testing.assert_close(torch.from_numpy(graph.dense), expected)
            torch.testing.assert_close(torch.from_numpy(graph.apply(z.numpy())), expected @ z)
            torch.testing.assert_close(
                torch.from_numpy(graph.apply_transposed(z.numpy())), expected.mT @ z
            )


def test_results_are_nested_as_the_batch_axes_are():
    a = affinity(torch.rand(2, 3, 5, 2))
    found = for_each_item(a, lambda one: float(one.to_dense()[0, 0]))
    torch.testing.assert_close(torch.tensor(found), a.to_dense()[..., 0, 0])
    assert for_each_item(affinity(torch.rand(0, 5, 2)), float) == []


def test_a_rectangular_operator_is_refused():
    a = affinity(torch.rand(2, 3), torch.rand(4, 3), normalization="rw")
    with pytest.raises(ValueError, match=r"square operator.*\(2, 4\)"):
        for_each_item(a, float)
