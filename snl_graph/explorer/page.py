"""One HTML file of template, style, script and data; nothing in it points outside."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from snl_graph.version import __version__


class PageTooLarge(ValueError):
    """The page would weigh more than its caller allows."""


@dataclass(frozen=True)
class Page:
    """A finished page.

    Attributes:
        html: The whole document.
    """

    html: str

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return len(self.html.encode("utf-8"))

    def write(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the page.

        Args:
            path: File to write; its folder must exist.
            overwrite: Replace a file that is there.

        Raises:
            FileExistsError: If there is a file already and ``overwrite`` is off.
            FileNotFoundError: If there is no such folder.
        """
        where = Path(path)
        if not where.parent.is_dir():
            raise FileNotFoundError(f"no folder {where.parent} to write {where.name} to.")
        if where.is_dir():
            raise IsADirectoryError(f"{where} is a folder; name a file, such as {where}/page.html.")
        try:
            with where.open("w" if overwrite else "x", encoding="utf-8", newline="\n") as file:
                file.write(self.html)
        except FileExistsError as error:
            raise FileExistsError(
                f"{where} exists and was left as it is. Choose another name, or overwrite it on "
                "purpose with overwrite=True."
            ) from error
        return where

    def __repr__(self) -> str:
        return f"Page({self.size:,} bytes)"


def make_page(data: dict[str, Any], title: str, caption: str, max_bytes: int) -> Page:
    """Fill the template.

    Raises:
        PageTooLarge: If the page would weigh more than ``max_bytes``.
    """
    parts = files("snl_graph.explorer")
    style = parts.joinpath("page.css").read_text(encoding="utf-8")
    script = parts.joinpath("page.js").read_text(encoding="utf-8")
    fields = {
        "title": html.escape(title),
        "caption": html.escape(caption),
        "version": html.escape(__version__),
        # Nothing is loaded, and no other script or style runs than these two.
        "policy": f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; "
        f"script-src '{_hash(script)}'; base-uri 'none'; form-action 'none'",
        "style": style,
        "script": script,
        "data": _embedded(data),
    }
    template = parts.joinpath("page.html").read_text(encoding="utf-8")
    pieces = template.split("{{")
    filled = [pieces[0]]
    for piece in pieces[1:]:  # one pass, so that what is filled in is never read as a field
        name, _, rest = piece.partition("}}")
        filled += [fields[name], rest]
    page = Page("".join(filled))
    if page.size > max_bytes:
        raise PageTooLarge(_too_large(page.size, max_bytes, data))
    return page


def _hash(content: str) -> str:
    digest = hashlib.sha256(content.encode("utf-8")).digest()
    return "sha256-" + base64.b64encode(digest).decode("ascii")


def _embedded(data: dict[str, Any]) -> str:
    """JSON that no HTML parser mistakes for the end of its script element."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _too_large(size: int, max_bytes: int, data: dict[str, Any]) -> str:
    maps = {
        f"{block['name']}": sum(len(view["codes"]) for view in block["views"])
        for block in data["blocks"]
    }
    heaviest = max(maps, key=maps.__getitem__)
    stride = next(block["stride"] for block in data["blocks"] if block["name"] == heaviest)
    return (
        f"the page would weigh {size:,} bytes, more than the {max_bytes:,} allowed; "
        f'{maps[heaviest]:,} of them are the maps of "{heaviest}" at stride {stride}. '
        f"Take fewer positions (stride={2 * stride}), fewer blocks, a smaller image, or allow more "
        f"(max_bytes={_round_up(size)})."
    )


def _round_up(size: int) -> int:
    return -(-size // 1_000_000) * 1_000_000
