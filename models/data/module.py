"""A data set and its augmentation as Lightning takes them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from lightning import LightningDataModule
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision.transforms import v2

from models.data.source import DATASETS, Transform
from snl_graph.names import lookup


class ImageDataModule(LightningDataModule):
    """Training and test part of one of :data:`~models.data.DATASETS`, in batches.

    Args:
        name: Of the data set.
        root: Folder that holds it; not needed for digits.
        batch_size: Images a step and device.
        crop_padding: Training images are padded by so many pixels and cropped at random.
        flip: Mirror every second training image, at random.
        download: Whether to fetch what is missing from the data set's own site.
        size: Height and width in pixels; None for the data set's.
        split: Official split; None for the first.
        test_items: At most so many items of the test part; None for all.

    Raises:
        ValueError: If there is no such data set or split.
        DataFileError: From ``setup``, if a file is missing, corrupt or truncated.
    """

    def __init__(
        self,
        name: str,
        root: Path | str = "data",
        *,
        batch_size: int = 128,
        crop_padding: int = 0,
        flip: bool = False,
        download: bool = False,
        size: tuple[int, int] | None = None,
        split: int | None = None,
        test_items: int | None = None,
    ) -> None:
        super().__init__()
        self.spec = lookup(DATASETS, name, "data set")
        if split is not None:
            self.spec = self.spec.split(split)
        if size is not None:
            self.spec = self.spec.sized(size)
        self.root = Path(root)
        self.batch_size = batch_size
        self.crop_padding = crop_padding
        self.flip = flip
        self.download = download
        self.test_items = test_items
        self.train_part: Dataset[Any]
        self.test_part: Dataset[Any]

    def transform(self, train: bool) -> Transform:
        """From an image of the data set to the float32 tensor the network sees."""
        framing = self.spec.framing
        steps: list[Any] = [v2.ToImage()]
        steps += framing.train(self.spec.size) if train else framing.test(self.spec.size)
        if train and self.crop_padding:
            steps.append(v2.RandomCrop(self.spec.size, padding=self.crop_padding))
        if train and self.flip:
            steps.append(v2.RandomHorizontalFlip())
        steps += [
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(list(self.spec.mean), list(self.spec.std)),
            v2.ToPureTensor(),
        ]
        return v2.Compose(steps)

    def prepare_data(self) -> None:
        """Fetch missing files, once however many devices there are."""
        if self.download:
            for train in (True, False):
                self.spec.read(self.root, train, self.transform(train), True)

    def setup(self, stage: str | None = None) -> None:
        """Open both parts, or the test part alone for the stage "test", and check their files."""
        if stage != "test":
            self.train_part = self.spec.read(self.root, True, self.transform(True), False)
        self.test_part = self.spec.read(self.root, False, self.transform(False), False)
        if self.test_items is not None:
            self.test_part = self.few_of(self.test_part, self.test_items)

    def few_of(self, part: Dataset[Any], count: int) -> Dataset[Any]:
        """So many items of the test part, on which everything can still be measured."""
        return Subset(part, range(min(count, len(part))))  # type: ignore[arg-type]

    def _loader(self, part: Dataset[Any], **options: Any) -> DataLoader[Any]:
        workers = min(self.spec.workers, os.cpu_count() or 1)
        return DataLoader(
            part,
            **{"batch_size": self.batch_size, **options},
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=torch.cuda.is_available(),
        )

    def train_dataloader(self) -> DataLoader[Any]:
        """Training part, shuffled."""
        return self._loader(self.train_part, shuffle=True)

    def val_dataloader(self) -> DataLoader[Any]:
        """Test part, measured after each epoch; nothing is chosen by it."""
        return self._loader(self.test_part, shuffle=False)

    def test_dataloader(self) -> DataLoader[Any]:
        """Test part."""
        return self._loader(self.test_part, shuffle=False)
