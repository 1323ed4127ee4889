"""Images that fit into memory, shuffled and augmented a whole batch at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torchvision.transforms import v2

from models.data.digits import ImageTensors
from models.data.source import DATASETS
from snl_graph.names import lookup


@dataclass(frozen=True)
class Images:
    """Images as a network sees them, and their classes.

    Attributes:
        pixels: (n, C, H, W), float32, of mean 0 and variance 1 over the training part.
        classes: (n,), int64.
    """

    pixels: Tensor
    classes: Tensor

    def __len__(self) -> int:
        return len(self.classes)

    def first_of_each_class(self, count: int) -> Images:
        """The first ``count`` images of every class, in their order: a fixed, balanced subset.

        Raises:
            ValueError: If a class has fewer.

        Example:
            >>> images = Images(torch.zeros(5, 1, 2, 2), torch.tensor([1, 0, 0, 0, 1]))
            >>> images.first_of_each_class(2).classes
            tensor([1, 0, 0, 1])
        """
        chosen = []
        for label in self.classes.unique().tolist():
            members = (self.classes == label).nonzero().flatten()
            if len(members) < count:
                raise ValueError(
                    f"class {label} has {len(members):,} images; {count:,} of each were asked for."
                )
            chosen.append(members[:count])
        order = torch.cat(chosen).sort().values
        return Images(self.pixels[order], self.classes[order])


def load(name: str, root: Path, train: bool) -> Images:
    """One part of a data set of images of one size, all of it in memory.

    Args:
        name: "digits", "fashion_mnist", "cifar10" or "cifar100".
        root: Folder that holds the data sets.
        train: Which part.

    Raises:
        ValueError: If there is no such data set.
        DataFileError: If a file is missing, corrupt or truncated.
    """
    spec = lookup(DATASETS, name, "data set")
    part = spec.read(root, train, v2.functional.pil_to_tensor, False)
    if isinstance(part, ImageTensors):
        pixels, classes = part.images, torch.as_tensor(part.classes)
    else:  # torchvision's: bytes (n, H, W) or (n, H, W, C)
        raw = torch.as_tensor(part.data)  # type: ignore[attr-defined]
        pixels = (raw[..., None] if raw.dim() == 3 else raw).permute(0, 3, 1, 2).float() / 255
        classes = torch.as_tensor(part.targets)  # type: ignore[attr-defined]
    mean, std = (torch.tensor(values)[:, None, None] for values in (spec.mean, spec.std))
    return Images((pixels - mean) / std, classes)


class Batches:
    """Batches of images in memory; each pass shuffles and augments anew, from one seed.

    The order and the augmentation depend on the seed and the pass alone, not on what else draws
    random numbers: networks trained with one seed see the same images in the same order.

    Args:
        images: All of them.
        batch_size: Images a step; the last batch of a pass may be smaller.
        seed: Of order and augmentation. None keeps the order and augments nothing.
        crop_padding: Pad by so many pixels of the lowest value and crop at random.
        flip: Mirror every image with probability ½.
    """

    def __init__(
        self,
        images: Images,
        batch_size: int,
        seed: int | None = None,
        *,
        crop_padding: int = 0,
        flip: bool = False,
    ) -> None:
        self.images = images
        self.batch_size = batch_size
        self.generator = None if seed is None else torch.Generator().manual_seed(seed)
        self.crop_padding = crop_padding
        self.flip = flip

    def __len__(self) -> int:
        return -(-len(self.images) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """One pass: (pixels, classes) of each batch."""
        count = len(self.images)
        if self.generator is None:
            order = torch.arange(count)
        else:
            order = torch.randperm(count, generator=self.generator)
        for chosen in order.split(self.batch_size):
            pixels = self.images.pixels[chosen]
            if self.generator is not None:
                pixels = self._augmented(pixels, self.generator)
            yield pixels, self.images.classes[chosen]

    def _augmented(self, pixels: Tensor, generator: torch.Generator) -> Tensor:
        batch, _, height, width = pixels.shape
        if self.crop_padding:
            pad = self.crop_padding
            padded = torch.nn.functional.pad(pixels, [pad] * 4, value=float(pixels.min()))
            top, left = torch.randint(2 * pad + 1, (2, batch, 1), generator=generator)
            rows = (top + torch.arange(height))[:, None, :, None]  # (B, 1, H, 1)
            columns = (left + torch.arange(width))[:, None, None, :]  # (B, 1, 1, W)
            item = torch.arange(batch)[:, None, None, None]
            channel = torch.arange(pixels.shape[1])[None, :, None, None]
            pixels = padded[item, channel, rows, columns]
        if self.flip:
            mirrored = torch.rand(batch, 1, 1, 1, generator=generator) < 0.5
            pixels = torch.where(mirrored, pixels.flip(-1), pixels)
        return pixels
