"""Optical flow as pictures, alone or beside the frames it was computed from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional

from models.data.files import DataFileError
from models.data.pictures import in_order, is_picture
from models.data.videos import Video

FLOW_CHANNELS = 2
"""Horizontal and vertical."""

FLOW_SCALE: tuple[tuple[float, ...], tuple[float, ...]] = ((0.5,) * 2, (0.226,) * 2)
"""Mean and standard deviation: a byte of 127.5 is no motion; the deviation is that of Wang et al.,
*Temporal Segment Networks* (2016), the mean of ImageNet's."""


class FlowFiles(Video):
    """Horizontal and vertical flow between consecutive frames, one grey picture each.

    A displacement of −20 .. 20 pixels is a byte 0 .. 255, as flow is published for UCF-101.

    Args:
        horizontal: Folder of pictures.
        vertical: Folder of as many.
    """

    def __init__(self, horizontal: Path, vertical: Path) -> None:
        super().__init__(horizontal)
        self.files = [_pictures(folder) for folder in (horizontal, vertical)]
        if len(self.files[0]) != len(self.files[1]):
            raise DataFileError(
                f"{horizontal} holds {len(self.files[0])} pictures of flow, {vertical} "
                f"{len(self.files[1])}; expected as many. Unpack both again."
            )

    @property
    def num_frames(self) -> int:
        return len(self.files[0])

    def frames(self, indices: Sequence[int]) -> Tensor:
        """uint8 (len(indices), 2, H, W)."""
        sides = [torch.stack([_grey(files[i]) for i in indices]) for files in self.files]
        if sides[0].shape != sides[1].shape:
            raise DataFileError(
                f"{self.path} and its vertical twin hold pictures of different sizes: "
                f"{tuple(sides[0].shape[1:])} and {tuple(sides[1].shape[1:])}. Unpack both again."
            )
        return torch.stack(sides, dim=1)


class WithFlow(Video):
    """A video and its flow: five channels, red, green, blue, horizontal and vertical.

    Frame t goes with the flow from it to the next, so there is one frame less. Flow of another size
    than the frames is resized to theirs.

    Args:
        video: Of RGB.
        flow: Of the same video.

    Raises:
        DataFileError: If the flow is that of a longer video.
    """

    def __init__(self, video: Video, flow: Video) -> None:
        super().__init__(video.path)
        self.video = video
        self.flow = flow
        if flow.num_frames > video.num_frames:
            raise DataFileError(
                f"{flow.path} holds {flow.num_frames} pictures of flow, more than the "
                f"{video.num_frames} frames of {video.path}. They are of different videos."
            )

    @property
    def num_frames(self) -> int:
        return self.flow.num_frames

    def frames(self, indices: Sequence[int]) -> Tensor:
        """uint8 (len(indices), 5, H, W)."""
        rgb, flow = self.video.frames(indices), self.flow.frames(indices)
        if flow.shape[-2:] != rgb.shape[-2:]:
            flow = functional.resize(flow, list(rgb.shape[-2:]), antialias=True)
        return torch.cat([rgb, flow], dim=1)


class MirrorWithFlow(torch.nn.Module):
    """Mirrors every second clip, at random; what moved to the left then moves to the right.

    Args:
        horizontal: Channel of the horizontal flow.

    Shapes:
        uint8 (T, C, H, W) → (T, C, H, W).
    """

    def __init__(self, horizontal: int) -> None:
        super().__init__()
        self.horizontal = horizontal

    def forward(self, frames: Tensor) -> Tensor:
        """The clip or its mirror image."""
        if torch.rand(()) >= 0.5:
            return frames
        mirrored = functional.horizontal_flip(frames).clone()
        mirrored[:, self.horizontal] = 255 - mirrored[:, self.horizontal]
        return tv_tensors.wrap(mirrored, like=frames)


def _pictures(folder: Path) -> list[str]:
    names = (
        in_order(p.name for p in folder.iterdir() if is_picture(p.name)) if folder.is_dir() else []
    )
    if not names:
        raise DataFileError(
            f"{folder} holds no optical flow; expected pictures such as frame000001.jpg. Flow is "
            f"computed beforehand, or fetched: see docs/data.md, Optical flow."
        )
    return [str(folder / name) for name in names]


def _grey(path: str) -> Tensor:
    """uint8 (H, W)."""
    try:
        with Image.open(path) as image:
            return functional.pil_to_tensor(image.convert("L"))[0]
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataFileError(
            f"{path} is missing, corrupt or truncated ({error}); expected a grey picture of flow. "
            f"Copy it again."
        ) from error
