"""Positive numbers that may be learned, such as times, scales and zooms."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from snl_graph.filters.options import require_positive
from snl_graph.operators.diagonal import accumulation_dtype


class Positive(nn.Module):
    """Numbers x > 0: fixed, or learned as log x, which cannot leave the positive numbers.

    Args:
        values: The numbers at the start.
        name: What they are, for an error.
        learnable: Whether log x is a parameter.

    Raises:
        ValueError: If a number is not positive and finite.
    """

    log: nn.Parameter | None

    def __init__(self, values: Sequence[float], name: str, *, learnable: bool) -> None:
        super().__init__()
        self.start = require_positive(values, name)
        self.register_parameter("log", nn.Parameter(self._start_logs()) if learnable else None)

    def reset_parameters(self) -> None:
        """Go back to the numbers at the start."""
        if self.log is not None:
            with torch.no_grad():
                self.log.copy_(self._start_logs())

    def like(self, x: Tensor) -> Tensor:
        """The numbers (n,), on the device and in the real dtype of ``x``, float32 at least."""
        dtype = coefficient_dtype(x)
        if self.log is None:
            return torch.tensor(self.start, dtype=dtype, device=x.device)
        return self.log.to(x.device, dtype).exp()

    def _start_logs(self) -> Tensor:
        return torch.tensor(self.start, dtype=torch.float64).log().to(torch.get_default_dtype())


def coefficient_dtype(x: Tensor) -> torch.dtype:
    """Type for the coefficients of a filter on ``x``: real, and float32 at least."""
    return accumulation_dtype(x.dtype.to_real() if x.is_complex() else x.dtype)
