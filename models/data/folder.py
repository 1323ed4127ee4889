"""A person's own folder of pictures or clips, one folder for each class."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from torch.utils.data import Dataset

from models.data.layout import Layout, Survey, class_folders, labelled, survey_of_samples
from models.data.pictures import Pictures, Sample, is_picture
from models.data.problems import Problem, Tell, stop
from models.data.synthetic import Painter, Plan
from models.data.videos import Videos, is_video

TEST_NAMES = ("test", "val", "valid", "validation")
EVERY = 5
"""Without a test folder, every fifth file of each class, in the order of names, is tested."""


@dataclass(frozen=True)
class OwnFolder(Layout):
    """``ROOT/train/<class>/*`` and ``ROOT/test/<class>/*`` (or ``val``), or ``ROOT/<class>/*``.

    Without a test folder every fifth file of a class is held out. Names decide, not chance: the
    parts are the same tomorrow. Frames of one video belong into one clip, or they will be in both.

    Args:
        clips: Whether samples are videos (or folders of frames), not pictures.
    """

    clips: bool = False

    title: ClassVar[str] = "your folder"

    @property
    def published(self) -> Mapping[str, int]:
        return {}

    @staticmethod
    def _test_folder(root: Path) -> Path | None:
        return next((root / name for name in TEST_NAMES if (root / name).is_dir()), None)

    def folders(self, root: Path) -> list[Path]:
        if not (root / "train").is_dir():
            return [root]
        test = self._test_folder(root)
        return [root / "train"] if test is None else [root / "train", test]

    def _is_sample(self, entry: os.DirEntry[str]) -> bool:
        if not self.clips:
            return is_picture(entry.name)
        return is_video(entry.name) or (entry.is_dir() and not entry.name.startswith("."))

    def parts(self, root: Path, tell: Tell) -> tuple[list[str], dict[str, list[Sample]]]:
        """Names of the classes, and the samples of both parts."""
        folders = self.folders(root)
        found = [class_folders(folder, self.title, self._is_sample, tell) for folder in folders]
        classes = sorted(found[0])
        if len(classes) == 1:
            what = f"holds one class, {classes[0]}; at least two are needed to tell apart."
            how = "Sort the files into one folder for each class."
            tell(Problem("missing", folders[0], what, how))
        if len(folders) == 2:
            for name in sorted(found[1].keys() - found[0].keys()):
                what = "is a class that the training folder does not have."
                tell(Problem("split", folders[1] / name, what, "Add it there, or take it away."))
            train, test = (labelled(part, classes) for part in found)
            return classes, {"train": train, "test": test}
        held = {name: paths[EVERY - 1 :: EVERY] for name, paths in found[0].items()}
        for name, paths in found[0].items():
            if 0 < len(paths) < EVERY:
                what = f"has {len(paths)} files; with fewer than {EVERY} none is left for testing."
                how = "Add some, or make a folder test/ beside train/."
                tell(Problem("missing", folders[0] / name, what, how))
        rest = {name: [p for p in found[0][name] if p not in set(held[name])] for name in held}
        return classes, {"train": labelled(rest, classes), "test": labelled(held, classes)}

    def classes(self, root: Path) -> list[str]:
        return self.parts(root, stop)[0]

    def survey(self, root: Path, tell: Tell) -> Survey:
        return survey_of_samples(self.parts(root, tell)[1])

    def read(
        self, root: Path, train: bool, transform: Callable[[Any], Any], download: bool
    ) -> Dataset[Any]:
        """Pictures, or clips; nothing can be downloaded, so ``download`` changes nothing."""
        samples = self.parts(root, stop)[1]["train" if train else "test"]
        return Videos(samples, transform) if self.clips else Pictures(samples, transform)

    def make(self, root: Path, plan: Plan, painter: Painter) -> dict[str, Any]:
        for part in ("train", "test"):
            for label in range(plan.classes):
                for item in range(plan.items):
                    path = root / part / f"class_{label + 1}" / f"{item + 1:04d}"
                    if self.clips:
                        painter.save_video(path.with_suffix(".mp4"), label)
                    else:
                        painter.save_picture(path.with_suffix(".jpg"), label)
        each = plan.classes * plan.items
        return {"counts": {"classes": plan.classes, "train": each, "test": each}}
