import importlib

import pytest


@pytest.fixture
def few_dense_nodes(monkeypatch):
    """Treat graphs of more than 12 nodes as too large for a matrix, and of more than 6 as large."""
    for name in ("spectrum", "facts", "density", "lambda_max", "fourier"):
        module = importlib.import_module(f"snl_graph.spectral.{name}")
        for constant, size in (("SMALL", 6), ("LARGEST_DENSE", 12)):
            if hasattr(module, constant):
                monkeypatch.setattr(module, constant, size)
