"""How the site is built: ``python -m sphinx -W --keep-going -b html docs build/site``.

Everything that the site shows is in the checkout, so a build needs no network, and neither does a
reader. ``SNL_DOCS_ONLINE=1`` asks the other projects' sites for their inventories first;
``-D plot_gallery=0`` leaves the examples of the gallery unrun.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

DOCS = Path(__file__).parent
CHECKOUT = DOCS.parent
sys.path[:0] = [str(DOCS / "_ext"), str(CHECKOUT)]

from inventories import intersphinx_mapping_of  # noqa: E402

from snl_graph.version import __version__  # noqa: E402

project = "snl-graph"
author = "snl-graph developers"
copyright = "snl-graph developers, MIT licence"
version = release = __version__
language = "en"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_gallery.gen_gallery",
    "checkout_pages",
    "commands",
    "docstrings",
    "inventories",
    "mathml",
    "ways_back",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext", ".markdown": "markdown"}
root_doc = "index"
exclude_patterns = ["_build", "examples", "gallery", "results", "**/README.md"]

# Markdown stays what a repository browser shows too: no directives, headings are link targets.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "html_image"]

# A reference that leads nowhere is an error.
nitpicky = True
nitpick_ignore = [
    ("py:class", "snl_graph.insert.ModelT"),  # a type variable has no page
    ("py:class", "torch_geometric.nn.models.basic_gnn.BasicGNN"),  # nor has this, at its project
]

autodoc_default_options = {"show-inheritance": True, "member-order": "bysource"}
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_custom_sections = ["Shapes", "Cost"]
autosummary_generate = False

intersphinx_mapping = intersphinx_mapping_of(
    CHECKOUT / "build" / "inventories", online=os.environ.get("SNL_DOCS_ONLINE") == "1"
)
intersphinx_timeout = 10

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_gallery",
    "within_subsection_order": "FileNameSortKey",
    "filename_pattern": r"\.py$",
    "ignore_pattern": r"(__init__|/_)",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 10**9,
    "write_computation_times": False,
    "remove_config_comments": True,
    "doc_module": ("snl_graph",),
    "reference_url": {"snl_graph": None},
    "backreferences_dir": None,
}

html_math_renderer = "mathml"
html_theme = "furo"
html_title = f"snl-graph {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}
pygments_style = "friendly"
pygments_dark_style = "native"
