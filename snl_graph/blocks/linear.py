"""The 1×1 convolution as a map of node signals."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class NodeLinear(nn.Linear):
    """Z W, shape (B, N, in) → (B, N, out), in the memory layout of its input, without a bias.

    A map that lies in memory as (B, C, N) is convolved as it lies; a channels-last one is
    multiplied. Neither is copied.

    Cost: 2·B·N·in·out operations.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, bias=False)

    def forward(self, nodes: Tensor) -> Tensor:
        # Without any position both layouts are contiguous, and there is nothing to convolve.
        if nodes.dim() == 3 and nodes.mT.is_contiguous() and nodes.shape[1]:
            return F.conv1d(nodes.mT, self.weight.unsqueeze(-1)).mT
        return F.linear(nodes, self.weight)

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}"
