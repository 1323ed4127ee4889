"""The recipes of the paper's tables say what the paper says, and are made from one place."""

import re
from collections import Counter

import pytest
import torch

from models import train
from models.networks import POSITIONS
from models.paper import ROWS, text_of, write
from models.paper.__main__ import main as paper
from models.recipe import PAPER_RECIPES
from models.schedules import learning_rate_factor
from models.training import network_of

OFFICIAL = "_split1"


def recipes(pattern):
    found = {name: row.recipe for name, row in ROWS.items() if re.fullmatch(pattern, name)}
    assert found, pattern
    return found


def test_the_files_are_those_that_the_rows_write(tmp_path):
    on_disk = {path.name: path.read_text(encoding="utf-8") for path in PAPER_RECIPES.iterdir()}
    assert on_disk == {f"{name}.yaml": text_of(row) for name, row in ROWS.items()}
    (tmp_path / "table2_gone.yaml").write_text("network: preresnet8\n")
    (tmp_path / "mine.yaml").write_text("network: preresnet8\n")
    assert len(write(tmp_path)) == len(ROWS) + 1
    assert write(tmp_path) == []
    written = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert written == {**on_disk, "mine.yaml": "network: preresnet8\n"}


@pytest.mark.parametrize("table", range(2, 10))
def test_every_file_is_read_as_the_recipe_of_its_row(table):
    for name, row in ROWS.items():
        if row.table == table:
            assert train.parse([name])[:2] == (name, row.recipe)


def test_every_table_has_its_rows():
    """Counted in the paper; rows without its number are not in it."""
    numbered = Counter(row.table for row in ROWS.values() if row.printed)
    assert numbered == {2: 16, 3: 16, 4: 18, 5: 11, 6: 8, 7: 12, 8: 6, 9: 9}


# Top-1 of the plain network, nl, ns, a2, cgnl and snl, copied from the tables once more.
PRINTED = {
    "table2_full": (75.33, 75.29, 75.39, 75.51, 74.71, 76.34),
    "table2_half": (75.33, 75.31, 75.83, 75.58, 75.75, 76.41),
    "table2_quarter": (75.33, 75.50, 75.61, 75.61, 75.27, 76.02),
    "table3_stage1": (75.33, 75.31, 75.83, 75.58, 75.75, 76.41),
    "table3_stage2": (75.33, 75.64, 75.74, 75.60, 74.54, 76.29),
    "table3_stage3": (75.33, 75.28, 75.44, 75.21, 74.90, 75.68),
    "table4_cifar10_resnet50": (94.94, 94.01, 95.15, 94.41, 94.49, 95.32),
    "table4_cifar100_resnet50": (76.50, 76.77, 77.90, 77.30, 74.88, 78.17),
    "table4_cifar100_preresnet": (75.33, 75.31, 75.83, 75.58, 75.75, 76.41),
    "table7_cub200": (85.43, 85.34, 85.54, 85.91, 86.14, 86.02),
    "table7_ucf101": (81.57, 82.88, 82.50, 82.68, 83.38, 84.39),
}


@pytest.mark.parametrize("prefix", PRINTED)
def test_rows_have_the_papers_numbers(prefix):
    plain, *blocks = PRINTED[prefix]
    without = ROWS.get(prefix) or ROWS[f"{prefix.split('_')[0]}_baseline"]
    assert without.printed == (plain,)
    for block, number in zip(("nl", "ns", "a2", "cgnl", "snl"), blocks, strict=True):
        row = ROWS[f"{prefix}_{block}"]
        assert row.printed == (number,)
        assert row.recipe.block == block
        assert row.recipe.network == without.recipe.network


def schedule(recipe):
    """Epochs after which the rate falls, and what it then is."""
    rates = [
        recipe.learning_rate * learning_rate_factor(epoch, recipe) for epoch in range(recipe.epochs)
    ]
    start = int(recipe.warmup_epochs)
    falls = [(start, rates[start])]
    for epoch in range(start + 1, recipe.epochs):
        if rates[epoch] != rates[epoch - 1]:
            falls.append((epoch, rates[epoch]))
    return [epoch for epoch, _ in falls], pytest.approx([rate for _, rate in falls])


@pytest.mark.parametrize(
    ("pattern", "epochs", "falls", "rates", "optimizer", "decay"),
    [
        ("table[2-5]_.*", 300, [10, 150, 250], [0.1, 0.01, 1e-3], "sgd", 1e-4),
        ("table6_.*", 110, [0, 31, 61, 81], [1e-2, 1e-3, 1e-4, 1e-5], "sgd", 1e-4),
        ("table7_cub200.*", 110, [0, 31, 61, 81], [0.1, 1e-2, 1e-3, 1e-4], "sgd", 1e-4),
        ("table7_ucf101.*", 100, [0, 40, 80], [1e-2, 1e-3, 1e-4], "sgd", 1e-4),
        ("table8_(p3d|vtn).*", 100, [0, 40, 80], [1e-2, 1e-3, 1e-4], "sgd", 1e-4),
        ("table8_mars.*", 100, [0, 40, 80], [1e-2, 1e-3, 1e-4], "sgd", 1e-3),
        ("table9_.*", 500, [0, 200, 400], [3e-4, 3e-5, 3e-6], "adam", 5e-4),
    ],
)
def test_rows_have_the_papers_schedule(pattern, epochs, falls, rates, optimizer, decay):
    for name, recipe in recipes(pattern).items():
        assert recipe.epochs == epochs, name
        assert schedule(recipe) == (falls, rates), name
        assert (recipe.optimizer, recipe.weight_decay) == (optimizer, decay), name
        assert recipe.momentum == 0.9, name
        assert recipe.dampening == (0.9 if name.startswith("table8_mars") else 0), name


