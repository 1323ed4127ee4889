"""Training batches that do not depend on when a run was interrupted, or on how many share them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from lightning import LightningDataModule
from torch.utils.data import DataLoader, Dataset, DistributedSampler
from torchdata.stateful_dataloader import StatefulDataLoader

from models.data import ClipSpec, DataFileError, ImageDataModule, data_module
from models.randomness import seeded
from models.recipe import Recipe


@dataclass(frozen=True)
class Draw:
    """One item of a pass over the data.

    Attributes:
        index: In the data set.
        key: What its augmentation is drawn from: the seed of the run, the pass, the place in it.
    """

    index: Any
    key: tuple[int, ...]


class UnreadableItemError(DataFileError):
    """An item of a data set cannot be read."""

    def __init__(self, message: str) -> None:
        # From a worker process PyTorch hands on the traceback as the message: keep its last line.
        super().__init__(message.rsplit(f"{type(self).__name__}: ", 1)[-1].strip())


class Drawn(Dataset[Any]):
    """A data set whose items are asked for by :class:`Draw`, and augmented as that says.

    Args:
        items: The data set; its augmentation may draw from Python, NumPy or PyTorch.
    """

    def __init__(self, items: Dataset[Any]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)  # type: ignore[arg-type]

    def __getitem__(self, draw: Draw) -> Any:
        try:
            with seeded(*draw.key):
                return self.items[draw.index]
        except DataFileError as error:
            raise UnreadableItemError(str(error)) from error
        # What Pillow, torchvision and decoders of video raise for a file that is spoilt.
        except (OSError, SyntaxError, EOFError, ValueError, RuntimeError) as error:
            samples = getattr(self.items, "samples", None)
            what = f"item {draw.index}" if samples is None else f"{samples[draw.index][0]}"
            raise UnreadableItemError(
                f"{what} cannot be read: {' '.join(str(error).split()) or type(error).__name__}. "
                f"Replace or remove it."
            ) from error


class PassSampler(DistributedSampler[Draw]):
    """Order of every pass, cut into the parts of the processes that train together.

    A pass is what ``loader`` would give in it, drawn from the seed and the number of the pass
    alone. Step t of all ``world`` processes together takes the next ``world · batch_size`` items,
    process r the r-th part of them, so that steps are those of one process with batches of
    ``world · batch_size``. The parts of the last step differ by one item if it does not divide; if
    it has fewer items than there are processes, they come more than once. A loader with
    ``drop_last`` has no such step: what fills none of all processes is left out.

    Lightning shards whatever is no ``DistributedSampler`` itself, in another order.

    Args:
        loader: Gives order and batches of one process.
        seed: Of the order and of the augmentation.
        rank: Of this process.
        world: How many processes there are.
    """

    def __init__(self, loader: DataLoader[Any], seed: int, rank: int, world: int) -> None:
        super().__init__(loader.dataset, num_replicas=world, rank=rank, seed=seed)
        self.loader = loader
        self.per_step = batch_size_of(loader) * world

    def order(self, number: int) -> list[Any]:
        """Indices of all items of pass ``number``, for all processes."""
        with seeded(self.seed, number):
            # Of batches, because a sampler of batches need not have one of items beneath it.
            batches: Any = self.loader.batch_sampler
            for sampler in (batches, self.loader.sampler):
                if hasattr(sampler, "set_epoch"):  # it keeps generators of its own
                    sampler.set_epoch(number)
            return [index for batch in batches for index in batch]

    def share(self, count: int) -> list[int]:
        """Which places of a pass of ``count`` items this process takes."""
        found = []
        if self.loader.drop_last:
            count -= count % self.per_step
        for start in range(0, count, self.per_step):
            step = list(range(start, min(start + self.per_step, count)))
            step += [step[i % len(step)] for i in range(self.num_replicas - len(step))]
            size, larger = divmod(len(step), self.num_replicas)
            first = self.rank * size + min(self.rank, larger)
            found += step[first : first + size + (self.rank < larger)]
        return found

    def __iter__(self) -> PassIterator:
        return PassIterator(self)

    def __len__(self) -> int:
        batches: Any = self.loader.batch_sampler
        if hasattr(batches, "sampler"):
            count = len(batches.sampler)
            if batches.drop_last:
                count -= count % batch_size_of(self.loader)
        else:
            count = len(batches) * batch_size_of(self.loader)
        return len(self.share(count))


class PassIterator:
    """One pass of a :class:`PassSampler`; its state is the number of the pass and how far it is."""

    def __init__(self, sampler: PassSampler) -> None:
        self.sampler = sampler
        self._start(sampler.epoch, 0)

    def _start(self, number: int, taken: int) -> None:
        self.number, self.taken = number, taken
        self.order = self.sampler.order(number)
        self.places = self.sampler.share(len(self.order))

    def __iter__(self) -> PassIterator:
        return self

    def __next__(self) -> Draw:
        if self.taken == len(self.places):
            raise StopIteration
        place = self.places[self.taken]
        self.taken += 1
        # The 1 keeps the keys of items and those of orders apart.
        return Draw(self.order[place], (self.sampler.seed, self.number, place, 1))

    def state_dict(self) -> dict[str, int]:
        """Where to go on: after the last item, that is the next pass."""
        if self.taken == len(self.places):
            return {"number": self.number + 1, "taken": 0}
        return {"number": self.number, "taken": self.taken}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go to where :meth:`state_dict` was asked."""
        self._start(state["number"], state["taken"])


