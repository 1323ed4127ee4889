"""What holds for every block: shapes, padding, stages, formats, starts and errors."""

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn
from torch_geometric.data import Data

import snl_graph
from snl_graph import nonlocal_block
from snl_graph.blocks import ROWS
from snl_graph.filters import Polynomial
from snl_graph.kernels import SignedDot
from tests.tolerances import assert_equal

ADDED_TO_RESNET50 = {"nl": 2_099_200, "ns": 2_099_200, "cgnl": 2_099_200, "snl": 2_623_488}


@pytest.mark.parametrize(("name", "count"), ADDED_TO_RESNET50.items())
def test_parameters_are_those_of_table_6(name: str, count: int) -> None:
    block = nonlocal_block(name, 1024)
    assert sum(p.numel() for p in block.parameters()) == count


STATE = {
    "nl": {"units.0.g.weight": (2, 6), "units.0.w.1.weight": (6, 2)},
    "ns": {"units.0.g.weight": (2, 6), "units.0.w.1.weight": (6, 2)},
    "a2": {"units.0.g.weight": (2, 6), "units.0.w.1.weight": (6, 2)},
    "cgnl": {"units.0.g.weight": (2, 6), "units.0.w.1.weight": (6, 2)},
    "cc": {"units.0.w.1.weight": (6, 6)},
    "snl": {
        "units.0.g.weight": (2, 6),
        "units.0.w.0.weight": (6, 2),
        "units.0.w.1.weight": (6, 2),
    },
    "gsnl": {"units.0.g.weight": (2, 6)} | {f"units.0.w.{k}.weight": (6, 2) for k in range(3)},
}
BATCH_NORM = {
    f"units.0.bn.{key}": ((6,) if key != "num_batches_tracked" else ())
    for key in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
}


@pytest.mark.parametrize("name", ROWS)
def test_state_dict_keeps_its_keys_and_shapes(name: str) -> None:
    affinity = {f"affinity.{factor}.weight": (2, 6) for factor in ("phi", "psi")}
    state = nonlocal_block(name, 6, reduction=3).state_dict()
    found = {key: tuple(value.shape) for key, value in state.items()}
    assert found == affinity | STATE[name] | BATCH_NORM


@pytest.mark.parametrize("size", [(7,), (5, 3), (2, 3, 2), (1, 1)], ids=str)
@pytest.mark.parametrize("name", ROWS)
def test_shape_is_kept_and_every_parameter_gets_a_gradient(
    name: str, size: tuple[int, ...]
) -> None:
    block = nonlocal_block(name, 8)
    x = torch.randn(3, 8, *size, requires_grad=True)
    y = block(x)
    assert y.shape == x.shape
    (y * torch.randn_like(y)).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in block.parameters())
    assert x.grad is not None
    assert x.grad.isfinite().all()


@pytest.mark.parametrize(
    ("dim", "memory_format"), [(4, torch.channels_last), (5, torch.channels_last_3d)]
)
@pytest.mark.parametrize("name", ROWS)
def test_channels_last_stays_channels_last(
    name: str, dim: int, memory_format: torch.memory_format
) -> None:
    block = nonlocal_block(name, 8).double()
    x = torch.randn(2, 8, *(3, 4, 5)[: dim - 2], dtype=torch.float64)
    y = block(x.contiguous(memory_format=memory_format))
    assert y.is_contiguous(memory_format=memory_format)
    expected = block(x)
    assert expected.is_contiguous()
    assert_equal(y, expected)


@pytest.mark.parametrize("name", [n for n, row in ROWS.items() if row.mask == "full"])
def test_positions_may_be_permuted(name: str) -> None:
    block = nonlocal_block(name, 8).double().eval()
    x = torch.randn(2, 8, 12, dtype=torch.float64)
    order = torch.randperm(12)
    assert_equal(block(x[..., order]), block(x)[..., order])


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("norm", ["batch", "group", "layer", "none"])
@pytest.mark.parametrize("name", ROWS)
def test_padded_map_equals_the_map_alone(name: str, norm: str, training: bool) -> None:
    block = nonlocal_block(name, 8, norm=norm).double().train(training)
    alone = copy.deepcopy(block)
    x = torch.randn(2, 8, 3, 4, dtype=torch.float64)
    padded = torch.randn(2, 8, 5, 6, dtype=torch.float64) * 100
    padded[:, :, :3, :4] = x
    valid = torch.zeros(2, 5, 6, dtype=torch.bool)
    valid[:, :3, :4] = True
    assert_equal(block(padded, valid)[:, :, :3, :4], alone(x))
    for key, value in alone.state_dict().items():
        assert_equal(block.state_dict()[key].double(), value.double())


