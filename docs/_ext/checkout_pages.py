"""Markdown written for a repository browser, as pages of a site.

The pages below ``docs/`` hold no directives of the site, so they read the same everywhere. What the
site needs on top is made here, from what they say:

- the table of contents is the home page's: each of its sections that lists links is a caption, and
  its links are the pages;
- ``CONTRIBUTING.md`` and ``CHANGELOG.md`` stand above ``docs/`` and are copied in as pages;
- a link to any other file of the checkout gives that file to download; one to the gallery's folder
  leads to the gallery that was built; one to another folder is text.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from sphinx.application import Sphinx

DOCS = Path(__file__).parents[1]
CHECKOUT = DOCS.parent
COPIES = DOCS / "auto_pages"
GALLERY = DOCS / "gallery"

FROM_ABOVE = {CHECKOUT / "CONTRIBUTING.md": "contributing", CHECKOUT / "CHANGELOG.md": "changelog"}
"""Pages above ``docs/``, and the names of their copies."""

PLACES = {
    **{page: COPIES / f"{name}.markdown" for page, name in FROM_ABOVE.items()},
    CHECKOUT / "README.md": DOCS / "index.md",
    GALLERY: DOCS / "auto_gallery" / "index.rst",
}
"""Where the site has what stands elsewhere in the checkout."""

_FENCED = re.compile(r"^(```+|~~~+).*?^\1`*\s*$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[([^\]]*)\]\(([^)#\s]+)((?:#[^)\s]*)?)\)")
_SECTION = re.compile(r"^## +(.+?)\s*$(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_LISTED = re.compile(r"^- (?:\*\*)?\[[^\]]+\]\(([^)#\s]+)\)", re.MULTILINE)


def copy_pages(app: Sphinx) -> None:
    """Bring the pages above ``docs/`` into it, where Sphinx looks."""
    COPIES.mkdir(exist_ok=True)
    for source, name in FROM_ABOVE.items():
        text = source.read_text(encoding="utf-8")
        copy = COPIES / f"{name}.markdown"
        linked = with_links_of_the_site(text, source.parent, copy.parent)
        if not copy.exists() or copy.read_text(encoding="utf-8") != linked:
            copy.write_text(linked, encoding="utf-8")


def with_links_of_the_site(text: str, written_in: Path, shown_in: Path) -> str:
    """``text`` with each relative link leading to where the site has its target.

    Args:
        text: Markdown.
        written_in: Folder that the links are relative to.
        shown_in: Folder that they are to be relative to.
    """

    def relinked(match: re.Match[str]) -> str:
        target = match[2]
        if re.match(r"[a-z]+:", target):
            return match[0]
        path = Path(os.path.normpath(written_in / target))
        place = PLACES.get(path, path)
        if place.is_dir():
            return match[1]
        return f"[{match[1]}]({Path(os.path.relpath(place, shown_in)).as_posix()}{match[3]})"

    parts, end = [], 0
    for fenced in _FENCED.finditer(text):  # what looks like a link in code is none
        parts += [_LINK.sub(relinked, text[end : fenced.start()]), fenced[0]]
        end = fenced.end()
    return "".join([*parts, _LINK.sub(relinked, text[end:])])


def contents_of(index: str) -> str:
    r"""The tables of contents that the sections of the home page make.

    Example:
        >>> print(contents_of("# Home\n\n## Learn\n\n- [A page](a.md): with a word\n"))
        <BLANKLINE>
        :::{toctree}
        :hidden:
        :caption: Learn
        <BLANKLINE>
        a
        :::
        <BLANKLINE>
    """
    tables = []
    for caption, section in _SECTION.findall(index):
        names = [os.path.splitext(target)[0] for target in _LISTED.findall(section)]
        if names:
            tables.append(
                "\n".join(
                    ["", ":::{toctree}", ":hidden:", f":caption: {caption}", "", *names, ":::"]
                )
            )
    return "\n".join([*tables, ""])


def prepare(app: Sphinx, docname: str, source: list[str]) -> None:
    """Point a page's links at the site; give the home page its tables of contents."""
    path = Path(app.env.doc2path(docname))
    if path.suffix != ".md":
        return
    source[0] = with_links_of_the_site(source[0], path.parent, path.parent)
    if docname == app.config.root_doc:
        source[0] += contents_of(source[0])


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("builder-inited", copy_pages)
    app.connect("source-read", prepare)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
