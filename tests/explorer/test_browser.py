"""The page in a browser: clicked, tapped, typed at, and held against the dense matrices."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from snl_graph import nonlocal_block
from snl_graph.attention import attention_of
from snl_graph.explorer import Page, explore
from snl_graph.spectral import spectrum

playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="the page is tried in Chromium, which is not installed"
)

H, W = 6, 8
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Tab:
    """A page in the browser, offline, with everything it asked for and complained about."""

    page: Any
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def at(self, pane: str, row: float, column: float, size: tuple[int, int] = (H, W)) -> Any:
        """Where the middle of a position is, as a point of the window."""
        self.page.locator(pane).scroll_into_view_if_needed()
        box = self.page.locator(pane).bounding_box()
        return (
            box["x"] + (column + 0.5) / size[1] * box["width"],
            box["y"] + (row + 0.5) / size[0] * box["height"],
        )

    def click(self, pane: str, row: float, column: float, **kwargs: Any) -> None:
        self.page.mouse.click(*self.at(pane, row, column, **kwargs))

    def tap(self, pane: str, row: float, column: float, **kwargs: Any) -> None:
        self.page.touchscreen.tap(*self.at(pane, row, column, **kwargs))

    def row_of(self, name: str) -> np.ndarray:
        return np.array(self.page.evaluate("name => explorer.row(name)", name))

    @property
    def position(self) -> list[int]:
        """Row and column, counted from 0."""
        return [value - 1 for value in self.page.evaluate("explorer.position()")][1:]

    def fact(self, name: str, which: str) -> str:
        return self.page.locator(f'[data-block="{name}"] dd.{which}').inner_text()


@pytest.fixture
def open_page(chromium: Any, tmp_path: Path) -> Iterator[Any]:
    contexts = []

    def opened(page: Page, window: dict[str, int] = DESKTOP, fragment: str = "") -> Tab:
        path = page.write(tmp_path / f"page{len(contexts)}.html")
        context = chromium.new_context(viewport=window, has_touch=True, offline=True)
        contexts.append(context)
        tab = Tab(context.new_page())
        tab.page.on("request", lambda request: tab.requests.append(request.url))
        tab.page.on("console", lambda message: tab.complaints.append(message.text))
        tab.page.on("pageerror", lambda error: tab.complaints.append(str(error)))
        tab.page.goto(path.as_uri() + fragment)
        tab.page.wait_for_selector("#main:not([hidden])")
        return tab

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def blocks() -> dict[str, Any]:
    torch.manual_seed(3)
    x = 2 * torch.randn(1, 8, H, W)
    pooled = torch.randn(1, 8, H // 2, W // 2)
    return {
        "nl": (nonlocal_block("nl", 8), x),
        "snl": (nonlocal_block("snl", 8), x),
        "cc": (nonlocal_block("cc", 8, recurrence=2), x),
        "heads": (nonlocal_block("nl", 8, heads=2), pooled),
        "cgnl": (nonlocal_block("cgnl", 8), x),
    }


@pytest.fixture(scope="module")
def page(blocks: dict[str, Any]) -> Page:
    return explore(torch.rand(3, 24, 32), blocks, title="Five blocks", caption="Of noise.")


@pytest.fixture
def tab(open_page: Any, page: Page) -> Tab:
    return open_page(page)


def expected_rows(blocks: dict[str, Any], name: str, index: int) -> np.ndarray:
    """Row of the view that is shown first."""
    block, x = blocks[name]
    rows = next(iter(attention_of(block, x).rows([index]).values()))
    return rows[0].double().numpy()


def assert_rows_shown(tab: Tab, blocks: dict[str, Any], row: int, column: int) -> None:
    assert tab.position == [row, column]
    for name, (block, _) in blocks.items():
        index = row * W + column if name != "heads" else row // 2 * (W // 2) + column // 2
        if name in ("nl", "snl"):  # from the matrix itself
            dense = block.affinity_of(blocks[name][1]).to_dense()[0, index].detach()
            expected = dense.double().numpy()
        else:
            expected = expected_rows(blocks, name, index)
        bound = 0.008 if expected.min() < 0 else 0.004  # as the page says
        error = np.abs(tab.row_of(name) - expected).max()
        assert error <= bound * np.abs(expected).max()
        strongest = int(np.abs(tab.row_of(name)).argmax())
        shown = tab.fact(name, "strongest").replace("\u2212", "-")
        value, where = shown.split(" at ")
        assert float(value) == pytest.approx(tab.row_of(name)[strongest], rel=6e-3)
        width = W // 2 if name == "heads" else W
        assert where == f"{strongest // width + 1}, {strongest % width + 1}"
        total = float(tab.fact(name, "sum").replace("\u2212", "-"))
        assert total == pytest.approx(expected.sum(), rel=6e-3, abs=1e-3)


def test_the_page_asks_for_nothing_but_itself_and_does_not_complain(tab: Tab) -> None:
    tab.click("#pick", 2, 3)
    tab.page.keyboard.press("2")
    tab.page.wait_for_timeout(300)
    assert len([url for url in tab.requests if not url.startswith("data:")]) == 1
    assert tab.requests[0].startswith("file:///")
    assert tab.complaints == []


@pytest.mark.parametrize("place", [(0, 0), (2, 5), (H - 1, W - 1)])
def test_a_click_shows_the_rows_of_that_position(
    tab: Tab, blocks: dict[str, Any], place: tuple[int, int]
) -> None:
    tab.click("#pick", *place)
    assert_rows_shown(tab, blocks, *place)


def test_a_tap_shows_them_too_on_a_phone(
    open_page: Any, page: Page, blocks: dict[str, Any]
) -> None:
    tab = open_page(page, PHONE)
    tab.tap("#pick", 4, 1)
    assert tab.position == [4, 1]
    tab.tap("label:has-text('snl')", 0.5, 0.5, size=(2, 2))
    tab.tap("#pick", 1, 6)
    assert tab.position == [1, 6]
    assert tab.page.locator('[data-block="snl"] dd.sum').is_visible()
    assert not tab.page.locator('[data-block="nl"]').is_visible()
    tab.tap('[data-block="snl"] .pane', 5, 2)
    assert tab.position == [5, 2]
    expected = expected_rows(blocks, "snl", 5 * W + 2)
    assert np.abs(tab.row_of("snl") - expected).max() <= 0.004 * expected.max()


@pytest.mark.parametrize("window", [DESKTOP, PHONE, {"width": 320, "height": 568}])
@pytest.mark.parametrize("key", ["0", "1"])
def test_nothing_is_wider_than_the_window(
    open_page: Any, page: Page, window: dict[str, int], key: str
) -> None:
    tab = open_page(page, window)
    tab.page.keyboard.press(key)
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= window["width"]


def test_hovering_looks_from_there_until_the_pointer_leaves(
    tab: Tab, blocks: dict[str, Any]
) -> None:
    tab.click("#pick", 1, 1)
    tab.page.mouse.move(*tab.at("#pick", 4, 6))
    assert_rows_shown(tab, blocks, 4, 6)
    assert "click to stay" in tab.page.locator("#from").inner_text()
    tab.page.mouse.move(2, 2)
    assert_rows_shown(tab, blocks, 1, 1)


def test_pointing_at_a_map_reads_the_weight_there(tab: Tab) -> None:
    tab.click("#pick", 2, 2)
    tab.page.mouse.move(*tab.at('[data-block="nl"] .pane', 5, 3))
    shown, where = tab.fact("nl", "pointed").split(" at ")
    assert where == "6, 4"
    assert float(shown) == pytest.approx(tab.row_of("nl")[5 * W + 3], rel=6e-3)
    assert tab.position == [2, 2]
    tab.click('[data-block="nl"] .pane', 5, 3)
    assert tab.position == [5, 3]


def test_arrows_home_and_end_move_the_position(tab: Tab, blocks: dict[str, Any]) -> None:
    tab.click("#pick", 2, 3)
    tab.page.mouse.move(2, 2)
    tab.page.locator("#pick").focus()
    for key, expected in [
        ("ArrowRight", [2, 4]),
        ("ArrowDown", [3, 4]),
        ("ArrowLeft", [3, 3]),
        ("ArrowUp", [2, 3]),
        ("Home", [2, 0]),
        ("ArrowLeft", [2, 0]),
        ("End", [2, W - 1]),
        ("Control+Home", [0, W - 1]),
        ("Control+End", [H - 1, W - 1]),
        ("Shift+ArrowLeft", [H - 1, W - 6]),
    ]:
        tab.page.keyboard.press(key)
        assert tab.position == expected, key
    assert_rows_shown(tab, blocks, H - 1, W - 6)
    assert f"at={1},{H},{W - 5}" in tab.page.url
    live = tab.page.locator("#live")
    playwright.expect(live).to_contain_text(f"row {H}, column {W - 5}. nl: strongest")


def test_the_whole_page_can_be_used_from_the_keyboard_with_its_focus_in_sight(tab: Tab) -> None:
    reached = []
    for _ in range(12):
        tab.page.keyboard.press("Tab")
        reached.append(
            tab.page.evaluate(
                """() => {
                  const e = document.activeElement;
                  const shown = e.closest('label:has(input[type=radio])') ?? e;
                  return [e.id || e.name || e.tagName, getComputedStyle(shown).outlineStyle];
                }"""
            )
        )
    names = [name for name, _ in reached]
    for wanted in ("block", "blend", "lift", "pick", "row", "column", "SELECT", "SUMMARY"):
        assert wanted in names
    assert all(outline != "none" for name, outline in reached if name not in ("BODY", "HTML"))


def test_number_keys_switch_the_block(tab: Tab, blocks: dict[str, Any]) -> None:
    for number, name in enumerate(blocks, start=1):
        tab.page.keyboard.press(str(number))
        shown = tab.page.locator("article:visible")
        assert shown.count() == 1
        assert shown.get_attribute("data-block") == name
    tab.page.keyboard.press("0")
    assert tab.page.locator("article:visible").count() == len(blocks)
    tab.page.keyboard.press("9")  # there is no ninth
    assert tab.page.locator("article:visible").count() == len(blocks)


def test_digits_typed_into_a_field_stay_there(tab: Tab, blocks: dict[str, Any]) -> None:
    tab.page.locator("#row").fill("3")
    tab.page.locator("#column").fill("2")
    tab.page.locator("#column").press("1")  # 21 or 12: no such column
    assert tab.position == [2, 1]
    assert tab.page.locator("article:visible").count() == len(blocks)
    tab.page.locator("#row").focus()  # leaving the field puts the position back into it
    assert tab.page.locator("#column").input_value() == "2"


def test_a_view_can_be_chosen(tab: Tab, blocks: dict[str, Any]) -> None:
    tab.click("#pick", 2, 3)
    for name, index in (("cc", 2 * W + 3), ("heads", W // 2 + 1)):
        block, x = blocks[name]
        for view, rows in attention_of(block, x).rows([index]).items():
            tab.page.locator(f'[data-block="{name}"] select').select_option(view.label)
            expected = rows[0].double().numpy()
            assert np.abs(tab.row_of(name) - expected).max() <= 0.004 * expected.max()


def total(marks: list[Any]) -> int:
    """How many eigenvalues some marks stand for."""
    return sum(int(mark.get_attribute("data-count")) for mark in marks)


def test_eigenvalues_are_drawn_to_the_last_one(tab: Tab, blocks: dict[str, Any]) -> None:
    (snl,) = spectrum(blocks["snl"])
    bars = tab.page.locator('[data-block="snl"] svg.eigenvalues [data-count]').all()
    assert total(bars) == H * W
    assert (
        "48 eigenvalues, all real" in tab.page.locator('[data-block="snl"] .spectrum').inner_text()
    )
    assert snl.is_real
    (nl,) = spectrum(blocks["nl"])
    imaginary = nl.eigenvalues.numpy().imag
    triangles = tab.page.locator('[data-block="nl"] svg.eigenvalues .unreal').all()
    circles = tab.page.locator('[data-block="nl"] svg.eigenvalues .real').all()
    assert total(triangles) == (imaginary != 0).sum() > 0
    assert total(circles) == (imaginary == 0).sum()
    drawn = sorted(float(mark.get_attribute("data-im")) for mark in triangles)
    np.testing.assert_allclose(drawn, sorted(imaginary[imaginary != 0]), rtol=1e-3)
    heights = {mark.get_attribute("d").split()[1].split("l")[0] for mark in triangles}
    assert len(heights) > 1  # off the axis, on both sides of it


def test_numbers_of_a_chart_stay_inside_it_and_apart(open_page: Any) -> None:
    torch.manual_seed(0)
    flat, far = 0.3 * torch.randn(1, 8, H, W), 40 * torch.randn(1, 8, H, W)
    blocks = {"nl": (nonlocal_block("nl", 8), flat), "cgnl": (nonlocal_block("cgnl", 8), far)}
    values = {name: spectrum(pair)[0].eigenvalues for name, pair in blocks.items()}
    assert 0 < values["nl"].imag.abs().max() < 0.05  # so long numbers stand at the axis
    assert (values["cgnl"] - 1).abs().max() > 50  # so the whole line is long
    tab = open_page(explore(None, blocks))
    for svg in tab.page.locator("article svg").all():
        frame = svg.bounding_box()
        boxes = [text.bounding_box() for text in svg.locator("text").all()]
        assert len(boxes) > 4
        for box in boxes:
            assert box["x"] >= frame["x"] - 1
            assert box["x"] + box["width"] <= frame["x"] + frame["width"] + 1
        for number, one in enumerate(boxes):
            for other in boxes[number + 1 :]:
                assert (
                    one["x"] + one["width"] <= other["x"]
                    or other["x"] + other["width"] <= one["x"]
                    or one["y"] + one["height"] / 2 <= other["y"]
                    or other["y"] + other["height"] / 2 <= one["y"]
                )


def test_a_map_has_the_colours_of_its_weights(tab: Tab) -> None:
    """The brightest cell is the strongest one, once the picture behind is out of the way."""
    tab.page.locator("#blend").fill("100")
    tab.click("#pick", 3, 3)
    tab.page.mouse.move(2, 2)
    light = tab.page.evaluate(
        """([h, w]) => {
          const canvas = document.querySelector('[data-block="nl"] .pane canvas');
          const pen = canvas.getContext('2d');
          return Array.from({length: h * w}, (_, at) => {
            const x = Math.floor((at % w + 0.5) / w * canvas.width);
            const y = Math.floor((Math.floor(at / w) + 0.5) / h * canvas.height);
            const [r, g, b] = pen.getImageData(x, y, 1, 1).data;
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          });
        }""",
        [H, W],
    )
    row = tab.row_of("nl")
    assert np.argmax(light) == np.argmax(row)
    ranks = [np.argsort(np.argsort(values)) for values in (light, row)]
    assert np.corrcoef(ranks)[0, 1] > 0.99  # ties of rounded colours are all that may differ


def test_the_address_says_where_to_begin(open_page: Any, page: Page) -> None:
    tab = open_page(page, fragment="#at=1,3,5&block=2")
    assert tab.position == [2, 4]
    assert tab.page.locator("article:visible").get_attribute("data-block") == "snl"
    lost = open_page(page, fragment="#at=x&block=77")
    assert lost.complaints == []
    assert lost.page.locator("article:visible").count() == 5


def test_a_clip_shows_its_frames_side_by_side(open_page: Any) -> None:
    torch.manual_seed(0)
    block, x = nonlocal_block("nl", 4), torch.randn(1, 4, 3, 4, 5)
    tab = open_page(explore(torch.rand(1, 1, 3, 16, 20), {"nl": (block, x)}))
    box = tab.page.locator("#pick").bounding_box()
    # Three frames lie on two by two tiles; the third one is below the first.
    tab.page.mouse.click(box["x"] + 0.5 * 0.49 * box["width"], box["y"] + 0.76 * box["height"])
    frame, row, column = tab.page.evaluate("explorer.position()")
    assert (frame, column) == (3, 3)
    dense = block.affinity_of(x).to_dense()[0].detach().double().numpy()
    expected = dense[((frame - 1) * 4 + row - 1) * 5 + column - 1]
    assert np.abs(tab.row_of("nl") - expected).max() <= 0.004 * expected.max()
    tab.page.locator("#pick").focus()
    tab.page.keyboard.press("PageUp")
    assert tab.page.evaluate("explorer.position()") == [2, row, column]
    tab.page.locator("#frame").fill("1")
    assert tab.page.evaluate("explorer.position()") == [1, row, column]


def test_sampled_positions_are_said_and_the_nearest_is_shown(open_page: Any) -> None:
    torch.manual_seed(0)
    block, x = nonlocal_block("nl", 4), torch.randn(1, 4, 9, 9)
    tab = open_page(explore(None, {"nl": (block, x)}, stride=3))
    assert "every 3rd row and column" in tab.page.locator("#facts").inner_text()
    tab.click("#pick", 3, 8, size=(9, 9))
    dense = block.affinity_of(x).to_dense()[0].detach().double().numpy()
    expected = dense[4 * 9 + 7]  # the middle of its cell
    assert np.abs(tab.row_of("nl") - expected).max() <= 0.004 * expected.max()
    ring = tab.page.locator('[data-block="nl"] .ring').get_attribute("style")
    assert re.search(r"left: 83\.3+%", ring)  # where the row was taken, (7 + ½) / 9


def test_names_are_shown_as_text(open_page: Any) -> None:
    nasty = "<img src=x onerror=document.title=1>"
    block = nonlocal_block("snl", 4), torch.randn(1, 4, 3, 3)
    tab = open_page(explore(None, {nasty: block}, title=nasty, caption=nasty))
    assert tab.page.title() == nasty
    assert tab.page.locator("img").count() == 0
    assert tab.page.locator("article h2").inner_text() == nasty
    assert tab.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(
    chromium: Any, page: Page, tmp_path: Path, scheme: str
) -> None:
    """WCAG 2.2, 1.4.3: a contrast of 4.5 to 1."""
    context = chromium.new_context(viewport=DESKTOP, offline=True, color_scheme=scheme)
    shown = context.new_page()
    shown.goto(page.write(tmp_path / "page.html").as_uri())
    shown.wait_for_selector("#main:not([hidden])")
    pairs = shown.evaluate(
        """() => {
          const style = getComputedStyle(document.documentElement);
          const value = (name) => style.getPropertyValue(name).trim();
          return ["--ink", "--soft"].flatMap((ink) =>
            ["--ground", "--card"].map((ground) => [value(ink), value(ground)]));
        }"""
    )
    context.close()
    for ink, ground in pairs:
        light, dark = sorted((luminance(ink), luminance(ground)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5


def luminance(colour: str) -> float:
    channels = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