@pytest.mark.parametrize("name", ["nl", "a2"])
def test_padding_is_left_out_of_subsampled_keys(name: str) -> None:
    block = nonlocal_block(name, 8, subsample=2).double().eval()
    x = torch.randn(2, 8, 4, 4, dtype=torch.float64)
    padded = torch.nn.functional.pad(x, (0, 2, 0, 4), value=50.0)
    valid = torch.zeros(2, 8, 6, dtype=torch.bool)
    valid[:, :4, :4] = True
    assert_equal(block(padded, valid)[:, :, :4, :4], block(x))


@pytest.mark.parametrize("momentum", [0.0, 0.3, None])
def test_statistics_of_padded_maps_follow_the_momentum(momentum: float | None) -> None:
    block = nonlocal_block("snl", 8).double()
    block.units[0].bn.momentum = momentum
    alone = copy.deepcopy(block)
    for seed in range(3):
        x = torch.randn(2, 8, 3, 4, dtype=torch.double, generator=torch.manual_seed(seed))
        alone(x)
        padded = torch.nn.functional.pad(x, (0, 2), value=50.0)
        block(padded, (torch.arange(6) < 4).expand(2, 3, 6))
    for found, wanted in zip(block.buffers(), alone.buffers(), strict=True):
        assert_equal(found.double(), wanted.double())


def test_padding_is_left_out_of_a_batch_norm_that_tracks_nothing() -> None:
    block = nonlocal_block("snl", 8).double().eval()
    block.units[0].bn = type(block.units[0].bn)(8, track_running_stats=False).double().eval()
    x = torch.randn(2, 8, 3, 4, dtype=torch.double)
    padded = torch.nn.functional.pad(x, (0, 2), value=50.0)
    valid = (torch.arange(6) < 4).expand(2, 3, 6)
    assert_equal(block(padded, valid)[..., :4], block(x))


def test_synchronised_batch_norm_leaves_padding_out_in_testing_only() -> None:
    block = nonlocal_block("snl", 4).double()
    x = torch.randn(2, 4, 3, 5, dtype=torch.double)
    valid = torch.arange(5).expand(2, 3, 5) < 4
    block(x)  # statistics of its own
    synced = nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(block))
    assert_equal(synced.eval()(x, valid), block.eval()(x, valid))
    with pytest.raises(TypeError, match=r'SyncBatchNorm .* norm="group"'):
        synced.train()(x, valid)


def test_item_without_a_valid_position_is_finite() -> None:
    valid = torch.tensor([[True, True, False], [False, False, False]])
    for name in ROWS:
        x = torch.randn(2, 8, 3, requires_grad=True)
        y = nonlocal_block(name, 8)(x, valid)
        y.sum().backward()
        assert y.isfinite().all(), name
        assert x.grad is not None
        assert x.grad.isfinite().all(), name


def test_stage_shares_one_affinity_among_its_units() -> None:
    stage = nonlocal_block("snl", 8, depth=2).double().eval()
    x = torch.randn(2, 8, 3, 4, dtype=torch.float64)
    a = stage.affinity_of(x).to_dense()
    y = x
    for unit in stage.units:
        nodes = y.flatten(2).mT
        z = nodes @ unit.g.weight.T
        f = z @ unit.w["0"].weight.T + a @ z @ unit.w["1"].weight.T
        y = y + unit.bn(f.mT.reshape(x.shape))
    assert_equal(stage(x), y)


def test_recurrence_applies_the_same_block_again() -> None:
    torch.manual_seed(1)
    twice = nonlocal_block("cc", 8, recurrence=2).double().eval()
    torch.manual_seed(1)
    once = nonlocal_block("cc", 8).double().eval()
    x = torch.randn(2, 8, 3, 4, dtype=torch.float64)
    assert_equal(twice(x), once(once(x)))
    assert twice.state_dict().keys() == once.state_dict().keys()


@pytest.mark.parametrize("norm", ["batch", "group", "layer", "none"])
@pytest.mark.parametrize("name", ROWS)
def test_zero_init_is_the_identity_and_can_learn(name: str, norm: str) -> None:
    block = nonlocal_block(name, 8, norm=norm, zero_init=True)
    x = torch.randn(2, 8, 3, 4)
    y = block(x)
    assert torch.equal(y, x)
    (y * torch.randn_like(y)).sum().backward()
    moved = block.units[0].w if norm == "none" else block.units[0].bn
    assert any(p.grad.abs().sum() > 0 for p in moved.parameters())


