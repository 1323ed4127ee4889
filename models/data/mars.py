"""Mars: 1,261 persons before up to six cameras (Zheng et al., 2016)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import scipy.io

from models.data.layout import Survey, locate
from models.data.problems import Problem, Tell, lines_of
from models.data.synthetic import Painter, Plan
from models.data.tables import read_table
from models.data.tracklets import Parts, Tracklet, TrackletLayout

JUNK = -1
"""Person of badly detected boxes, in folder ``00-1``, left out as in the authors' code."""

REMEDY = "Fetch the folder info/ again."


class Mars(TrackletLayout):
    """``ROOT/{bbox_train,bbox_test}/<person>/*.jpg`` and the lists in ``ROOT/info``.

    Also found below ``ROOT/MARS``. A row of ``tracks_*_info.mat`` is (first, last, person, camera);
    first and last count the lines of the list of names from 1. ``query_IDX.mat`` tells which rows
    of the test table are queries; the rest, distractors (person 0) too, is the gallery.
    """

    title: ClassVar[str] = "Mars"
    source: ClassVar[str] = "http://zheng-lab.cecs.anu.edu.au/Project/project_mars.html"

    @property
    def published(self) -> Mapping[str, int]:
        return {
            "train persons": 625,
            "train tracklets": 8_298,
            "query tracklets": 1_980,
            "gallery tracklets": 9_330,
            "train images": 509_914,
            "test images": 681_089,
        }

    @staticmethod
    def _folder(root: Path) -> Path:
        return locate(root, "MARS", "Mars", "mars")

    def folders(self, root: Path) -> list[Path]:
        return [self._folder(root) / "bbox_train", self._folder(root) / "bbox_test"]

    def _names(self, root: Path, part: str, tell: Tell) -> list[str]:
        lines = lines_of(self._folder(root) / "info" / f"{part}_name.txt", self.title, tell)
        return [words[0] for words in lines]

    def _rows(self, root: Path, part: str, names: list[str], tell: Tell) -> list[Tracklet]:
        folder = self._folder(root)
        path = folder / "info" / f"tracks_{part}_info.mat"
        table = read_table(path, f"track_{part}_info", self.title, tell)
        if table.size and (table.ndim != 2 or table.shape[1] != 4):
            what = f"holds a table of shape {table.shape}; expected rows of 4."
            tell(Problem("corrupt", path, what, REMEDY))
            return []
        return [
            self._tracklet(folder / f"bbox_{part}", path, place, row, names, tell)
            for place, row in enumerate(table.tolist(), 1)
        ]

    def _tracklet(
        self, folder: Path, path: Path, place: int, row: list[int], names: list[str], tell: Tell
    ) -> Tracklet:
        first, last, person, camera = row
        if not 1 <= first <= last <= len(names):
            what = f"row {place} takes lines {first} to {last} of {len(names):,} names."
            tell(Problem("split", path, what, REMEDY))
            return Tracklet((), JUNK, camera)
        chosen = names[first - 1 : last]
        wanted = f"{person:04d}C{camera}" if person != JUNK else f"00-1C{camera}"
        for name in chosen:
            if not name.startswith(wanted):
                what = (
                    f"row {place} holds {name}, which is not of person {person}, camera {camera}."
                )
                tell(Problem("split", path, what, REMEDY))
                break
        return Tracklet(tuple(f"{folder}/{name[:4]}/{name}" for name in chosen), person, camera)

    def parts(self, root: Path, tell: Tell) -> Parts:
        train = self._rows(root, "train", self._names(root, "train", tell), tell)
        test = self._rows(root, "test", self._names(root, "test", tell), tell)
        path = self._folder(root) / "info" / "query_IDX.mat"
        queries = {int(i) for i in read_table(path, "query_IDX", self.title, tell).ravel()}
        for index in sorted(queries - set(range(1, len(test) + 1))):
            what = f"names row {index} of a test table of {len(test):,} rows."
            tell(Problem("split", path, what, REMEDY))

        def kept(is_query: bool) -> list[Tracklet]:
            return [
                tracklet
                for row, tracklet in enumerate(test, 1)
                if (row in queries) == is_query and tracklet.person != JUNK
            ]

        return Parts([t for t in train if t.person != JUNK], kept(True), kept(False))

    def survey(self, root: Path, tell: Tell) -> Survey:
        parts = self.parts(root, tell)
        survey = self.survey_of(parts, self._folder(root) / "info", tell)
        counts, listed = dict(survey.counts), {}
        for part in ("train", "test"):
            names = self._names(root, part, lambda problem: None)  # told above
            counts[f"{part} images"] = len(names)
            folder = self._folder(root) / f"bbox_{part}"
            # Junk belongs to the folder though to no part.
            listed[part] = [f"{folder}/{name[:4]}/{name}" for name in names]
        return Survey(counts, listed)

    def make(self, root: Path, plan: Plan, painter: Painter) -> dict[str, Any]:
        counts: dict[str, int] = {}
        junk, distractor = JUNK, 0
        seen = {
            "train": range(1, plan.classes + 1),
            "test": [junk, distractor, *range(plan.classes + 1, 2 * plan.classes + 1)],
        }
        for part, persons in seen.items():
            names: list[str] = []
            rows, queries = [], []
            for person in persons:
                for camera in (1, 2):
                    for item in range(1, plan.items + 1):
                        code = "00-1" if person == junk else f"{person:04d}"
                        new = [
                            f"{code}C{camera}T{item:04d}F{frame:03d}.jpg"
                            for frame in range(1, plan.frames + 1)
                        ]
                        folder = root / f"bbox_{part}" / code
                        painter.save_frames([folder / name for name in new], max(0, person))
                        rows.append([len(names) + 1, len(names) + len(new), person, camera])
                        names += new
                        if person > distractor and item == 1:
                            queries.append(len(rows))
            self._write(root, part, names, np.array(rows, dtype=float), queries)
            counts[f"{part} images"] = len(names)
        each = 2 * plan.items
        return {
            "counts": {
                "train persons": plan.classes,
                "train tracklets": plan.classes * each,
                "query tracklets": 2 * plan.classes,
                "gallery tracklets": (plan.classes + 1) * each - 2 * plan.classes,
                **counts,
            }
        }

    def _write(
        self,
        root: Path,
        part: str,
        names: list[str],
        rows: npt.NDArray[np.float64],
        queries: list[int],
    ) -> None:
        info = root / "info"
        info.mkdir(exist_ok=True)
        (info / f"{part}_name.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
        scipy.io.savemat(info / f"tracks_{part}_info.mat", {f"track_{part}_info": rows})
        if part == "test":
            scipy.io.savemat(info / "query_IDX.mat", {"query_IDX": np.array([queries], float)})
