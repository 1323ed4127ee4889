import dataclasses
import re

import pytest
import torch

from models import train
from models.data import DATASETS
from models.recipe import RECIPES, Recipe, recipe_path
from models.schedules import learning_rate_factor
from models.training import network_of
from snl_graph import inserted_blocks

NAMES = sorted(path.stem for path in RECIPES.glob("*.yaml"))


def load(name, *overrides):
    return train.parse([name, *overrides])[1]


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_builds_its_network_with_its_blocks(name):
    recipe = load(name)
    if not DATASETS[recipe.dataset].num_classes:  # a person's own folder
        recipe = dataclasses.replace(recipe, classes=("cat", "dog"), size=(32, 32))
    network = network_of(recipe)
    assert tuple(inserted_blocks(network)) == recipe.after
    assert Recipe.from_dict(recipe.to_dict()) == recipe


def test_the_papers_network_has_its_block_after_the_second_residual_block_of_stage_1():
    network = network_of(load("table2_half_snl"))
    shapes = {}
    network.get_submodule("layer1.1").register_forward_hook(
        lambda module, args, output: shapes.update(out=output.shape)
    )
    network.eval()(torch.zeros(1, 3, 32, 32))
    assert shapes["out"] == (1, 64, 32, 32)
    (block,) = inserted_blocks(network).values()
    assert block.units[0].g.weight.shape == (32, 64)  # C_s = C_1 / 2


def test_cosine_ends_at_zero_and_warm_up_is_linear():
    recipe = Recipe("preresnet8", "digits", epochs=10, schedule="cosine", warmup_epochs=2)
    found = [learning_rate_factor(epoch, recipe) for epoch in (0, 0.5, 2, 6, 10)]
    assert found == pytest.approx([0, 0.25, 1, 0.5, 0])


def test_options_override_the_recipe():
    recipe = load("digits", "--block", "nl", "--epochs=3", "--block_options.reduction", "4")
    assert (recipe.block, recipe.epochs, recipe.block_options) == ("nl", 3, {"reduction": 4})
    assert load("digits", "--block", "null").block is None
    assert load("digits", "--after", "[layer1.0, layer2.0]").after == ("layer1.0", "layer2.0")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["digit"], r'unknown recipe "digit"\. Did you mean "digits"\?.*"cifar10"'),
        (["digits", "--epoch", "3"], r'unknown option "epoch"\. Did you mean "epochs"\?'),
        (["digits", "--network", "resnet51"], r'unknown network "resnet51".*"preresnet83"'),
        (["digits", "--dataset", "mnist"], r'unknown data set "mnist".*"cifar100"'),
        (["digits", "--block", "xnl"], r'"xnl".*"snl"'),
        (["digits", "--optimizer", "adan"], r'unknown optimizer "adan".*"adamw"'),
        (["digits", "--schedule", "step"], r'unknown schedule "step".*"cosine"'),
        (["digits", "--after", "[layer9]"], "layer9"),
        (["digits", "--epochs", "0"], "epochs must be at least 1; got 0"),
        (["digits", "--epochs", "few"], "epochs"),
        (["digits", "--learning_rate", "-1"], "learning_rate must be above 0"),
        (["digits", "--warmup_epochs", "99"], "warmup_epochs must lie in 0 .. epochs = 15"),
        (["digits", "--after", "[]"], 'block "snl" has no place'),
        (["digits", "--block_options", "{reducton: 2}"], "reducton"),
        (["absent.yaml"], r"no recipe at absent\.yaml"),
        (["digits", "--resume", "absent.ckpt"], r"no checkpoint at absent\.ckpt"),
        (["digits", "--task", "clasification"], r'unknown task "clasification".*"distillation"'),
        (["digits", "--task_options", "{margin: 1}"], 'no options; got "margin"'),
        (["digits", "--task", "reidentification"], '"digits" is of no use for the task "reident'),
        (["digits", "--rival", "sse"], r'unknown rival "sse".*"cgd"'),
        (["digits", "--frames", "8"], '"digits" has no clips'),
        (["digits", "--test_every", "2"], "must divide epochs = 15"),
        (["table9_mars", "--stride", "2"], "none with a stride"),
        (["digits", "--dataset", "mars"], '"mars" is of no use for the task "classif'),
        (["table9_mars", "--task_options", "{marign: 1}"], 'Did you mean "margin"'),
        (["table9_mars", "--task_options.margin", "-1"], "margin of triplets must be at least 0"),
        (["table9_mars", "--batch_size", "30"], "tracklets=4 and batch_size=30"),
        (["table8_mars", "--dataset", "imagenet"], '"imagenet" is of no use for the task "dist'),
        (["table8_mars", "--task_options.weight", "-2"], "at least 0; got -2"),
        (["digits", "--devices", "two"], '"auto", a number or a list'),
    ],
)
def test_what_cannot_be_meant_is_one_line_on_stderr(args, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        train.main(args)
    assert caught.value.code == 2
    message = capsys.readouterr().err
    assert re.search(words, message), message
    assert "Traceback" not in message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("netwrk: resnet50\n", r'unknown key in .*: "netwrk"\. Did you mean "network"\?'),
        ("- a\n- b\n", "must hold `key: value` lines"),
        ("a: [", "is no YAML file"),
    ],
)
def test_a_spoilt_recipe_file_is_refused(text, words, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=words):
        recipe_path(str(path))


def test_every_field_of_a_recipe_is_documented():
    documented = Recipe.__doc__
    for field in dataclasses.fields(Recipe):
        assert f"\n        {field.name}:" in documented, field.name
