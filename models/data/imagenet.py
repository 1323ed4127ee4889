"""ImageNet's 1,000 classes of 2012 (Russakovsky et al.), one folder for each synset."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from torch.utils.data import Dataset

from models.data.layout import (
    Layout,
    Survey,
    class_folders,
    labelled,
    locate,
    refuse_download,
    survey_of_samples,
)
from models.data.pictures import Pictures, Sample, is_picture
from models.data.problems import Problem, Tell, stop
from models.data.synthetic import Painter, Plan

SYNSET = re.compile(r"n\d{8}")


class ImageNet(Layout):
    """``ROOT/{train,val}/<wnid>/*.JPEG``, or the same below ``ROOT/imagenet``.

    Classes are numbered in the order of their synset names, as torchvision's ImageNet and its
    pretrained weights number them. The test part is ``val``: the labels of ``test`` are not public.
    """

    title: ClassVar[str] = "ImageNet"

    @property
    def published(self) -> Mapping[str, int]:
        return {"classes": 1_000, "train": 1_281_167, "test": 50_000}

    @staticmethod
    def _folder(root: Path, part: str) -> Path:
        return locate(root, "imagenet", "ImageNet", "ILSVRC2012") / (
            "train" if part == "train" else "val"
        )

    def folders(self, root: Path) -> list[Path]:
        return [self._folder(root, part) for part in self.disjoint]

    def classes(self, root: Path) -> list[str]:
        folder = self._folder(root, "train")
        if not folder.is_dir():
            class_folders(folder, self.title, lambda entry: True, stop)
        return sorted(p.name for p in folder.iterdir() if p.is_dir() and SYNSET.fullmatch(p.name))

    def part(self, root: Path, part: str, tell: Tell) -> list[Sample]:
        """Images of one part, and their classes from 0."""
        folder = self._folder(root, part)
        if folder.is_dir() and any(is_picture(p.name) for p in folder.glob("*.JPEG")):
            what = "holds images directly; expected a folder for each synset, such as n01440764."
            how = "Sort them by the devkit: torchvision.datasets.ImageNet does so once."
            tell(Problem("unexpected", folder, what, how))
        found = class_folders(folder, self.title, lambda entry: is_picture(entry.name), tell)
        for name in found:
            if not SYNSET.fullmatch(name):
                what = "is no synset; expected a name such as n01440764."
                tell(Problem("unexpected", folder / name, what, "Take the folder away."))
        found = {name: paths for name, paths in found.items() if SYNSET.fullmatch(name)}
        classes = sorted(found) if part == "train" else self._known(root, found, tell)
        return labelled(found, classes)

    def _known(self, root: Path, found: Mapping[str, list[str]], tell: Tell) -> list[str]:
        if not self._folder(root, "train").is_dir():
            return sorted(found)  # to evaluate, a person needs val alone
        classes = self.classes(root)
        for name in sorted(found.keys() ^ set(classes)):
            where, other = ("val", "train") if name in found else ("train", "val")
            what = f"has no folder {name}, which {where} has; both have the same synsets."
            tell(Problem("split", self._folder(root, other), what, "Unpack the archives again."))
        return classes

    def survey(self, root: Path, tell: Tell) -> Survey:
        return survey_of_samples({part: self.part(root, part, tell) for part in self.disjoint})

    def read(
        self, root: Path, train: bool, transform: Callable[[Any], Any], download: bool
    ) -> Dataset[Any]:
        """1,281,167 or 50,000 photographs."""
        if download:
            refuse_download(self.title, "https://image-net.org/download.php")
        return Pictures(self.part(root, "train" if train else "test", stop), transform)

    def make(self, root: Path, plan: Plan, painter: Painter) -> dict[str, Any]:
        for label in range(plan.classes):
            wnid = f"n{label + 1:08d}"
            for item in range(plan.items):
                painter.save_picture(root / "train" / wnid / f"{wnid}_{item}.JPEG", label)
                number = label * plan.items + item + 1
                name = f"ILSVRC2012_val_{number:08d}.JPEG"
                painter.save_picture(root / "val" / wnid / name, label)
        each = plan.classes * plan.items
        return {"counts": {"classes": plan.classes, "train": each, "test": each}}
