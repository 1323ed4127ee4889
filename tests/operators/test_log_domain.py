"""Weights whose logits are so large that the logarithm of their number is lost beside them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from snl_graph import affinity
from tests.tolerances import assert_equal

Joined = Callable[[Tensor, Tensor], Tensor]
SIZE = (6, 5)


def all_pairs(_: Tensor, __: Tensor) -> Tensor:
    return torch.ones(30, 30, dtype=torch.bool)


def crossing(rows: Tensor, columns: Tensor) -> Tensor:
    return (rows == rows.unsqueeze(-1)) | (columns == columns.unsqueeze(-1))


@pytest.mark.parametrize(
    ("representation", "mask", "joined"),
    [
        ("dense", "full", all_pairs),
        ("streaming", "full", all_pairs),
        ("edges", "full", all_pairs),
        ("dense", "criss_cross", crossing),
        ("edges", "criss_cross", crossing),
        ("grid", "criss_cross", crossing),
    ],
)
@pytest.mark.parametrize("size", [1e8, 1e12])
def test_equal_scores_share_their_weight_however_large(
    representation: str, mask: str, joined: Joined, size: float
) -> None:
    """Three of five columns of the map are background: equal keys, of which each row sees some."""
    rows, columns = (
        x.flatten() for x in torch.meshgrid(torch.arange(6), torch.arange(5), indexing="ij")
    )
    phi = torch.rand(30, 4) * size**0.5
    psi = torch.rand(30, 4) * size**0.5 / 4
    psi[columns < 3] = size**0.5  # the largest score of every row, wherever it looks
    z, dy = torch.randn(2, 30, 3)
    phi, psi, z = (x.requires_grad_() for x in (phi, psi, z))
    a = affinity(
        phi,
        psi,
        kernel="embedded_gaussian",
        mask=mask,
        normalization="rw",
        representation=representation,
        size=SIZE,
    )
    y = a.apply(z)
    d_phi, d_psi, d_z = torch.autograd.grad(y, [phi, psi, z], dy)
    sees = joined(rows, columns) & (columns < 3)
    expected = sees / sees.sum(-1, keepdim=True)
    assert_equal(y, expected @ z, 1e-5)
    assert_equal(d_z, expected.T @ dy, 1e-5)
    inner = expected * (dy @ z.T).detach()
    d_scores = inner - expected * inner.sum(-1, keepdim=True)
    assert (d_phi / size**0.5).abs().max() < 1e-4  # moves all equal scores alike
    assert_equal(d_psi / size**0.5, d_scores.T @ phi / size**0.5, 1e-3)
