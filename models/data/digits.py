"""scikit-learn's handwritten digits: 1,797 real images of 8×8, shipped with the package."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor
from torch.utils.data import Dataset

TEST_IMAGES = 540


def arrays(train: bool) -> tuple[Tensor, Tensor]:
    """Images (n, 1, 8, 8) in [0, 1] and classes (n,) of one part of a fixed, stratified split.

    The split is by image, 1,257 for training and 540 for testing, the same on every machine. The
    same writers occur in both parts: the package does not say who wrote what.

    Example:
        >>> images, classes = arrays(train=False)
        >>> images.shape, float(images.max())
        (torch.Size([540, 1, 8, 8]), 1.0)
    """
    bunch = load_digits()
    parts = train_test_split(
        bunch.images, bunch.target, test_size=TEST_IMAGES, random_state=0, stratify=bunch.target
    )
    images, classes = (parts[0], parts[2]) if train else (parts[1], parts[3])
    return torch.as_tensor(images / 16, dtype=torch.float32)[:, None], torch.as_tensor(classes)


class ImageTensors(Dataset[tuple[Tensor, int]]):
    """Images and classes that are already in memory.

    Args:
        images: (n, C, H, W).
        classes: (n,).
        transform: Of one image.
    """

    def __init__(
        self, images: Tensor, classes: Tensor, transform: Callable[[Tensor], Tensor]
    ) -> None:
        self.images = images
        self.classes = classes.tolist()
        self.transform = transform

    def __len__(self) -> int:
        return len(self.classes)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(self.images[index]), self.classes[index]


def read(root: Path, train: bool, transform: Callable[[Any], Any], download: bool) -> Dataset[Any]:
    """The training or the test part; ``root`` and ``download`` are not needed."""
    return ImageTensors(*arrays(train), transform)
