"""iLIDS-VID and PRID-2011: one tracklet of each person before either of two cameras."""

from __future__ import annotations

import json
import random
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import scipy.io

from models.data.layout import Survey, locate
from models.data.pictures import is_picture
from models.data.problems import Problem, Tell, missing
from models.data.synthetic import Painter, Plan
from models.data.tables import read_table
from models.data.tracklets import Parts, Tracklet, TrackletLayout

NUM_SPLITS = 10
"""Random halves of the persons; results are averaged over them."""


@dataclass(frozen=True)
class TwoCameras(TrackletLayout):
    """Half of the persons to train with; of the others, camera 1 asks and camera 2 answers.

    Args:
        split: Which of the ten halvings, from 1.
    """

    split: int = 1

    cameras: ClassVar[tuple[str, str]]

    def __post_init__(self) -> None:
        if not 1 <= self.split <= NUM_SPLITS:
            raise ValueError(
                f"{self.title} has the splits 1 to {NUM_SPLITS}; got split={self.split}."
            )

    @abstractmethod
    def _folder(self, root: Path) -> Path:
        """Folder of the folders of both cameras."""

    @abstractmethod
    def halves(
        self, root: Path, persons: Sequence[str], tell: Tell
    ) -> list[tuple[list[str], list[str]]]:
        """Persons to train and to test with, for every split."""

    @abstractmethod
    def usable(self, tracklets: Mapping[str, tuple[Tracklet, Tracklet]]) -> list[str]:
        """Persons that the protocol uses, in the order of their names."""

    def folders(self, root: Path) -> list[Path]:
        return [self._folder(root) / camera for camera in self.cameras]

    def _tracklets(self, root: Path, tell: Tell) -> list[dict[str, Tracklet]]:
        """Tracklet by person, for each camera."""
        found: list[dict[str, Tracklet]] = []
        for camera, folder in enumerate(self.folders(root), 1):
            found.append({})
            if not folder.is_dir():
                tell(missing(folder, self.title))
                continue
            for place in sorted(path for path in folder.iterdir() if path.is_dir()):
                files = tuple(sorted(str(p) for p in place.iterdir() if is_picture(p.name)))
                digits = "".join(c for c in place.name if c.isdigit())
                if not files or not digits:
                    what = f"holds {len(files)} pictures; expected person_0001 or so, with some."
                    tell(Problem("missing", place, what, "Unpack the data set again."))
                    continue
                found[-1][place.name] = Tracklet(files, int(digits), camera)
        return found

    def parts(self, root: Path, tell: Tell) -> Parts:
        return self._parts(root, self._tracklets(root, tell), self.split, tell)

    def _parts(
        self, root: Path, cameras: list[dict[str, Tracklet]], split: int, tell: Tell
    ) -> Parts:
        first, second = cameras
        both = {name: (first[name], second[name]) for name in sorted(first.keys() & second.keys())}
        halves = self.halves(root, self.usable(both), tell)
        train, test = halves[split - 1] if len(halves) >= split else ([], [])
        return Parts(
            [tracklet for name in train for tracklet in both[name]],
            [both[name][0] for name in test],
            [both[name][1] for name in test],
        )

    def survey(self, root: Path, tell: Tell) -> Survey:
        cameras = self._tracklets(root, tell)
        parts = self._parts(root, cameras, self.split, tell)
        counts = dict(self.survey_of(parts, self._folder(root), tell).counts)
        counts |= {
            f"persons in {camera}": len(found)
            for camera, found in zip(self.cameras, cameras, strict=True)
        }
        files = [
            file for found in cameras for tracklet in found.values() for file in tracklet.files
        ]
        return Survey(counts, {"all": files})


class IlidsVid(TwoCameras):
    """``ROOT/i-LIDS-VID/sequences/{cam1,cam2}/<person>/*.png``; 300 persons in an airport.

    Splits are rows of ``ls_set`` in ``train-test people splits/train_test_splits_ilidsvid.mat``:
    the persons' places in the order of their names, from 1. The first half is tested, the second
    trained.
    Source: Wang et al., *Person Re-Identification by Video Ranking* (2014).
    """

    title: ClassVar[str] = "iLIDS-VID"
    cameras: ClassVar[tuple[str, str]] = ("cam1", "cam2")
    source: ClassVar[str] = (
        "https://xiatian-zhu.github.io/downloads_qmul_iLIDS-VID_ReID_dataset.html"
    )

    @property
    def published(self) -> Mapping[str, int]:
        return {
            "train persons": 150,
            "train tracklets": 300,
            "query tracklets": 150,
            "gallery tracklets": 150,
            "persons in cam1": 300,
            "persons in cam2": 300,
        }

    def _folder(self, root: Path) -> Path:
        return locate(root, "i-LIDS-VID") / "sequences"

    def usable(self, tracklets: Mapping[str, tuple[Tracklet, Tracklet]]) -> list[str]:
        return list(tracklets)

    def halves(
        self, root: Path, persons: Sequence[str], tell: Tell
    ) -> list[tuple[list[str], list[str]]]:
        file = Path("train-test people splits") / "train_test_splits_ilidsvid.mat"
        path = root / file
        # Some put the folder of splits beside the pictures, some into their folder.
        if not path.is_file() and (root / "i-LIDS-VID" / file).is_file():
            path = root / "i-LIDS-VID" / file
        found = []
        for number, row in enumerate(read_table(path, "ls_set", self.title, tell).tolist(), 1):
            if sorted(row) != list(range(1, len(persons) + 1)):
                what = (
                    f"row {number} of ls_set is no order of the {len(persons)} persons that both "
                    f"cameras have."
                )
                tell(Problem("split", path, what, "Unpack the data set again."))
                continue
            half = len(row) // 2
            names = [persons[place - 1] for place in row]
            found.append((sorted(names[half:]), sorted(names[:half])))
        if 0 < len(found) < NUM_SPLITS:
            what = f"holds {len(found)} usable splits; expected {NUM_SPLITS}."
            tell(Problem("split", path, what, "Unpack the data set again."))
        return found

    def make(self, root: Path, plan: Plan, painter: Painter) -> dict[str, Any]:
        count = 2 * plan.classes
        for camera in self.cameras:
            for person in range(1, count + 1):
                folder = root / "i-LIDS-VID" / "sequences" / camera / f"person{person:03d}"
                names = [f"{camera}_person{person:03d}_{n:05d}.png" for n in range(plan.frames)]
                painter.save_frames([folder / name for name in names], person)
        generator = np.random.default_rng(plan.seed)
        orders = [generator.permutation(count) + 1 for _ in range(NUM_SPLITS)]
        folder = root / "train-test people splits"
        folder.mkdir()
        table = {"ls_set": np.array(orders, dtype=float)}
        scipy.io.savemat(folder / "train_test_splits_ilidsvid.mat", table)
        return {"counts": _made(plan, {"cam1": count, "cam2": count})}


