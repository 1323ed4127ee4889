"""Tracklets in batches balanced by identity, as Lightning takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader

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

    With several devices give the Trainer ``use_distributed_sampler=False``, and ``rank`` and
    ``num_replicas`` here: a sampler that Lightning shuffles would tear identities apart.

    Args:
        name: Of the data set.
        root: Folder that holds it.
        identities: Persons a batch, P.
        tracklets: Of each person, K.
        test_batch_size: Tracklets a step in testing.
        flip: Mirror every second training clip, at random.
        download: Refused: these data sets must be fetched by hand.
        size: Height and width in pixels; None for the data set's.
        split: Official split, from 1; None for the first.
        sampling: Which frames make a clip; None for the data set's.
        test_clips: Clips of each test tracklet.
        seed: Of the order of persons and tracklets.
        rank: Of this process.
        num_replicas: Processes that share each pass.
    """

    def __init__(
        self,
        name: str,
        root: Path | str = "data",
        *,
        identities: int = 8,
        tracklets: int = 4,
        test_batch_size: int = 16,
        flip: bool = False,
        download: bool = False,
        size: tuple[int, int] | None = None,
        split: int | None = None,
        sampling: ClipSampling | None = None,
        test_clips: int = 1,
        seed: int = 0,
        rank: int = 0,
        num_replicas: int = 1,
    ) -> None:
        super().__init__(
            name,
            root,
            batch_size=test_batch_size,
            flip=flip,
            download=download,
            size=size,
            split=split,
            sampling=sampling,
            test_clips=test_clips,
        )
        if not isinstance(lookup(DATASETS, name, "data set"), TrackletSpec):
            raise ValueError(f'"{name}" holds no tracklets; ClipDataModule reads videos.')
        self.identities = identities
        self.tracklets = tracklets
        self.seed = seed
        self.rank = rank
        self.num_replicas = num_replicas

    def train_dataloader(self) -> DataLoader[Any]:
        """Training part, P persons × K tracklets a batch."""
        part = self.train_part
        assert isinstance(part, Tracklets)  # what a TrackletLayout reads
        sampler = IdentitySampler(
            part.labels,
            self.identities,
            self.tracklets,
            seed=self.seed,
            rank=self.rank,
            num_replicas=self.num_replicas,
        )
        return self._loader(part, batch_size=sampler.batch_size, sampler=sampler)
