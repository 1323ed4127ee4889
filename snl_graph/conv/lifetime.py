"""What outlives a call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def remembering() -> Iterator[None]:
    """A place to compute what outlives the call: without gradients, and outside inference mode.

    Tensors of inference mode could not be saved for the backward pass of a later training step.
    """
    with torch.inference_mode(False), torch.no_grad():
        yield
