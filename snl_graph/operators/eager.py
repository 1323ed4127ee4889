"""Whether a function with a backward pass of its own may take the place of the plain formula."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import Parameter

from snl_graph.operators.diagonal import accumulation_dtype


def is_eager(*tensors: Tensor) -> bool:
    """Whether plain tensors are computed with now, and their gradients, if any, by autograd alone.

    A program that is traced or exported, a function transform (``torch.func``, forward-mode
    derivatives) and a subclass of tensors each want operations that they know.
    """
    if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
        return False
    for tensor in tensors:
        if type(tensor) is not Tensor and type(tensor) is not Parameter:
            return False
    return forward_ad._current_level < 0


def is_rounded_to_half(tensor: Tensor) -> bool:
    """Whether a product with ``tensor`` is of half precision: by its dtype or by autocast."""
    is_half = accumulation_dtype(tensor.dtype) != tensor.dtype
    return is_half or torch.is_autocast_enabled(tensor.device.type)
