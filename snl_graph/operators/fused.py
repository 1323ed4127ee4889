"""PyTorch's fused attention kernels, which return the log-sum-exp: one class a device.

Attention here is always a row-wise softmax of S_ij = ⟨q_i, k_j⟩ + shift_j, tile by tile, so that no
N×N tensor is made. The kernels ask for a form that nothing checks: four axes, a contiguous last one
and values as wide as the queries; with another they answer with garbage. This is the one place that
calls them, and it brings every input into that form.
"""

from __future__ import annotations

import functools
import warnings
from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor

_cpu = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_cpu_backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
_cuda = torch.ops.aten._scaled_dot_product_efficient_attention
_cuda_backward = torch.ops.aten._scaled_dot_product_efficient_attention_backward


class FusedAttention(ABC):
    """A pair of kernels, forward and backward. All of (B, H, N, ·), shift (B, H, N')."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
        """softmax(S) V and the log-sum-exps of the rows of S, (B, H, N)."""
        width = v.shape[-1]
        q, k, v = of_one_width(q, k, v)
        out, logs = self._forward(q, k, v, shift)
        return out[..., :width], logs

    def backward(
        self, dy: Tensor, q: Tensor, k: Tensor, v: Tensor, shift: Tensor, left: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients by Q, K and V of y_i = Σ_j exp(S_ij + left_i) v_j with a constant ``left``.

        The kernels take the log-sum-exps as given and subtract δ_i = ⟨y_i, dy_i⟩ for their
        derivative. With −left in their place, and an output of zeros for δ = 0, the same kernel
        differentiates the exponential alone.
        """
        widths = q.shape[-1], v.shape[-1]
        q, k, v, dy = of_one_width(q, k, v, dy)
        dq, dk, dv = self._backward(dy, q, k, v, shift, torch.zeros_like(dy), -left)
        return dq[..., : widths[0]], dk[..., : widths[0]], dv[..., : widths[1]]

    @abstractmethod
    def _forward(self, q: Tensor, k: Tensor, v: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
        """As :meth:`forward`, of one width."""

    @abstractmethod
    def _backward(
        self, dy: Tensor, q: Tensor, k: Tensor, v: Tensor, shift: Tensor, out: Tensor, logs: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients of attention whose output and log-sum-exps are given."""


class CPUAttention(FusedAttention):
    """The flash kernel of the processor; the shift is a mask of one row, which costs nothing."""

    def _forward(self, q: Tensor, k: Tensor, v: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
        return _cpu(q, k, v, attn_mask=shift.unsqueeze(-2), scale=1.0)

    def _backward(
        self, dy: Tensor, q: Tensor, k: Tensor, v: Tensor, shift: Tensor, out: Tensor, logs: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        mask = shift.unsqueeze(-2)
        return _cpu_backward(dy, q, k, v, out, logs, 0.0, False, attn_mask=mask, scale=1.0)


class CUDAAttention(FusedAttention):
    """The memory-efficient kernel of NVIDIA and AMD devices.

    Its bias would have to be aligned; so the shift enters as one more column, [Q, 1] [K, shift]ᵀ,
    and the width is rounded up to a multiple of 8. It pads the log-sum-exps to a multiple of 32.
    """

    def _forward(self, q: Tensor, k: Tensor, v: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
        q, k, v = _with_column(q, k, shift, v)
        out, logs, _, _ = _cuda(q, k, v, None, True, scale=1.0)
        return out, logs[..., : q.shape[-2]]

    def _backward(
        self, dy: Tensor, q: Tensor, k: Tensor, v: Tensor, shift: Tensor, out: Tensor, logs: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v, dy, out = _with_column(q, k, shift, v, dy, out)
        logs = F.pad(logs, (0, -logs.shape[-1] % 32), value=torch.inf)
        seed = offset = torch.zeros((), dtype=torch.int64)  # of a dropout that there is not
        needed = [True, True, True, False]
        dq, dk, dv, _ = _cuda_backward(
            dy, q, k, v, None, out, logs, seed, offset, 0.0, needed, scale=1.0
        )
        return dq, dk, dv


def _with_column(q: Tensor, k: Tensor, shift: Tensor, *others: Tensor) -> list[Tensor]:
    """[q, 1], [k, shift] and the others [x, 0], their width rounded up to a multiple of 8."""
    ones = q.new_ones(*q.shape[:-1], 1)
    q, k = torch.cat([q, ones], -1), torch.cat([k, shift.unsqueeze(-1)], -1)
    rest = -q.shape[-1] % 8
    return [F.pad(q, (0, rest)), F.pad(k, (0, rest)), *(F.pad(x, (0, 1 + rest)) for x in others)]


def of_one_width(*tensors: Tensor) -> list[Tensor]:
    """The tensors padded by zeros to the widest one, their last axis contiguous.

    Zeros change no score; columns of a value that are zero give columns to be cut off.
    """
    width = max(x.shape[-1] for x in tensors)
    return [
        _with_dense_rows(x)
        if x.shape[-1] == width  # which F.pad would copy
        else F.pad(x, (0, width - x.shape[-1]))
        for x in tensors
    ]


def _with_dense_rows(x: Tensor) -> Tensor:
    """``x`` in a layout of (·, ·, N, r) that the matrix products inside a kernel can read."""
    is_readable = x.stride(-1) == 1 and x.stride(-2) >= x.shape[-1]
    return x if is_readable else x.clone(memory_format=torch.contiguous_format)


FUSED: dict[str, FusedAttention] = {"cpu": CPUAttention(), "cuda": CUDAAttention()}
"""Kernels by type of device; every other device computes block by block of rows."""


def fused_attention(q: Tensor, k: Tensor, v: Tensor) -> FusedAttention | None:
    """The kernel for these tensors, or None where there is none that can be trusted."""
    if not (q.numel() and k.numel() and v.numel()) or q.device.type not in FUSED:
        return None
    kernel = FUSED[q.device.type]
    return kernel if _is_exact(kernel, q.device, q.dtype) else None


@functools.cache
def _is_exact(kernel: FusedAttention, device: torch.device, dtype: torch.dtype) -> bool:
    """Whether a kernel gives the right numbers for a small example; asked once a device and dtype.

    The kernels are not public, and may change with the release of PyTorch.
    """
    grid = torch.arange(2 * 7 * 5, dtype=dtype, device=device).view(1, 2, 7, 5)
    q, k, v, dy = (torch.sin(grid * step) for step in (1.1, 1.7, 2.3, 3.1))
    v, dy = v[..., :3], dy[..., :3]
    shift, left = torch.cos(grid[..., 0]), -torch.sin(grid[..., 1]) - 2
    scores = q @ k.mT + shift.unsqueeze(-2)
    weights = (scores + left.unsqueeze(-1)).exp()
    inner = weights * (dy @ v.mT)
    expected = [scores.softmax(-1) @ v, scores.logsumexp(-1)]
    expected += [inner @ k, inner.mT @ q, weights.mT @ dy]
    try:
        found = [*kernel.forward(q, k, v, shift), *kernel.backward(dy, q, k, v, shift, left)]
    except (RuntimeError, TypeError) as error:
        reason = str(error)
    else:
        pairs = zip(found, expected, strict=True)
        if all(torch.allclose(x, y, rtol=1e-2, atol=1e-3) for x, y in pairs):
            return True
        reason = "its numbers are not those of the formula"
    warnings.warn(
        f"the fused attention kernel of PyTorch {torch.__version__} on {device} for {dtype} is not "
        f"used: {reason}. The streaming representation computes block by block instead, exact but "
        "slower.",
        stacklevel=2,
    )
    return False
