"""Which frames of a video make a clip: dense windows, even spacing, or segments."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ClipSampling(ABC):
    """Numbers of the frames that make a clip.

    Random numbers come from PyTorch's global generator, which a loader seeds in each of its
    processes.

    Args:
        frames: Of one clip.
        repeat_short: Repeat frames of a video that has too few, where it would else be an error.
    """

    frames: int = 16
    repeat_short: bool = False

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise ValueError(f"a clip needs at least one frame; got frames={self.frames}.")

    @property
    def span(self) -> int:
        """Frames that a video must have."""
        return self.frames

    def train(self, num_frames: int) -> Tensor:
        """One random clip.

        Shapes:
            (frames,), int64 in 0 .. num_frames - 1.

        Raises:
            ValueError: If the video is too short.
        """
        self._require(num_frames)
        return self._train(num_frames)

    def test(self, num_frames: int, clips: int = 1) -> Tensor:
        """Clips spread evenly over the video, the same at each call; one clip is the middle one.

        Shapes:
            (clips, frames), int64 in 0 .. num_frames - 1.

        Raises:
            ValueError: If the video is too short, or ``clips`` is below 1.
        """
        if clips < 1:
            raise ValueError(f"at least one clip a video is needed; got clips={clips}.")
        self._require(num_frames)
        return self._test(num_frames, clips)

    def _require(self, num_frames: int) -> None:
        if num_frames < 1 or (num_frames < self.span and not self.repeat_short):
            raise ValueError(
                f"has {num_frames} frames; {self} needs at least {self.span}. Ask for fewer "
                f"frames, or repeat those of short videos: repeat_short=True."
            )

    @abstractmethod
    def _train(self, num_frames: int) -> Tensor: ...

    @abstractmethod
    def _test(self, num_frames: int, clips: int) -> Tensor: ...


@dataclass(frozen=True)
class Dense(ClipSampling):
    """A window of consecutive frames, or of every ``stride``-th; at random in training.

    A video that is too short is read round and round, as 3-D ResNets are trained (Hara et al.,
    2018).

    Args:
        stride: Frames from one to the next.

    Example:
        >>> Dense(frames=4, stride=2).test(15, clips=3)
        tensor([[ 0,  2,  4,  6],
                [ 4,  6,  8, 10],
                [ 8, 10, 12, 14]])
        >>> Dense(frames=4, repeat_short=True).test(3)
        tensor([[0, 1, 2, 0]])
    """

    stride: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stride < 1:
            raise ValueError(f"stride must be at least 1; got {self.stride}.")

    @property
    def span(self) -> int:
        return (self.frames - 1) * self.stride + 1

    def _window(self, starts: Tensor, num_frames: int) -> Tensor:
        return (starts[..., None] + torch.arange(self.frames) * self.stride) % num_frames

    def _train(self, num_frames: int) -> Tensor:
        slack = max(0, num_frames - self.span)
        return self._window(torch.randint(slack + 1, ()), num_frames)

    def _test(self, num_frames: int, clips: int) -> Tensor:
        slack = max(0, num_frames - self.span)
        ends = torch.linspace(0, slack, clips, dtype=torch.float64)
        starts = torch.tensor([slack // 2]) if clips == 1 else ends.round().long()
        return self._window(starts, num_frames)


@dataclass(frozen=True)
class Uniform(ClipSampling):
    """Frames at equal distances over the whole video; in training from a random beginning.

    With n frames and T wanted, frame t is ⌊(t + u)·n/T⌋: u is uniform on [0, 1) in training, and
    (k + ½)/K for clip k of K in testing. A frame is taken twice only if n < T.

    Example:
        >>> Uniform(frames=4).test(12, clips=2)
        tensor([[ 0,  3,  6,  9],
                [ 2,  5,  8, 11]])
    """

    def _at(self, offsets: Tensor, num_frames: int) -> Tensor:
        places = (torch.arange(self.frames) + offsets) * (num_frames / self.frames)
        return places.long().clamp(max=num_frames - 1)

    def _train(self, num_frames: int) -> Tensor:
        return self._at(torch.rand(1, dtype=torch.float64), num_frames)

    def _test(self, num_frames: int, clips: int) -> Tensor:
        offsets = (torch.arange(clips, dtype=torch.float64) + 0.5) / clips
        return self._at(offsets[:, None], num_frames)


@dataclass(frozen=True)
class Segments(Uniform):
    """One frame from each of ``frames`` equal segments, at random in training.

    Source: Wang et al., *Temporal Segment Networks* (2016). Testing is :class:`Uniform`'s: the
    middle of each segment where one clip is wanted.

    Example:
        >>> Segments(frames=3).train(30) // 10
        tensor([0, 1, 2])
    """

    def _train(self, num_frames: int) -> Tensor:
        return self._at(torch.rand(self.frames, dtype=torch.float64), num_frames)
