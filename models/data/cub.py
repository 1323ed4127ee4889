"""CUB-200-2011: 11,788 photographs of 200 kinds of birds (Wah et al., 2011)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from torch.utils.data import Dataset

from models.data.layout import Layout, Survey, locate, refuse_download, survey_of_samples
from models.data.pictures import Pictures, Sample
from models.data.problems import Problem, Tell, lines_of, stop
from models.data.synthetic import Painter, Plan

REMEDY = "Unpack CUB_200_2011.tgz again."


class Cub(Layout):
    """``ROOT/CUB_200_2011`` with ``images/`` and the lists beside it.

    ``images.txt`` numbers the images, ``image_class_labels.txt`` and ``train_test_split.txt`` tell
    the class (from 1) and the part (1 for training) of every number, ``classes.txt`` names classes.
    """

    title: ClassVar[str] = "CUB-200-2011"

    @property
    def published(self) -> Mapping[str, int]:
        return {"classes": 200, "train": 5_994, "test": 5_794}

    def folders(self, root: Path) -> list[Path]:
        return [self._folder(root) / "images"]

    @staticmethod
    def _folder(root: Path) -> Path:
        return locate(root, "CUB_200_2011")

    def classes(self, root: Path) -> list[str]:
        lines = lines_of(self._folder(root) / "classes.txt", self.title, stop)
        return [words[-1] for words in lines]

    def _column(self, path: Path, tell: Tell) -> dict[str, str]:
        """Second word of each line by the first."""
        found = {}
        for number, words in enumerate(lines_of(path, self.title, tell), 1):
            if len(words) != 2 or words[0] in found:
                what = f"line {number} is {' '.join(words)!r}; expected a new number and one word."
                tell(Problem("split", path, what, REMEDY))
                continue
            found[words[0]] = words[1]
        return found

    def parts(self, root: Path, tell: Tell) -> dict[str, list[Sample]]:
        """Images of both parts, and their classes from 0."""
        folder = self._folder(root)
        names = self._column(folder / "images.txt", tell)
        count = len(self._column(folder / "classes.txt", tell))
        choices = {
            "image_class_labels.txt": {str(label) for label in range(1, count + 1)},
            "train_test_split.txt": {"0", "1"},
        }
        columns = {}
        for file, allowed in choices.items():
            column = self._column(folder / file, tell)
            columns[file] = {key: word for key, word in column.items() if word in allowed}
            if not (names and column and allowed):
                continue  # an absent list has been told of
            for key in sorted(names.keys() ^ columns[file].keys(), key=lambda key: (len(key), key)):
                came = repr(column[key]) if key in column else "nothing"
                wanted = f"a number up to {count}" if "class" in file else "0 or 1"
                what = (
                    f"says {came} of image {key}; expected {wanted}"
                    if key in names
                    else f"speaks of image {key}, which images.txt does not name"
                )
                tell(Problem("split", folder / file, f"{what}.", REMEDY))
        labels, split = columns.values()
        parts: dict[str, list[Sample]] = {"train": [], "test": []}
        for key, name in names.items():
            if key in labels and key in split:
                part = "train" if split[key] == "1" else "test"
                path = str(folder / "images" / name)
                parts[part].append(Sample(path, int(labels[key]) - 1))
        return parts

    def survey(self, root: Path, tell: Tell) -> Survey:
        return survey_of_samples(self.parts(root, tell))

    def read(
        self, root: Path, train: bool, transform: Callable[[Any], Any], download: bool
    ) -> Dataset[Any]:
        """5,994 or 5,794 photographs."""
        if download:
            refuse_download(self.title, "https://www.vision.caltech.edu/datasets/cub_200_2011/")
        return Pictures(self.parts(root, stop)["train" if train else "test"], transform)

    def make(self, root: Path, plan: Plan, painter: Painter) -> dict[str, Any]:
        folder = root / "CUB_200_2011"
        lists: dict[str, list[str]] = {
            "images.txt": [],
            "image_class_labels.txt": [],
            "train_test_split.txt": [],
            "classes.txt": [],
        }
        number = 0
        for label in range(plan.classes):
            kind = f"{label + 1:03d}.Synthetic_{label + 1}"
            lists["classes.txt"].append(f"{label + 1} {kind}")
            for item in range(2 * plan.items):
                number += 1
                name = f"{kind}/Synthetic_{label + 1}_{item + 1:04d}_{number}.jpg"
                painter.save_picture(folder / "images" / name, label)
                lists["images.txt"].append(f"{number} {name}")
                lists["image_class_labels.txt"].append(f"{number} {label + 1}")
                lists["train_test_split.txt"].append(f"{number} {item % 2}")
        for file, lines in lists.items():
            (folder / file).write_text("\n".join(lines) + "\n", encoding="utf-8")
        each = plan.classes * plan.items
        return {"counts": {"classes": plan.classes, "train": each, "test": each}}
