"""Docstrings that read well in ``help()``, read as reStructuredText.

There, ``(*batch, N, C)`` is a shape and ``|μ|`` an absolute value; in reStructuredText a star
begins emphasis and a bar a substitution, neither of which the docstrings use. So both are escaped,
except in literals and examples. And a name without dots leads to what alone bears it on this site.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.nodes import make_refnode

import snl_graph

_LITERAL = re.compile(r"(``.+?``|:\w+:`[^`]*`)")
_STAR_OR_BAR = re.compile(r"(?<!\\)[*|]")
_ARGUMENT = re.compile(r"^\s+\*{1,2}\w+:")  # a ``**kwargs`` in Args, which napoleon escapes


def with_plain_stars(lines: list[str]) -> list[str]:
    r"""The lines of a docstring with stars and bars escaped where they are text.

    Example:
        >>> with_plain_stars(["Shape (*batch, N), ``(*batch, N)``."])
        ['Shape (\\*batch, N), ``(*batch, N)``.']
        >>> with_plain_stars([">>> 2 * 3", "6"])
        ['>>> 2 * 3', '6']
    """
    escaped, in_example, literal_from = [], False, -1
    for line in lines:
        indent = len(line) - len(line.lstrip())
        in_example = bool(line.strip()) and (in_example or line.lstrip().startswith(">>>"))
        if line.strip() and indent <= literal_from:
            literal_from = -1
        if in_example or 0 <= literal_from < indent or _ARGUMENT.match(line):
            escaped.append(line)
            continue
        parts = _LITERAL.split(line)
        parts[::2] = [_STAR_OR_BAR.sub(r"\\\g<0>", part) for part in parts[::2]]
        escaped.append("".join(parts))
        if line.rstrip().endswith("::"):
            literal_from = indent
    return escaped


def escape(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Before napoleon reads a docstring."""
    lines[:] = with_plain_stars(lines)
    if what in {"attribute", "data", "property"}:
        lines.insert(0, "\\ ")  # or napoleon takes what stands before a colon for a type


def resolve_short_name(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement
) -> nodes.reference | None:
    """Where a name without dots leads, if one thing alone bears it."""
    target = node["reftarget"]
    if node.get("refdomain") != "py" or "." in target:
        return None
    python: Any = env.domains["py"]
    found = {
        (entry.docname, entry.node_id): name
        for name, entry in python.objects.items()
        if name.rpartition(".")[2] == target and not entry.aliased
    }
    if len(found) != 1:
        return None
    ((docname, anchor),) = found
    return make_refnode(app.builder, node["refdoc"], docname, anchor, content, target)


def shorten_defaults(
    app: Sphinx,
    what: str,
    name: str,
    obj: object,
    options: object,
    signature: str | None,
    returns: str | None,
) -> tuple[str | None, str | None]:
    """Defaults that a dataclass makes anew are written ``...``; their own form is no Python."""
    return signature and signature.replace("<factory>", "..."), returns


def supply_types(app: Sphinx) -> None:
    """Give signatures the types that modules import for type checkers alone."""
    for info in pkgutil.walk_packages(snl_graph.__path__, "snl_graph."):
        module = importlib.import_module(info.name)
        for node in ast.parse(inspect.getsource(module)).body:
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                for statement in node.body:
                    exec(ast.unparse(statement), vars(module))


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("builder-inited", supply_types)
    app.connect("autodoc-process-docstring", escape, priority=100)
    app.connect("autodoc-process-signature", shorten_defaults)
    app.connect("missing-reference", resolve_short_name, priority=600)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
