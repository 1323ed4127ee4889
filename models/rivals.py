"""Rivals of the nonlocal blocks in Table 6: squeeze-excite, gather-excite, compact descriptors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeVar

import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from snl_graph import insert_block
from snl_graph.names import lookup
from snl_graph.probe import undisturbed

ModelT = TypeVar("ModelT", bound=nn.Module)


class GatherExcite(nn.Module):
    """X ⊙ sigmoid(BN(G(X))), G a depth-wise convolution over the whole map (GE-θ).

    Source: Hu et al., Gather-Excite, 2018, §3.2, global extent. timm's module of that name has no
    such gatherer in one step: its kernel of the map's size is padded.

    Args:
        channels: C.
        size: (H, W) of the map, the size of the kernel.

    Shapes:
        (B, C, H, W) → (B, C, H, W) of that very size.

    Raises:
        ValueError: If a map has another size.

    Cost: C·H·W parameters and as many multiply-adds.
    """

    def __init__(self, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.gather = nn.Conv2d(channels, channels, size, groups=channels, bias=False)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """X, each channel scaled."""
        if x.shape[-2:] != self.gather.kernel_size:
            raise ValueError(
                f"this gatherer spans a map of {self.gather.kernel_size}; got "
                f"{tuple(x.shape[-2:])}. Add it for the size of your images."
            )
        return x * torch.sigmoid(self.bn(self.gather(x)))


class CompactGlobalDescriptor(nn.Module):
    """X ⊙ (1 + tanh(u (vᵀ w₂) + b₂)) with u, v = tanh(s (mᵀ w) + b) of mean and maximum.

    Source: He et al., Compact Global Descriptor for Neural Networks, 2019, its cascaded form:
    s = softmax over channels of the mean a over positions, u = tanh(s (aᵀ w₀) + b₀),
    v = tanh(s (mᵀ w₁) + b₁) of the maximum m. The products with C×C matrices of rank one that the
    formula is written with are never formed.

    Args:
        channels: C.

    Shapes:
        (B, C, H, W) → (B, C, H, W).

    Cost: 6·C parameters.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(3, channels))
        self.bias = nn.Parameter(torch.zeros(3, channels))
        nn.init.uniform_(self.weight, -((6 / (channels + 1)) ** 0.5), (6 / (channels + 1)) ** 0.5)

    def forward(self, x: Tensor) -> Tensor:
        """X, each channel scaled."""
        mean, maximum = x.mean(dim=(-2, -1)), x.amax(dim=(-2, -1))  # (B, C)
        share = mean.softmax(dim=-1)
        u = self._squeezed(0, share, mean)
        v = self._squeezed(1, share, maximum)
        return x * (1 + self._squeezed(2, u, v))[..., None, None]

    def _squeezed(self, index: int, left: Tensor, right: Tensor) -> Tensor:
        """tanh((left rightᵀ) w + b), shape (B, C)."""
        along = right @ self.weight[index]
        return torch.tanh(left * along.unsqueeze(-1) + self.bias[index])


class Rival(ABC):
    """A module for every residual block of a torchvision ResNet."""

    @abstractmethod
    def place(self, block: BasicBlock | Bottleneck) -> str:
        """Name, inside a residual block, of the layer it goes after."""

    @abstractmethod
    def module(self, channels: int, size: tuple[int, int]) -> nn.Module:
        """The module for a map of so many channels and that size."""


def _last_norm(block: BasicBlock | Bottleneck) -> str:
    """The end of the residual branch, before the sum."""
    return "bn3" if isinstance(block, Bottleneck) else "bn2"


class _SqueezeExcite(Rival):
    def place(self, block: BasicBlock | Bottleneck) -> str:
        return _last_norm(block)

    def module(self, channels: int, size: tuple[int, int]) -> nn.Module:
        try:
            from timm.layers import SEModule
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                'the rival "se" is timm\'s: pip install "snl-graph[models]".'
            ) from error
        made: nn.Module = SEModule(channels)
        return made


class _GatherExcite(Rival):
    def place(self, block: BasicBlock | Bottleneck) -> str:
        return _last_norm(block)

    def module(self, channels: int, size: tuple[int, int]) -> nn.Module:
        return GatherExcite(channels, size)


class _CompactGlobalDescriptor(Rival):
    def place(self, block: BasicBlock | Bottleneck) -> str:
        return "conv1"

    def module(self, channels: int, size: tuple[int, int]) -> nn.Module:
        return CompactGlobalDescriptor(channels)


RIVALS: dict[str, Rival] = {
    "se": _SqueezeExcite(),
    "ge": _GatherExcite(),
    "cgd": _CompactGlobalDescriptor(),
}
"""Rivals by name: Hu et al. (2018), Hu et al. (2018), He et al. (2019)."""


def add_rival(model: ModelT, name: str, example: Tensor) -> ModelT:
    """Put a rival into every residual block of a torchvision ResNet, in place.

    ``se`` and ``ge`` scale the end of the residual branch, ``cgd`` the output of the first
    convolution. Keys and values of the original state dict are untouched, as with
    :func:`snl_graph.insert_block`; :func:`snl_graph.remove_blocks` takes the rivals out.

    Args:
        model: A ResNet with torchvision's residual blocks.
        name: "se", "ge" or "cgd".
        example: One input with its batch axis; ``ge`` fits images of that size alone.

    Returns:
        The same ``model``.

    Raises:
        ValueError: If there is no such rival, or the model has no residual blocks of torchvision.

    Example:
        >>> from models.resnet import resnet
        >>> model = add_rival(resnet("resnet18"), "cgd", torch.zeros(1, 3, 64, 64))
        >>> model(torch.zeros(2, 3, 64, 64)).shape
        torch.Size([2, 1000])
    """
    rival = lookup(RIVALS, name, "rival")
    blocks = {
        path: block
        for path, block in model.named_modules()
        if isinstance(block, (BasicBlock, Bottleneck))
    }
    if not blocks:
        raise ValueError(
            f"{type(model).__name__} has no residual block of torchvision, which the rivals go "
            'into; "resnet50" has.'
        )
    entering: dict[str, Tensor] = {}
    leaving: dict[str, torch.Size] = {}
    with undisturbed(model), torch.no_grad():
        for path, block in blocks.items():
            block.register_forward_pre_hook(
                lambda module, args, path=path: entering.update({path: torch.zeros_like(args[0])})
            )
            block.get_submodule(rival.place(block)).register_forward_hook(
                lambda module, args, output, path=path: leaving.update({path: output.shape})
            )
        model.eval()(example)
    for path, block in blocks.items():
        _, channels, height, width = leaving[path]
        module = rival.module(channels, (height, width))
        # A residual block by itself: one pass through the whole model has shown what it gets.
        insert_block(block, rival.place(block), module, example=entering[path])
    return model
