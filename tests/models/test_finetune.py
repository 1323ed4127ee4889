"""Rates by name, blocks that learn first, and weights from files."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.functional import cross_entropy

from models import train
from models.checkpoints import CheckpointError, read_checkpoint
from models.finetune import NewFirst, new_parameters, parameter_groups
from models.networks import build_network
from models.norms import NORMS
from models.recipe import Recipe
from models.schedules import OPTIMIZERS
from models.training import network_of
from models.weights import load_weights, read_weights

PLAIN = Recipe("preresnet8", "digits", epochs=2)
BLOCK = dataclasses.replace(PLAIN, block="snl", after=("layer2.0",))


def test_every_parameter_is_in_the_group_of_the_first_pattern_that_matches_it():
    network = network_of(BLOCK)
    groups = parameter_groups(network, 0.5, {"*.inserted.*": 2, "layer[12].*": 0.1, "fc.*": 0})
    rate = {id(p): group["lr"] for group in groups for p in group["params"]}
    assert len(rate) == len(list(network.parameters()))
    for name, parameter in network.named_parameters():
        if "inserted" in name:
            expected = 1.0
        elif name.startswith(("layer1", "layer2")):
            expected = 0.05
        else:
            expected = 0.0 if name.startswith("fc") else 0.5
        assert rate[id(parameter)] == pytest.approx(expected), name


@pytest.mark.parametrize(
    ("rates", "words"),
    [
        ({"layer9.*": 1}, r'"layer9\.\*" of rates decides the rate of no parameter.*conv1, layer1'),
        ({"*": 1, "fc.*": 2}, r'"fc\.\*" of rates decides'),
        ({"fc.*": -1}, r"must not be negative; got -1"),
    ],
)
def test_a_rate_that_decides_nothing_is_refused(rates, words):
    with pytest.raises(ValueError, match=words):
        parameter_groups(network_of(PLAIN), 0.1, rates)


def test_a_group_takes_steps_of_its_own_length():
    recipe = dataclasses.replace(PLAIN, momentum=0, weight_decay=0, rates={"fc.weight": 0.25})
    network = network_of(recipe)
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    groups = parameter_groups(network, recipe.learning_rate, recipe.rates)
    optimizer = OPTIMIZERS["sgd"](groups, recipe)
    cross_entropy(network(torch.randn(8, 1, 8, 8)), torch.arange(8)).backward()
    optimizer.step()
    for name, parameter in network.named_parameters():
        rate = 0.1 * (0.25 if name == "fc.weight" else 1)
        torch.testing.assert_close(parameter.detach(), before[name] - rate * parameter.grad)


def run(folder, *args):
    options = ["--batch_size=256", "--accelerator=cpu", "--devices=1", "--out", str(folder)]
    train.main(["digits", *options, *args])
    return read_checkpoint(max(folder.glob("digits/version_*")) / "checkpoints/last.ckpt")


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """Weights of a network without a block, as another program would store them."""
    torch.manual_seed(1)
    network = network_of(PLAIN)
    for buffer in network.buffers():
        if buffer.is_floating_point():
            buffer.uniform_(0.5, 1.5)
    path = tmp_path_factory.mktemp("pretrained") / "weights.safetensors"
    save_file(network.state_dict(), path)
    return path


def test_blocks_and_last_layer_learn_before_the_rest(pretrained, tmp_path, capsys):
    options = [f"--pretrained={pretrained}", "--frozen_epochs=1", "--epochs=2"]
    content = run(tmp_path, *options, "--checkpoint_every=4")
    assert "weights loaded" in capsys.readouterr().out
    start = read_weights(pretrained)
    recipe = Recipe.from_dict(content["hyper_parameters"]["recipe"])
    new = {f"network.{name}" for name in new_parameters(network_of(recipe))}
    assert new
    early = run(
        tmp_path,
        f"--pretrained={pretrained}",
        "--frozen_epochs=1",
        "--epochs=1",
        "--warmup_epochs=0",
    )
    for name, value in start.items():
        trained = early["state_dict"][f"network.{name}"]
        is_new = f"network.{name}" in new
        assert torch.equal(trained, value) != is_new, name
        assert not torch.equal(content["state_dict"][f"network.{name}"], value), name


def test_frozen_norms_keep_their_statistics_and_thaw_in_time():
    recipe = dataclasses.replace(BLOCK, pretrained="weights.pth", frozen_epochs=1)
    network = network_of(recipe)
    callback = NewFirst(network, 1)
    assert network.layer1[0].residual[0] in callback.norms
    inside = [m for n, m in network.named_modules() if "inserted" in n]
    assert not any(norm is module for norm in callback.norms for module in inside)
    assert {id(p) for p in callback.old}.isdisjoint(id(p) for p in network.fc.parameters())


def test_new_in_a_transformer_is_all_behind_its_encoder():
    with torch.device("meta"):
        network = build_network("vtn", num_classes=3)
    parts = {name.split(".")[0] for name in new_parameters(network)}
    assert parts == {"decoder", "fc"}


def test_nothing_new_is_an_error():
    with pytest.raises(ValueError, match="neither"):
        NewFirst(nn.Sequential(nn.Linear(2, 2)), 1)
    with pytest.raises(ValueError, match="learned nothing"):
        dataclasses.replace(PLAIN, frozen_epochs=1)


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"state_dict": s, "epoch": 3}])
@pytest.mark.parametrize("prefix", ["", "module.", "network."])
def test_weights_are_found_by_name_and_shape(wrap, prefix, tmp_path):
    source = network_of(dataclasses.replace(PLAIN, seed=1))
    state = {f"{prefix}{name}": value for name, value in source.state_dict().items()}
    del state[f"{prefix}conv1.weight"]
    state[f"{prefix}fc.weight"] = torch.zeros(1000, 64)
    state[f"{prefix}extra"] = torch.zeros(1)
    torch.save(wrap(state), tmp_path / "weights.pth")
    target = network_of(BLOCK)
    before = {name: value.clone() for name, value in target.state_dict().items()}
    matched = load_weights(target, tmp_path / "weights.pth")
    assert matched.other_shape == ("fc.weight",)
    assert matched.unused == ("extra",)
    assert "conv1.weight" in matched.absent
    assert any("inserted" in name for name in matched.absent)
    for name, value in target.state_dict().items():
        expected = source.state_dict()[name] if name in matched.loaded else before[name]
        assert torch.equal(value, expected), name
    assert "1 of another shape: fc.weight; 1 not used: extra" in str(matched)


def test_safetensors_hold_the_same_weights(pretrained):
    network = network_of(PLAIN)
    assert load_weights(network, pretrained).absent == ()
    expected = read_weights(pretrained)
    assert all(torch.equal(v, expected[name]) for name, v in network.state_dict().items())


class Trap:
    def __reduce__(self):
        return (print, ("this ran",))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (Trap(), "it would run code"),
        ({"a": torch.zeros(1)}, r"nothing in .* fits: it has a"),
        ([1, 2], "holds no weights by name, but list"),
    ],
)
def test_a_file_that_is_no_weights_is_refused(content, words, tmp_path, capsys):
    torch.save(content, tmp_path / "file.pth")
    network = network_of(PLAIN)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(CheckpointError, match=words):
        load_weights(network, tmp_path / "file.pth")
    assert capsys.readouterr().out == ""
    assert all(torch.equal(v, before[name]) for name, v in network.state_dict().items())


def test_missing_and_broken_files_are_named(tmp_path):
    with pytest.raises(CheckpointError, match="no weights at"):
        read_weights(tmp_path / "absent.pth")
    (tmp_path / "broken.safetensors").write_bytes(b"no")
    with pytest.raises(CheckpointError, match="cannot be read as weights"):
        read_weights(tmp_path / "broken.safetensors")


def test_with_group_norm_the_rest_of_a_batch_does_not_matter():
    network = network_of(dataclasses.replace(BLOCK, norm="group")).double()
    assert not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in network.modules())
    images = torch.randn(4, 1, 8, 8, dtype=torch.float64)
    alone = torch.cat([network(image[None]) for image in images])
    torch.testing.assert_close(network(images), alone)
    other = network_of(BLOCK).double()
    assert not torch.allclose(other(images)[:1], other(images[:1]), atol=1e-3)


def test_a_changed_norm_keeps_scale_and_shift():
    network = nn.Sequential(nn.BatchNorm2d(4))
    nn.init.uniform_(network[0].weight)
    nn.init.uniform_(network[0].bias)
    old = network[0]
    NORMS["group"](network)
    x = torch.randn(2, 4, 3, 5)
    grouped = x.view(2, 2, 2, 3, 5)
    mean = grouped.mean((2, 3, 4), keepdim=True)
    variance = grouped.var((2, 3, 4), correction=0, keepdim=True)
    flat = ((grouped - mean) / (variance + 1e-5).sqrt()).view_as(x)
    expected = flat * old.weight[:, None, None] + old.bias[:, None, None]
    torch.testing.assert_close(network(x), expected)