def test_blocks_are_where_the_paper_puts_them():
    for name, recipe in recipes(".*").items():
        stage = re.search(r"stage(\d)", name)
        expected = POSITIONS.get(recipe.network, ())
        if stage:
            expected = (f"layer{stage[1]}.1",)
        elif name.endswith("_x3"):
            expected = ("layer1.1", "layer2.1", "layer3.1")
        assert recipe.after == (expected if recipe.block else ()), name
        reduction = {"full": 1, "quarter": 4}.get(name.split("_")[1], 2)
        assert recipe.block_options == ({"reduction": reduction} if recipe.block else {}), name
        # From scratch a block that starts as the identity may not learn.
        assert recipe.zero_init == bool(recipe.block and recipe.pretrained), name


@pytest.mark.parametrize(
    ("name", "frames", "span", "size"),
    [
        ("table7_ucf101_snl", 16, 16, (112, 112)),
        ("table8_p3d_snl", 16, 16, (112, 112)),
        ("table8_mars_snl", 16, 16, (112, 112)),
        ("table8_vtn_snl", 16, 31, (112, 112)),  # every second frame
        ("table9_mars_snl", 4, 4, (224, 112)),
    ],
)
def test_clips_are_as_long_as_they_should_be(name, frames, span, size):
    spec = ROWS[name].recipe.spec
    assert (spec.sampling.frames, spec.sampling.span, spec.size) == (frames, span, size)
    assert ROWS["table7_cub200"].recipe.spec.size == (448, 448)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        # torchvision's networks. Table 6 prints + 2.62 M of SNL and + 2.09 M of NL and CGNL: five
        # and four convolutions between 1024 and 512 channels, 2¹⁹ each, and a norm, 2 · 1024.
        ("table6_resnet50", 25_557_032),
        ("table6_resnet50_snl", 25_557_032 + 2_623_488),
        ("table6_resnet50_nl", 25_557_032 + 2_099_200),
        ("table6_resnet50_cgnl", 25_557_032 + 2_099_200),
        ("table6_resnet101_snl", 44_549_160 + 2_623_488),
        ("table6_resnet152_snl", 60_192_808 + 2_623_488),
        ("table6_resnet50_se", 28_088_024),  # timm's seresnet50; Hu et al.: 28.1 M
    ],
)
def test_the_networks_of_table_6_have_the_printed_parameters(name, parameters):
    with torch.device("meta"):
        network = network_of(ROWS[name].recipe)
    assert sum(p.numel() for p in network.parameters()) == parameters


def test_the_tasks_of_mars_and_of_persons():
    for name, recipe in recipes("table9_.*").items():
        assert recipe.task == "reidentification", name
        assert recipe.task_options == {"margin": 0.3, "tracklets": 4}, name
        assert recipe.batch_size == 32, name
    student, teacher = ROWS["table8_mars_snl"].recipe, ROWS["table8_mars_flow"].recipe
    assert (student.task, teacher.task) == ("distillation", "classification")
    assert (student.dataset, teacher.dataset) == ("ucf101_holdout", "ucf101_flow_holdout")
    assert teacher.spec.in_channels == 2


def test_official_splits_differ_from_the_hold_out_in_their_data_alone():
    official = recipes(f".*{OFFICIAL}")
    videos = {n for n, r in recipes("table[78]_.*").items() if "ucf101" in r.dataset}
    assert {f"{name}{OFFICIAL}" for name in videos if OFFICIAL not in name} == set(official)
    for name, recipe in official.items():
        twin = ROWS[name.removesuffix(OFFICIAL)].recipe.to_dict()
        assert twin.pop("dataset") == f"{recipe.dataset}_holdout"
        assert recipe.to_dict() == {**twin, "dataset": recipe.dataset, "split": 1}


def test_help_names_the_tables_and_not_every_row(capsys):
    with pytest.raises(SystemExit):
        train.main(["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "tables 2 to 9" in shown
    assert "python -m models.paper" in shown
    assert len(re.findall(r"table\d_\w+", shown)) == 1


def test_the_listing_has_table_row_recipe_and_number(capsys):
    paper([])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(ROWS) + 1
    (line,) = (line for line in lines if " table5_snl_x3 " in line)
    assert re.split(r"\s{2,}", line) == [
        "5",
        "table5_snl_x3",
        "PreResNet56 + SNL (×3)",
        "Top-1 76.70 %",
    ]
    paper(["list", "9"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10
    assert "rank-1 88.80 %, mAP 92.40 %" in lines[-1]
    with pytest.raises(SystemExit):
        paper(["list", "1"])
    assert "are 2 to 9; got 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("table5_snl_x4", r'Did you mean "table5_snl_x3"\?.*"table5_baseline"'),
        ("table1_snl", r"of table2 to table9\. python -m models\.paper lists them"),
    ],
)
def test_a_row_that_is_not_there_lists_those_of_its_table(name, words):
    with pytest.raises(ValueError, match=words) as caught:
        train.parse([name])
    assert "table6" not in str(caught.value)
