"""What blocks trained elsewhere have and the rows of Table 1 have not, each by its own formula."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from snl_graph import NonlocalBlock, nonlocal_block
from snl_graph.blocks.pooling import Subsampling
from tests.tolerances import assert_equal

SIZE = (5, 7)


def made(name: str = "nl", **options: object) -> NonlocalBlock:
    block = nonlocal_block(name, 6, hidden_channels=4, norm="none", **options).double()
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter)
    return block


def some_map(size: tuple[int, ...] = SIZE) -> Tensor:
    return torch.randn(2, 6, *size, dtype=torch.float64, requires_grad=True)


def convolved(x: Tensor, linear: torch.nn.Linear) -> Tensor:
    """A 1×1 convolution of a map, (B, C, *size)."""
    y = torch.einsum("oc,bc...->bo...", linear.weight, x)
    return y if linear.bias is None else y + linear.bias.view(-1, *[1] * (x.dim() - 2))


def attended(phi: Tensor, psi: Tensor, z: Tensor) -> Tensor:
    """softmax(Φ Ψᵀ) Z of maps."""
    weights = torch.einsum("bci,bcj->bij", phi.flatten(2), psi.flatten(2)).softmax(-1)
    return torch.einsum("bij,bcj->bci", weights, z.flatten(2)).unflatten(2, phi.shape[2:])


def assert_values_and_gradients(block: NonlocalBlock, x: Tensor, expected: Tensor) -> None:
    variables = [x, *block.parameters()]
    probe = torch.randn_like(expected)
    wanted = torch.autograd.grad((expected * probe).sum(), variables)
    actual = block(x)
    assert_equal(actual, expected)
    found = torch.autograd.grad((actual * probe).sum(), variables)
    for one, other in zip(found, wanted, strict=True):
        # That of the bias of φ vanishes: a softmax does not see what all of a row have in common.
        assert (one - other).abs().max() <= 1e-10 * max(1.0, float(other.abs().max()))


@pytest.mark.parametrize("size", [(9,), SIZE, (2, 3, 3)], ids=str)
def test_biases_of_all_four_maps(size: tuple[int, ...]) -> None:
    block, x = made(bias=True), some_map(size)
    unit = block.units[0]
    f = attended(
        convolved(x, block.affinity.phi),
        convolved(x, block.affinity.psi),
        convolved(x, unit.g),
    )
    assert_values_and_gradients(block, x, x + convolved(f, unit.w["1"]))


def test_bias_of_several_taps_stands_at_the_first() -> None:
    keys = {key for key in nonlocal_block("snl", 6, bias=True).state_dict() if "bias" in key}
    assert keys == {
        "affinity.phi.bias",
        "affinity.psi.bias",
        "units.0.g.bias",
        "units.0.w.0.bias",
        "units.0.bn.bias",
    }


def test_block_with_biases_starts_as_the_identity() -> None:
    for norm in ("batch", "none"):
        block = nonlocal_block("nl", 6, bias=True, zero_init=True, norm=norm)
        x = torch.randn(2, 6, 4, 4)
        assert torch.equal(block(x), x)


def test_spectral_block_with_biases_is_its_formula() -> None:
    block, x = made("snl", bias=True), some_map()
    unit = block.units[0]
    phi, psi = (convolved(x, m).relu().flatten(2) for m in (block.affinity.phi, block.affinity.psi))
    m = torch.einsum("bci,bcj->bij", phi, psi)
    m = (m + m.mT) / 2
    root = m.sum(-1).rsqrt()
    a = m * root[:, :, None] * root[:, None, :]
    z = convolved(x, unit.g)
    az = torch.einsum("bij,bcj->bci", a, z.flatten(2)).unflatten(2, SIZE)
    expected = x + convolved(z, unit.w["0"]) + convolved(az, unit.w["1"])
    assert_values_and_gradients(block, x, expected)


@pytest.mark.parametrize("name", ["nl", "a2", "snl"])
def test_values_may_be_wider_than_keys(name: str) -> None:
    block, x = made(name, value_channels=5), some_map()
    assert block.units[0].g.weight.shape == (5, 6)
    a = block.affinity_of(x).to_dense()
    z = convolved(x, block.units[0].g)
    f = torch.zeros_like(x)
    for tap, linear in block.units[0].w.items():
        power = torch.linalg.matrix_power(a, int(tap))
        signal = torch.einsum("bij,bcj->bci", power, z.flatten(2)).unflatten(2, SIZE)
        f = f + convolved(signal, linear)
    assert_equal(block(x), x + f)


@pytest.mark.parametrize("name", ["nl", "ns"])
def test_rest_at_the_border_may_be_dropped(name: str) -> None:
    block, x = made(name, subsample=Subsampling(2, keeps_rest=False)), some_map()
    unit = block.units[0]
    z = convolved(x, unit.g)
    psi = F.max_pool2d(convolved(x, block.affinity.psi), 2)
    assert psi.shape[2:] == (2, 3)
    f = attended(convolved(x, block.affinity.phi), psi, F.max_pool2d(z, 2))
    expected = x + convolved(f - z if name == "ns" else f, unit.w["1"])
    assert_values_and_gradients(block, x, expected)
    assert block.affinity_of(x).shape == (2, 35, 6)


@pytest.mark.parametrize("name", ["nl", "ns"])
@pytest.mark.parametrize("stride", [2, (1, 2)], ids=str)
def test_features_may_be_pooled_before_they_are_projected(
    name: str, stride: int | tuple[int, int]
) -> None:
    block = made(name, bias=True, subsample=Subsampling(stride, pools_input=True))
    x = some_map((4, 6))
    unit, pooled = block.units[0], F.max_pool2d(x, stride)
    f = attended(
        convolved(x, block.affinity.phi),
        convolved(pooled, block.affinity.psi),
        convolved(pooled, unit.g),
    )
    f = f - convolved(x, unit.g) if name == "ns" else f
    assert_values_and_gradients(block, x, x + convolved(f, unit.w["1"]))
    keys_pooled = made(name, bias=True, subsample=stride)
    keys_pooled.load_state_dict(block.state_dict())
    assert (keys_pooled(x) - block(x)).abs().max() > 1e-3  # the order matters


def test_padding_is_left_out_where_features_are_pooled_first() -> None:
    block = made(bias=True, subsample=Subsampling(2, pools_input=True))
    x = some_map((4, 6)).detach()
    padded = F.pad(x, (0, 2, 0, 2), value=9.0)
    valid = F.pad(torch.ones(2, 4, 6), (0, 2, 0, 2)).bool()
    assert_equal(block(padded, valid)[:, :, :4, :6], block(x))


def test_map_without_a_whole_window_is_refused() -> None:
    block = made(subsample=Subsampling(2, keeps_rest=False))
    with pytest.raises(ValueError, match="that is all of a map of size"):
        block(some_map((1, 6)))


@pytest.mark.parametrize("groups", [1, 3])
def test_groups_of_the_norm_are_those_asked_for(groups: int) -> None:
    block = nonlocal_block("nl", 6, norm=f"group:{groups}").double()
    x = some_map()
    plain = nonlocal_block("nl", 6, norm="none").double()
    plain.load_state_dict(block.state_dict(), strict=False)
    assert_equal(block(x), x + F.group_norm(plain(x) - x, groups))


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"norm": "group:4"}, 'write a group norm as "group:G"'),
        ({"norm": "group:x"}, 'write a group norm as "group:G"'),
        ({"value_channels": 0}, "value_channels is a whole number"),
        ({"name": "cc", "value_channels": 4}, "no value_channels"),
        ({"name": "cgnl", "value_channels": 2}, "Leave it out"),
    ],
)
def test_contradictions_are_refused(options: dict[str, object], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        nonlocal_block(**{"name": "nl", "channels": 6, **options})
