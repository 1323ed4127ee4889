"""Whether a function with a backward pass of its own may take the place of the plain formula."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn import Parameter
from torch.nn.modules import module as every_module

from snl_graph.operators.diagonal import accumulation_dtype


def is_eager(*tensors: Tensor) -> bool:
    """Whether plain tensors are computed with now, and their gradients, if any, by autograd alone.

    A program that is traced or exported, a function transform (``torch.func``, forward-mode
    derivatives) and a subclass of tensors each want operations that they know.
    """
    if torch.compiler.is_compiling() or is_transformed():
        return False
    for tensor in tensors:
        if type(tensor) is not Tensor and type(tensor) is not Parameter:
            return False
    return True


def is_transformed() -> bool:
    """Whether a function transform is at work: of ``torch.func``, or forward-mode derivatives."""
    return forward_ad._current_level >= 0 or torch._C._are_functorch_transforms_active()


def is_rounded_to_half(tensor: Tensor) -> bool:
    """Whether a product with ``tensor`` is of half precision: by its dtype or by autocast."""
    is_half = accumulation_dtype(tensor.dtype) != tensor.dtype
    return is_half or torch.is_autocast_enabled(tensor.device.type)


def has_hooks(module: nn.Module) -> bool:
    """Whether somebody wants to see the calls of a module."""
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
        or every_module._global_forward_hooks
        or every_module._global_forward_pre_hooks
        or every_module._global_backward_hooks
        or every_module._global_backward_pre_hooks
    )
