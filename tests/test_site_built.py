"""The site as a reader gets it: every link leads somewhere, nothing is fetched, phones can read it.

Needs a built site: ``python -m sphinx -W --keep-going -b html docs build/site``, then
``SNL_SITE=build/site python -m pytest tests/test_site_built.py``.
"""

import functools
import http.server
import os
import re
import shutil
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

SITE = Path(os.environ.get("SNL_SITE", "")).resolve()
pytestmark = pytest.mark.skipif(
    "SNL_SITE" not in os.environ, reason="SNL_SITE names no built site (docs/site.md builds one)"
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
WINDOWS = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}

FETCHED = {
    ("img", "src"),
    ("script", "src"),
    ("source", "src"),
    ("video", "src"),
    ("iframe", "src"),
}
"""Attributes whose target a browser fetches by itself; of ``link`` it depends on ``rel``."""


class Page(HTMLParser):
    """What a page links to, what it has a browser fetch, and the places on it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.places: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.places |= {given[name] for name in ("id", "name") if given.get(name)}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "link" and not {"next", "prev", "canonical"} & set(given.get("rel", "").split()):
            self.fetched.append(given["href"])
        self.fetched += [given[name] for kind, name in FETCHED if kind == tag and name in given]


@functools.cache
def pages() -> dict[Path, Page]:
    return {path: Page(path) for path in sorted(SITE.rglob("*.html"))}


def broken(target: str, page: Path) -> bool:
    """Whether a link inside the site leads to no file, or to a place that its page has not."""
    parts = urlsplit(target)
    path = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if path.is_dir():
        path /= "index.html"
    if not path.is_file() or not path.is_relative_to(SITE):
        return True
    fragment = unquote(parts.fragment)
    return bool(fragment and path in pages() and fragment not in pages()[path].places)


def is_elsewhere(target: str) -> bool:
    return bool(re.match(r"([a-z]+:)?//|mailto:", target))


def test_the_site_has_its_pages() -> None:
    names = {path.relative_to(SITE).as_posix() for path in pages()}
    assert {"index.html", "search.html", "genindex.html", "paper-map.html"} <= names
    assert {"api/index.html", "migration/chebconv.html", "auto_gallery/index.html"} <= names


def test_every_link_inside_the_site_leads_to_its_place() -> None:
    wrong = {
        (path.relative_to(SITE).as_posix(), target)
        for path, page in pages().items()
        for target in [*page.links, *page.fetched]
        if not is_elsewhere(target) and not target.startswith("data:") and broken(target, path)
    }
    assert not wrong


def test_a_link_to_nowhere_is_found() -> None:
    index = SITE / "index.html"
    assert not broken("search.html", index)
    assert broken("absent.html", index)
    assert broken("formula.html#no-such-place", index)
    assert broken("../outside.html", index)


def test_nothing_is_fetched_from_elsewhere() -> None:
    wrong = {
        (path.relative_to(SITE).as_posix(), target)
        for path, page in pages().items()
        for target in page.fetched
        if is_elsewhere(target)
    }
    styles = {
        (path.relative_to(SITE).as_posix(), target)
        for path in SITE.rglob("*.css")
        for target in re.findall(r"(?:url\(|@import )[\"']?([^)\"';]+)", path.read_text("utf-8"))
        if is_elsewhere(target)
    }
    assert not wrong | styles


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
    if CHROMIUM is None:
        pytest.skip("the site is looked at in Chromium, which is not installed")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


class Reader:
    """A window on the site without a network, with what it asked for and complained about."""

    def __init__(self, browser: Any, window: dict[str, int]) -> None:
        self.context = browser.new_context(viewport=window, offline=True)
        self.page = self.context.new_page()
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on(
            "console",
            lambda message: message.type == "error" and self.complaints.append(message.text),
        )

    def too_wide(self) -> int:
        """Pixels by which the page is wider than its window."""
        return self.page.evaluate(
            "Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)"
            " - document.documentElement.clientWidth"
        )


@pytest.mark.parametrize("window", WINDOWS)
def test_every_page_opens_from_the_disk_and_fits_the_window(browser: Any, window: str) -> None:
    reader = Reader(browser, WINDOWS[window])
    wide = {}
    for path in pages():
        reader.page.goto(path.as_uri())
        if reader.too_wide() > 0:
            wide[path.relative_to(SITE).as_posix()] = reader.too_wide()
    reader.context.close()
    assert not wide
    assert not reader.complaints
    assert not [url for url in reader.requests if not url.startswith(("file:", "data:"))]


def test_on_a_phone_the_contents_open_at_a_tap(browser: Any) -> None:
    reader = Reader(browser, WINDOWS["phone"])
    reader.page.goto((SITE / "index.html").as_uri())
    entry = reader.page.locator('.sidebar-tree a[href="spectrum.html"]')
    assert entry.bounding_box()["x"] < 0  # outside the window
    reader.page.locator("label.nav-overlay-icon").first.click()
    reader.page.wait_for_function(
        "document.querySelector('.sidebar-drawer').getBoundingClientRect().x >= 0"
    )
    entry.click()
    assert reader.page.title().startswith("The spectrum")
    reader.context.close()


@pytest.mark.parametrize("asked", ["streaming", "ChebConv"])
def test_the_search_finds_from_the_disk(browser: Any, asked: str) -> None:
    reader = Reader(browser, WINDOWS["desktop"])
    reader.page.goto((SITE / "index.html").as_uri())
    reader.page.locator(".sidebar-search").fill(asked)
    reader.page.keyboard.press("Enter")
    reader.page.wait_for_selector("#search-results li a")
    assert reader.page.locator("#search-results li").count() >= 2
    assert not [url for url in reader.requests if not url.startswith(("file:", "data:"))]
    reader.context.close()


def test_the_search_shows_where_it_found_from_a_server(browser: Any) -> None:
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(SITE))
    handler.log_message = lambda *args: None  # type: ignore[attr-defined]
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        context = browser.new_context(viewport=WINDOWS["phone"])
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{server.server_port}/search.html?q=criss-cross")
        page.wait_for_selector("#search-results li .context")
        assert "criss-cross" in page.locator("#search-results").inner_text().lower()
        context.close()
        server.shutdown()
