"""Counted costs against formulas by hand, and estimated memory against what autograd saves."""

import math

import pytest
import torch

from models.costs import advise, block_cost, count_macs, kept_numbers, survey
from models.costs.__main__ import main
from models.costs.counting import shapes_only
from models.costs.table6 import PRINTED, SETTINGS, Setting, table_rows
from models.networks import NETWORKS, POSITIONS, build_network
from models.preresnet import BasicBlock, PreResNet
from snl_graph import insert_block, nonlocal_block
from snl_graph.blocks import ROWS

PROJECTIONS = {"nl": 4, "ns": 4, "a2": 4, "cgnl": 4, "snl": 5, "gsnl": 6}
"""Products of N·C·C_s: Φ, Ψ, Z and one a tap; cc has a C×C matrix in place of the last two."""


def projections_by_hand(name, channels, positions):
    hidden = channels // 2
    if name == "cc":
        return positions * (2 * channels * hidden + channels * channels)
    return PROJECTIONS[name] * positions * channels * hidden


def operator_by_hand(name, channels, size, representation):
    """Products with A and those that make it, from the formulas of docs/operator.md."""
    n, r = math.prod(size), channels // 2
    applications = 2 if name == "gsnl" else 1
    if name == "cgnl":  # one number a node: Ψᵀ Z and Φ times it
        return 2 * n * r
    if representation == "dense":
        width = channels if name == "cc" else r
        return n * n * (r + applications * width)
    if representation == "streaming":  # one fused call: Φ Ψᵀ and its product with Z
        return 2 * n * n * r
    if representation == "grid":  # along both axes: the weights and their product with X
        return n * sum(size) * (r + channels)
    if name == "a2":  # not symmetrised: Ψᵀ Z and Φ times it
        return 2 * n * r * r
    return applications * 4 * n * r * r  # symmetrised: both ways


@pytest.mark.parametrize("name", sorted(ROWS))
@pytest.mark.parametrize("size", [(5, 6), (14, 14), (24, 20)])
def test_counted_macs_are_those_of_the_formula(name, size):
    cost = block_cost(name, 16, size)
    assert cost.projection_macs == projections_by_hand(name, 16, math.prod(size))
    expected = operator_by_hand(name, 16, size, cost.representation)
    # The degrees of the symmetric form are a few products of width one more.
    assert expected <= cost.operator_macs <= expected + 8 * math.prod(size) * 16


@pytest.mark.parametrize(
    ("name", "added"),
    [("snl", 2_623_488), ("nl", 2_099_200), ("ns", 2_099_200), ("cgnl", 2_099_200)],
)
def test_blocks_in_resnet50_cost_what_table_6_says(name, added):
    cost = block_cost(name, 1024, (14, 14))
    assert cost.parameters == added
    convolutions = {"snl": 0.514, "nl": 0.411, "ns": 0.411, "cgnl": 0.411}[name]
    assert round(cost.projection_macs / 1e9, 3) == convolutions
    if ("resnet50", name) in PRINTED:
        printed = PRINTED["resnet50", name]
        assert cost.parameters / 1e6 == pytest.approx(printed.parameters, abs=0.01)
        assert cost.projection_macs / 1e9 == pytest.approx(printed.macs, abs=0.005)


@pytest.mark.parametrize(
    ("network", "size", "published"),
    [
        ("resnet50", (224, 224), 4.09),  # torchvision's table of weights, as the next two
        ("resnet18", (224, 224), 1.81),
        ("resnet34", (224, 224), 3.66),
    ],
)
def test_networks_cost_what_torchvision_states(network, size, published):
    assert survey(network, size).macs / 1e9 == pytest.approx(published, abs=0.01)


def test_a_small_network_costs_the_sum_of_its_convolutions():
    """One basic block a stage on 8×8: stem, two 3×3 a block, shortcuts, classifier."""
    by_hand = 9 * 64 * 3 * 16 + 2 * 9 * 64 * 16 * 16
    by_hand += 16 * (9 * 16 * 32 + 9 * 32 * 32 + 16 * 32)
    by_hand += 4 * (9 * 32 * 64 + 9 * 64 * 64 + 32 * 64) + 64 * 10
    with shapes_only():
        model = PreResNet(BasicBlock, [1, 1, 1])
        assert count_macs(model, torch.zeros(1, 3, 8, 8)) == by_hand
    real = PreResNet(BasicBlock, [1, 1, 1])
    assert count_macs(real, torch.zeros(1, 3, 8, 8)) == by_hand


