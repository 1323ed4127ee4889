"""Blocks are found in whole checkpoints, and what does not fit is told with its reason."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from snl_graph import convert_block, foreign_blocks
from snl_graph.interchange import InterchangeError
from tests.interchange.published import CHANNELS, PUBLISHED, Weights, conv
from tests.tolerances import assert_equal


def below(prefix: str, weights: Weights) -> Weights:
    return {f"{prefix}.{name}": value for name, value in weights.items()}


def checkpoint() -> Weights:
    """A network with three blocks of three implementations, and layers that are none."""
    weights = conv("backbone.conv1", 4, 3, 2) | conv("head.fc.W", 4, 3, 2)
    for place, name in {
        "backbone.layer2.0.non_local_block": "mmcv embedded",
        "neck.nl": "port gaussian, pooled",
        "head.cca": "ccnet",
    }.items():
        weights |= below(place, PUBLISHED[name].weights(2))
    return weights


def test_blocks_are_found_by_their_keys() -> None:
    assert foreign_blocks(checkpoint()) == {
        "backbone.layer2.0.non_local_block": "mmcv",
        "neck.nl": "non_local_pytorch",
        "head.cca": "ccnet",
    }
    assert foreign_blocks({"W.weight": torch.ones(2, 2)}) == {}


def test_block_of_a_whole_checkpoint_is_the_block_alone() -> None:
    weights = checkpoint()
    block, report = convert_block(weights, "head.cca.", recurrence=2)
    alone, _ = convert_block(
        {k.removeprefix("head.cca."): v for k, v in weights.items() if k.startswith("head.cca.")},
        recurrence=2,
    )
    x = torch.randn(1, CHANNELS, 3, 4, dtype=torch.float64)
    assert torch.equal(block(x), alone(x))
    assert (report.prefix, report.options["recurrence"]) == ("head.cca", "2")


def test_weights_are_copied() -> None:
    weights = PUBLISHED["mmcv embedded"].weights(2)
    block, _ = convert_block(weights)
    before = block.affinity.phi.weight.clone()
    for value in weights.values():
        value.zero_()
    assert torch.equal(block.affinity.phi.weight, before)
    assert block.affinity.phi.weight.requires_grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_block_has_the_dtype_of_the_weights(dtype: torch.dtype) -> None:
    weights = {
        name: value.to(dtype) if value.is_floating_point() else value
        for name, value in PUBLISHED["port embedded"].weights(2).items()
    }
    block, _ = convert_block(weights)
    assert {p.dtype for p in block.parameters()} == {dtype}


@pytest.mark.parametrize("kind", ["pt", "lightning", "safetensors"])
def test_files_are_read(kind: str, tmp_path: Path) -> None:
    weights = checkpoint()
    path = tmp_path / ("net.safetensors" if kind == "safetensors" else "net.pth")
    if kind == "safetensors":
        save_file(weights, path)
    else:
        content = (
            weights
            if kind == "pt"
            else {"loss": torch.ones(()), "meta": {"epoch": 3}, "state_dict": weights}
        )
        torch.save(content, path)
    assert list(foreign_blocks(path)) == list(foreign_blocks(weights))
    block, _ = convert_block(str(path), "neck.nl")
    other, _ = convert_block(weights, "neck.nl")
    x = torch.randn(1, CHANNELS, 4, 4, dtype=torch.float64)
    assert_equal(block(x), other(x))


class Evil:
    def __reduce__(self) -> Any:
        return print, ("it ran",)


def test_file_that_would_run_code_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "net.pth"
    torch.save({"state_dict": Evil()}, path)
    with pytest.raises(InterchangeError, match="could run code from the file"):
        convert_block(path)
    assert "it ran" not in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"\x80\x02."])
def test_broken_file_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    path.write_bytes(content)
    with pytest.raises(InterchangeError, match=r"cannot be read as a file of torch\.save"):
        foreign_blocks(path)


@pytest.mark.parametrize(
    ("source", "error", "what"),
    [
        ({}, InterchangeError, "holds no weights by name"),
        ({"epoch": 3, "optimizer": {}}, InterchangeError, 'a mapping of "epoch", "optimizer"'),
        (torch.nn.Linear(2, 2), TypeError, r"pass module.state_dict\(\)"),
        ("none.pth", FileNotFoundError, "there is no file none.pth"),
    ],
)
def test_sources_without_weights_are_refused(
    source: Any, error: type[Exception], what: str
) -> None:
    with pytest.raises(error, match=what):
        convert_block(source)


def without(name: str, weights: Weights) -> Weights:
    return {key: value for key, value in weights.items() if key != name}


def with_shape(name: str, shape: tuple[int, ...], weights: Weights) -> Weights:
    return weights | {name: torch.zeros(shape, dtype=torch.float64)}


def of(name: str) -> Weights:
    return PUBLISHED[name].weights(2)


REFUSED: dict[str, tuple[Any, dict[str, Any], str]] = {
    "several": (checkpoint, {}, r"3 blocks; found by their keys: .*Pass prefix="),
    "none": (lambda: conv("stem", 4, 4, 2), {}, "no block; found by their keys: none.*Known lay"),
    "wrong prefix": (checkpoint, {"prefix": "head"}, '"head" is no block of a known layout'),
    "wrong layout": (checkpoint, {"layout": "timm"}, 'no block of layout "timm"'),
    "layout at a prefix": (
        checkpoint,
        {"layout": "timm", "prefix": "head.cca"},
        '"head.cca" has no "t.weight"',
    ),
    "unknown layout": (checkpoint, {"layout": "mmcvv"}, 'Did you mean "mmcv"'),
    "unknown mode": (
        lambda: of("ccnet"),
        {"mode": "cross"},
        'modes "criss_cross", "full", "queries"',
    ),
    "wrong mode": (
        lambda: of("port gaussian"),
        {"mode": "dot_product"},
        'those of mode "gaussian"; got mode "dot_product"',
    ),
    "mode without weights": (
        lambda: of("port embedded"),
        {"mode": "concatenation"},
        'mode "concatenation" has other weights',
    ),
    "refused mode": (lambda: of("cgnl"), {"mode": "rbf"}, "sums powers of t and p"),
    "foreign setting": (
        lambda: of("port embedded"),
        {"use_scale": True},
        "use_scale is no setting of a block of layout .non_local_pytorch.; it takes: mode, subs",
    ),
    "pooling that is not there": (
        lambda: of("port embedded"),
        {"subsample": 2},
        "Leave subsample out",
    ),
    "weight missing": (
        lambda: without("phi.weight", of("port embedded")),
        {},
        'has no "phi.weight" or "phi.0.weight"',
    ),
    "extra weight": (
        lambda: of("port embedded") | conv("psi", 4, 4, 2),
        {},
        r"no place in a block of layout .*psi.weight, psi.bias.*strict=False",
    ),
    "wide convolution": (
        lambda: with_shape("theta.weight", (4, 8, 3, 3), of("port embedded")),
        {},
        r"has a weight of shape \(4, 8, 3, 3\)",
    ),
    "another width": (
        lambda: with_shape("phi.weight", (5, 8, 1, 1), of("port embedded")),
        {},
        r"has shape \(5, 8\), but with the other weights it should be \(4, 8\)",
    ),
    "norm without statistics": (
        lambda: without("W.1.running_mean", of("port embedded")),
        {},
        "without running statistics",
    ),
    "pooled by half": (
        lambda: {
            key.replace("phi.0", "phi"): value
            for key, value in of("port dot product, pooled").items()
        },
        {},
        "keys and values are pooled together",
    ),
    "two gammas": (
        lambda: with_shape("gamma", (2,), of("ccnet")),
        {},
        r"gamma is one number; got shape \(2,\)",
    ),
    "narrow values": (
        lambda: with_shape("value_conv.weight", (4, 8, 1, 1), of("ccnet")),
        {},
        "maps 8 channels to 4",
    ),
    "no map back": (
        lambda: without("conv_reconstruct.weight", of("a2")),
        {},
        "there is no conv_reconstruct",
    ),
    "groups": (
        lambda: with_shape("z.weight", (8, 3, 1, 1), of("cgnl")),
        {},
        "do not divide the 4 of t, p and g",
    ),
    "whole numbers": (
        lambda: {k: v.long() if "running" not in k else v for k, v in of("port embedded").items()},
        {},
        "weights are floating point; got torch.int64",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused_with_the_reason(name: str) -> None:
    weights, options, what = REFUSED[name]
    with pytest.raises(ValueError, match=what):
        convert_block(weights(), **options)


def test_surplus_weights_are_listed_where_they_are_allowed() -> None:
    weights = of("port embedded") | conv("psi", 4, 4, 2)
    _, report = convert_block(weights, strict=False)
    assert set(report.unused) == {"psi.weight", "psi.bias"}
    assert not report.is_exact
    assert "not used" in str(report)


def test_report_is_readable_and_plain_data() -> None:
    weights = below("neck.nl", without("W.1.num_batches_tracked", of("port concatenation, pooled")))
    weights |= below("neck.nl", {"W.bias": torch.zeros(CHANNELS).double()})
    _, report = convert_block(weights)
    text = str(report)
    assert text.startswith('non_local_pytorch at "neck.nl" → "nl", hidden_channels=4')
    assert "affinity.kernel.weight ← concat_project.0.weight" in text
    assert "subsample=2: a pooling has no weights, and this is its usual stride" in text
    facts = json.loads(report.to_json())
    assert facts == report.to_dict()
    assert facts["is_exact"] is True
    assert {"name": "units.0.g.weight", "sources": ["g.0.weight"], "how": ""} in facts["matched"]


def test_every_weight_is_in_the_report_once() -> None:
    for name, case in PUBLISHED.items():
        weights = case.weights(case.axes[0])
        block, report = convert_block(weights, **case.settings)
        told = [one.name for one in report.matched] + list(report.added)
        assert sorted(told) == sorted(block.state_dict()), name
        used = {source for one in report.matched for source in one.sources}
        assert used == set(weights), name


def test_norm_that_was_not_counted_starts_at_zero() -> None:
    weights = without("W.1.num_batches_tracked", of("port embedded"))
    block, report = convert_block(weights)
    assert block.units[0].bn.num_batches_tracked == 0
    assert "0: it was not saved" in report.added.values()


def test_missing_biases_are_zero() -> None:
    weights = without("phi.bias", of("port embedded"))
    block, report = convert_block(weights)
    bias: Tensor = block.affinity.psi.bias
    assert not bias.any()
    assert report.added["affinity.psi.bias"] == "0: there is none there"
