"""Maps that act on channels commute with A: taken first or last, the filter is the same."""

import pytest
import torch
from torch import nn
from torch_geometric.nn.dense import Linear

from snl_graph.filters import Chebyshev, Monomial, Polynomial, maps
from snl_graph.filters.maps import JointMaps
from snl_graph.operators import DenseOperator
from tests.tolerances import assert_equal

BASES = {
    "monomial": Monomial(),
    "chebyshev": Chebyshev(),
    "scaled": Chebyshev(1.5),
    "per item": Chebyshev(torch.tensor([1.5, 2.0], dtype=torch.float64)[:, None, None]),
}
TAPS = {
    "free": None,
    "one": {3: (0.0, 1.0, 0.0)},
    "tied": {1: (-1.0, 0.0, 1.0)},
    "two": {0: (1.0, 0.0, 0.0), 2: (0.5, 0.0, -2.0)},
    "first": {0: (1.0, 0.0, 0.0)},
    "nothing": {0: (0.0, 0.0, 0.0)},
}


@pytest.fixture(params=["at once", "in blocks"])
def blocks(request, monkeypatch):
    if request.param == "in blocks":
        monkeypatch.setattr(maps, "_LEAST_ROWS", 0)
        monkeypatch.setattr(maps, "_ROWS", 3)


def linear_maps(taps, out_channels=2):
    return {tap: Linear(5, out_channels, bias=False).double() for tap in taps}


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("taps", TAPS.values(), ids=TAPS.keys())
@pytest.mark.parametrize("basis", BASES.values(), ids=BASES.keys())
def test_narrow_evaluation_equals_the_forward_recurrence(basis, taps):
    made = Polynomial(3, basis, taps)
    lins = linear_maps(made.taps)
    matrix = torch.randn(2, 7, 7, dtype=torch.float64, requires_grad=True)
    z = torch.randn(2, 7, 5, dtype=torch.float64, requires_grad=True)
    inputs = [matrix, z, *(lin.weight for lin in lins.values())]
    results = []
    for weights in (JointMaps(lins, 2), lins):
        out = made(DenseOperator(matrix), z, weights)
        found = torch.autograd.grad(out.square().sum(), inputs, allow_unused=True)
        grads = [torch.zeros(1) if grad is None else grad for grad in found]
        results.append([out, *(grad if grad.abs().any() else torch.zeros(1) for grad in grads)])
    for mine, theirs in zip(*results, strict=True):
        assert_equal(mine, theirs)


def test_a_is_applied_at_the_width_of_the_output():
    widths = []

    class Recording(DenseOperator):
        def apply(self, z):
            widths.append(z.shape[-1])
            return super().apply(z)

    a, z = Recording(torch.rand(7, 7).double()), torch.randn(7, 5, dtype=torch.float64)
    for out_channels, expected in ((2, 2), (5, 5), (8, 5)):
        widths.clear()
        made = Polynomial(4, Chebyshev())
        made(a, z, JointMaps(linear_maps(made.taps, out_channels), out_channels))
        assert widths == [expected] * 3


@pytest.mark.usefixtures("blocks")
def test_second_derivatives_of_the_joint_product():
    lins = linear_maps((0, 1))
    z = torch.randn(7, 5, dtype=torch.float64, requires_grad=True)
    inputs = (z, *(lin.weight for lin in lins.values()))  # changed in place by the check

    def images(*_):
        return tuple(JointMaps(lins, 2).images(z).values())

    assert torch.autograd.gradcheck(images, inputs)
    assert torch.autograd.gradgradcheck(images, inputs)


@pytest.mark.parametrize("change", ["hook", "another module", "lazy"])
def test_a_map_that_is_more_than_a_matrix_is_called(monkeypatch, change):
    monkeypatch.setattr(maps, "_LEAST_ROWS", 0)
    lins: dict[int, nn.Module] = dict(linear_maps((0, 1)))
    if change == "hook":
        lins[0].register_forward_hook(lambda module, arguments, out: 2 * out)
    elif change == "another module":
        lins[0] = nn.Sequential(lins[0], nn.Tanh())
    else:
        lins[0] = Linear(-1, 2, bias=False).double()
    z = torch.randn(7, 5, dtype=torch.float64)
    images = JointMaps(lins, 2).images(z)
    for tap, lin in lins.items():
        assert_equal(images[tap], lin(z))
