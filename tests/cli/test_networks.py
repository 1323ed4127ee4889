"""Any network with blocks, from a factory and a checkpoint, looked at through an image."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from models import trained
from snl_graph import filter_response, inserted_blocks
from snl_graph.attention import block_inputs
from snl_graph.cli.attention import panel_sizes
from tests.cli import networks
from tests.cli.runner import error, facts, run

CNN = "tests.cli.networks:cnn"
MODEL = ("photo.png", "--model", CNN)
NETWORK_COMMANDS = ("spectrum", "check", "density", "attention", "explore")


class Payload:
    """Unpickled the careless way, it writes a file."""

    def __reduce__(self):
        return os.system, ("touch executed",)


@pytest.fixture(autouse=True)
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tensor:
    """A picture of 12 by 10 pixels, and what a network sees of it."""
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (12, 10, 3), dtype=np.uint8)
    Image.fromarray(pixels).save("photo.png")
    return torch.from_numpy(pixels.astype(np.float32) / 255).movedim(-1, 0)[None]


def matrix_of(model: nn.Module, image: Tensor) -> np.ndarray:
    """A of the block "1", by running the layers before it by hand."""
    layers = list(model.eval().children())
    with torch.no_grad():
        x = nn.functional.relu(layers[0](image))
        return inserted_blocks(model)["1"].affinity_of(x).to_dense()[0].double().numpy()


def spectrum_of(*options: object) -> np.ndarray:
    (graph,) = facts("spectrum", *MODEL, *options)["graphs"]
    assert graph["name"] == "1"
    return np.array(graph["eigenvalues"])


def expected(image: Tensor, **options: object) -> np.ndarray:
    matrix = matrix_of(networks.cnn(**options), image)
    return np.linalg.eigvalsh(np.eye(len(matrix)) - matrix)


def test_the_spectrum_of_a_block_is_numpys_of_its_matrix(photo: Tensor) -> None:
    np.testing.assert_allclose(spectrum_of(), expected(photo), atol=2e-6)


def test_a_spectrum_that_is_not_real_keeps_its_imaginary_parts(photo: Tensor) -> None:
    options = (*MODEL, "--set", "kind=nl", "-o", "values.csv", "-o", "values.npz")
    (graph,) = facts("spectrum", *options)["graphs"]
    assert not graph["is_real"]
    found = np.array(graph["eigenvalues"]) @ [1, 1j]
    matrix = matrix_of(networks.cnn("nl"), photo)
    values = np.linalg.eigvals(np.eye(len(matrix)) - matrix)
    distance = np.abs(found[:, None] - values).min(1)
    assert distance.max() < 1e-5
    assert np.abs(found.imag).max() > 0
    written = np.loadtxt("values.csv", delimiter=",", skiprows=1, usecols=(2, 3)) @ [1, 1j]
    np.testing.assert_array_equal(written, found)
    np.testing.assert_array_equal(np.load("values.npz")["eigenvalues"], found)
    assert "of them not real" in run("spectrum", *MODEL, "--set", "kind=nl")


def test_a_check_that_fails_ends_with_status_1() -> None:
    assert facts("check", *MODEL)["ok"]
    report = facts("check", *MODEL, "--set", "kind=nl", status=1)
    assert not report["ok"]
    assert any("not symmetric" in one for one in report["graphs"][0]["failures"])


def test_a_density_of_eigenvalues_that_are_not_real_is_refused() -> None:
    line = error("density", *MODEL, "--set", "kind=nl")
    assert "may be complex" in line
    assert "`snl-graph spectrum`" in line
    assert "--block" not in line  # there is no other
    several = ("photo.png", "--model", "tests.cli.networks:both_kinds")
    line = error("density", *several)
    assert line.startswith("snl-graph density: 3: ")
    assert line.endswith("Choose others with --block or --item.")
    run("density", *several, "--block", "1")


def test_an_edge_list_alone_can_be_directed() -> None:
    assert "--directed goes with an edge list" in error("spectrum", *MODEL, "--directed")


# Checkpoints


@pytest.mark.parametrize(
    "pack",
    [
        lambda model: model.state_dict(),
        lambda model: {"state_dict": model.state_dict(), "epoch": 3},
        lambda model: {"model": model.state_dict(), "optimizer": {"lr": 0.1}},
        lambda model: nn.DataParallel(model).state_dict(),
        lambda model: {"state_dict": lightning("model", model)},
        lambda model: {"state_dict": lightning("network", model)},
        lambda model: {"state_dict": lightning("backbone", model)},
    ],
    ids=["bare", "state_dict", "model", "DataParallel", "model.", "network.", "backbone."],
)
def test_weights_are_found_in_whatever_holds_them(pack, photo: Tensor) -> None:
    torch.save(pack(networks.cnn(seed=5)), "weights.ckpt")
    found = spectrum_of("--checkpoint", "weights.ckpt")
    np.testing.assert_allclose(found, expected(photo, seed=5), atol=2e-6)
    assert np.abs(found - expected(photo)).max() > 1e-4  # and not those the factory gives


def lightning(attribute: str, model: nn.Module) -> dict[str, Tensor]:
    wrapped = networks.Wrapped(attribute)
    getattr(wrapped, attribute).load_state_dict(model.state_dict())
    return wrapped.state_dict()


def test_weights_in_safetensors(photo: Tensor) -> None:
    save_file(networks.cnn(seed=5).state_dict(), "weights.safetensors")
    found = spectrum_of("--checkpoint", "weights.safetensors")
    np.testing.assert_allclose(found, expected(photo, seed=5), atol=2e-6)
    Path("weights.safetensors").write_bytes(Path("weights.safetensors").read_bytes()[:100])
    line = error("spectrum", *MODEL, "--checkpoint", "weights.safetensors")
    assert "cannot be read as safetensors" in line


def test_arguments_come_from_the_checkpoints_hyper_parameters(photo: Tensor) -> None:
    content = {
        "state_dict": networks.cnn(width=6).state_dict(),
        "hyper_parameters": {"width": 6, "learning_rate": 0.1},
    }
    torch.save(content, "weights.ckpt")
    found = spectrum_of("--checkpoint", "weights.ckpt")
    np.testing.assert_allclose(found, expected(photo, width=6), atol=2e-6)
    line = error("spectrum", *MODEL, "--checkpoint", "weights.ckpt", "--set", "width=8")
    assert "have another shape" in line


def test_a_checkpoint_of_the_reference_networks_tells_its_own_recipe() -> None:
    recipe = {"network": "preresnet8", "dataset": "digits", "block": "snl", "after": ["layer2.0"]}
    torch.manual_seed(7)
    model = trained.network(recipe).eval()
    weights = {f"network.{name}": value for name, value in model.state_dict().items()}
    content = {
        "state_dict": weights | {"loss.mean_value": torch.zeros(())},
        "hyper_parameters": {"recipe": recipe},
    }
    torch.save(content, "last.ckpt")
    x = torch.rand(1, 1, 8, 8)
    np.save("digit.npy", x.numpy())
    options = ("--model", "models.trained:network", "--checkpoint", "last.ckpt")
    (graph,) = facts("spectrum", "digit.npy", *options)["graphs"]
    ((block, seen),) = block_inputs(model, x).values()
    matrix = block.affinity_of(seen).to_dense()[0].detach().double().numpy()
    assert graph["name"] == "layer2.0"
    values = np.linalg.eigvalsh(np.eye(len(matrix)) - matrix)
    np.testing.assert_allclose(graph["eigenvalues"], values, atol=2e-6)


def test_weights_of_another_network_are_named() -> None:
    torch.save(networks.cnn(width=6).state_dict(), "narrow.pt")
    line = error("spectrum", *MODEL, "--checkpoint", "narrow.pt")
    assert "have another shape (0.weight (6, 3, 3, 3) there, (8, 3, 3, 3) here" in line
    torch.save(nn.Linear(2, 2).state_dict(), "linear.pt")
    line = error("spectrum", *MODEL, "--checkpoint", "linear.pt")
    assert "of the network's weights are absent" in line
    assert "2 weights belong to no part of it (weight, bias)" in line
    torch.save(networks.cnn("gsnl").state_dict(), "block.pt")
    line = error("spectrum", *MODEL, "--checkpoint", "block.pt")
    assert "1 weights belong to no part of it" in line


def test_a_hostile_checkpoint_is_refused_and_not_run() -> None:
    content = {"state_dict": networks.cnn().state_dict(), "callbacks": Payload()}
    torch.save(content, "weights.ckpt")
    for command in NETWORK_COMMANDS:
        line = error(command, *MODEL, "--checkpoint", "weights.ckpt")
        assert "Nothing of it was run" in line
    assert not Path("executed").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"not a checkpoint"], ids=repr)
def test_a_checkpoint_that_is_none_is_refused(content: bytes) -> None:
    Path("weights.ckpt").write_bytes(content)
    assert "weights.ckpt" in error("spectrum", *MODEL, "--checkpoint", "weights.ckpt")


def test_a_checkpoint_that_is_missing_cut_off_or_without_weights() -> None:
    assert "there is no file" in error("spectrum", *MODEL, "--checkpoint", "weights.ckpt")
    torch.save(networks.cnn().state_dict(), "weights.ckpt")
    whole = Path("weights.ckpt").read_bytes()
    Path("weights.ckpt").write_bytes(whole[: len(whole) // 2])
    assert "weights.ckpt" in error("spectrum", *MODEL, "--checkpoint", "weights.ckpt")
    torch.save({"epoch": 3}, "weights.ckpt")
    line = error("spectrum", *MODEL, "--checkpoint", "weights.ckpt")
    assert "holds no weights" in line
    assert "a dict of epoch" in line


# Factories


@pytest.mark.parametrize(
    ("factory", "words"),
    [
        ("networks.py", "is written package.module:factory"),
        ("tests.cli.networks", "is written package.module:factory"),
        ("no_such_package:cnn", 'no module "no_such_package"'),
        ("tests.cli.no_such:cnn", 'no module "tests.cli.no_such"'),
        ("tests.cli.networks:cmm", 'has no "cmm". It has'),
        ("tests.cli.networks:constant", "of type int"),
        ("tests.cli.networks:number", "returned an object of type int"),
        ("tests.cli.networks:broken", "ZeroDivisionError: no width"),
        ("tests.cli.networks:needs", "needs name: pass --set name=..."),
        ("tests.cli.networks:plain", "has no nonlocal block"),
        ("tests.cli.networks:Fails", "does not take an input of shape (1, 3, 12, 10)"),
    ],
)
def test_a_factory_that_does_not_work_says_why(factory: str, words: str) -> None:
    assert words in error("spectrum", "photo.png", "--model", factory)


def test_a_factory_whose_module_does_not_import_says_why(monkeypatch) -> None:
    monkeypatch.syspath_prepend(".")
    Path("wrong_import.py").write_text("import no_such_dependency\n")
    Path("wrong_syntax.py").write_text("def network(:\n")
    Path("wrong_exit.py").write_text("raise SystemExit(0)\n")
    assert "no_such_dependency" in error("spectrum", "photo.png", "--model", "wrong_import:f")
    assert "SyntaxError" in error("spectrum", "photo.png", "--model", "wrong_syntax:f")
    assert "SystemExit" in error("spectrum", "photo.png", "--model", "wrong_exit:f")


def test_a_module_beside_the_caller_is_found(photo: Tensor) -> None:
    Path("beside_the_caller.py").write_text("from tests.cli.networks import cnn as network\n")
    (graph,) = facts("spectrum", "photo.png", "--model", "beside_the_caller:network")["graphs"]
    np.testing.assert_allclose(graph["eigenvalues"], expected(photo), atol=2e-6)


def test_a_finished_module_is_taken_as_it_is(photo: Tensor) -> None:
    (graph,) = facts("spectrum", "photo.png", "--model", "tests.cli.networks:made")["graphs"]
    np.testing.assert_allclose(graph["eigenvalues"], expected(photo), atol=2e-6)
    line = error("spectrum", "photo.png", "--model", "tests.cli.networks:made", "--set", "seed=1")
    assert "takes no --set" in line


def test_settings_are_checked() -> None:
    assert "takes no argument depth; it takes kind" in error("spectrum", *MODEL, "--set", "depth=1")
    assert "--set is written name=value" in error("spectrum", *MODEL, "--set", "depth")
    assert 'unknown block "zz"' in error("spectrum", *MODEL, "--set", "kind=zz")


def test_options_of_a_network_need_one() -> None:
    assert "go with --model" in error("spectrum", "karate", "--checkpoint", "x.pt")
    assert "needs a network" in error("attention", "photo.png")
    assert "needs a network" in error("explore", "photo.png")


# Images


def test_the_image_is_resized_and_normalised_as_asked(photo: Tensor) -> None:
    numbers = ("--mean", "0.4,0.5,0.6", "--std", "0.2")
    mean = torch.tensor([0.4, 0.5, 0.6]).view(1, 3, 1, 1)
    np.testing.assert_allclose(spectrum_of(*numbers), expected((photo - mean) / 0.2), atol=5e-6)
    assert len(spectrum_of("--size", "8,6")) == 4 * 3
    for option, value in (("--size", "0,4"), ("--size", "4"), ("--std", "0"), ("--mean", "x")):
        assert option in error("spectrum", *MODEL, option, value)
    assert "each of 3 channels; got 2" in error("spectrum", *MODEL, "--mean", "0,1")


def test_a_network_of_grey_images_gets_one() -> None:
    (graph,) = facts("spectrum", *MODEL, "--set", "in_channels=1")["graphs"]
    grey = np.asarray(Image.open("photo.png").convert("L"), dtype=np.float32) / 255
    values = expected(torch.from_numpy(grey)[None, None], in_channels=1)
    np.testing.assert_allclose(graph["eigenvalues"], values, atol=2e-6)


def test_the_very_numbers_can_be_given(photo: Tensor) -> None:
    x = torch.randn(3, 9, 8)
    np.save("input.npy", x.numpy())
    (graph,) = facts("spectrum", "input.npy", "--model", CNN)["graphs"]
    np.testing.assert_allclose(graph["eigenvalues"], expected(x[None]), atol=2e-6)
    assert "taken as it is" in error("spectrum", "input.npy", "--model", CNN, "--size", "4,4")
    np.save("input.npy", np.full((3, 9, 8), np.nan))
    assert "not finite" in error("spectrum", "input.npy", "--model", CNN)
    np.save("input.npy", np.ones(3))
    assert "(C, *spatial)" in error("spectrum", "input.npy", "--model", CNN)
    np.save("input.npy", np.ones((4, 9, 8), dtype=np.float32))
    assert "does not take an input" in error("spectrum", "input.npy", "--model", CNN)


@pytest.mark.parametrize("share", [0, 0.02, 0.5, 0.9])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".gif", ".bmp", ".webp", ".tif", ".ppm"])
def test_an_image_that_is_cut_off_is_refused(suffix: str, share: float) -> None:
    Image.open("photo.png").resize((64, 64)).save(f"cut{suffix}")
    whole = Path(f"cut{suffix}").read_bytes()
    Path(f"cut{suffix}").write_bytes(whole[: int(share * len(whole))])
    assert "cannot be read as an image" in error("spectrum", f"cut{suffix}", "--model", CNN)


def test_an_image_that_is_none_missing_or_too_large_is_refused(monkeypatch) -> None:
    assert "there is no file" in error("attention", "nope.png", "--model", CNN)
    Path("page.png").write_text("%!PS-Adobe\n")
    assert "cannot be read as an image" in error("attention", "page.png", "--model", CNN)
    Path("page.html").write_text("<html>")
    assert "images are read from .png" in error("attention", "page.html", "--model", CNN)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    assert "is too large" in error("attention", "photo.png", "--model", CNN)


# Attention, responses, the page


def test_maps_are_rows_of_the_affinity(photo: Tensor) -> None:
    asked = ("--at", "2,3", "--at", "0,0", "-o", "maps.npz", "-o", "maps.csv", "-o", "maps.svg")
    (block,) = facts("attention", *MODEL, *asked)["blocks"]
    assert (block["name"], block["size"]) == ("1", [6, 5])
    matrix = matrix_of(networks.cnn(), photo)
    for found, row in zip(block["maps"], (2 * 5 + 3, 0), strict=True):
        np.testing.assert_allclose(np.ravel(found["weights"]), matrix[row], atol=1e-6)
        assert found["sum"] == pytest.approx(matrix[row].sum(), rel=1e-5)
        shares = matrix[row] / matrix[row].sum()
        shares = shares[shares > 0]
        spread = np.prod(shares**-shares)  # e to the entropy
        assert found["spread"] == pytest.approx(spread, rel=1e-4)
    np.testing.assert_allclose(np.load("maps.npz")["maps_0"][1].ravel(), matrix[0], atol=1e-6)
    assert len(Path("maps.csv").read_text().splitlines()) == 1 + 2 * 30
    assert Path("maps.svg").read_text().lstrip().startswith("<?xml")
    text = run("attention", *MODEL, "--at", "2,3")
    greatest = np.unravel_index(matrix[13].argmax(), (6, 5))
    assert f"{matrix[13].max():.4g} at {greatest[0]},{greatest[1]}" in text


def test_blocks_views_and_the_middle() -> None:
    two = ("photo.png", "--model", "tests.cli.networks:TwoBlocks")
    heads, twice = facts("attention", *two)["blocks"]
    assert (heads["name"], twice["name"]) == ("heads", "twice")
    assert heads["view"] == "mean of 2 heads"
    assert twice["views"] == ["all 2 passes", "pass 1", "pass 2"]
    assert heads["maps"][0]["at"] == [3, 2]
    (second,) = facts("attention", *two, "--block", "twice", "--view", "pass 2")["blocks"]
    assert second["view"] == "pass 2"
    run("attention", *two, "-o", "two.png")
    line = error("attention", *two, "--view", "pass 3")
    assert 'no view "pass 3". Choices: ' in line
    assert 'unknown block "tvice"' in error("attention", *two, "--block", "tvice")
    names = [one["name"] for one in facts("spectrum", *two)["graphs"]]
    assert names == ["heads, head 1", "heads, head 2", "twice"]


@pytest.mark.parametrize(
    ("sizes", "width", "heights"),
    [
        ([(8, 16), (4, 4)], 2.2, [1.1, 2.2]),
        ([(3, 8, 16)], 6.6, [1.1]),  # three frames in line
        ([(100, 1), (1, 100)], 2.2, [3.3, 0.5]),
        ([(50,)], 2.2, [0.5]),
    ],
)
def test_panels_are_as_high_as_their_maps(
    sizes: list[tuple[int, ...]], width: float, heights: list[float]
) -> None:
    found = panel_sizes(sizes)
    assert (found[0], found[1]) == (pytest.approx(width), pytest.approx(heights))


@pytest.mark.parametrize("at", ["6,0", "-1,0", "1", "1,2,3", "a,b", ""])
def test_a_position_outside_the_map_is_refused(at: str) -> None:
    line = error("attention", *MODEL, f"--at={at}")
    assert "--at" in line
    error("explore", *MODEL, f"--at={at}")


def test_the_page_is_written_once() -> None:
    text = run("explore", *MODEL, "--title", "Mine", "--at", "1,2")
    assert "wrote explorer.html" in text
    page = Path("explorer.html").read_text()
    assert "<title>Mine" in page
    assert "explorer.html exists and was left as it is" in error("explore", *MODEL)
    assert Path("explorer.html").read_text() == page
    answer = json.loads(run("explore", *MODEL, "--force", "--json"))
    assert answer["blocks"] == ["1"]
    assert answer["bytes"] == len(Path("explorer.html").read_bytes())
    line = error("explore", *MODEL, "-o", "other.html", "--max-bytes", 10_000)
    assert "--max-bytes" in line
    assert not Path("other.html").exists()


def test_a_learned_response_is_that_of_the_block(photo: Tensor) -> None:
    found = facts("response", "--model", CNN, "--points", 3)["responses"]
    (only,) = found
    block = inserted_blocks(networks.cnn())["1"]
    gains = torch.linalg.svdvals(filter_response(block, [0.0, 1.0, 2.0]).double())
    at = torch.linspace(0, 1, 5, dtype=torch.float64)
    np.testing.assert_allclose(only["values"], gains.quantile(at, dim=1).T, rtol=1e-6)
    (at_eigenvalues,) = facts("response", *MODEL)["responses"]
    np.testing.assert_allclose(at_eigenvalues["lambdas"], expected(photo), atol=2e-6)
    run("response", *MODEL, "--set", "kind=nl", "-o", "response.pdf")
    assert "has no nonlocal block" in error("response", "--model", "tests.cli.networks:plain")
