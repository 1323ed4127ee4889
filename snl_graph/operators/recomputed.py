"""Gradients by way of autograd: for a backward pass of one's own that is to be differentiated."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def recomputed_gradients(
    function: Callable[..., Tensor | tuple[Tensor, ...]],
    inputs: Sequence[Tensor],
    upstream: Tensor | Sequence[Tensor],
) -> tuple[Tensor, ...]:
    """Gradients of ``function`` at ``inputs``, differentiable again if the caller asks for it.

    Args:
        function: Made of operations that autograd knows.
        inputs: Its arguments, as a backward pass finds them saved.
        upstream: Gradients of its results.

    Returns:
        One gradient an input.
    """
    is_again = torch.is_grad_enabled()
    with torch.enable_grad():
        # Views of their own: an input that was computed from another must not lead back to it.
        own = [x.view_as(x) if is_again and x.requires_grad else _leaf(x) for x in inputs]
        return torch.autograd.grad(
            function(*own), own, upstream, create_graph=is_again, materialize_grads=True
        )


def _leaf(x: Tensor) -> Tensor:
    return x.detach().requires_grad_()
