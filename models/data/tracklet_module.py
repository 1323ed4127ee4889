"""Tracklets in batches balanced by identity, as Lightning takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from torch.utils.data import DataLoader, Dataset

from models.data.clip_module import ClipDataModule
from models.data.identities import IdentitySampler
from models.data.sampling import ClipSampling
from models.data.source import DATASETS, TrackletSpec
from models.data.tracklets import Tracklets
from snl_graph.names import lookup


class TrackletDataModule(ClipDataModule):
    """Training, query and gallery part of a data set for re-identification.

    A training batch holds clips (P·K, C, T, H, W), labels of P persons with K tracklets each,
    cameras and False. A test batch holds (B, test_clips, C, T, H, W), persons, cameras, and whether
    each is a query: all queries come first. :func:`models.data.ranking.rank` makes rank-1 and mAP
    of them.

    Where several processes train together, :func:`models.loading.resumable` shares whole batches
    out. Without it give the Trainer ``use_distributed_sampler=False``, and ``rank`` and
    ``num_replicas`` here: a sampler that Lightning shuffles would tear identities apart.

    Args:
        name: Of the data set.
        root: Folder that holds it.
        batch_size: Tracklets a step and device, P·K; 32 makes 8 persons with 4 each.
        tracklets: Of each person, K.
        flip: Mirror every second training clip, at random.
        download: Refused: these data sets must be fetched by hand.
        size: Height and width in pixels; None for the data set's.
        split: Official split, from 1; None for the first.
        sampling: Which frames make a clip; None for the data set's.
        test_clips: Clips of each test tracklet.
        test_items: At most so many queries and answers; None for all.
        seed: Of the order of persons and tracklets.
        rank: Of this process.
        num_replicas: Processes that share each pass.

    Raises:
        ValueError: If there is no such data set or split, or no whole number of persons a batch.
        DataFileError: From ``setup``, if a file is missing or corrupt.
    """

    def __init__(
        self,
        name: str,
        root: Path | str = "data",
        *,
        batch_size: int = 32,
        tracklets: int = 4,
        flip: bool = False,
        download: bool = False,
        size: tuple[int, int] | None = None,
        split: int | None = None,
        sampling: ClipSampling | None = None,
        test_clips: int = 1,
        test_items: int | None = None,
        seed: int = 0,
        rank: int = 0,
        num_replicas: int = 1,
    ) -> None:
        super().__init__(
            name,
            root,
            batch_size=batch_size,
            flip=flip,
            download=download,
            size=size,
            split=split,
            sampling=sampling,
            test_clips=test_clips,
            test_items=test_items,
        )
        if not isinstance(lookup(DATASETS, name, "data set"), TrackletSpec):
            raise ValueError(f'"{name}" holds no tracklets; ClipDataModule reads videos.')
        if tracklets < 1 or batch_size % tracklets:
            raise ValueError(
                f"a batch holds {tracklets} tracklets of every person; batch_size={batch_size} is "
                f"no multiple of that."
            )
        self.identities = batch_size // tracklets
        self.tracklets = tracklets
        self.seed = seed
        self.rank = rank
        self.num_replicas = num_replicas

    def few_of(self, part: Dataset[Any], count: int) -> Tracklets:
        """Some queries with an answer each."""
        return cast(Tracklets, part).few(count)

    def train_dataloader(self) -> DataLoader[Any]:
        """Training part, P persons × K tracklets a batch."""
        part = cast(Tracklets, self.train_part)  # what the layout of such a data set reads
        sampler = IdentitySampler(
            part.labels,
            self.identities,
            self.tracklets,
            seed=self.seed,
            rank=self.rank,
            num_replicas=self.num_replicas,
        )
        # A step that several processes share must leave each of them whole persons.
        return self._loader(part, sampler=sampler, drop_last=True)