def saved_numbers(block, x):
    """Distinct numbers that autograd holds on to, without parameters and the norm's statistics."""
    own = {p.untyped_storage().data_ptr() for p in block.parameters()}
    held = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own and tensor.numel() > 2 * x.shape[1]:
            held[storage.data_ptr()] = (storage.nbytes() // tensor.element_size(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        y = block(x)
    return sum(count for count, _ in held.values()), y


@pytest.mark.parametrize("name", sorted(ROWS))
@pytest.mark.parametrize("size", [(6, 7), (16, 14), (24, 28)])
def test_estimated_memory_is_what_autograd_saves(name, size):
    torch.manual_seed(0)
    block = nonlocal_block(name, 32)
    x = torch.randn(3, 32, *size, requires_grad=True)
    representation = block.affinity_of(x).representation
    saved, _ = saved_numbers(block, x)
    assert 3 * kept_numbers(block, size, representation) == pytest.approx(saved, rel=0.12)


def test_every_representation_that_a_row_takes_has_been_estimated():
    sizes = [(6, 7), (16, 14), (24, 28)]
    taken = {block_cost(name, 32, size).representation for name in ROWS for size in sizes}
    assert taken == {"dense", "factored", "grid", "streaming"}
    with pytest.raises(ValueError, match='no formula for what representation "edges" keeps'):
        kept_numbers(nonlocal_block("snl", 8), (3, 3), "edges")


def test_advice_names_the_papers_position_and_its_cost():
    own, advice = advise("resnet50", (224, 224))
    assert own.parameters == 25_557_032
    places = {each.position.name: each for each in advice}
    assert list(places) == [
        f"layer{stage}.{i}" for stage, depth in enumerate((3, 4, 6, 3), 1) for i in range(depth)
    ]
    at = places["layer3.4"]
    assert (at.position.channels, at.position.size) == (1024, (14, 14))
    assert at.block.parameters == 2_623_488


def test_every_position_takes_a_block_and_no_other_submodule_does():
    network = "preresnet8"
    listed = {a.position.name for a in advise(network, (32, 24), everywhere=True)[1]}
    example = torch.zeros(2, 3, 32, 24)
    model = build_network(network, num_classes=3)
    names = [name for name, _ in model.named_modules() if name]
    taken = set()
    for name in names:
        try:
            insert_block(build_network(network, num_classes=3), name, example=example)
        except ValueError:
            continue
        taken.add(name)
    aliases = {n for n in names if type(model.get_submodule(n)) is torch.nn.Sequential}
    assert listed == taken - aliases


def test_frames_that_are_seen_by_themselves_are_counted_one_by_one():
    _, advice = advise("vtn", (4, 64, 32))
    cost = block_cost("snl", 128, (8, 4))
    for each in advice:
        assert each.position.maps == 4
        if each.position.channels == 128:
            assert each.block == cost
            assert each.macs == 4 * (cost.projection_macs + cost.operator_macs)
            assert each.kept_bytes == 4 * cost.kept_bytes
    assert [each.position.name for each in advice][-1] == "layer4.2"  # and not the decoder


def test_a_table_has_the_backbone_and_every_rival():
    rows = {row.block: row for row in table_rows("resnet18", Setting((64, 64), 1000))}
    assert list(rows) == ["", "se", "ge", "cgd"]
    assert rows[""].parameters == 11_689_512
    gates = ((64, 8), (128, 8), (256, 16), (512, 32))  # channels and hidden channels of a stage
    assert rows["se"].parameters == sum(2 * (2 * c * h + c + h) for c, h in gates)
    assert rows["se"].macs == sum(2 * 2 * c * h for c, h in gates)
    maps = ((64, 16), (128, 8), (256, 4), (512, 2))
    assert rows["ge"].parameters == sum(2 * (c * side**2 + 2 * c) for c, side in maps)
    assert rows["ge"].macs == sum(2 * c * side**2 for c, side in maps)
    assert rows["cgd"].parameters == sum(2 * 6 * c for c, _ in maps)


def test_a_table_has_every_block_at_the_papers_position():
    rows = {row.block: row for row in table_rows("preresnet83", SETTINGS["preresnet83"])}
    assert list(rows) == ["", *ROWS]
    for name in ROWS:
        assert rows[name].parameters == block_cost(name, 64, (32, 32)).parameters
        assert rows[name].macs == projections_by_hand(name, 64, 32 * 32)


def test_every_backbone_of_the_table_is_a_network_with_its_position():
    assert SETTINGS.keys() <= NETWORKS.keys()
    assert SETTINGS.keys() - {"vtn", "vtn_snl"} == POSITIONS.keys()
    assert {network for network, _ in PRINTED} <= SETTINGS.keys()


def test_the_command_prints_costs_and_advice(capsys):
    main(["--network", "vtn"])
    assert "28,690,853" in capsys.readouterr().out
    main(["advise", "preresnet8", "--size", "16", "24", "--block", "nl"])
    printed = capsys.readouterr().out
    assert "layer2.0" in printed
    assert "8×12" in printed


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["advise", "resnet51", "--size", "8", "8"], 'unknown network "resnet51"'),
        (["advise", "preresnet8"], "preresnet8 needs the size of its input"),
        (["advise", "resnet3d50", "--size", "8", "8"], "does not run on an input of size 8×8"),
        (["advise", "preresnet8", "--size", "8", "8", "--block", "xnl"], 'unknown block "xnl"'),
        (["--network", "preresnet21"], 'unknown backbone "preresnet21"'),
    ],
)
def test_what_cannot_be_meant_is_one_line_on_stderr(args, words, capsys):
    with pytest.raises(SystemExit) as caught:
        main(args)
    assert caught.value.code == 2
    message = capsys.readouterr().err
    assert words in message
    assert "Traceback" not in message