def batch_size_of(loader: DataLoader[Any]) -> int:
    """Items a batch, also where a sampler of batches decides.

    Raises:
        ValueError: If it does not tell.
    """
    size = loader.batch_size or getattr(loader.batch_sampler, "batch_size", None)
    if size is None:
        raise ValueError(
            f"{type(loader.batch_sampler).__name__} has no batch_size; "
            f"give it one, so that its batches can be shared and resumed."
        )
    return int(size)


def resumable(
    loader: DataLoader[Any],
    seed: int,
    rank: int = 0,
    world: int = 1,
    workers: int | None = None,
) -> StatefulDataLoader[Any]:
    """The loader's batches from one seed, with a state in the middle of a pass.

    What an item looks like depends on the seed, the pass and its place in it: not on the number of
    worker processes, on what else draws random numbers, or on an interruption.

    Args:
        loader: Of a data set with a length; shuffled, or with a sampler of its own, or not.
        seed: Of order and augmentation.
        rank: Of this process among those that train together.
        world: How many train together.
        workers: Processes that prepare items; by default those of ``loader``.

    Returns:
        Loader of the same batches, or of this process's part of them.
    """
    count = loader.num_workers if workers is None else workers
    return StatefulDataLoader(
        Drawn(loader.dataset),
        batch_size_of(loader),
        sampler=PassSampler(loader, seed, rank, world),
        num_workers=count,
        collate_fn=loader.collate_fn,
        pin_memory=loader.pin_memory,
        persistent_workers=count > 0,
        # Seeds of worker processes, which no item uses, are not drawn from the global generator.
        generator=torch.Generator().manual_seed(seed),
    )


def data_of(
    recipe: Recipe,
    root: Path,
    *,
    batch_size: int | None = None,
    download: bool = False,
    test_items: int | None = None,
    workers: int | None = None,
) -> ImageDataModule:
    """The data of a recipe.

    Args:
        recipe: Which data set, in what size, split and batches, augmented how.
        root: Folder that holds it.
        batch_size: In place of the recipe's.
        download: Whether to fetch what is missing.
        test_items: At most so many items of the test part; None for all.
        workers: Processes that prepare items; None for as many as the data set needs.

    Raises:
        ValueError: If the data set has no such split, or its module no such augmentation.
    """
    options: dict[str, Any] = {"flip": recipe.flip, "download": download}
    options |= {"size": recipe.size, "split": recipe.split, "test_items": test_items}
    options |= recipe.learning.data_options()
    spec = recipe.source
    if isinstance(spec, ClipSpec):
        if recipe.crop_padding:
            raise ValueError("crop_padding is for images of one size; leave it out for videos.")
        options |= {"test_clips": recipe.test_clips, "sampling": spec.sampling}
    else:
        options["crop_padding"] = recipe.crop_padding
    options["batch_size"] = batch_size or recipe.batch_size
    module = data_module(recipe.dataset, root, **options)
    if workers is not None:
        module.spec = replace(module.spec, workers=workers)
    return module


class ResumableData(LightningDataModule):
    """Data as :func:`resumable` gives them, for each of the processes that train together.

    Args:
        data: Its loaders are used; it has been set up.
        seed: Of order and augmentation.
        workers: Processes that prepare items; by default those of ``data``.
    """

    def __init__(self, data: LightningDataModule, seed: int, workers: int | None = None) -> None:
        super().__init__()
        self.data = data
        self.seed = seed
        self.workers = workers
        self.loader: StatefulDataLoader[Any] | None = None
        self._to_restore: dict[str, Any] | None = None

    def train_dataloader(self) -> StatefulDataLoader[Any]:
        """Training part; this process's share of it, from where the checkpoint was."""
        trainer = self.trainer
        rank, world = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        self.loader = resumable(self.data.train_dataloader(), self.seed, rank, world, self.workers)
        if not len(self.loader):
            raise ValueError(
                f"the training part fills no step of {world} processes with batches of "
                f"{batch_size_of(self.loader)}. Take smaller batches, or fewer processes."
            )
        if self._to_restore is not None:
            self.loader.load_state_dict(self._to_restore)
            self._to_restore = None
        return self.loader

    # Lightning keeps states of loaders too, but forgets them where a schedule that asks for the
    # number of steps has had the loaders made before.
    def state_dict(self) -> dict[str, Any]:
        """Where the pass over the training part is; the same in all processes."""
        return {} if self.loader is None else self.loader.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go to where :meth:`state_dict` was asked, once the loader is made."""
        self._to_restore = state_dict or None

    def val_dataloader(self) -> DataLoader[Any]:
        """Test part; draws nothing from the global generator."""
        loader: DataLoader[Any] = self.data.val_dataloader()
        loader.generator = torch.Generator()
        return loader
