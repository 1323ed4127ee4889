"""Clips of videos, in batches as Lightning takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from models.data.files import DataFileError
from models.data.flow import FLOW_SCALE, MirrorWithFlow
from models.data.module import ImageDataModule
from models.data.sampling import ClipSampling
from models.data.source import DATASETS, ClipSpec, Transform
from models.data.videos import Video
from snl_graph.names import lookup


class TakeClips:
    """Chooses frames of a video.

    Args:
        sampling: Which.
        clips: None for one random clip in training; else how many, spread over the video.

    Shapes:
        (T, 3, H, W), or (clips·T, 3, H, W): one tensor, so that all frames are cut alike.
    """

    def __init__(self, sampling: ClipSampling, clips: int | None) -> None:
        self.sampling = sampling
        self.clips = clips

    def __call__(self, video: Video) -> Tensor:
        count = video.num_frames
        try:
            if self.clips is None:
                indices = self.sampling.train(count)
            else:
                indices = self.sampling.test(count, self.clips).flatten()
        except ValueError as error:
            raise DataFileError(f"{video.path} {error}") from error
        return tv_tensors.Video(video.frames(indices.tolist()))


class ChannelsFirst:
    """(clips·T, C, H, W) → (clips, C, T, H, W), or (C, T, H, W) of one clip in training."""

    def __init__(self, frames: int, clips: int | None) -> None:
        self.frames = frames
        self.clips = clips

    def __call__(self, frames: Tensor) -> Tensor:
        if self.clips is None:
            return frames.transpose(0, 1).contiguous()
        return frames.unflatten(0, (self.clips, self.frames)).transpose(1, 2).contiguous()


class ClipDataModule(ImageDataModule):
    """Training and test part of a data set of videos.

    A training batch holds clips (B, C, T, H, W) and classes; a test batch holds ``test_clips`` of
    each video, (B, test_clips, C, T, H, W), whose scores :func:`mean_over_clips` averages.

    Args:
        name: Of the data set.
        root: Folder that holds it.
        batch_size: Videos a step and device.
        flip: Mirror every second training clip, at random.
        download: Refused: these data sets must be fetched by hand.
        size: Height and width in pixels; None for the data set's.
        split: Official split; None for the first.
        sampling: Which frames make a clip; None for the data set's, 16 in a row or 4 evenly spaced.
        test_clips: Clips of each test video.
        test_items: At most so many items of the test part; None for all.
        with_flow: Whether training clips have optical flow in two more channels.

    Raises:
        ValueError: If there is no such data set or split, or no flow is known for it.
        DataFileError: From ``setup``, if a file is missing or corrupt; from a loader, if one is
            truncated or too short.
    """

    def __init__(
        self,
        name: str,
        root: Path | str = "data",
        *,
        batch_size: int = 16,
        flip: bool = False,
        download: bool = False,
        size: tuple[int, int] | None = None,
        split: int | None = None,
        sampling: ClipSampling | None = None,
        test_clips: int = 1,
        test_items: int | None = None,
        with_flow: bool = False,
    ) -> None:
        super().__init__(
            name,
            root,
            batch_size=batch_size,
            flip=flip,
            download=download,
            size=size,
            split=split,
            test_items=test_items,
        )
        spec = lookup(DATASETS, name, "data set")
        if not isinstance(spec, ClipSpec):
            raise ValueError(f'"{name}" is a data set of images; ImageDataModule reads it.')
        if with_flow:
            self.spec = cast(ClipSpec, self.spec).with_flow()
        self.sampling = spec.sampling if sampling is None else sampling
        self.test_clips = test_clips

    def transform(self, train: bool) -> Transform:
        """From a video to the float32 clip, or clips, that the network sees."""
        clips = None if train else self.test_clips
        framing, flow_at = self.spec.framing, cast(ClipSpec, self.spec).flow_at
        mean, std = list(self.spec.mean), list(self.spec.std)
        if train and flow_at == self.spec.in_channels:  # after the channels that tests have too
            mean, std = ([*own, *flow] for own, flow in zip((mean, std), FLOW_SCALE, strict=True))
        steps: list[Any] = [TakeClips(self.sampling, clips)]
        steps += framing.train(self.spec.size) if train else framing.test(self.spec.size)
        if train and self.flip:
            steps.append(v2.RandomHorizontalFlip() if flow_at is None else MirrorWithFlow(flow_at))
        steps += [
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(mean, std),
            v2.ToPureTensor(),
            ChannelsFirst(self.sampling.frames, clips),
        ]
        return v2.Compose(steps)


def mean_over_clips(network: torch.nn.Module, clips: Tensor) -> Tensor:
    """Class probabilities of videos, the mean of those of their clips.

    Args:
        network: (B, C, T, H, W) → (B, classes), scores before the softmax.
        clips: (B, V, C, T, H, W).

    Shapes:
        (B, classes).

    Example:
        >>> network = torch.nn.Sequential(torch.nn.AdaptiveAvgPool3d(1), torch.nn.Flatten())
        >>> mean_over_clips(network, torch.zeros(2, 5, 4, 3, 8, 8))[0]
        tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """
    batch, num_clips = clips.shape[:2]
    scores: Tensor = network(clips.flatten(0, 1))
    return scores.softmax(-1).unflatten(0, (batch, num_clips)).mean(1)
