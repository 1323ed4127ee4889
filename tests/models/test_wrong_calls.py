"""What a caller can put right is one line on stderr, and nothing is written."""

import re

import pytest

from models import evaluate, sweep, tables, train
from models.costs.__main__ import main as costs
from models.data.making import make
from models.data.synthetic import Plan

CPU = ["--accelerator=cpu", "--devices=1"]
PERSONS = ["table9_mars", "--pretrained=null", "--data=mars", *CPU]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("calls")
    make("mars", place / "mars", Plan(classes=4, items=2, frames=2, height=8, width=8))
    (place / "text.pth").write_text("no weights")
    return place


@pytest.mark.parametrize(
    ("program", "args", "words"),
    [
        (train.main, ["digits", "--epochs=three", *CPU], 'key "epochs": Expected .* three$'),
        (train.main, ["digits", "--size=[0, 8]", *CPU], "size must be at least 1×1; got 0×8"),
        (train.main, ["digits", "--classes=[a, b]", *CPU], "a, b; digits at data has 10 classes"),
        (train.main, ["digits", "--checkpoint_every=-1", *CPU], "must be at least 0; got -1"),
        (train.main, ["digits", "--accelerator=cpu", "--devices=0"], "Look at .*--devices"),
        (train.main, ["digits", "--pretrained=text.pth", *CPU], r"text\.pth cannot be read as we"),
        (train.main, [*PERSONS, "--network=vtn"], r"the network vtn has no features\(clips\)"),
        (train.main, [*PERSONS, "--batch_size=32"], "there are 4 persons.*batches of 16"),
        (evaluate.main, ["last.ckpt", "--batches=0"], "--batches must be at least 1; got 0"),
        (evaluate.main, ["last.ckpt", "--batch_size=-1"], "--batch_size must be at least 1"),
        (sweep.main, ["fashion", "--data=none", "--results=new"], "no Fashion-MNIST at none"),
        (tables.main, ["fashion", "--results=none"], "no folder none; expected the CSV files"),
        (tables.main, ["fashion", "--results=.", "--page=a.md", "--write"], r"no page at a\.md"),
        (costs, ["advise", "resnet99"], 'unknown network "resnet99". Did you mean "resnet50"'),
        (costs, ["advise", "resnet18", "--size=9", "--channels=0"], "--channels must be at least"),
    ],
)
def test_it_is_told_in_one_line(program, args, words, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    before = sorted(folder.rglob("*"))
    with pytest.raises(SystemExit) as caught:
        program(args)
    assert caught.value.code == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1, message
    assert re.search(words, message), message
    assert sorted(folder.rglob("*")) == before
