"""Every row of Table 1 against its own formula, written out naively."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from snl_graph import NonlocalBlock, nonlocal_block
from snl_graph.blocks import ROWS
from tests.tolerances import assert_equal

SIZES = [(11,), (4, 5), (2, 3, 4)]


def embeddings(block: NonlocalBlock, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """X, Φ, Ψ as (B, N, C), by a product with each weight."""
    nodes = x.flatten(2).transpose(1, 2)
    return (
        nodes,
        nodes @ block.affinity.phi.weight.T,
        nodes @ block.affinity.psi.weight.T,
    )


def nl(block: NonlocalBlock, x: Tensor) -> Tensor:
    nodes, phi, psi = embeddings(block, x)
    unit = block.units[0]
    attention = (phi @ psi.transpose(1, 2)).softmax(dim=2)
    return attention @ (nodes @ unit.g.weight.T) @ unit.w["1"].weight.T


def ns(block: NonlocalBlock, x: Tensor) -> Tensor:
    nodes, phi, psi = embeddings(block, x)
    unit = block.units[0]
    z = nodes @ unit.g.weight.T
    attention = (phi @ psi.transpose(1, 2)).softmax(dim=2)
    return (attention @ z - z) @ unit.w["1"].weight.T


def a2(block: NonlocalBlock, x: Tensor) -> Tensor:
    nodes, phi, psi = embeddings(block, x)
    unit = block.units[0]
    gathered = psi.softmax(dim=1).transpose(1, 2) @ (nodes @ unit.g.weight.T)
    return phi.softmax(dim=2) @ gathered @ unit.w["1"].weight.T


def cgnl(block: NonlocalBlock, x: Tensor) -> Tensor:
    nodes, phi, psi = embeddings(block, x)
    unit = block.units[0]
    z = nodes @ unit.g.weight.T
    results = []
    for item in range(len(x)):
        theta, key, value = (t[item].flatten() for t in (phi, psi, z))
        results.append((torch.outer(theta, key) @ value).view_as(z[item]))
    return torch.stack(results) @ unit.w["1"].weight.T


def cc(block: NonlocalBlock, x: Tensor) -> Tensor:
    nodes, phi, psi = embeddings(block, x)
    places = list(
        torch.cartesian_prod(*[torch.arange(s) for s in x.shape[2:]]).reshape(nodes.shape[1], -1)
    )
    rows = []
    for i, here in enumerate(places):
        cross = [j for j, there in enumerate(places) if int((here != there).sum()) <= 1]
        scores = torch.stack([(phi[:, i] * psi[:, j]).sum(-1) for j in cross], dim=1).exp()
        share = scores / scores.sum(1, keepdim=True)
        rows.append(sum(share[:, n, None] * nodes[:, j] for n, j in enumerate(cross)))
    return torch.stack(rows, dim=1) @ block.units[0].w["1"].weight.T


def symmetric_affinity(block: NonlocalBlock, x: Tensor) -> Tensor:
    _, phi, psi = embeddings(block, x)
    m = phi.clamp(min=0) @ psi.clamp(min=0).transpose(1, 2)
    m_hat = (m + m.transpose(1, 2)) / 2
    root = m_hat.sum(2).sqrt()
    root = torch.where(root > 0, root, 1)  # an isolated node keeps its zero row
    return m_hat / root[:, :, None] / root[:, None, :]


def gsnl(block: NonlocalBlock, x: Tensor) -> Tensor:
    a, unit = symmetric_affinity(block, x), block.units[0]
    z = x.flatten(2).transpose(1, 2) @ unit.g.weight.T
    return sum(torch.linalg.matrix_power(a, int(k)) @ z @ w.weight.T for k, w in unit.w.items())


FORMULAS = {
    "nl": nl,
    "ns": ns,
    "a2": a2,
    "cgnl": cgnl,
    "cc": cc,
    "snl": gsnl,
    "gsnl": gsnl,
}


def normalised(block: NonlocalBlock, x: Tensor, f: Tensor) -> Tensor:
    """X + BN(F) in evaluation mode, BN written out."""
    bn = block.units[0].bn
    scaled = (f - bn.running_mean) / torch.sqrt(bn.running_var + bn.eps) * bn.weight + bn.bias
    return x + scaled.transpose(1, 2).reshape(x.shape)


def made(name: str, **options: object) -> NonlocalBlock:
    block = nonlocal_block(name, 6, hidden_channels=4, **options).double().eval()
    bn = block.units[0].bn
    for tensor in (bn.running_mean, bn.weight, bn.bias):
        torch.nn.init.normal_(tensor.data)
    bn.running_var.uniform_(0.5, 2)
    return block


def test_every_row_has_a_formula_here() -> None:
    assert set(FORMULAS) == set(ROWS)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", ROWS)
def test_row_equals_its_formula_in_value_and_gradient(name: str, size: tuple[int, ...]) -> None:
    block = made(name)
    x = torch.randn(2, 6, *size, dtype=torch.float64, requires_grad=True)
    variables = [x, *block.parameters()]
    expected = normalised(block, x, FORMULAS[name](block, x))
    probe = torch.randn_like(expected)
    wanted = torch.autograd.grad((expected * probe).sum(), variables)
    actual = block(x)
    assert_equal(actual, expected)
    for found, gradient in zip(
        torch.autograd.grad((actual * probe).sum(), variables), wanted, strict=True
    ):
        assert_equal(found, gradient)


@pytest.mark.parametrize("name", ROWS)
def test_row_in_float32_equals_float64(name: str) -> None:
    block = made(name)
    x = torch.randn(2, 6, 5, 7, dtype=torch.float64)
    expected = block(x)
    assert_equal(block.float()(x.float()), expected, 1e-5)


def test_batch_norm_in_training_is_that_of_torch() -> None:
    block = made("snl").train()
    x = torch.randn(2, 6, 3, 4, dtype=torch.float64)
    f = gsnl(block, x).transpose(1, 2).reshape(x.shape)
    bn = torch.nn.BatchNorm2d(6).double()
    bn.load_state_dict(block.units[0].bn.state_dict())
    assert_equal(block(x), x + bn(f))
    assert_equal(block.units[0].bn.running_var, bn.running_var)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_cgnl_joins_pairs_within_a_channel_group(groups: int) -> None:
    block = made("cgnl", groups=groups)
    x = torch.randn(2, 6, 3, 5, dtype=torch.float64)
    nodes, phi, psi = embeddings(block, x)
    z = nodes @ block.units[0].g.weight.T
    parts = []
    for part in torch.arange(4).chunk(groups):
        inner = (psi[..., part] * z[..., part]).sum((1, 2), keepdim=True)
        parts.append(phi[..., part] * inner)
    f = torch.cat(parts, dim=2) @ block.units[0].w["1"].weight.T
    assert_equal(block(x), normalised(block, x, f))


def test_several_heads_are_several_blocks_side_by_side() -> None:
    block = made("snl", heads=2)
    x = torch.randn(2, 6, 3, 5, dtype=torch.float64)
    nodes, phi, psi = embeddings(block, x)
    unit = block.units[0]
    z = nodes @ unit.g.weight.T
    filtered = []
    for part in (slice(0, 2), slice(2, 4)):
        m = phi[..., part].relu() @ psi[..., part].relu().transpose(1, 2)
        m = (m + m.transpose(1, 2)) / 2
        root = m.sum(2).sqrt()
        root = torch.where(root > 0, root, 1)
        filtered.append(m / root[:, :, None] / root[:, None, :] @ z[..., part])
    f = z @ unit.w["0"].weight.T + torch.cat(filtered, dim=2) @ unit.w["1"].weight.T
    assert_equal(block(x), normalised(block, x, f))
    assert block.affinity_of(x).shape == (2, 2, 15, 15)


def test_chebyshev_basis_is_polynomials_of_minus_a() -> None:
    block = made("gsnl", basis="chebyshev", K=4)
    x = torch.randn(2, 6, 3, 5, dtype=torch.float64)
    a, unit = symmetric_affinity(block, x), block.units[0]
    z = x.flatten(2).transpose(1, 2) @ unit.g.weight.T
    eye = torch.eye(15, dtype=torch.float64)
    polynomials = [eye, -a, 2 * a @ a - eye, -4 * a @ a @ a + 3 * a]
    f = sum(p @ z @ unit.w[str(k)].weight.T for k, p in enumerate(polynomials))
    assert_equal(block(x), normalised(block, x, f))


@pytest.mark.parametrize("stride", [2, (1, 2)], ids=str)
def test_subsampled_keys_are_max_pooled(stride: int | tuple[int, int]) -> None:
    block = made("nl", subsample=stride)
    x = torch.randn(2, 6, 4, 6, dtype=torch.float64)
    nodes, phi, psi = embeddings(block, x)
    unit = block.units[0]

    def pooled(t: Tensor) -> Tensor:
        as_map = t.transpose(1, 2).reshape(2, 4, 4, 6)
        return F.max_pool2d(as_map, stride).flatten(2).transpose(1, 2)

    attention = (phi @ pooled(psi).transpose(1, 2)).softmax(dim=2)
    f = attention @ pooled(nodes @ unit.g.weight.T) @ unit.w["1"].weight.T
    assert_equal(block(x), normalised(block, x, f))


def test_concatenation_kernel_is_the_rectified_score_of_both_features() -> None:
    block = made("nl", kernel="concatenation")
    assert "affinity.kernel.weight" in block.state_dict()
    x = torch.randn(2, 6, 3, 3, dtype=torch.float64)
    nodes, phi, psi = embeddings(block, x)
    unit = block.units[0]
    weight = block.affinity.kernel.weight.flatten()
    pairs = torch.cat(
        [phi[:, :, None].expand(-1, -1, 9, -1), psi[:, None].expand(-1, 9, -1, -1)], dim=-1
    )
    m = (pairs @ weight).relu()
    degree = m.sum(2, keepdim=True)
    a = torch.where(degree > 0, m / torch.where(degree > 0, degree, 1), 0)
    f = a @ (nodes @ unit.g.weight.T) @ unit.w["1"].weight.T
    assert_equal(block(x), normalised(block, x, f))


def test_gaussian_kernel_compares_the_features_themselves() -> None:
    block = made("nl", kernel="gaussian")
    assert not any(key.startswith("affinity") for key in block.state_dict())
    x = torch.randn(2, 6, 3, 3, dtype=torch.float64)
    nodes = x.flatten(2).transpose(1, 2)
    unit = block.units[0]
    attention = (nodes @ nodes.transpose(1, 2)).softmax(dim=2)
    f = attention @ (nodes @ unit.g.weight.T) @ unit.w["1"].weight.T
    assert_equal(block(x), normalised(block, x, f))
