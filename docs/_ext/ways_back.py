"""From the source of a thing back to where it is described.

Sphinx takes one name of a module for all that its file holds, but what a file defines is described
under the name that people import: ``snl_graph.NonlocalBlock`` and ``snl_graph.blocks.SpectralUnit``
are of one file. So the places that its links name are put right here.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

_BACK = re.compile(r'(class="viewcode-back" href="[^"#]*)#([^"]+)"')


def place_of(name: str, places: set[str]) -> str | None:
    """The place whose name ends as this one does, as far as possible.

    Example:
        >>> place_of("snl_graph.SpectralUnit", {"snl_graph.blocks.SpectralUnit"})
        'snl_graph.blocks.SpectralUnit'
    """
    if name in places:
        return name
    parts = name.split(".")
    for start in range(1, len(parts)):
        ending = "." + ".".join(parts[start:])
        found = sorted(place for place in places if place.endswith(ending))
        if found:
            return found[0]
    return None


def put_right(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: nodes.document
) -> None:
    """Before a page is written."""
    if not pagename.startswith("_modules/"):
        return
    python: Any = app.env.domains["py"]
    places = {entry.node_id for entry in python.objects.values()}

    def corrected(match: re.Match[str]) -> str:
        place = place_of(match[2], places)
        return f'{match[1]}#{place}"' if place else f'{match[1]}"'

    context["body"] = _BACK.sub(corrected, context["body"])


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("html-page-context", put_right)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
