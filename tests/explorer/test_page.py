"""The page as a file: what it holds, what it weighs, what it never destroys."""

import base64
import hashlib
import json
import re
import zlib

import numpy as np
import pytest
import torch

from snl_graph import nonlocal_block
from snl_graph.explorer import PageTooLarge, explore
from snl_graph.explorer.sampling import Sample
from snl_graph.spectral import spectrum


def data_of(page):
    text = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.html, re.S)
    return json.loads(text[1])


def opened(text, dtype, width):
    content = zlib.decompress(base64.b64decode(text))
    return np.frombuffer(content, dtype=dtype).reshape(-1, width)


@pytest.fixture
def image():
    return torch.rand(1, 20, 24)


@pytest.fixture
def block():
    return nonlocal_block("snl", 4)


def test_rows_and_spectrum_are_those_of_the_block(image, block):
    x = torch.randn(1, 4, 5, 6)
    (held,) = data_of(explore(image, {"snl": (block, x)}))["blocks"]
    (view,) = held["views"]
    dense = block.affinity_of(x).to_dense()[0].detach().numpy()
    peaks = opened(view["peaks"], "<f4", 1)
    np.testing.assert_allclose(peaks[:, 0], dense.max(axis=1), rtol=1e-5)
    rows = (opened(view["codes"], np.uint8, 30) / 255) ** 2 * peaks
    np.testing.assert_allclose(rows, dense, atol=0.004 * peaks.max())
    expected = spectrum((block, x))[0].eigenvalues.numpy()
    found = np.repeat(view["spectrum"]["re"], view["spectrum"]["count"])
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert view["spectrum"]["im"] == []


def test_no_imaginary_part_is_dropped(image):
    block, x = nonlocal_block("nl", 4), 3 * torch.randn(1, 4, 5, 6)
    (held,) = data_of(explore(image, {"nl": (block, x)}))["blocks"]
    numbers = held["views"][0]["spectrum"]
    expected = spectrum((block, x))[0].eigenvalues.numpy()
    assert np.abs(expected.imag).max() > 1e-4
    found = np.repeat(numbers["im"], numbers["count"])
    np.testing.assert_allclose(np.sort(found), np.sort(expected.imag), rtol=1e-3)


def test_a_chain_of_passes_shows_the_spectrum_of_the_first_and_says_so(image):
    block = nonlocal_block("cc", 4, recurrence=2)
    (held,) = data_of(explore(image, {"cc": (block, torch.randn(1, 4, 5, 6))}))["blocks"]
    chain, first, second = held["views"]
    assert chain["spectrum"]["of"] == "pass 1"
    assert chain["spectrum"]["re"] == first["spectrum"]["re"] != second["spectrum"]["re"]
    assert first["spectrum"]["of"] == ""


def test_what_has_no_spectrum_says_why(image):
    pooled = nonlocal_block("nl", 4, subsample=2)
    whole = nonlocal_block("nl", 4)
    x = torch.randn(1, 4, 5, 6)
    page = explore(image, {"pooled": (pooled, x), "whole": (whole, x)}, most_nodes=29)
    notes = [block["views"][0]["spectrum"]["note"] for block in data_of(page)["blocks"]]
    assert notes[0].startswith("A is 30×9")
    assert notes[1] == "Left out: 30 nodes, more than the 29 asked for."


@pytest.mark.parametrize("stride", [1, 2, 5, 9])
def test_sampled_positions_are_the_middles_of_equal_cells(stride):
    sample = Sample(stride, (2, 7, 9))
    frames, rows, columns = sample.axes
    assert frames == [0, 1]
    for axis, length in ((rows, 7), (columns, 9)):
        assert len(axis) == -(-length // stride)
        assert max(min(abs(place - held) for held in axis) for place in range(length)) <= stride / 2
    expected = [(t * 7 + i) * 9 + j for t in frames for i in rows for j in columns]
    assert sample.positions.tolist() == expected


def test_the_spectrum_of_a_large_factored_map_is_there(image):
    block, x = nonlocal_block("snl", 4), torch.randn(1, 4, 96, 96)
    (held,) = data_of(explore(image, {"snl": (block, x)}, most_nodes=10))["blocks"]
    numbers = held["views"][0]["spectrum"]
    assert sum(numbers["count"]) == 96 * 96
    assert max(numbers["count"]) >= 96 * 96 - 4  # rank 2r at most, r = 2
    assert min(numbers["re"]) == pytest.approx(0, abs=1e-5)


def test_a_stride_that_is_asked_for_is_taken(image, block):
    x = torch.randn(1, 4, 7, 9)
    (held,) = data_of(explore(image, {"snl": (block, x)}, stride=3))["blocks"]
    assert (held["stride"], held["held"]) == (3, [[0], [1, 4, 6], [1, 4, 7]])
    rows = opened(held["views"][0]["codes"], np.uint8, 63)
    dense = block.affinity_of(x).to_dense()[0].detach().numpy()
    picked = [i * 9 + j for i in (1, 4, 6) for j in (1, 4, 7)]
    np.testing.assert_array_equal(rows.argmax(axis=1), dense[picked].argmax(axis=1))


def test_a_large_map_is_sampled_until_the_page_is_light_enough(image, block):
    x = torch.randn(1, 4, 32, 32)
    page = explore(image, {"snl": (block, x)}, max_bytes=300_000, most_nodes=1)
    (held,) = data_of(page)["blocks"]
    assert held["stride"] > 1
    assert page.size <= 300_000
    (all_held,) = data_of(explore(image, {"snl": (block, x)}, most_nodes=1))["blocks"]
    assert all_held["stride"] == 1


def test_a_page_that_is_too_heavy_is_refused_with_the_remedy(image, block):
    x = torch.randn(1, 4, 32, 32)
    with pytest.raises(PageTooLarge, match=r"more than the 300,000 allowed; .*stride=2.*max_bytes"):
        explore(image, {"snl": (block, x)}, stride=1, max_bytes=300_000, most_nodes=1)


def test_nothing_points_outside(image, block):
    page = explore(image, {"snl": (block, torch.randn(1, 4, 5, 6))})
    outside = re.findall(r"https?://[^\s\"']+", page.html)
    assert set(outside) <= {"http://www.w3.org/2000/svg"}  # a name, which nothing loads
    assert not re.search(r"<link|<script src|@import|url\(", page.html)


def test_the_policy_allows_the_two_parts_of_the_page_and_nothing_else(image, block):
    page = explore(image, {"snl": (block, torch.randn(1, 4, 5, 6))})
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page.html)[1]
    assert policy.startswith("default-src 'none'")
    for name in ("style", "script"):
        content = re.search(rf"<{name}>(.*?)</{name}>", page.html, re.S)[1]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy


def test_names_are_text_and_never_markup(image, block):
    nasty = '</script><img src=x onerror=alert(1)> {{data}} "&'
    x = torch.randn(1, 4, 5, 6)
    page = explore(image, {nasty: (block, x)}, title=nasty, caption=nasty)
    assert "<img" not in page.html
    assert data_of(page)["blocks"][0]["name"] == nasty


def test_a_file_that_exists_is_left_as_it_is(image, block, tmp_path):
    page = explore(image, {"snl": (block, torch.randn(1, 4, 5, 6))})
    path = page.write(tmp_path / "page.html")
    assert path.read_text(encoding="utf-8") == page.html
    assert path.stat().st_size == page.size
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(FileExistsError, match=r"exists and was left as it is.*overwrite=True"):
        page.write(path)
    assert path.read_text(encoding="utf-8") == "mine"
    assert page.write(path, overwrite=True).read_text(encoding="utf-8") == page.html
    with pytest.raises(FileNotFoundError, match="no folder"):
        page.write(tmp_path / "missing" / "page.html")
    with pytest.raises(IsADirectoryError, match="name a file"):
        page.write(tmp_path)


def test_bad_input_is_refused(image, block):
    x = torch.randn(1, 4, 5, 6)
    with pytest.raises(ValueError, match="no block to look at"):
        explore(image, {})
    with pytest.raises(TypeError, match="mapping of names"):
        explore(image, [(block, x)])
    with pytest.raises(TypeError, match='"snl" must be a pair'):
        explore(image, {"snl": block})
    with pytest.raises(ValueError, match="stride must be at least 1; got 0"):
        explore(image, {"snl": (block, x)}, stride=0)
    with pytest.raises(ValueError, match=r"start lies on the finest map, of size \(5, 6\)"):
        explore(image, {"snl": (block, x)}, start=(5, 0))
    with pytest.raises(ValueError, match="one kind of map"):
        explore(image, {"a": (block, x), "b": (block, torch.randn(1, 4, 6))})
    with pytest.raises(ValueError, match="weights are not finite"):
        explore(image, {"snl": (block, torch.full((1, 4, 2, 2), float("nan")))})


def test_it_begins_where_the_features_are_strongest_or_where_it_is_told(image, block):
    x = torch.zeros(1, 4, 5, 6)
    x[0, 2, 3, 4] = 1
    coarse = torch.ones(1, 4, 2, 3)
    pair = {"coarse": (block, coarse), "fine": (block, x)}
    assert data_of(explore(image, pair))["start"] == [0, 3, 4]
    assert data_of(explore(image, pair, start=(1, 2)))["start"] == [0, 1, 2]


def test_without_an_image_the_energy_of_the_feature_map_is_shown(block):
    held = data_of(explore(None, {"snl": (block, torch.randn(1, 4, 5, 6))}))["image"]
    assert (held["height"], held["width"], held["energy"]) == (5, 6, True)


def test_a_block_without_a_filter_has_no_response(image):
    class Own(torch.nn.Module):
        def affinity_of(self, x):
            return nonlocal_block("snl", 4).affinity_of(x)

    (held,) = data_of(explore(image, {"own": (Own(), torch.randn(1, 4, 5, 6))}))["blocks"]
    assert held["responses"] == []


@pytest.mark.parametrize("name", ["nl", "snl"])
def test_half_precision_can_be_looked_at(image, name):
    block, x = nonlocal_block(name, 4).bfloat16(), torch.randn(1, 4, 5, 6).bfloat16()
    (held,) = data_of(explore(image, {name: (block, x)}))["blocks"]
    dense = block.affinity_of(x).to_dense()[0].detach().float().numpy()
    peaks = opened(held["views"][0]["peaks"], "<f4", 1)
    np.testing.assert_allclose(peaks[:, 0], dense.max(axis=1), rtol=0.02)
    assert len(held["responses"][0]["greatest"]) == 81


def test_every_unit_has_a_response(image):
    block = nonlocal_block("ns", 4, depth=2)
    (held,) = data_of(explore(image, {"ns": (block, torch.randn(1, 4, 5, 6))}))["blocks"]
    assert len(held["responses"]) == 2
    weight = block.units[1].w["1"].weight.detach()
    lambdas = np.array(held["responses"][1]["lambdas"])
    expected = lambdas * torch.linalg.svdvals(weight).max().item()  # ns: g(λ) = −λ W
    np.testing.assert_allclose(held["responses"][1]["greatest"], expected, rtol=1e-4, atol=1e-6)
