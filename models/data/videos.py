"""Videos, in one file or as extracted frames, of which any frames can be asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms.v2 import functional

from models.data.files import DataFileError
from models.data.pictures import Sample, in_order, is_picture, read_picture

if TYPE_CHECKING:
    from av.container import InputContainer

VIDEO_SUFFIXES = (".avi", ".mp4", ".mkv", ".webm", ".mov", ".mpg", ".mpeg", ".m4v")

SLACK = 1
"""Frames that the header of a sound file may declare too many: Xvid packs frames in pairs and may
end with an empty one. The last frame then stands in for it."""


def is_video(name: str) -> bool:
    """Whether a file's name ends as a video's does.

    Example:
        >>> is_video("v_YoYo_g25_c05.avi"), is_video("0001.png")
        (True, False)
    """
    return name.lower().endswith(VIDEO_SUFFIXES)


class Video(ABC):
    """A sequence of frames, on disk until it is asked for some.

    Args:
        path: File or folder, for errors too.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    @abstractmethod
    def num_frames(self) -> int:
        """Frames it has, as its header or folder says."""

    @abstractmethod
    def frames(self, indices: Sequence[int]) -> Tensor:
        """The frames of those numbers, from 0, in the order asked for; repeats are allowed.

        Shapes:
            uint8 (len(indices), 3, H, W), RGB.

        Raises:
            DataFileError: If one of them cannot be decoded.
        """


class FrameFiles(Video):
    """Frames extracted into pictures of one size.

    Args:
        path: Where they lie, for errors.
        files: The pictures in their order.
    """

    def __init__(self, path: Path, files: Sequence[str]) -> None:
        super().__init__(path)
        self.files = files

    @classmethod
    def in_folder(cls, folder: Path) -> FrameFiles:
        """All pictures of a folder, in the order of the numbers in their names."""
        names = in_order(entry.name for entry in folder.iterdir() if is_picture(entry.name))
        if not names:
            raise DataFileError(
                f"{folder} holds no frames; expected pictures such as 00001.jpg. Extract the "
                f"frames of that video again, or take the folder away."
            )
        return cls(folder, [str(folder / name) for name in names])

    @property
    def num_frames(self) -> int:
        return len(self.files)

    def frames(self, indices: Sequence[int]) -> Tensor:
        found = {i: functional.pil_to_tensor(read_picture(self.files[i])) for i in set(indices)}
        shapes = {tuple(frame.shape[1:]): self.files[i] for i, frame in found.items()}
        if len(shapes) > 1:
            said = " and ".join(f"{h}×{w} ({file})" for (h, w), file in sorted(shapes.items()))
            raise DataFileError(
                f"{self.path} holds frames of different sizes: {said}. Extract them again, all of "
                f"one size."
            )
        return torch.stack([found[i] for i in indices])


class VideoFile(Video):
    """A video in one file, decoded by PyAV.

    Frames are decoded from the beginning up to the last one asked for, and only those asked for are
    converted to RGB: a file's index of key frames may be wrong, its order of frames is not.
    """

    @contextmanager
    def _opened(self) -> Iterator[InputContainer]:
        av = _av()
        try:
            with av.open(str(self.path)) as container:
                if not container.streams.video:
                    raise DataFileError(
                        f"{self.path} holds no video stream. Copy it again from the data set."
                    )
                # Loader processes share the cores already.
                container.streams.video[0].thread_count = 1
                yield container
        except FileNotFoundError as error:
            raise DataFileError(
                f"{self.path} is not there, though the data set lists it. Unpack it again."
            ) from error
        except av.FFmpegError as error:
            raise DataFileError(
                f"{self.path} is corrupt or no video: {error}. Copy it again from the data set."
            ) from error

    @property
    def num_frames(self) -> int:
        with self._opened() as container:
            stream = container.streams.video[0]
            if stream.frames:
                return int(stream.frames)
            # Matroska, for one, declares no number; packets are counted without decoding them.
            return sum(packet.size > 0 for packet in container.demux(stream))

    def frames(self, indices: Sequence[int]) -> Tensor:
        wanted, last = set(indices), max(indices)
        found: dict[int, Tensor] = {}
        decoded, frame = 0, None
        with self._opened() as container:
            for frame in container.decode(video=0):
                if decoded in wanted:
                    found[decoded] = _pixels(frame)
                decoded += 1
                if decoded > last:
                    break
        if decoded <= last:
            if frame is None or decoded + SLACK < self.num_frames:
                self._cut_short(decoded)
            found |= dict.fromkeys(wanted - found.keys(), _pixels(frame))
        return torch.stack([found[i] for i in indices])

    def decode(self) -> int:
        """Decode all of it, and return how many frames there are.

        Raises:
            DataFileError: If the header declares more.
        """
        with self._opened() as container:
            decoded = sum(1 for _ in container.decode(video=0))
        if not decoded or decoded + SLACK < self.num_frames:
            self._cut_short(decoded)
        return decoded

    def _cut_short(self, decoded: int) -> None:
        raise DataFileError(
            f"{self.path} is truncated: {decoded} frames can be decoded, its header declares "
            f"{self.num_frames}. Copy it again from the data set."
        )


def _pixels(frame: Any) -> Tensor:
    return torch.from_numpy(frame.to_ndarray(format="rgb24")).permute(2, 0, 1)  # (3, H, W)


def _av() -> Any:
    try:
        import av
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            'videos are decoded by PyAV, which is not installed: pip install -e ".[models]" brings '
            "it. Extracted frames are read without."
        ) from error
    return av


def open_video(path: str) -> Video:
    """A folder of frames, or else a video in one file."""
    place = Path(path)
    return FrameFiles.in_folder(place) if place.is_dir() else VideoFile(place)


class Videos(Dataset[tuple[Any, int]]):
    """Videos on disk and their classes.

    Args:
        samples: Files or folders of frames, and classes.
        transform: Of a :class:`Video`: chooses frames of it and makes a tensor of them.
        opened: From a sample's path to what it shows.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        transform: Callable[[Video], Any],
        opened: Callable[[str], Video] = open_video,
    ) -> None:
        self.samples = samples
        self.transform = transform
        self.opened = opened

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        sample = self.samples[index]
        return self.transform(self.opened(sample.path)), sample.label
