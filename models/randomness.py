"""The global generators of Python, NumPy and PyTorch: kept, set back, and seeded for a while."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

# Augmentation of others draws from NumPy's global generator, so it is what has to be kept.
# ruff: noqa: NPY002


@contextmanager
def seeded(*key: int) -> Iterator[None]:
    """Inside, Python, NumPy and PyTorch draw what ``key`` decides; after it, what they had before.

    Generators of GPUs are left alone.

    Example:
        >>> with seeded(1, 2):
        ...     first = torch.rand(3)
        >>> with seeded(1, 2):
        ...     print(torch.equal(first, torch.rand(3)))
        True
    """
    python, numpy, torch_state = random.getstate(), np.random.get_state(), torch.get_rng_state()
    seeds = [int(word) for word in np.random.SeedSequence(key).generate_state(3)]
    random.seed(seeds[0])
    np.random.seed(seeds[1])
    torch.default_generator.manual_seed(seeds[2])
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(torch_state)


def random_state() -> dict[str, Any]:
    """States of the generators of this process, in plain values and tensors."""
    name, keys, *rest = tuple[Any, ...](np.random.get_state(legacy=True))
    return {
        "python": random.getstate(),
        "numpy": [name, torch.from_numpy(keys.astype(np.int64)), *rest],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Let the generators go on from where :func:`random_state` found them.

    Example:
        >>> state = random_state()
        >>> drawn = random.random(), float(torch.rand(()))
        >>> set_random_state(state)
        >>> drawn == (random.random(), float(torch.rand(())))
        True
    """
    random.setstate(state["python"])
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    if state["cuda"] and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
