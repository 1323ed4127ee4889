"""Graphs of the tests are small; the fused product is for large ones."""

import pytest

from snl_graph.conv import listeners


@pytest.fixture
def always_fused(monkeypatch):
    """Take the fused product at any size, as for a large graph."""
    monkeypatch.setattr(listeners, "LEAST_WORK", 0)
