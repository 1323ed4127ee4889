"""Blocks of other implementations, loaded here, give what their own mathematics gives."""

import pytest
import torch
from timm.layers import BatNonLocalAttn, NonLocalAttn

from snl_graph.interchange import LAYOUTS, InterchangeError, convert_block, foreign_blocks
from tests.interchange.published import CHANNELS, PUBLISHED, SIZES, Published
from tests.tolerances import assert_equal

CASES = [
    pytest.param(case, axes, id=f"{name}-{axes}d")
    for name, case in PUBLISHED.items()
    for axes in case.axes
]


@pytest.mark.parametrize(("case", "axes"), CASES)
def test_converted_block_equals_the_published_formula(case: Published, axes: int) -> None:
    weights = case.weights(axes)
    leaves = {name: w.clone() for name, w in weights.items()}
    for name, weight in leaves.items():
        weight.requires_grad_(weight.is_floating_point() and "running" not in name)
    block, report = convert_block(weights, **case.settings)
    assert report.layout == case.layout
    assert report.is_exact == case.is_exact
    assert not report.unused
    x = torch.randn(2, CHANNELS, *SIZES[axes], dtype=torch.float64, requires_grad=True)
    expected, actual = case.formula(leaves, x), block.eval()(x)
    assert_equal(actual, expected)
    probe = torch.randn_like(expected)
    (wanted,) = torch.autograd.grad((expected * probe).sum(), x, retain_graph=True)
    (found,) = torch.autograd.grad((actual * probe).sum(), x, retain_graph=True)
    assert_equal(found, wanted)
    if not case.is_exact:
        return
    parameters = dict(block.named_parameters())
    for one in report.matched:
        if one.name not in parameters:
            continue
        (source,) = one.sources
        (wanted,) = torch.autograd.grad((expected * probe).sum(), leaves[source], retain_graph=True)
        (found,) = torch.autograd.grad(
            (actual * probe).sum(), parameters[one.name], retain_graph=True
        )
        assert_gradients_equal(found, wanted.reshape(found.shape))


def assert_gradients_equal(found: torch.Tensor, wanted: torch.Tensor) -> None:
    """Of a bias that a softmax does not see the gradient is 0 but for rounding."""
    assert (found - wanted).abs().max() <= 1e-10 * max(1.0, float(wanted.abs().max()))


def test_every_layout_is_tested() -> None:
    assert {case.layout for case in PUBLISHED.values()} | {"timm", "bat"} == set(LAYOUTS)


@pytest.mark.parametrize("use_scale", [True, False])
def test_block_of_timm_gives_what_the_module_of_timm_gives(use_scale: bool) -> None:
    theirs = NonLocalAttn(CHANNELS, use_scale=use_scale, rd_channels=3).double()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter)
    ours, report = convert_block(theirs.state_dict(), use_scale=use_scale)
    assert report.layout == "timm"
    assert report.is_exact
    for is_training in (True, False):  # the first of them moves the running statistics of both
        theirs.train(is_training)
        ours.train(is_training)
        x = torch.randn(3, CHANNELS, 4, 6, dtype=torch.float64, requires_grad=True)
        expected, actual = theirs(x), ours(x)
        assert_equal(actual, expected)
        (wanted,) = torch.autograd.grad(expected.square().sum(), x)
        (found,) = torch.autograd.grad(actual.square().sum(), x)
        assert_equal(found, wanted)
    assert_equal(ours.units[0].bn.running_var, theirs.norm.running_var)


def test_block_that_is_no_filter_is_refused_by_name() -> None:
    theirs = BatNonLocalAttn(CHANNELS, block_size=2, rd_channels=4)
    assert foreign_blocks(theirs.state_dict()) == {"": "bat"}
    with pytest.raises(InterchangeError, match="P X Q with matrices P and Q of fixed size"):
        convert_block(theirs.state_dict())


@pytest.mark.parametrize(
    ("case", "mode"), [("a2", "batch"), ("a2", "positions"), ("ccnet", "queries")]
)
def test_softmax_over_other_axes_is_refused(case: str, mode: str) -> None:
    with pytest.raises(InterchangeError, match=f'mode "{mode}" is not one of this library'):
        convert_block(PUBLISHED[case].weights(2), mode=mode)


def test_gamma_of_zero_is_told() -> None:
    weights = PUBLISHED["ccnet"].weights(2)
    weights["gamma"].zero_()
    block, report = convert_block(weights)
    assert "value_conv is lost" in str(report)
    x = torch.randn(1, CHANNELS, 3, 4, dtype=torch.float64)
    assert torch.equal(block(x), x)


def test_group_norm_of_mmcv_needs_its_number_of_groups() -> None:
    weights = PUBLISHED["mmcv dot product"].weights(2)
    for part in ("weight", "bias"):
        weights[f"conv_out.gn.{part}"] = torch.randn(CHANNELS, dtype=torch.float64)
    with pytest.raises(InterchangeError, match='pass norm="group:32"'):
        convert_block(weights)
    block, _ = convert_block(weights, norm="group:4")
    assert block.units[0].bn.num_groups == 4