def test_copies_and_pickles_are_equal() -> None:
    block = nonlocal_block("gsnl", 8, heads=2, mask="window:1").eval()
    x = torch.randn(2, 8, 3, 4)
    for twin in (copy.deepcopy(block), pickle.loads(pickle.dumps(block))):
        assert torch.equal(twin(x), block(x))


def test_synchronised_batch_norm_takes_the_place_of_batch_norm() -> None:
    block = nn.SyncBatchNorm.convert_sync_batchnorm(nonlocal_block("snl", 8))
    assert isinstance(block.units[0].bn, nn.SyncBatchNorm)


@pytest.mark.parametrize("name", ROWS)
def test_affinity_of_is_what_the_forward_pass_uses(name: str) -> None:
    block = nonlocal_block(name, 8, norm="none").double()
    x = torch.randn(2, 8, 3, 4, dtype=torch.float64)
    nodes, unit = x.flatten(2).mT, block.units[0]
    z = nodes if unit.g is None else nodes @ unit.g.weight.T
    signal = z.mT.flatten(1).unsqueeze(-1) if name == "cgnl" else z
    a = block.affinity_of(x).to_dense()
    powers = {"ns": lambda k: a @ signal - signal}.get(
        name, lambda k: torch.linalg.matrix_power(a, int(k)) @ signal
    )
    f = 0
    for k, w in unit.w.items():
        filtered = powers(k)
        if name == "cgnl":
            filtered = filtered.view(2, -1, 12).mT
        f = f + filtered @ w.weight.T
    assert_equal(block(x), x + f.mT.reshape(x.shape))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ROWS)
def test_half_precision_gives_no_nan(name: str, dtype: torch.dtype) -> None:
    block = nonlocal_block(name, 64)
    x = 3 * torch.randn(2, 64, 14, 15)
    expected = block.eval()(x)
    half = copy.deepcopy(block).to(dtype)
    y = half(x.to(dtype))
    assert y.isfinite().all()
    assert_equal(y, expected, 0.1)
    with torch.autocast("cpu", dtype=dtype):
        x.requires_grad_()
        out = block.train()(x)
    out.sum().backward()
    assert out.isfinite().all()
    assert all(p.grad.isfinite().all() for p in block.parameters())


ERRORS = [
    ({"name": "snll"}, ValueError, 'unknown block "snll". Did you mean "snl"?'),
    ({"channels": 0}, ValueError, "channels is a whole number"),
    ({"hidden_channels": 0}, ValueError, "hidden_channels is a whole number"),
    ({"reduction": 0}, ValueError, "reduction is a whole number"),
    ({"hidden_channels": 2, "reduction": 4}, ValueError, "both set C_s"),
    ({"depth": 0}, ValueError, "depth is a whole number"),
    ({"recurrence": 0}, ValueError, "recurrence is a whole number"),
    ({"heads": 0}, ValueError, "heads is a whole number"),
    ({"heads": 3}, ValueError, "cannot be split into 3 heads"),
    ({"K": 3}, ValueError, 'block "snl" has fixed taps; K is for block "gsnl"'),
    ({"name": "gsnl", "K": 0}, ValueError, "K is a whole number ≥ 1; got 0"),
    ({"name": "cgnl", "groups": "2"}, ValueError, "groups is a whole number ≥ 1; got '2'"),
    (
        {"name": "nl", "kernel": "gaussian", "heads": 3, "hidden_channels": 6},
        ValueError,
        "channels=8 cannot",
    ),
    ({"groups": 2}, ValueError, 'groups is for block "cgnl"'),
    ({"name": "cgnl", "groups": 3}, ValueError, "cannot be split into 3 groups"),
    ({"name": "cgnl", "heads": 2}, ValueError, "with groups, not heads"),
    ({"name": "cgnl", "mask": "criss_cross"}, ValueError, 'Use mask="full"'),
    ({"name": "cgnl", "kernel": "gaussian"}, ValueError, "needs an embedded kernel"),
    ({"name": "nl", "basis": "chebyshev"}, ValueError, "has fixed taps in powers of A"),
    ({"basis": "legendre"}, ValueError, 'unknown basis "legendre"'),
    ({"filter": "cheby"}, ValueError, 'unknown filter "cheby"'),
    ({"filter": "chebyshev", "basis": "chebyshev"}, ValueError, "leave basis out"),
    ({"filter": Polynomial(2), "K": 2}, ValueError, "leave K out"),
    ({"kernel": "cosine"}, ValueError, 'unknown kernel "cosine"'),
    ({"kernel": "signed_dot"}, ValueError, 'Use kernel="dot" or normalization="none"'),
    ({"mask": "cross"}, ValueError, 'unknown mask "cross"'),
    ({"mask": "window:x"}, ValueError, 'write a window as "window:R"'),
    ({"normalization": "row"}, ValueError, 'unknown normalization "row"'),
    ({"norm": "instance"}, ValueError, 'unknown norm "instance"'),
    ({"activation": "gelu"}, ValueError, 'unknown activation "gelu"'),
    ({"activation": "relu", "zero_init": True}, ValueError, "would never train"),
    ({"subsample": 2}, ValueError, 'Use normalization="rw" or "none"'),
    ({"name": "nl", "subsample": 0}, ValueError, "subsample is a whole number"),
    ({"name": "cc", "subsample": 2}, ValueError, "subsample needs the full mask"),
    ({"representation": "sparse"}, ValueError, 'unknown representation "sparse"'),
    ({"name": "nl", "representation": "factored"}, ValueError, 'has no representation "factored"'),
]


