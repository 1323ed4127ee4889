import pytest
import torch

from models.networks import NETWORKS, build_network
from models.preresnet import BasicBlock, PreResNet
from models.resnet import ARCHITECTURES, resnet
from snl_graph import insert_block

WIDTHS = (16, 32, 64)


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


def preresnet_count(depth_of_stage, expansion, classes, image_channels=3):
    """Parameters added up from the equations of He et al., 2016, without building a network."""
    total = 9 * image_channels * WIDTHS[0]
    channels = WIDTHS[0]
    for width in WIDTHS:
        for index in range(depth_of_stage):
            if expansion == 1:
                total += 2 * channels + 9 * channels * width + 2 * width + 9 * width * width
            else:
                total += 2 * channels + channels * width
                total += 2 * width + 9 * width * width
                total += 2 * width + width * expansion * width
            if index == 0 and (channels != expansion * width or width != WIDTHS[0]):
                total += channels * expansion * width
            channels = expansion * width
    return total + 2 * channels + channels * classes + classes


@pytest.mark.parametrize(
    ("name", "depth", "expansion", "published_millions"),
    [
        ("preresnet8", 1, 1, None),
        ("preresnet20", 3, 1, 0.27),
        ("preresnet56", 9, 1, 0.86),
        ("preresnet110", 18, 1, 1.73),
        ("preresnet83", 9, 4, None),
        ("preresnet164", 18, 4, 1.70),
    ],
)
@pytest.mark.parametrize("classes", [10, 100])
def test_preresnet_has_the_parameters_of_the_formula(
    name, depth, expansion, published_millions, classes
):
    parameters = count(build_network(name, num_classes=classes))
    assert parameters == preresnet_count(depth, expansion, classes)
    if published_millions is not None and classes == 10:
        assert round(parameters / 1e6, 2) == published_millions


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("resnet18", 11_689_512),
        ("resnet34", 21_797_672),
        ("resnet50", 25_557_032),
        ("resnet101", 44_549_160),
        ("resnet152", 60_192_808),
    ],
)
def test_resnet_has_the_published_parameters(name, published):
    with torch.device("meta"):
        assert count(resnet(name)) == published


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_the_cifar_stem_alone_makes_the_difference_to_the_published_parameters(name):
    with torch.device("meta"):
        theirs, ours = resnet(name), build_network(f"{name}_cifar", num_classes=1000)
    assert count(theirs) - count(ours) == (7 * 7 - 3 * 3) * 3 * 64


@pytest.mark.parametrize("name", ["preresnet20", "preresnet56", "preresnet83", "preresnet110"])
def test_the_number_in_a_name_counts_its_layers(name):
    model = build_network(name)
    convolutions = [
        module
        for path, module in model.named_modules()
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)) and "shortcut" not in path
    ]
    assert len(convolutions) == int(name.removeprefix("preresnet"))


def test_residual_block_is_its_equation():
    torch.manual_seed(0)
    block = BasicBlock(4, 6, stride=2).double().train()
    x = torch.randn(3, 4, 5, 7, dtype=torch.float64)

    def bn(z):
        mean = z.mean((0, 2, 3), keepdim=True)
        variance = ((z - mean) ** 2).mean((0, 2, 3), keepdim=True)
        return (z - mean) / (variance + 1e-5).sqrt()

    first, second = block.residual[2].weight, block.residual[5].weight
    h = torch.nn.functional.conv2d(bn(x).clamp(min=0), first, stride=2, padding=1)
    h = torch.nn.functional.conv2d(bn(h).clamp(min=0), second, padding=1)
    expected = torch.einsum("oi,bihw->bohw", block.shortcut.weight[..., 0, 0], x[..., ::2, ::2]) + h
    torch.testing.assert_close(block(x), expected, rtol=1e-10, atol=1e-10)


def test_cifar_stem_keeps_the_resolution_that_the_imagenet_stem_divides_by_four():
    x = torch.zeros(1, 1, 32, 40)
    shapes = {}
    for stem in ("cifar", "imagenet"):
        model = resnet("resnet18", stem=stem, in_channels=1, num_classes=7).eval()
        model.layer1.register_forward_hook(
            lambda module, args, out, stem=stem: shapes.update({stem: out.shape[-2:]})
        )
        assert model(x).shape == (1, 7)
    assert shapes == {"cifar": (32, 40), "imagenet": (8, 10)}


@pytest.mark.parametrize("name", ["preresnet8", "preresnet83", "resnet18", "resnet18_cifar"])
def test_networks_take_a_grey_oblong_image(name):
    model = build_network(name, in_channels=1, num_classes=3).eval()
    assert model(torch.zeros(2, 1, 24, 40)).shape == (2, 3)


def test_unknown_network_lists_the_choices():
    with pytest.raises(ValueError, match=r'unknown network "resnet51".*resnet50.*preresnet83'):
        build_network("resnet51")
    with pytest.raises(ValueError, match=r'unknown stem "cifar10".*"cifar"'):
        resnet("resnet18", stem="cifar10")


def test_stages_without_their_widths_are_refused():
    with pytest.raises(ValueError, match="one depth and one width a stage"):
        PreResNet(BasicBlock, [1, 1], [16, 32, 64])
    with pytest.raises(ValueError, match="at least 1"):
        PreResNet(BasicBlock, [1, 0, 1])


@pytest.mark.parametrize(
    ("block", "added"),
    [("snl", 2_623_488), ("nl", 2_099_200), ("ns", 2_099_200), ("cgnl", 2_099_200)],
)
def test_resnet50_with_a_block_has_the_parameters_of_table_6(block, added):
    model = resnet("resnet50")
    before = count(model)
    insert_block(model, after="layer3.4", block=block)
    assert count(model) - before == added


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_every_stage_of_every_network_is_a_named_submodule(name):
    with torch.device("meta"):
        model = build_network(name)
    for stage in ("layer1", "layer2", "layer3"):
        assert model.get_submodule(f"{stage}.0") is not None
