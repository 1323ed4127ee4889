"""Blocks alone in a file: they come back as they were, and what does not fit changes nothing."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

import snl_graph
from snl_graph import NonlocalBlock, insert_block, inserted_blocks, nonlocal_block
from snl_graph.blocks import ROWS
from snl_graph.blocks.pooling import Subsampling
from snl_graph.filters import FILTERS, Heat, Polynomial
from snl_graph.interchange import InterchangeError, load_blocks, save_blocks
from snl_graph.interchange.description import describe, make
from snl_graph.kernels import RBF, Concatenation, EmbeddedGaussian, SignedDot
from snl_graph.masks import EdgeList

OPTIONS: dict[str, dict[str, Any]] = {
    **{name: {"name": name} for name in ROWS},
    **{name: {"name": "gsnl", "filter": name, "K": 3} for name in FILTERS},
    "K": {"name": "gsnl", "K": 5, "basis": "chebyshev"},
    "stage": {"name": "ns", "depth": 3, "recurrence": 2, "activation": "relu"},
    "heads": {"name": "snl", "heads": 2, "norm": "layer"},
    "groups": {"name": "cgnl", "groups": 2, "norm": "group:4", "kernel": SignedDot("1/n")},
    "scaled": {"name": "nl", "kernel": EmbeddedGaussian("1/sqrt(r)"), "bias": True},
    "rbf": {"name": "snl", "kernel": RBF(0.3), "mask": "window:2", "norm": "none"},
    "concatenation": {"name": "nl", "kernel": Concatenation(4, "1/n"), "normalization": "none"},
    "gaussian": {"name": "nl", "kernel": "gaussian", "value_channels": 3},
    "pooled": {"name": "a2", "subsample": Subsampling((1, 2), pools_input=True)},
    "held": {"name": "nl", "subsample": 2, "representation": "dense", "value_channels": 6},
}


def network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU())


IMAGE = torch.zeros(1, 3, 6, 7)


def with_blocks() -> nn.Module:
    options: dict[str, Any] = {"zero_init": False, "example": IMAGE}
    net = insert_block(network(), "1", "snl", **options)
    insert_block(net, "1", "nl", kernel=EmbeddedGaussian(0.5), **options)
    return insert_block(net, "2", "cc", **options)


def numbers(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def assert_unchanged(model: nn.Module, before: dict[str, Tensor]) -> None:
    after = model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], value) for name, value in before.items())


@pytest.mark.parametrize("name", OPTIONS)
def test_block_comes_back_bit_for_bit(name: str, tmp_path: Path) -> None:
    options = dict(OPTIONS[name])
    block = nonlocal_block(options.pop("name"), 8, **options)
    x = torch.randn(2, 8, 4, 6)
    block(x)  # moves the running statistics
    path = save_blocks(block, tmp_path / "block.safetensors")
    (loaded,) = load_blocks(path).values()
    assert describe(loaded) == describe(block)
    assert str(loaded) == str(block)
    assert_unchanged(loaded, numbers(block))
    assert torch.equal(loaded.eval()(x), block.eval()(x))
    assert all(p.requires_grad for p in loaded.parameters())


def test_loaded_block_does_not_need_its_file(tmp_path: Path) -> None:
    block = nonlocal_block("nl", 8)
    path = save_blocks(block, tmp_path / "block.safetensors")
    (loaded,) = load_blocks(path).values()
    path.write_bytes(b"")  # in place: memory that lay in the file would be gone
    assert_unchanged(loaded, numbers(block))


def test_dtype_and_eps_are_kept(tmp_path: Path) -> None:
    block = nonlocal_block("nl", 8).to(torch.bfloat16)
    block.units[0].bn.eps = 1e-3
    (loaded,) = load_blocks(save_blocks(block, tmp_path / "a.safetensors")).values()
    assert {p.dtype for p in loaded.parameters()} == {torch.bfloat16}
    assert loaded.units[0].bn.eps == 1e-3


def test_blocks_of_a_network_are_inserted_into_another(tmp_path: Path) -> None:
    net, other = with_blocks().eval(), network().eval()
    path = save_blocks(net, tmp_path / "blocks.safetensors")
    with safe_open(path, "pt") as file:
        assert all(name.split("/")[0] in ("1", "1#2", "2") for name in file.keys())  # noqa: SIM118
    loaded = load_blocks(path, other, example=IMAGE)
    assert list(loaded) == ["1", "1#2", "2"]
    assert loaded == inserted_blocks(other)
    x = torch.randn(2, 3, 6, 7)
    assert torch.equal(other(x), net(x))


def test_blocks_that_are_there_are_filled(tmp_path: Path) -> None:
    net, other = with_blocks().eval(), with_blocks().eval()
    before = inserted_blocks(other)
    for parameter in other.parameters():
        nn.init.normal_(parameter)
    other[0].load_state_dict(net[0].state_dict())
    conv = {key: value for key, value in net[2].state_dict().items() if "inserted" not in key}
    other[2].load_state_dict(conv, strict=False)
    loaded = load_blocks(save_blocks(net, tmp_path / "blocks.safetensors"), other)
    assert loaded == before
    assert_unchanged(other, numbers(net))


def test_module_of_ones_own_is_loaded_where_it_is(tmp_path: Path) -> None:
    def made() -> nn.Module:
        return insert_block(network(), "1", nn.Conv2d(8, 8, 1))

    net = made()
    path = save_blocks(net, tmp_path / "blocks.safetensors")
    other = made()
    nn.init.zeros_(inserted_blocks(other)["1"].weight)
    load_blocks(path, other)
    assert_unchanged(other, numbers(net))
    with pytest.raises(InterchangeError, match="it is a Conv2d, made outside this library"):
        load_blocks(path)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"mask": EdgeList(torch.tensor([[0], [1]]))}, "mask EdgeList.* is an object of your own"),
        ({"filter": Heat(2, times=(0.3, 4.0))}, "filter Heat was made with options of its own"),
    ],
)
def test_block_of_own_pieces_says_why_it_cannot_be_made_anew(
    options: dict[str, Any], why: str, tmp_path: Path
) -> None:
    path = save_blocks(nonlocal_block("gsnl", 8, **options), tmp_path / "block.safetensors")
    with pytest.raises(InterchangeError, match=why):
        load_blocks(path)


def test_replaced_part_is_noticed(tmp_path: Path) -> None:
    block = nonlocal_block("nl", 8)
    block.units[0].g = nn.Linear(8, 4, bias=False)
    with pytest.raises(InterchangeError, match="a part of it was replaced"):
        load_blocks(save_blocks(block, tmp_path / "block.safetensors"))


def test_filter_with_own_taps_comes_back(tmp_path: Path) -> None:
    filter = Polynomial(3, taps={0: (1.0, 0.0, -0.5), 4: (0.0, 1.0, 0.25)})
    block = nonlocal_block("gsnl", 8, filter=filter)
    (loaded,) = load_blocks(save_blocks(block, tmp_path / "a.safetensors")).values()
    x = torch.randn(1, 8, 3, 4)
    assert torch.equal(loaded(x), block(x))


def test_file_of_the_user_is_never_lost(tmp_path: Path) -> None:
    path = tmp_path / "blocks.safetensors"
    path.write_text("mine")
    block = nonlocal_block("nl", 8)
    with pytest.raises(FileExistsError, match=r"was left as it is.*overwrite=True"):
        save_blocks(block, path)
    assert path.read_text() == "mine"
    save_blocks(block, path, overwrite=True)
    assert list(load_blocks(path)) == [""]
    assert os.listdir(tmp_path) == [path.name]
    other = tmp_path / "other.txt"
    other.touch()
    assert path.stat().st_mode == other.stat().st_mode  # readable to whom other files are


def test_failed_write_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "blocks.safetensors"
    save_blocks(nonlocal_block("nl", 8), path)
    content = path.read_bytes()

    def broken(part: Path, data: bytes) -> None:
        part.open("wb").write(data[: len(data) // 2])
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "write_bytes", broken)
    with pytest.raises(OSError, match="no space left"):
        save_blocks(nonlocal_block("snl", 8), path, overwrite=True)
    assert path.read_bytes() == content
    assert os.listdir(tmp_path) == [path.name]


def test_file_that_appears_meanwhile_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "blocks.safetensors"
    monkeypatch.setattr(Path, "exists", lambda self: False)  # it was not there when looked for
    path.write_text("mine")
    with pytest.raises(FileExistsError, match="left as it is"):
        save_blocks(nonlocal_block("nl", 8), path)
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "error", "what"),
    [
        ("blocks.pt", ValueError, "end the name"),
        ("none/blocks.safetensors", FileNotFoundError, "no folder"),
        ("folder.safetensors", IsADirectoryError, "is a folder"),
    ],
)
def test_places_that_cannot_be_written_are_refused(
    name: str, error: type[Exception], what: str, tmp_path: Path
) -> None:
    (tmp_path / "folder.safetensors").mkdir()
    with pytest.raises(error, match=what):
        save_blocks(nonlocal_block("nl", 8), tmp_path / name)


class BuiltIn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nonlocal_block("nl", 8)


@pytest.mark.parametrize(
    ("model", "error", "what"),
    [
        (nn.Linear(2, 2), InterchangeError, "insert_block puts one in"),
        (BuiltIn(), InterchangeError, 'some of its own, "attention"'),
        ({}, InterchangeError, "no block to save"),
        ({1: nn.Linear(2, 2)}, TypeError, "modules by strings"),
        ([nn.Linear(2, 2)], TypeError, "got list"),
    ],
)
def test_things_without_blocks_are_refused(
    model: Any, error: type[Exception], what: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=what):
        save_blocks(model, tmp_path / "blocks.safetensors")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda net: insert_block(net, "3", "snl", example=IMAGE), 'has blocks behind "3"'),
        (
            lambda net: insert_block(net, "1", "nl", example=IMAGE),
            'row is "snl" in the file and "nl" in',
        ),
        (
            lambda net: insert_block(net, "1", "snl", hidden_channels=2, example=IMAGE),
            "hidden_channels is 4",
        ),
        (
            lambda net: insert_block(net, "1", nn.Conv2d(8, 8, 1), example=IMAGE),
            "the network has a Conv2d there",
        ),
    ],
)
def test_other_blocks_in_the_network_are_told_and_it_stays(
    change: Any, what: str, tmp_path: Path
) -> None:
    path = save_blocks(with_blocks(), tmp_path / "blocks.safetensors")
    net = change(network())
    before = numbers(net)
    with pytest.raises(InterchangeError, match=what):
        load_blocks(path, net, example=IMAGE)
    assert_unchanged(net, before)


def test_missing_place_is_told_and_the_network_stays(tmp_path: Path) -> None:
    path = save_blocks(
        {"1": nonlocal_block("nl", 8), "layer9": nonlocal_block("nl", 8)},
        tmp_path / "b.safetensors",
    )
    net = network()
    before = numbers(net)
    with pytest.raises(ValueError, match='the model has no submodule "layer9"'):
        load_blocks(path, net, example=IMAGE)
    assert_unchanged(net, before)


def test_block_that_does_not_fit_undoes_those_before_it(tmp_path: Path) -> None:
    blocks = {"1": nonlocal_block("nl", 8), "1#2": nonlocal_block("snl", 8)}
    path = save_blocks(blocks | {"2": nonlocal_block("nl", 16)}, tmp_path / "b.safetensors")
    net = network()
    before = numbers(net)
    with pytest.raises(ValueError, match="takes 16 channels"):
        load_blocks(path, net, example=IMAGE)
    assert_unchanged(net, before)
    assert not inserted_blocks(net)
    net = insert_block(network(), "1", "nl", zero_init=False, example=IMAGE)
    before = numbers(net)
    with pytest.raises(ValueError, match="takes 16 channels"):
        load_blocks(path, net, example=IMAGE)
    assert_unchanged(net, before)  # the block that was there has its numbers, the second is gone


# Files that somebody broke, or made to do harm.


def metadata_of(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return tensors, json.loads(file.metadata()["snl_graph"])


def changed(path: Path, change: Any) -> Path:
    tensors, content = metadata_of(path)
    content = change(tensors, content) or content
    text = content if isinstance(content, str) else json.dumps(content)
    save_file(tensors, path, {"snl_graph": text})
    return path


def made(tensors: dict[str, Tensor], content: dict[str, Any], **fields: Any) -> None:
    content["blocks"][""]["made"].update(fields)


BROKEN = {
    "no json": (lambda t, c: "{", "the list of its blocks is broken"),
    "another json": (lambda t, c: "[1]", "the list of its blocks is broken"),
    "deep": (lambda t, c: "[" * 100_000, "the list of its blocks is broken"),
    "blocks are a list": (lambda t, c: {"format": 1, "blocks": []}, "the list of its blocks"),
    "newer": (lambda t, c: c | {"format": 2}, "Install a newer one"),
    "foreign weight": (lambda t, c: t.update(x=torch.ones(1)), '"x" belongs to none'),
    "weight missing": (
        lambda t, c: t.__delitem__("/units.0.g.weight"),
        "units.0.g.weight is miss",
    ),
    "weight too many": (lambda t, c: t.update({"/q": torch.ones(1)}), "q has no place in it"),
    "shape": (
        lambda t, c: t.update({"/units.0.g.weight": torch.ones(2, 8)}),
        r"has shape \(2, 8\), not \(4, 8\)",
    ),
    "field missing": (lambda t, c: c["blocks"][""]["made"].pop("norm") and None, "not one that"),
    "field too many": (lambda t, c: made(t, c, evil=1), "not one that this release understands"),
    "no description": (lambda t, c: c["blocks"][""].update(made=7), "not one that this release"),
    "row": (lambda t, c: made(t, c, row="x"), 'unknown block "x"'),
    "channels": (lambda t, c: made(t, c, channels=10**15), "channels is a whole number from 1"),
    "depth": (lambda t, c: made(t, c, depth=10**9), "depth is a whole number from 1 to 256"),
    "true depth": (lambda t, c: made(t, c, depth=True), "depth is a whole number"),
    "recurrence": (lambda t, c: made(t, c, recurrence=-1), "recurrence is a whole number"),
    "norm": (lambda t, c: made(t, c, norm=3), "not that of a block"),
    "kernel": (lambda t, c: made(t, c, kernel={"name": "rbf", "gamma": -1}), "gamma must be"),
    "kernel option": (lambda t, c: made(t, c, kernel={"name": "dot", "x": 1}), "has the options"),
    "K": (lambda t, c: made(t, c, filter={"name": "heat", "K": 10**9}), "K is a whole number"),
    "taps": (lambda t, c: made(t, c, filter={"name": "monomial", "taps": {}}), "has no taps"),
    "mask": (lambda t, c: made(t, c, mask=["full"]), "mask is a name"),
    "big kernel": (
        lambda t, c: made(
            t, c, kernel={"name": "concatenation", "scale": 1.0}, hidden_channels=2**20
        ),
        "are not those of its block",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_file_is_refused_with_the_reason(name: str, tmp_path: Path) -> None:
    change, what = BROKEN[name]
    path = save_blocks(nonlocal_block("nl", 8), tmp_path / "block.safetensors")
    with pytest.raises(InterchangeError, match=what):
        load_blocks(changed(path, change))


@pytest.mark.parametrize("content", [b"", b"\x00" * 7, b"\xff" * 64, b"{}" * 40])
def test_file_that_is_no_safetensors_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "block.safetensors"
    path.write_bytes(content)
    with pytest.raises(InterchangeError, match="cannot be read as safetensors"):
        load_blocks(path)


def test_file_cut_off_is_refused(tmp_path: Path) -> None:
    path = save_blocks(nonlocal_block("nl", 8), tmp_path / "block.safetensors")
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(InterchangeError, match="empty, cut off, or of another kind"):
        load_blocks(path)


def test_file_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.ones(2)}, path)
    with pytest.raises(InterchangeError, match="was not written by save_blocks"):
        load_blocks(path)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        load_blocks(tmp_path / "none.safetensors")


def test_missing_package_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("safetensors", "safetensors.torch"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r'pip install "snl-graph\[weights\]"'):
        save_blocks(nonlocal_block("nl", 8), tmp_path / "block.safetensors")


def test_description_is_plain_json() -> None:
    for options in OPTIONS.values():
        options = dict(options)
        block = nonlocal_block(options.pop("name"), 8, **options)
        description = describe(block)
        again = json.loads(json.dumps(description, allow_nan=False))
        assert again == description
        assert isinstance(make(again), NonlocalBlock)


def test_names_at_the_top_are_these() -> None:
    assert snl_graph.save_blocks is save_blocks
    assert snl_graph.load_blocks is load_blocks