@pytest.mark.parametrize(("options", "error", "message"), ERRORS)
def test_wrong_options_are_refused(
    options: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as raised:
        nonlocal_block(**({"name": "snl", "channels": 8} | options))
    assert message in str(raised.value)


def test_whole_numbers_of_numpy_are_numbers() -> None:
    options = {"heads": 2, "depth": 2, "recurrence": 2, "K": 3, "subsample": (2, 1)}
    options |= {"normalization": "rw"}
    whole = {name: np.int64(v) if isinstance(v, int) else v for name, v in options.items()}
    block = nonlocal_block("gsnl", np.int64(8), **whole)  # type: ignore[arg-type]
    assert repr(block) == repr(nonlocal_block("gsnl", 8, **options))  # type: ignore[arg-type]
    assert type(block.affinity.phi.out_features) is int


def test_wrong_input_is_refused() -> None:
    block = nonlocal_block("snl", 8)
    good = torch.randn(2, 8, 3, 4)
    with pytest.raises(ValueError, match=r"A single image needs a batch axis: x.unsqueeze\(0\)"):
        block(good[0, 0])
    with pytest.raises(ValueError, match=r"takes 8 channels, got x of shape .* with 3"):
        block(good[:, :3])
    with pytest.raises(TypeError, match="x must be floating point"):
        block(good.long())
    with pytest.raises(TypeError, match=r"x is torch.float64 and the block torch.float32"):
        block(good.double())
    with pytest.raises(ValueError, match="x is on meta and the block on cpu"):
        block(good.to("meta"))
    with pytest.raises(ValueError, match=r"valid is boolean of shape \(2, 3, 4\)"):
        block(good, torch.ones(2, 12, dtype=torch.bool))
    with pytest.raises(ValueError, match="valid is on meta and the features on cpu"):
        block(good, torch.ones(2, 3, 4, dtype=torch.bool, device="meta"))
    with pytest.raises(TypeError, match=r"takes a feature map.* got Data. .*spectrum\(\(block"):
        block.affinity_of(Data(x=torch.ones(4, 8)))
    with pytest.raises(ValueError, match="at least one position"):
        block(good[..., :0])
    with pytest.raises(TypeError, match="got ndarray"):
        block(good.numpy())
    with snl_graph.value_checks(), pytest.raises(ValueError, match="x has 1 non-finite values"):
        block(good.index_put((torch.tensor(0),) * 4, torch.tensor(torch.nan)))
    wrong_grid = torch.ones(5, 5, dtype=torch.bool)
    with pytest.raises(ValueError, match="joins 5 nodes, but there are 12"):
        nonlocal_block("snl", 8, mask=wrong_grid)(good)


def test_empty_batch_is_empty() -> None:
    for name in ROWS:
        block = nonlocal_block(name, 8).eval()
        assert block(torch.empty(0, 8, 3, 4)).shape == (0, 8, 3, 4)
    pooled, valid = nonlocal_block("nl", 8, subsample=2).eval(), torch.ones(0, 3, 4).bool()
    assert pooled(torch.empty(0, 8, 3, 4), valid).shape == (0, 8, 3, 4)


def test_options_show_in_the_name() -> None:
    block = nonlocal_block("nl", 8, kernel=SignedDot("1/n"), normalization="none", recurrence=2)
    text = repr(block)
    assert '"nl", 8, recurrence=2' in text
    assert "SignedDot(scale='1/n')" in text
    assert "normalization=Unnormalized()" in text
