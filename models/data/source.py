"""The table of data sets, and what a reader of one gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from models.data import cifar, digits, far_pair, fashion_mnist
from models.data.files import DataFileError

__all__ = ["DATASETS", "DataFileError", "DatasetSpec"]

Transform = Callable[[Any], Any]


@dataclass(frozen=True)
class DatasetSpec:
    """One data set.

    Attributes:
        read: ``read(root, train, transform, download)`` gives the training or the test part, whose
            items are (image after ``transform``, class).
        in_channels: Channels of an image.
        num_classes: How many classes there are.
        size: Height and width in pixels.
        mean, std: Of the training images in [0, 1], one number a channel.
        workers: Processes that prepare images; 0 where the whole set is a small tensor.
    """

    read: Callable[[Path, bool, Transform, bool], Dataset[Any]]
    in_channels: int
    num_classes: int
    size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    workers: int


DATASETS: dict[str, DatasetSpec] = {
    "digits": DatasetSpec(digits.read, 1, 10, (8, 8), (0.3056,), (0.3761,), workers=0),
    "far_pair": DatasetSpec(
        far_pair.read, 1, 2, (8, far_pair.WIDTH), (0.3056,), (0.3761,), workers=0
    ),
    "fashion_mnist": DatasetSpec(
        fashion_mnist.read, 1, 10, (28, 28), (0.2860,), (0.3530,), workers=2
    ),
    "cifar10": DatasetSpec(
        cifar.read10, 3, 10, (32, 32), (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616), workers=2
    ),
    "cifar100": DatasetSpec(
        cifar.read100,
        3,
        100,
        (32, 32),
        (0.5071, 0.4865, 0.4409),
        (0.2673, 0.2564, 0.2762),
        workers=2,
    ),
}
