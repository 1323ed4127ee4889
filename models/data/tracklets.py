"""Tracklets: pictures of one person as one camera saw them pass, for re-identification."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from torch.utils.data import Dataset

from models.data.layout import Layout, Survey, refuse_download
from models.data.problems import Problem, Tell, stop
from models.data.videos import FrameFiles, Video


@dataclass(frozen=True)
class Tracklet:
    """One person before one camera.

    Attributes:
        files: Pictures in their order.
        person: The authors' number; 0 for none (a distractor of Mars).
        camera: The authors' number.
    """

    files: tuple[str, ...]
    person: int
    camera: int


@dataclass(frozen=True)
class Parts:
    """The three parts of a re-identification data set."""

    train: Sequence[Tracklet]
    query: Sequence[Tracklet]
    gallery: Sequence[Tracklet]


class Tracklets(Dataset[tuple[Any, int, int, bool]]):
    """Tracklets on disk; items are (clip, label, camera, whether it is a query).

    Args:
        tracklets: In their order.
        labels: Of each; 0 .. P-1 for training, the authors' numbers else.
        num_queries: The first so many are queries, the others the gallery.
        transform: Of a :class:`~models.data.videos.Video`.
    """

    def __init__(
        self,
        tracklets: Sequence[Tracklet],
        labels: Sequence[int],
        num_queries: int,
        transform: Callable[[Video], Any],
    ) -> None:
        self.tracklets = tracklets
        self.labels = labels
        self.num_queries = num_queries
        self.transform = transform

    def __len__(self) -> int:
        return len(self.tracklets)

    def __getitem__(self, index: int) -> tuple[Any, int, int, bool]:
        tracklet = self.tracklets[index]
        video = FrameFiles(Path(tracklet.files[0]).parent, tracklet.files)
        query = index < self.num_queries
        return self.transform(video), self.labels[index], tracklet.camera, query

    def few(self, count: int) -> Tracklets:
        """So many, half of them queries, spread over all, and for each a right answer.

        Raises:
            ValueError: If no query has an answer, or there is no room for a query and its answer.
        """
        if count < 2:
            raise ValueError(f"a query and its answer are two items; got room for {count}.")
        pairs: dict[int, int] = {}
        wanted = min(count // 2, self.num_queries)
        for place in range(wanted):
            query = place * self.num_queries // wanted
            answers = (i for i in range(self.num_queries, len(self)) if self._answers(i, query))
            if (answer := next(answers, None)) is not None:
                pairs[query] = answer
        if not pairs:
            raise ValueError(
                f"none of {wanted} queries has its person in the gallery before another camera."
            )
        chosen = [*pairs, *dict.fromkeys(pairs.values())]
        return Tracklets(
            [self.tracklets[i] for i in chosen],
            [self.labels[i] for i in chosen],
            len(pairs),
            self.transform,
        )

    def _answers(self, index: int, query: int) -> bool:
        cameras = self.tracklets[index].camera, self.tracklets[query].camera
        return self.labels[index] == self.labels[query] and cameras[0] != cameras[1]


class TrackletLayout(Layout):
    """A re-identification data set.

    Attributes:
        source: Where it is to be had.
    """

    disjoint: ClassVar[tuple[str, ...]] = ("train", "query", "gallery")
    source: ClassVar[str]

    @abstractmethod
    def parts(self, root: Path, tell: Tell) -> Parts:
        """Tracklets to train with, to ask for, and to find them among."""

    def classes(self, root: Path) -> list[str]:
        return [str(person) for person in _persons(self.parts(root, stop).train)]

    def read(
        self, root: Path, train: bool, transform: Callable[[Any], Any], download: bool
    ) -> Dataset[Any]:
        """Tracklets to train with, or queries followed by the gallery."""
        if download:
            refuse_download(self.title, self.source)
        parts = self.parts(root, stop)
        if train:
            number = {person: label for label, person in enumerate(_persons(parts.train))}
            return Tracklets(parts.train, [number[t.person] for t in parts.train], 0, transform)
        tracklets = [*parts.query, *parts.gallery]
        persons = [tracklet.person for tracklet in tracklets]
        return Tracklets(tracklets, persons, len(parts.query), transform)

    def survey_of(self, parts: Parts, place: Path, tell: Tell) -> Survey:
        """Counts and files of the parts, after asking whether they suit each other.

        Args:
            parts: Of the layout.
            place: Which file or folder a contradiction is told of.
            tell: Told of it.
        """
        trained = set(_persons(parts.train))
        for name, tracklets in (("query", parts.query), ("gallery", parts.gallery)):
            for person in sorted(trained & set(_persons(tracklets))):
                what = f"has person {person} in the training part and in the {name}."
                tell(Problem("split", place, what, "Unpack the data set again."))
        counts = {
            "train persons": len(trained),
            "train tracklets": len(parts.train),
            "query tracklets": len(parts.query),
            "gallery tracklets": len(parts.gallery),
        }
        listed = {
            name: [file for tracklet in getattr(parts, name) for file in tracklet.files]
            for name in self.disjoint
        }
        return Survey(counts, listed)


def _persons(tracklets: Sequence[Tracklet]) -> list[int]:
    return sorted({tracklet.person for tracklet in tracklets})
