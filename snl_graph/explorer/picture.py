"""What stands behind the maps: an image, the frames of a clip, or the energy of a feature map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from snl_graph.explorer.png import data_uri

LONGEST_SIDE = 640  # pixels; a page is looked at, not measured, and pixels weigh


def frames_of(image: Tensor, axes: int) -> list[npt.NDArray[np.uint8]]:
    """Pictures of an image, (H, W) grey or (H, W, 3), one a frame.

    Values from 0 to 1, and bytes, are taken as they are; others are stretched to the image's own
    range, as a network's normalised input needs. Longer sides than 640 pixels are averaged down.

    Args:
        image: (..., *spatial) with ``axes`` spatial axes, before them 1 or 3 channels, or none, and
            before these a batch axis of 1, or none. A sequence is drawn as one line.
        axes: One to three.

    Raises:
        ValueError: If the shape does not fit, or a value is not finite.
    """
    spatial = ("L", "H, W", "T, H, W")[axes - 1]
    plain = image.detach().cpu()
    if plain.dim() == axes + 2 and plain.shape[0] == 1:
        plain = plain[0]
    if plain.dim() == axes:
        plain = plain[None]
    if plain.dim() != axes + 1 or plain.shape[0] not in (1, 3) or 0 in plain.shape:
        raise ValueError(
            f"the image has shape ({spatial}), (1, {spatial}) or (3, {spatial}), as the blocks see "
            f"{axes} spatial axes; got {tuple(image.shape)}. Pass image=None to show the feature "
            "map's energy instead."
        )
    levels = _levels(plain)  # (C, *spatial) in 0 .. 1
    while levels.dim() < 4:
        levels = levels.unsqueeze(1)  # (C, T, H, W)
    frames = levels.movedim(1, 0)
    height, width = frames.shape[-2:]
    scale = LONGEST_SIDE / max(height, width)
    if scale < 1:
        size = (max(1, round(height * scale)), max(1, round(width * scale)))
        frames = interpolate(frames, size=size, mode="area")
    pixels = (255 * frames).round().to(torch.uint8).movedim(1, -1).numpy()
    return [frame[..., 0] if frame.shape[-1] == 1 else frame for frame in pixels]


def data_uri_frames(image: Tensor, axes: int) -> dict[str, Any]:
    """The same as PNG data URIs, with the size of one frame in pixels."""
    frames = frames_of(image, axes)
    height, width = frames[0].shape[:2]
    return {"frames": [data_uri(frame) for frame in frames], "height": height, "width": width}


def energy(x: Tensor) -> Tensor:
    """Root mean square over the channels of a feature map (1, C, *spatial), greatest 1."""
    strength = x.detach().float().square().mean(1).sqrt()[0]
    return strength / strength.max().clamp_min(torch.finfo(torch.float32).tiny)


def _levels(image: Tensor) -> Tensor:
    values = image.double() / 255 if image.dtype == torch.uint8 else image.double()
    if not bool(values.isfinite().all()):
        raise ValueError("the image holds values that are not finite.")
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= 1:
        return values
    return (values - low) / (high - low) if high > low else torch.zeros_like(values)


def volume(size: Sequence[int]) -> tuple[int, int, int]:
    """Frames, rows and columns of one to three spatial axes."""
    frames, rows, columns = (1,) * (3 - len(size)) + tuple(size)
    return frames, rows, columns
