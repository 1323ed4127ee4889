"""What every test shares: a fixed seed, quiet threads, and a word on what is missing."""

import gc
import os

import pytest
import torch
from hypothesis import settings

from snl_graph.environment import cpp_compiler, environment

# The first example of a property compiles and caches; a wall-clock limit would only be noise.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")

if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)  # one process a core already
    os.environ["OMP_NUM_THREADS"] = "1"  # and so for the programs that tests start


@pytest.fixture(autouse=True)
def fixed_seed() -> None:
    """Every test draws the same numbers alone as in the whole suite."""
    # torch.manual_seed keeps a stack trace for every kind of device that is absent: thousands of
    # tests would spend a tenth of their time on them.
    torch.default_generator.manual_seed(0)
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(0)


def pytest_report_header() -> list[str]:
    facts = environment()
    return [
        f"torch {facts.torch}, torch-geometric {facts.torch_geometric}, "
        f"torch-scatter {facts.torch_scatter or 'absent'}, "
        f"torch-sparse {facts.torch_sparse or 'absent'}",
        f"C++ compiler: {facts.cpp_compiler or 'none, tests of torch.compile are skipped'}",
    ]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "compiled: runs torch.compile, which needs a C++ compiler on the processor"
    )


def pytest_collection_finish() -> None:
    # Modules and tests stay to the end. Looked at no more, they do not put off the collection of
    # what the tests leave behind: networks and trainers that hold each other.
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    gc.unfreeze()  # libraries written in C++ look at the end for what was not collected


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if cpp_compiler() is None:
        reason = "torch.compile needs a C++ compiler: install g++ (or set CXX) to run this test"
        for item in items:
            if item.get_closest_marker("compiled"):
                item.add_marker(pytest.mark.skip(reason=reason))