class Prid2011(TwoCameras):
    """``ROOT/prid_2011/multi_shot/{cam_a,cam_b}/person_XXXX/*.png``; outdoors, beside a road.

    The 178 of the first 200 persons with more than 21 frames in both cameras are used, in ten
    random halves (Wang et al., 2014): those in ``prid_2011/splits_prid2011.json`` if it is there (a
    list of {"train": [names], "test": [names]}), else ones drawn with a fixed seed: the authors of
    the data ship none.
    """

    title: ClassVar[str] = "PRID-2011"
    cameras: ClassVar[tuple[str, str]] = ("cam_a", "cam_b")
    source: ClassVar[str] = (
        "https://www.tugraz.at/institute/icg/research/team-bischof/lrs/downloads/PRID11/"
    )
    shared_persons: ClassVar[int] = 200
    longer_than: ClassVar[int] = 21

    @property
    def published(self) -> Mapping[str, int]:
        return {
            "train persons": 89,
            "train tracklets": 178,
            "query tracklets": 89,
            "gallery tracklets": 89,
            "persons in cam_a": 385,
            "persons in cam_b": 749,
        }

    def _folder(self, root: Path) -> Path:
        return locate(root, "prid_2011") / "multi_shot"

    def usable(self, tracklets: Mapping[str, tuple[Tracklet, Tracklet]]) -> list[str]:
        return [
            name
            for name, pair in tracklets.items()
            if pair[0].person <= self.shared_persons
            and all(len(tracklet.files) > self.longer_than for tracklet in pair)
        ]

    def halves(
        self, root: Path, persons: Sequence[str], tell: Tell
    ) -> list[tuple[list[str], list[str]]]:
        path = locate(root, "prid_2011") / "splits_prid2011.json"
        if not path.is_file():
            return [_halved(persons, seed) for seed in range(NUM_SPLITS)]
        remedy = "Put the published file there, or take it away to have halves drawn."
        try:
            splits = [
                ([str(name) for name in split["train"]], [str(name) for name in split["test"]])
                for split in json.loads(path.read_text(encoding="utf-8"))
            ]
        except (OSError, ValueError, KeyError, TypeError) as error:
            tell(Problem("corrupt", path, f"is no list of train and test: {error!r}.", remedy))
            return []
        for number, (train, test) in enumerate(splits, 1):
            for name in sorted({*train, *test} - set(persons)):
                what = (
                    f"split {number} names {name}, whom both cameras do not show in more than "
                    f"{self.longer_than} frames."
                )
                tell(Problem("split", path, what, remedy))
            for name in sorted(set(train) & set(test)):
                what = f"split {number} names {name} for training and for testing."
                tell(Problem("split", path, what, remedy))
        return splits

    def make(self, root: Path, plan: Plan, painter: Painter) -> dict[str, Any]:
        frames, count = max(plan.frames, self.longer_than + 1), 2 * plan.classes
        folder = root / "prid_2011" / "multi_shot"

        def write(camera: str, person: int, length: int) -> None:
            place = folder / camera / f"person_{person:04d}"
            names = [place / f"{number:04d}.png" for number in range(1, length + 1)]
            painter.save_frames(names, person)

        for camera in self.cameras:
            for person in range(1, count + 1):
                write(camera, person, frames)
            write(camera, count + 1, 5)  # too short for the protocol
        write("cam_b", self.shared_persons + 1, frames)  # never seen by the other camera
        return {"counts": _made(plan, {"cam_a": count + 1, "cam_b": count + 2})}


def _halved(persons: Sequence[str], seed: int) -> tuple[list[str], list[str]]:
    order = sorted(persons)
    random.Random(seed).shuffle(order)
    half = len(order) // 2
    return sorted(order[:half]), sorted(order[half:])


def _made(plan: Plan, persons: Mapping[str, int]) -> dict[str, int]:
    return {
        "train persons": plan.classes,
        "train tracklets": 2 * plan.classes,
        "query tracklets": plan.classes,
        "gallery tracklets": plan.classes,
        **{f"persons in {camera}": count for camera, count in persons.items()},
    }
