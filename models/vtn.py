"""Video transformer network: attention, or a nonlocal block, over the features of frames."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock

from models.clips import FrameResNet
from snl_graph import nonlocal_block
from snl_graph.blocks import ROWS
from snl_graph.names import lookup


class FrameAttention(nn.Module):
    """Multi-head attention over frames with its residual: X + concat_h softmax(Q Kᵀ/√C) V.

    Source: Kozlov et al., Lightweight Network Architecture for Real-Time Action Recognition, 2019,
    as its authors build it: no projection after the heads, logits divided by the root of the whole
    width.

    Args:
        channels: C.
        heads: Parts of the channels, each with an attention of its own.
        dropout: Of the attention's output.

    Shapes:
        (B, T, C) → (B, T, C).

    Raises:
        ValueError: If the channels cannot be split into so many heads.
    """

    def __init__(self, channels: int, heads: int, dropout: float) -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(f"channels={channels} cannot be split into {heads} heads.")
        self.query = nn.Linear(channels, channels, bias=False)
        self.key = nn.Linear(channels, channels, bias=False)
        self.value = nn.Linear(channels, channels, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.heads = heads

    def forward(self, x: Tensor) -> Tensor:
        """X plus what the heads gather."""
        query, key, value = (
            projection(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, heads, T, C/heads)
            for projection in (self.query, self.key, self.value)
        )
        gathered = nn.functional.scaled_dot_product_attention(
            query, key, value, scale=x.shape[-1] ** -0.5
        )
        return x + self.dropout(gathered.transpose(1, 2).flatten(-2))


class FrameBlock(nn.Module):
    """A nonlocal block over frames, with as many heads: X + F, F of Eq. 8 of the paper.

    The layer norm behind it takes the place of the block's own norm.

    Args:
        name: Row of Table 1.
        channels: C; every head has Φ, Ψ and Z of C / heads.
        heads: Parts of the channels, each with its own A.

    Shapes:
        (B, T, C) → (B, T, C).
    """

    def __init__(self, name: str, channels: int, heads: int) -> None:
        super().__init__()
        splits_channels = ROWS[name].nodes_are_channels
        self.block = nonlocal_block(
            name,
            channels,
            hidden_channels=channels,
            heads=1 if splits_channels else heads,
            groups=heads if splits_channels else None,
            norm="none",
        )

    def forward(self, x: Tensor) -> Tensor:
        """The block on frames as positions."""
        y: Tensor = self.block(x.mT)
        return y.mT


class DecoderLayer(nn.Module):
    """What mixes frames, then a feed-forward network of each frame, each with sum and layer norm.

    Source: Kozlov et al., 2019, Fig. 2.

    Args:
        mixer: (B, T, C) → (B, T, C), its residual sum included.
        channels: C; the hidden layer has 2·C.
        dropout: Of the feed-forward network's output.
    """

    def __init__(self, mixer: nn.Module, channels: int, dropout: float) -> None:
        super().__init__()
        self.mixer = mixer
        self.norm1 = nn.LayerNorm(channels)
        self.feed_forward = nn.Sequential(
            nn.Linear(channels, 2 * channels), nn.ReLU(), nn.Linear(2 * channels, channels)
        )
        self.norm2 = nn.LayerNorm(channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) → (B, T, C)."""
        x = self.norm1(self.mixer(x))
        y: Tensor = self.norm2(x + self.dropout(self.feed_forward(x)))
        return y


def sinusoids(frames: int, channels: int, like: Tensor) -> Tensor:
    """Positions: sin(t / 10000^(2i/C)) in channel 2i, its cosine in 2i + 1, shape (T, C).

    Source: Vaswani et al., Attention Is All You Need, 2017, §3.5.
    """
    channel = torch.arange(channels, device=like.device)
    rate = 10000.0 ** (-(channel - channel % 2) / channels)
    angle = torch.arange(frames, device=like.device).unsqueeze(-1) * rate
    return torch.where(channel % 2 == 0, angle.sin(), angle.cos()).to(like.dtype)


class VideoTransformer(FrameResNet):
    """VTN: ResNet-34 of each frame, decoder layers over frames, scores averaged over frames.

    Source: Kozlov et al., 2019; the paper's Table 8 puts snl in the place of the attention. The
    encoder has torchvision's keys, so ImageNet weights load as they are.

    Departure: positions are fixed, not learned from their sinusoids, so clips may be of any length.

    Args:
        mixer: "attention", or a row of Table 1 of the paper in its place, with as many heads.
        layers: Decoder layers.
        heads: Heads of each.
        in_channels: Channels of a frame.
        num_classes: Length of the output.
        dropout: In the decoder.

    Shapes:
        (B, in_channels, T, H, W) → (B, num_classes).

    Raises:
        ValueError: If there is no such mixer; lists the choices.

    Example:
        >>> model = VideoTransformer("snl", num_classes=5).eval()
        >>> model(torch.zeros(1, 3, 2, 32, 32)).shape
        torch.Size([1, 5])
    """

    def __init__(
        self,
        mixer: str = "attention",
        *,
        layers: int = 4,
        heads: int = 8,
        in_channels: int = 3,
        num_classes: int = 400,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(BasicBlock, (3, 4, 6, 3), in_channels=in_channels, num_classes=num_classes)
        lookup({"attention": None, **ROWS}, mixer, "mixer of frames")
        channels = self.fc.in_features
        mixers = [
            FrameAttention(channels, heads, dropout)
            if mixer == "attention"
            else FrameBlock(mixer, channels, heads)
            for _ in range(layers)
        ]
        self.decoder = nn.Sequential(*(DecoderLayer(each, channels, dropout) for each in mixers))

    def forward(self, clips: Tensor) -> Tensor:
        """Class scores (B, num_classes)."""
        frames = self.frame_features(clips)  # (B, T, 512)
        frames = frames + sinusoids(frames.shape[1], frames.shape[2], frames)
        scores: Tensor = self.fc(self.decoder(frames)).mean(dim=1)
        return scores
