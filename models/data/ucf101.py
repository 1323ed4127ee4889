"""UCF-101: 13,320 clips of 101 human actions (Soomro et al., 2012)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from torch.utils.data import Dataset

from models.data.flow import FlowFiles, WithFlow
from models.data.layout import Layout, Survey, locate, refuse_download, survey_of_samples
from models.data.pictures import Sample
from models.data.problems import Problem, Tell, lines_of, missing, stop
from models.data.synthetic import Painter, Plan
from models.data.videos import Videos, open_video

SPLITS = {1: (9_537, 3_783), 2: (9_586, 3_734), 3: (9_624, 3_696)}
"""Clips of the official training and test lists."""

REMEDY = "Unpack UCF101TrainTestSplits-RecognitionTask.zip again."
_GROUP = re.compile(r"_g(\d+)_c\d+")


@dataclass(frozen=True)
class Ucf101(Layout):
    """``ROOT/UCF-101/<class>/*.avi`` and ``ROOT/ucfTrainTestlist/*.txt``.

    A clip may also be a folder of its extracted frames, ``<class>/<clip without .avi>/*.jpg``.

    Args:
        split: Official split, 1 to 3.
        holdout: Never touch the official test list: train and test on parts of the training list.
            The paper's 7,912 + 1,625 clips make up ``trainlist01``; it does not say which are
            which. Here the last sixth of the groups is held out (g23 to g25 of 18): clips of one
            group are cut from one video, so parts that share a group would test memory.
    """

    split: int = 1
    holdout: bool = False

    title: ClassVar[str] = "UCF-101"

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise ValueError(f"UCF-101 has the splits 1, 2 and 3; got {self.split}.")

    @property
    def published(self) -> Mapping[str, int]:
        counts = {"classes": 101}
        for split, (train, test) in SPLITS.items():
            counts |= {f"train{split}": train, f"test{split}": test}
        return counts

    @staticmethod
    def _folder(root: Path) -> Path:
        return locate(root, "UCF-101", "UCF101")

    def _list(self, root: Path, name: str) -> Path:
        folder = locate(root, "ucfTrainTestlist")
        return (folder if folder != root else root / "ucfTrainTestlist") / f"{name}.txt"

    def folders(self, root: Path) -> list[Path]:
        return [self._folder(root)]

    def classes(self, root: Path) -> list[str]:
        lines = lines_of(self._list(root, "classInd"), self.title, stop)
        return [words[-1] for words in lines]

    def listed(self, root: Path, name: str, tell: Tell) -> list[Sample]:
        """Clips of one list file, and their classes from 0."""
        indices = lines_of(self._list(root, "classInd"), self.title, tell)
        number = {words[-1]: place for place, words in enumerate(indices)}
        path, folder, samples = self._list(root, name), self._folder(root), []
        lines = lines_of(path, self.title, tell)
        for line, words in enumerate(lines if number else [], 1):
            action, _, clip = words[0].partition("/")
            wanted = str(number.get(action, -1) + 1)
            if _GROUP.search(clip) is None:
                what = f"line {line} names {words[0]!r}; expected <class>/v_<class>_g01_c01.avi."
                tell(Problem("split", path, what, REMEDY))
            elif action not in number:
                what = f"line {line} names {words[0]!r}, whose class classInd.txt does not know."
                tell(Problem("split", path, what, REMEDY))
            elif len(words) > 1 and words[1] != wanted:
                what = f"line {line} gives {action} the number {words[1]}; classInd.txt {wanted}."
                tell(Problem("split", path, what, REMEDY))
            else:
                video = folder / action / clip
                frames = video.with_suffix("")
                place = frames if not video.is_file() and frames.is_dir() else video
                samples.append(Sample(str(place), number[action]))
        return samples

    def part(self, root: Path, train: bool, tell: Tell) -> list[Sample]:
        """Clips of the training or the test part."""
        if not self.holdout:
            return self.listed(root, f"{'train' if train else 'test'}list{self.split:02d}", tell)
        samples = self.listed(root, f"trainlist{self.split:02d}", tell)
        groups = sorted({group_of(sample.path) for sample in samples})
        if len(groups) < 2:
            what = f"holds clips of {len(groups)} groups; a hold-out needs at least 2."
            path = self._list(root, f"trainlist{self.split:02d}")
            tell(Problem("split", path, what, REMEDY))
        held = set(groups[-max(1, len(groups) // 6) :])
        return [sample for sample in samples if (group_of(sample.path) in held) != train]

    def survey(self, root: Path, tell: Tell) -> Survey:
        folder = self._folder(root)
        if not folder.is_dir():
            tell(missing(folder, self.title))
        return self.survey_of_lists(root, tell)

    def survey_of_lists(self, root: Path, tell: Tell) -> Survey:
        """Counts and clips of all three splits, by their lists."""
        parts = {
            f"{part}{split}": self.listed(root, f"{part}list{split:02d}", tell)
            for split in SPLITS
            for part in ("train", "test")
        }
        for split in SPLITS:
            train, test = (parts[f"{part}{split}"] for part in ("train", "test"))
            shared = {(s.label, group_of(s.path)) for s in train}
            shared &= {(s.label, group_of(s.path)) for s in test}
            for label, group in sorted(shared):
                what = f"shares group {group} of class {label + 1} with the training list."
                tell(Problem("split", self._list(root, f"testlist{split:02d}"), what, REMEDY))
        return survey_of_samples(parts)

    def read(
        self, root: Path, train: bool, transform: Callable[[Any], Any], download: bool
    ) -> Dataset[Any]:
        """Clips; ``transform`` is given a :class:`~models.data.videos.Video`."""
        if download:
            refuse_download(self.title, "https://www.crcv.ucf.edu/data/UCF101.php")
        return Videos(self.part(root, train, stop), transform)

    def read_with_flow(
        self, root: Path, train: bool, transform: Callable[[Any], Any], download: bool
    ) -> Dataset[Any]:
        if not train:
            return self.read(root, train, transform, download)
        require_flow(root, self.title)
        samples = self.part(root, train, stop)

        def both(path: str) -> WithFlow:
            return WithFlow(open_video(path), flow_of(root, path))

        return Videos(samples, transform, both)

    def make(self, root: Path, plan: Plan, painter: Painter) -> dict[str, Any]:
        actions = [f"SyntheticAction{label + 1}" for label in range(plan.classes)]
        lists = self._list(root, "classInd").parent
        lists.mkdir(parents=True)
        numbered = [f"{label} {action}" for label, action in enumerate(actions, 1)]
        (lists / "classInd.txt").write_text("\n".join(numbered) + "\n", encoding="utf-8")
        # Three kinds of groups: each split tests on one and trains on the other two.
        groups = range(1, 3 * plan.items + 1)
        names = {}
        for label, action in enumerate(actions):
            for group in groups:
                names[action, group] = f"{action}/v_{action}_g{group:02d}_c01.avi"
                painter.save_video(root / "UCF-101" / names[action, group], label)
        for split in SPLITS:
            lines: dict[str, list[str]] = {"train": [], "test": []}
            for (action, group), name in names.items():
                tested = group % 3 == split % 3
                label_or_none = "" if tested else f" {actions.index(action) + 1}"
                lines["test" if tested else "train"].append(name + label_or_none)
            for part, found in lines.items():
                path = lists / f"{part}list{split:02d}.txt"
                path.write_text("\n".join(found) + "\n", encoding="utf-8")
        each = plan.classes * plan.items
        counts = {"classes": plan.classes}
        for split in SPLITS:
            counts |= {f"train{split}": 2 * each, f"test{split}": each}
        return {"counts": counts}


@dataclass(frozen=True)
class Ucf101Flow(Ucf101):
    """``ROOT/tvl1_flow/{u,v}/<clip>/frame000001.jpg``, beside the lists of UCF-101.

    Also found in ``ROOT/ucf101_tvl1_flow/tvl1_flow``. It is the TV-L1 flow that Feichtenhofer,
    Pinz and Zisserman publish with *Convolutional Two-Stream Network Fusion* (2016); a folder of
    one's own must have that form. The videos themselves are not needed here.
    """

    def folders(self, root: Path) -> list[Path]:
        return [flow_folder(root) / side for side in FLOW_SIDES]

    def survey(self, root: Path, tell: Tell) -> Survey:
        require_flow(root, self.title, tell)
        survey = self.survey_of_lists(root, tell)
        listed: dict[str, list[str]] = {}
        for part, paths in survey.listed.items():
            pairs = [flow_paths(root, path) for path in paths]
            for place, side in enumerate(FLOW_SIDES):
                listed[f"{part} {side}"] = [str(pair[place]) for pair in pairs]
        return Survey(survey.counts, listed)

    def read(
        self, root: Path, train: bool, transform: Callable[[Any], Any], download: bool
    ) -> Dataset[Any]:
        """Clips of flow; ``transform`` is given a :class:`~models.data.flow.FlowFiles`."""
        if download:
            refuse_download(f"{self.title}'s optical flow", FLOW_SOURCE)
        require_flow(root, self.title)
        return Videos(self.part(root, train, stop), transform, lambda path: flow_of(root, path))

    def make(self, root: Path, plan: Plan, painter: Painter) -> dict[str, Any]:
        content = super().make(root, plan, painter)
        for video in sorted((root / "UCF-101").rglob("*.avi")):
            label = int(video.parent.name.removeprefix("SyntheticAction")) - 1
            for folder in flow_paths(root, str(video)):
                names = [f"frame{number:06d}.jpg" for number in range(1, max(2, plan.frames))]
                painter.save_frames([folder / name for name in names], label, mode="L")
        return content


FLOW_SIDES = ("u", "v")
"""Folders of horizontal and vertical flow."""

FLOW_SOURCE = "https://github.com/feichtenhofer/twostreamfusion"


def flow_folder(root: Path) -> Path:
    """Folder of the two folders of flow."""
    found = locate(locate(root, "ucf101_tvl1_flow"), "tvl1_flow")
    return found if found != root else root / "tvl1_flow"


def require_flow(root: Path, title: str, tell: Tell = stop) -> None:
    """Tell of a missing folder of optical flow."""
    for side in FLOW_SIDES:
        folder = flow_folder(root) / side
        if not folder.is_dir():
            what = f"is not there; the optical flow of {title} is wanted."
            remedy = f"Get it from {FLOW_SOURCE}, or compute it: docs/data.md tells its form."
            tell(Problem("missing", folder, what, remedy))


def flow_paths(root: Path, clip: str) -> tuple[Path, Path]:
    """Folders of a clip's horizontal and vertical flow.

    Args:
        root: Of the data set.
        clip: The video, or folder of frames. Clips named ``v_HandStandPushups`` are in the class
            HandstandPushups, and their flow is published under the name of the class.
    """
    name = Path(clip).stem
    first, second = (flow_folder(root) / side for side in FLOW_SIDES)
    by_class = re.sub(r"^v_[^_]+", f"v_{Path(clip).parent.name}", name)
    if not (first / name).is_dir() and (first / by_class).is_dir():
        name = by_class
    return first / name, second / name


def flow_of(root: Path, clip: str) -> FlowFiles:
    """Optical flow of a clip.

    Raises:
        DataFileError: If there is none.
    """
    return FlowFiles(*flow_paths(root, clip))


def group_of(path: str) -> int:
    """Number of the video that a clip was cut from.

    Example:
        >>> group_of("YoYo/v_YoYo_g25_c05.avi")
        25
    """
    found = _GROUP.search(Path(path).name)
    if found is None:
        raise ValueError(f"{path} names no group; expected a name such as v_YoYo_g25_c05.avi.")
    return int(found[1])
