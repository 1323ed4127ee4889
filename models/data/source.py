"""The table of data sets, and what a reader of one gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from models.data import digits, far_pair
from models.data.cifar import Cifar10, Cifar100
from models.data.cub import Cub
from models.data.fashion_mnist import FashionMnist
from models.data.files import DataFileError
from models.data.flow import FLOW_SCALE
from models.data.folder import OwnFolder
from models.data.framing import AsItIs, Framing, ResizedCrop, ShortSide, Whole
from models.data.imagenet import ImageNet
from models.data.layout import Layout
from models.data.mars import Mars
from models.data.sampling import ClipSampling, Dense, Uniform
from models.data.two_cameras import IlidsVid, Prid2011
from models.data.ucf101 import Ucf101, Ucf101Flow

__all__ = ["DATASETS", "ClipSpec", "DataFileError", "DatasetSpec", "TrackletSpec"]

Transform = Callable[[Any], Any]
Numbers = tuple[float, ...]


@dataclass(frozen=True)
class DatasetSpec:
    """One data set.

    Attributes:
        read: ``read(root, train, transform, download)`` gives the training or the test part, whose
            items are (image after ``transform``, class).
        in_channels: Channels of an image.
        num_classes: How many classes there are; 0 where only the folder can tell, see :meth:`at`.
        size: Height and width in pixels.
        mean, std: Of the training images in [0, 1], one number a channel.
        workers: Processes that prepare images; 0 where the whole set is a small tensor.
        framing: How an image of another size is brought to that size.
        layout: What reads, checks and makes it, for data that lie on disk.
    """

    read: Callable[[Path, bool, Transform, bool], Dataset[Any]]
    in_channels: int
    num_classes: int
    size: tuple[int, int]
    mean: Numbers
    std: Numbers
    workers: int
    framing: Framing = field(default_factory=AsItIs)
    layout: Layout | None = None

    def at(self, root: Path) -> DatasetSpec:
        """The same with as many classes as the folder holds: a person's own, or a synthetic one."""
        if self.layout is None:
            return self
        return replace(self, num_classes=len(self.layout.classes(root)))

    def sized(self, size: tuple[int, int]) -> DatasetSpec:
        """The same in another size; pictures that all have one size are then resized as they are.

        Args:
            size: Height and width in pixels.
        """
        resizes = isinstance(self.framing, AsItIs) and size != self.size
        return replace(self, size=size, framing=Whole() if resizes else self.framing)

    def split(self, number: int) -> DatasetSpec:
        """The same data set by another of its official splits.

        Raises:
            ValueError: If there is no such split.
        """
        if not hasattr(self.layout, "split"):
            raise ValueError(f"this data set has one split only; got split={number}.")
        layout = replace(self.layout, split=number)  # type: ignore[type-var]
        return replace(self, layout=layout, read=layout.read)  # type: ignore[union-attr]


@dataclass(frozen=True)
class ClipSpec(DatasetSpec):
    """A data set of videos: ``transform`` of its ``read`` is given a video.

    Attributes:
        sampling: Which frames make a clip, unless a recipe says otherwise.
        flow_at: Channel of the horizontal flow in a training clip, the vertical follows; None where
            there is no flow. Mirroring turns it around.
    """

    sampling: ClipSampling = field(default_factory=lambda: Dense(16, repeat_short=True))
    flow_at: int | None = None

    def with_flow(self) -> ClipSpec:
        """The same with optical flow in two more channels of its training clips.

        Raises:
            ValueError: If no flow is known for these data.
        """
        if self.layout is None or self.flow_at is not None:
            raise ValueError("flow can be added to videos that lie on disk, once.")
        return replace(self, read=self.layout.read_with_flow, flow_at=self.in_channels)


@dataclass(frozen=True)
class TrackletSpec(ClipSpec):
    """A data set for re-identification; classes are the persons to train with."""

    sampling: ClipSampling = field(default_factory=lambda: Uniform(4, repeat_short=True))


IMAGENET: tuple[Numbers, Numbers] = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation that pretrained ResNets were trained with."""

KINETICS: tuple[Numbers, Numbers] = ((0.4345, 0.4051, 0.3775), (0.2768, 0.2713, 0.2737))
"""The same of 3-D ResNets (Hara et al., 2018)."""

DIGITS: tuple[Numbers, Numbers] = ((0.3056,), (0.3761,))


def _images(
    layout: Layout,
    num_classes: int,
    size: tuple[int, int],
    scale: tuple[Numbers, Numbers] = IMAGENET,
    framing: Framing | None = None,
    *,
    workers: int = 4,
) -> DatasetSpec:
    framing = AsItIs() if framing is None else framing
    channels = len(scale[0])
    return DatasetSpec(layout.read, channels, num_classes, size, *scale, workers, framing, layout)


def _clips(layout: Layout, num_classes: int, scale: tuple[Numbers, Numbers] = KINETICS) -> ClipSpec:
    framing = ResizedCrop(smallest=0.25)
    channels = len(scale[0])
    return ClipSpec(layout.read, channels, num_classes, (112, 112), *scale, 4, framing, layout)


def _flow(layout: Layout, num_classes: int) -> ClipSpec:
    return replace(_clips(layout, num_classes, FLOW_SCALE), flow_at=0)


def _tracklets(layout: Layout, persons: int) -> TrackletSpec:
    return TrackletSpec(layout.read, 3, persons, (224, 112), *IMAGENET, 4, Whole(), layout)


DATASETS: dict[str, DatasetSpec] = {
    "digits": DatasetSpec(digits.read, 1, 10, (8, 8), *DIGITS, workers=0),
    "far_pair": DatasetSpec(far_pair.read, 1, 2, (8, far_pair.WIDTH), *DIGITS, workers=0),
    "fashion_mnist": _images(FashionMnist(), 10, (28, 28), ((0.2860,), (0.3530,)), workers=2),
    "cifar10": _images(
        Cifar10(),
        10,
        (32, 32),
        ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
        workers=2,
    ),
    "cifar100": _images(
        Cifar100(),
        100,
        (32, 32),
        ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
        workers=2,
    ),
    "imagenet": _images(ImageNet(), 1_000, (224, 224), framing=ResizedCrop()),
    "cub200": _images(Cub(), 200, (448, 448), framing=ShortSide()),
    "folder": _images(OwnFolder(), 0, (224, 224), framing=ResizedCrop(smallest=0.25)),
    "ucf101": _clips(Ucf101(), 101),
    "ucf101_holdout": _clips(Ucf101(holdout=True), 101),
    "ucf101_flow": _flow(Ucf101Flow(), 101),
    "ucf101_flow_holdout": _flow(Ucf101Flow(holdout=True), 101),
    "clip_folder": _clips(OwnFolder(clips=True), 0),
    "mars": _tracklets(Mars(), 625),
    "ilids_vid": _tracklets(IlidsVid(), 150),
    "prid2011": _tracklets(Prid2011(), 89),
}
