"""A page to look at attention with: one file, no network, every position a click away."""

from snl_graph.explorer.explore import explore
from snl_graph.explorer.page import Page, PageTooLarge

__all__ = ["Page", "PageTooLarge", "explore"]
