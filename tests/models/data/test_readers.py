"""Each reader gives the files, classes and parts that its lists say, read here by other means."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from PIL import Image

from models.data import DATASETS, DataFileError
from models.data.making import make
from models.data.synthetic import Plan
from models.data.ucf101 import Ucf101

PICTURES = ["cub200", "imagenet", "folder"]
CLIPS = ["ucf101", "ucf101_holdout", "clip_folder"]
PERSONS = ["mars", "ilids_vid", "prid2011"]


def keep(item):
    return item


def read(name, root, train):
    return DATASETS[name].read(root, train, keep, False)


def paths_of(part):
    if hasattr(part, "tracklets"):
        return [Path(file) for tracklet in part.tracklets for file in tracklet.files]
    return [Path(sample.path) for sample in part.samples]


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_those_of_the_files_and_labels_those_of_their_folders(name, originals):
    root = originals(name)
    for train in (True, False):
        part = read(name, root, train)
        assert len(part) == 6
        classes = sorted({path.parent.name for path in paths_of(part)})
        for index, path in enumerate(paths_of(part)):
            image, label = part[index]
            with Image.open(path) as expected:
                np.testing.assert_array_equal(np.asarray(image), np.asarray(expected))
            assert classes[label] == path.parent.name
    assert DATASETS[name].at(root).num_classes == 3


@pytest.mark.parametrize("name", [*PICTURES, *CLIPS, *PERSONS])
def test_no_file_is_in_both_parts(name, originals):
    train, test = (set(paths_of(read(name, originals(name), part))) for part in (True, False))
    assert train
    assert test
    assert not train & test


def test_cub_takes_part_and_class_from_its_lists_not_from_folders(synthetic):
    root = synthetic("cub200")
    folder = root / "CUB_200_2011"
    (folder / "image_class_labels.txt").write_text(
        "".join(f"{n} {(n * 2) % 3 + 1}\n" for n in range(1, 13))
    )
    (folder / "train_test_split.txt").write_text(
        "".join(f"{n} {int(n % 4 == 1)}\n" for n in range(1, 13))
    )
    names = dict(line.split() for line in (folder / "images.txt").read_text().splitlines())
    train = read("cub200", root, True)
    expected = [(names[str(n)], (n * 2) % 3) for n in (1, 5, 9)]
    assert [(f"{Path(p).parent.name}/{Path(p).name}", k) for p, k in train.samples] == expected


@pytest.mark.parametrize("below", ["", "imagenet"])
def test_imagenet_is_found_in_the_root_or_below_it(below, originals, tmp_path):
    shutil.copytree(originals("imagenet"), tmp_path / "data" / below, dirs_exist_ok=True)
    assert len(read("imagenet", tmp_path / "data", True)) == 6


def test_imagenet_can_be_evaluated_without_its_training_part(synthetic):
    root = synthetic("imagenet")
    shutil.rmtree(root / "train")
    assert [label for _, label in read("imagenet", root, False)] == [0, 0, 1, 1, 2, 2]
    with pytest.raises(DataFileError, match=r"train does not exist.*--data ROOT"):
        read("imagenet", root, True)


@pytest.mark.parametrize("split", [1, 2, 3])
def test_ucf_reads_the_official_lists(split, originals):
    root = originals("ucf101")
    spec = DATASETS["ucf101"].split(split)
    numbers = {"SyntheticAction1": 0, "SyntheticAction2": 1, "SyntheticAction3": 2}
    for train in (True, False):
        file = f"{'train' if train else 'test'}list0{split}.txt"
        lines = (root / "ucfTrainTestlist" / file).read_text().split("\n")
        names = [line.split()[0] for line in lines if line]
        samples = spec.read(root, train, keep, False).samples
        assert [s.path for s in samples] == [str(root / "UCF-101" / name) for name in names]
        assert [s.label for s in samples] == [numbers[name.split("/")[0]] for name in names]


def test_the_holdout_is_whole_groups_of_the_training_list_alone(tmp_path):
    make("ucf101", tmp_path / "r", Plan(items=6, frames=1, height=16, width=16))
    parts = {
        train: {p.name for p in paths_of(read("ucf101_holdout", tmp_path / "r", train))}
        for train in (True, False)
    }
    groups = {train: {name.split("_")[2] for name in names} for train, names in parts.items()}
    assert not groups[True] & groups[False]
    assert groups[False] == {"g17", "g18"}  # the last 2 of 12
    official = {p.name for p in paths_of(read("ucf101", tmp_path / "r", True))}
    assert parts[True] | parts[False] == official


def test_ucf_has_three_splits():
    with pytest.raises(ValueError, match="splits 1, 2 and 3; got 4"):
        Ucf101(split=4)
    with pytest.raises(ValueError, match=r"one split only; got split=2"):
        DATASETS["cub200"].split(2)


def test_extracted_frames_stand_in_for_a_video(synthetic):
    root = synthetic("ucf101")
    video = min((root / "UCF-101").glob("*/*.avi"))
    (sample,) = [
        s for train in (True, False) for s in read("ucf101", root, train).samples
        if s.path == str(video)
    ]  # fmt: skip
    video.unlink()
    folder = video.with_suffix("")
    folder.mkdir()
    for number in range(3):
        Image.new("RGB", (24, 16), (80 * number, 0, 0)).save(folder / f"{number:05d}.png")
    for train in (True, False):
        part = read("ucf101", root, train)
        for index, found in enumerate(part.samples):
            if found.path == str(folder):
                clip, label = part[index]
                assert label == sample.label
                assert clip.num_frames == 3
                assert clip.frames([2, 0])[:, 0].amax((1, 2)).tolist() == [160, 0]
                return
    pytest.fail("the frames were not found")


def test_mars_tracklets_are_the_rows_of_its_tables(originals):
    root = originals("mars")
    train, test = (read("mars", root, part) for part in (True, False))
    for part, name in ((train, "train"), (test, "test")):
        rows = scipy.io.loadmat(root / "info" / f"tracks_{name}_info.mat")[f"track_{name}_info"]
        names = (root / "info" / f"{name}_name.txt").read_text().split()
        queries = set()
        if name == "test":
            queries = set(scipy.io.loadmat(root / "info" / "query_IDX.mat")["query_IDX"][0])
        expected = [
            ([names[k] for k in range(int(a) - 1, int(b))], int(person), int(camera), n in queries)
            for n, (a, b, person, camera) in enumerate(rows, 1)
            if person != -1
        ]
        expected.sort(key=lambda row: not row[3])  # queries first, else as they stand
        found = [
            ([Path(f).name for f in t.files], t.person, t.camera, index < part.num_queries)
            for index, t in enumerate(part.tracklets)
        ]
        assert found == expected
    assert sorted(set(train.labels)) == [0, 1, 2]
    assert {t.person for t in test.tracklets} == {0, 4, 5, 6}  # 0 distracts; -1 is left out
    assert test.num_queries == 6


def test_ilids_halves_are_rows_of_its_table(originals):
    root = originals("ilids_vid")
    path = root / "train-test people splits" / "train_test_splits_ilidsvid.mat"
    for split, row in enumerate(scipy.io.loadmat(path)["ls_set"], 1):
        spec = DATASETS["ilids_vid"].split(split)
        train, test = (spec.read(root, part, keep, False) for part in (True, False))
        assert sorted({t.person for t in train.tracklets}) == sorted(row[3:])
        assert sorted({t.person for t in test.tracklets}) == sorted(row[:3])
        assert [test[i][2:] for i in range(6)] == [(1, True)] * 3 + [(2, False)] * 3
    with pytest.raises(ValueError, match="splits 1 to 10; got split=11"):
        DATASETS["ilids_vid"].split(11)


def test_prid_uses_persons_long_enough_in_both_cameras(originals):
    root = originals("prid2011")
    halves = set()
    for split in range(1, 11):
        spec = DATASETS["prid2011"].split(split)
        train, test = (
            {t.person for t in spec.read(root, part, keep, False).tracklets}
            for part in (True, False)
        )
        assert train | test == {1, 2, 3, 4, 5, 6}
        assert len(train) == 3
        halves.add(frozenset(train))
    assert len(halves) > 3


def test_prid_takes_the_published_halves_if_they_are_there(synthetic):
    root = synthetic("prid2011")
    split = {"train": ["person_0001", "person_0006"], "test": ["person_0002"]}
    (root / "prid_2011" / "splits_prid2011.json").write_text(json.dumps([split] * 10))
    train, test = (read("prid2011", root, part) for part in (True, False))
    assert [(t.person, t.camera) for t in train.tracklets] == [(1, 1), (1, 2), (6, 1), (6, 2)]
    assert train.labels == [0, 0, 1, 1]
    assert [test[i][1:] for i in range(2)] == [(2, 1, True), (2, 2, False)]


@pytest.mark.parametrize("name", ["folder", "clip_folder"])
def test_without_a_test_folder_every_fifth_file_is_held_out(name, tmp_path):
    make(name, tmp_path / "r", Plan(classes=2, items=11, frames=2, height=16, width=16))
    shutil.rmtree(tmp_path / "r" / "test")
    for root in (tmp_path / "r", tmp_path / "r" / "train"):
        held = {p.stem for p in paths_of(read(name, root, False))}
        kept = {p.stem for p in paths_of(read(name, root, True))}
        assert held == {"0005", "0010"}
        assert kept == {f"{n:04d}" for n in range(1, 12)} - held
        assert DATASETS[name].at(root).num_classes == 2


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_other_names_of_the_test_folder_are_known(name, synthetic):
    root = synthetic("folder")
    (root / "test").rename(root / name)
    assert len(read("folder", root, False)) == 6


@pytest.mark.parametrize("name", ["imagenet", "cub200", "ucf101", *PERSONS])
def test_what_cannot_be_fetched_says_where_it_is(name, tmp_path):
    with pytest.raises(DataFileError, match=r"is not fetched for you.*https?://.*--download out"):
        DATASETS[name].read(tmp_path, True, keep, True)


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_that_is_truncated_is_named_when_it_is_read(name, synthetic):
    root = synthetic(name)
    part = read(name, root, True)
    path = paths_of(part)[2]
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(DataFileError, match=r"corrupt or truncated: 300 bytes.*Copy it") as caught:
        part[2]
    assert str(path) in str(caught.value)
    path.unlink()
    with pytest.raises(DataFileError, match="is not there, though the data set lists it"):
        part[2]
