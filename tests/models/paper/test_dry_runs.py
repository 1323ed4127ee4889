"""Every row of the paper's tables runs from end to end, on synthetic data in the true layout.

Networks and blocks are the paper's; pictures, clips and batches are as small as they bear. Rows of
several tables that are one experiment, and so one recipe, run once.
"""

from __future__ import annotations

import gc
import os

import pytest
import torch

from models import train
from models.data.making import make
from models.data.synthetic import Plan
from models.networks import build_network
from models.paper import ROWS

SIZES = {"cifar10": "[16, 16]", "cifar100": "[16, 16]", "mars": "[40, 20]"}
SIZES |= {"ilids_vid": "[40, 20]", "prid2011": "[40, 20]"}
"""Of pictures; 40×40 elsewhere, of which the networks of stride 32 leave 2×2."""
FRAMES = {"resnet3d50": 4, "resnext3d101": 4, "vtn": 2, "vtn_snl": 2, "p3d199": 16}

ROWS_OF_A_RECIPE = {}
for _name, _row in ROWS.items():
    ROWS_OF_A_RECIPE.setdefault(str(_row.recipe), []).append(_name)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Folder of a data set, made when it is first asked for."""
    made = {}

    def folder(dataset):
        # Videos, with their flow beside them, are one folder for all of UCF-101's names.
        layout = "ucf101_flow" if dataset.startswith("ucf101") else dataset
        if layout not in made:
            made[layout] = tmp_path_factory.mktemp(layout) / "root"
            make(layout, made[layout], Plan(classes=4, items=2, frames=20, height=32, width=32))
        return made[layout]

    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Files of weights for the networks that begin with some, as others would have trained them."""
    folder = tmp_path_factory.mktemp("weights")

    def file(network, in_channels):
        path = folder / f"{network}_{in_channels}.pth"
        if not path.is_file():
            with torch.device("meta"):
                empty = build_network(network, in_channels=in_channels, num_classes=7)
            generator = torch.Generator().manual_seed(0)
            state = {}
            for name, value in empty.state_dict().items():
                fan_in = max(1, value[0].numel()) if value.dim() > 1 else 0
                if fan_in:
                    drawn = torch.randn(value.shape, generator=generator) * fan_in**-0.5
                else:  # norms: the identity; biases: zero
                    drawn = torch.ones(value.shape) if is_scale(name) else torch.zeros(value.shape)
                state[name] = drawn.half() if value.is_floating_point() else drawn.to(value.dtype)
            torch.save(state, path)
        return path

    return file


def is_scale(name):
    return name.endswith(("weight", "running_var"))


@pytest.mark.parametrize("names", ROWS_OF_A_RECIPE.values(), ids="+".join)
def test_the_row_runs_from_end_to_end(names, data, weights, tmp_path, monkeypatch, capsys):
    name = names[0]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train, "DRY_BATCHES", 1)
    monkeypatch.setattr(os, "fsync", lambda file: None)  # nothing is kept
    recipe = ROWS[name].recipe
    options = [f"--size={SIZES.get(recipe.dataset, '[64, 64]')}", "--workers=0"]
    options += ["--accelerator=cpu", "--devices=1", f"--data={data(recipe.dataset)}"]
    if recipe.network in FRAMES:
        options.append(f"--frames={FRAMES[recipe.network]}")
    if recipe.pretrained is not None:
        channels = recipe.source.in_channels
        options.append(f"--pretrained={weights(recipe.network, channels)}")
    if recipe.task == "distillation":
        options.append(f"--task_options.teacher={weights(recipe.network, 2)}")
    if recipe.task != "reidentification":
        options.append("--batch_size=2")
    train.main([name, *options, "--dry-run"])
    shown = " ".join(capsys.readouterr().out.split())
    assert f"{name}: trained, tested, saved, read and measured again" in shown
    assert ("weights loaded" in shown) == (recipe.pretrained is not None)
    assert list(tmp_path.iterdir()) == []
    gc.collect()  # network and trainer hold each other; ninety of them do not fit into memory
