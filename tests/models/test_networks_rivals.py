"""The rivals of Table 6 against their equations and published sizes."""

import pytest
import torch
from torch.nn import functional as F

from models.resnet import resnet
from models.rivals import RIVALS, CompactGlobalDescriptor, GatherExcite, add_rival
from snl_graph import inserted_blocks, remove_blocks


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def with_rival(name, size=(64, 64)):
    with torch.device("meta"):
        return add_rival(resnet("resnet50"), name, torch.zeros(1, 3, *size))


@pytest.mark.parametrize(
    ("name", "published", "places"),
    [
        ("se", 28_088_024, 16),  # timm's seresnet50, Hu et al.: 28.1 M
        ("cgd", 25_557_032 + 6 * (3 * 64 + 4 * 128 + 6 * 256 + 3 * 512), 16),  # Table 6: +0.02 M
    ],
)
def test_resnet50_with_the_rival_has_the_published_parameters(name, published, places):
    model = with_rival(name)
    assert count(model) == published
    assert len(inserted_blocks(model)) == places


def test_gather_excite_has_a_kernel_over_every_map_of_224_pixels():
    model = with_rival("ge", (224, 224))
    stages = ((3, 256, 56), (4, 512, 28), (6, 1024, 14), (3, 2048, 7))
    added = sum(blocks * (c * side * side + 2 * c) for blocks, c, side in stages)
    assert count(model) - 25_557_032 == added
    assert added / 1e6 == pytest.approx(5.64, rel=0.02)  # Table 6; Hu et al. print 31.2 M in all


def test_gather_excite_is_its_equation():
    torch.manual_seed(0)
    module = GatherExcite(3, (4, 5)).double().train()
    x = torch.randn(6, 3, 4, 5, dtype=torch.float64)
    gathered = (x * module.gather.weight[:, 0]).sum(dim=(-2, -1))
    mean, variance = gathered.mean(0), gathered.var(0, unbiased=False)
    gate = torch.sigmoid((gathered - mean) / (variance + 1e-5).sqrt())
    torch.testing.assert_close(module(x), x * gate[..., None, None], rtol=1e-10, atol=1e-12)
    with pytest.raises(ValueError, match=r"spans a map of \(4, 5\); got \(5, 4\)"):
        module(x.mT)


def test_compact_descriptor_is_its_equation_with_the_matrices_written_out():
    torch.manual_seed(0)
    module = CompactGlobalDescriptor(5).double()
    torch.nn.init.normal_(module.bias)
    x = torch.randn(2, 5, 3, 4, dtype=torch.float64, requires_grad=True)
    expected = []
    for item in x:
        mean, maximum = item.flatten(1).mean(1), item.flatten(1).max(1).values
        share = mean.exp() / mean.exp().sum()
        u = torch.tanh(torch.outer(share, mean) @ module.weight[0] + module.bias[0])
        v = torch.tanh(torch.outer(share, maximum) @ module.weight[1] + module.bias[1])
        gate = torch.tanh(torch.outer(u, v) @ module.weight[2] + module.bias[2])
        expected.append(item * (1 + gate)[:, None, None])
    expected = torch.stack(expected)
    torch.testing.assert_close(module(x), expected, rtol=1e-10, atol=1e-12)
    (one,) = torch.autograd.grad(module(x).square().sum(), x, retain_graph=True)
    (two,) = torch.autograd.grad(expected.square().sum(), x)
    torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", sorted(RIVALS))
def test_a_rival_scales_the_branch_and_can_be_taken_out(name):
    torch.manual_seed(0)
    model = resnet("resnet18", num_classes=3).eval()
    x = torch.randn(2, 3, 32, 32)
    before, keys = model(x), set(model.state_dict())
    add_rival(model, name, x[:1])
    assert keys < set(model.state_dict())
    assert not model.training
    assert (model(x) - before).abs().max() > 1e-6
    model.train()(x).sum().backward()
    rivals = inserted_blocks(model).values()
    assert len(rivals) == 8
    assert all(p.grad is not None for rival in rivals for p in rival.parameters())
    assert torch.equal(remove_blocks(resnet_like(model, x))(x), before)


def resnet_like(model, x):
    """The trained step above moved the running statistics; put the first ones back."""
    torch.manual_seed(0)
    first = resnet("resnet18", num_classes=3)
    model.load_state_dict(first.state_dict(), strict=False)
    return model.eval()


def test_squeeze_excite_is_its_equation():
    torch.manual_seed(0)
    module = RIVALS["se"].module(16, (3, 4)).double()
    x = torch.randn(2, 16, 3, 4, dtype=torch.float64)
    hidden = F.linear(x.mean((-2, -1)), module.fc1.weight[..., 0, 0], module.fc1.bias).relu()
    gate = torch.sigmoid(F.linear(hidden, module.fc2.weight[..., 0, 0], module.fc2.bias))
    torch.testing.assert_close(module(x), x * gate[..., None, None], rtol=1e-10, atol=1e-12)


def test_what_has_no_residual_block_takes_no_rival():
    with pytest.raises(ValueError, match="no residual block of torchvision"):
        add_rival(torch.nn.Linear(2, 2), "se", torch.zeros(1, 3, 8, 8))
    with pytest.raises(ValueError, match=r'unknown rival "see".*"cgd"'):
        add_rival(resnet("resnet18"), "see", torch.zeros(1, 3, 8, 8))
