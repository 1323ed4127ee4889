"""Formulas as MathML, which browsers draw themselves: no script, no font, no image to fetch."""

from __future__ import annotations

import re

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.errors import SphinxError
from sphinx.writers.html5 import HTML5Translator

SIGNS = str.maketrans(
    {
        "⊤": r"\top ",
        "⊙": r"\odot ",
        "‖": r"\Vert ",
        "⟨": r"\langle ",
        "⟩": r"\rangle ",
        "½": r"\tfrac{1}{2}",
        "²": "^2",
        "√": r"\sqrt",
        "−": "-",
        "±": r"\pm ",
        "≤": r"\le ",
        "·": r"\cdot ",
    }
)
"""Signs that formulas are written with, by the names that docutils knows them under."""


_BARE = re.compile(r"\\([td]?frac|[td]?binom) *(\w) *(\w)")
"""Two bare characters as the parts of a fraction, which LaTeX reads and docutils does not."""


def readable(formula: str) -> str:
    r"""LaTeX of signs and forms that docutils knows.

    Example:
        >>> readable(r"\tfrac12 M ⊙ C")
        '\\tfrac{1}{2} M \\odot  C'
    """
    return _BARE.sub(r"\\\1{\2}{\3}", formula.translate(SIGNS))


def mathml_of(node: nodes.math | nodes.math_block, *, is_block: bool) -> str:
    """The formula of a node.

    Raises:
        SphinxError: If it is not LaTeX that docutils knows.
    """
    try:
        return tex2mathml(readable(node.astext()), as_block=is_block)
    except MathError as error:
        raise SphinxError(f"cannot draw the formula {node.astext()!r}: {error}") from error


def visit_inline(translator: HTML5Translator, node: nodes.math) -> None:
    """A formula in a line of text."""
    translator.body.append(mathml_of(node, is_block=False))
    raise nodes.SkipNode


def visit_block(translator: HTML5Translator, node: nodes.math_block) -> None:
    """A formula on lines of its own."""
    translator.body.append(f'<div class="formula">{mathml_of(node, is_block=True)}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
