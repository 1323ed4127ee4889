"""ResNets with the paper's block: torchvision's builders and timm's register."""

from __future__ import annotations

import builtins
from pathlib import Path

import pytest
import timm
import torch
import torchvision

import snl_graph.backbones
import snl_graph.backbones.timm as register
from snl_graph import NonlocalBlock, inserted_blocks, remove_blocks
from snl_graph.backbones import snl_resnet18
from snl_graph.backbones.table import POSITIONS


@pytest.mark.parametrize("name", POSITIONS)
def test_the_block_of_table_6_stands_before_the_last_block_of_res4(name: str) -> None:
    with torch.device("meta"):
        net = getattr(snl_graph.backbones, f"snl_{name}")()
    ((place, block),) = inserted_blocks(net).items()
    assert place == f"layer3.{len(net.layer3) - 2}"
    convolutions = sum(p.numel() for p in block.parameters() if p.dim() == 2)
    is_basic = name in ("resnet18", "resnet34")  # 5 C² / 2, which the table prints as 2.62 M
    assert convolutions == (163_840 if is_basic else 2_621_440)


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_both_entry_points_build_the_same_network(name: str) -> None:
    with torch.device("meta"):
        ours = getattr(snl_graph.backbones, f"snl_{name}")(num_classes=10)
        timms = timm.create_model(f"snl_{name}", num_classes=10)
        plain = torchvision.models.get_model(name, num_classes=10)
    shapes = [
        {key: value.shape for key, value in net.state_dict().items()} for net in (ours, timms)
    ]
    assert shapes[0] == shapes[1]
    assert remove_blocks(ours).state_dict().keys() == plain.state_dict().keys()


# Weights -----------------------------------------------------------------------------------------


@pytest.fixture
def kept_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """Weights where torch.hub keeps those of torchvision, and no way to fetch any."""

    def no_download(*args: object, **kwargs: object) -> None:
        raise AssertionError("a download nobody asked for")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", no_download)
    weights = torchvision.models.resnet18().state_dict()
    (tmp_path / "checkpoints").mkdir()
    torch.save(weights, tmp_path / "checkpoints" / "resnet18-f37072fd.pth")
    return weights


@pytest.mark.parametrize(
    "weights",
    [
        "DEFAULT",
        "ResNet18_Weights.IMAGENET1K_V1",
        torchvision.models.ResNet18_Weights.IMAGENET1K_V1,
    ],
    ids=str,
)
def test_with_weights_the_outputs_are_those_of_torchvision(kept_weights, weights) -> None:
    net = snl_resnet18(weights=weights).eval()
    plain = torchvision.models.resnet18()
    plain.load_state_dict(kept_weights)
    images = torch.randn(2, 3, 40, 56)
    assert torch.equal(net(images), plain.eval()(images))


def test_weights_that_are_not_here_are_not_fetched_unasked(kept_weights) -> None:
    with pytest.raises(FileNotFoundError, match="Pass download=True"):
        snl_graph.backbones.snl_resnet34(weights="DEFAULT")
    with pytest.raises(AssertionError, match="a download nobody asked for"):
        snl_graph.backbones.snl_resnet34(weights="DEFAULT", download=True)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"weights": "IMAGENET1K_V3"}, ValueError, 'Did you mean "IMAGENET1K_V1"'),
        ({"weights": True}, TypeError, "ResNet18_Weights"),
        ({"weights": torchvision.models.ResNet50_Weights.DEFAULT}, TypeError, "ResNet18_Weights"),
        ({"weights": "DEFAULT", "num_classes": 10}, ValueError, r"replace net\.fc"),
        ({"block": "snal"}, ValueError, 'Did you mean "snl"'),
    ],
    ids=["unknown", "no name", "of another network", "classes", "block"],
)
def test_wrong_calls_say_what_to_do(kept_weights, options, error, says) -> None:
    with pytest.raises(error, match=says):
        snl_resnet18(**options)


def test_a_missing_torchvision_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    found = builtins.__import__

    def without(name: str, *args: object, **kwargs: object) -> object:
        if name.startswith("torchvision"):
            raise ImportError(name)
        return found(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r'pip install "snl-graph\[backbones\]"'):
        snl_resnet18()


# timm --------------------------------------------------------------------------------------------


def test_timm_lists_the_networks_and_their_weights() -> None:
    names = [f"snl_{name}" for name in POSITIONS]
    assert set(timm.list_models("snl_resnet*")) == set(names)
    assert {name.partition(".")[0] for name in timm.list_pretrained("snl_resnet*")} == set(names)


def test_timm_passes_options_to_the_block() -> None:
    options = {"snl_block": "gsnl", "snl_options": {"K": 4, "zero_init": True}}
    net = timm.create_model("snl_resnet18", num_classes=7, in_chans=1, **options).eval()
    (block,) = inserted_blocks(net).values()
    assert len(block.units[0].w) == 4
    images = torch.randn(2, 1, 40, 56)
    assert torch.equal(remove_blocks(net)(images), net(images))
    assert net(images).shape == (2, 7)


def test_pretrained_weights_of_the_plain_network_load_and_change_nothing(tmp_path: Path) -> None:
    plain = timm.create_model("resnet18").eval()
    file = tmp_path / "plain.pth"
    torch.save(plain.state_dict(), file)
    source = {"file": str(file), "url": "", "hf_hub_id": None}
    net = timm.create_model("snl_resnet18", pretrained=True, pretrained_cfg_overlay=source).eval()
    images = torch.randn(2, 3, 40, 56)
    assert torch.equal(net(images), plain(images))

    with torch.no_grad():
        inserted_blocks(net)["layer3.0"].units[0].bn.weight.fill_(0.5)
    torch.save(net.state_dict(), file)  # our own weights bring those of the block
    again = timm.create_model("snl_resnet18", pretrained=True, pretrained_cfg_overlay=source)
    assert torch.equal(again.eval()(images), net(images))


@pytest.mark.parametrize("feature_cls", ["list", "getter", "fx"])
def test_features_only_sees_the_output_of_the_block(feature_cls: str) -> None:
    options = {"features_only": True, "feature_cls": feature_cls, "out_indices": (2, 3)}
    net = timm.create_model("snl_resnet18", **options).eval()
    (block,) = (module for module in net.modules() if isinstance(module, NonlocalBlock))
    images = torch.randn(2, 3, 40, 56)
    res3, res4 = net(images)
    assert (res3.shape, res4.shape) == ((2, 128, 5, 7), (2, 256, 3, 4))
    with torch.no_grad():
        block.units[0].bn.bias.fill_(1)
    assert torch.equal(net(images)[0], res3)
    assert not torch.allclose(net(images)[1], res4)


def test_networks_of_timm_keep_their_names_in_the_register() -> None:
    assert set(register.default_cfgs) == {f"snl_{name}" for name in POSITIONS}
    assert timm.create_model("snl_resnet18").pretrained_cfg["architecture"] == "snl_resnet18"
