"""A check finds nothing in a whole folder, and names every way of spoiling it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from PIL import Image

from models.data import DATASETS, DataFileError
from models.data.__main__ import main
from models.data.checking import LAYOUTS, check
from models.data.making import make
from models.data.synthetic import MARKER, Plan

NAMES = sorted(LAYOUTS)
BIRDS = "CUB_200_2011"


def cut(path, share=0.5):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def change_table(path, key, row, values):
    table = scipy.io.loadmat(path)[key]
    table[row] = values
    scipy.io.savemat(path, {key: table})


def first(root, pattern):
    return min(root.glob(pattern))


def give_a_picture_of(source, target):
    target.parent.mkdir(exist_ok=True, parents=True)
    shutil.copy(source, target)


# (data set, how it is spoilt, kind of problem, part of its text, whether only --deep finds it)
SPOILS = {
    "cub truncated": (
        "cub200",
        lambda r: cut(first(r, f"{BIRDS}/images/*/*.jpg")),
        "corrupt",
        "truncated",
        True,
    ),
    "cub not an image": (
        "cub200",
        lambda r: first(r, f"{BIRDS}/images/*/*.jpg").write_text("<html>"),
        "corrupt",
        "6 bytes, expected a whole picture",
        True,
    ),
    "cub image missing": (
        "cub200",
        lambda r: first(r, f"{BIRDS}/images/*/*.jpg").unlink(),
        "missing",
        "though the data set lists it",
        False,
    ),
    "cub list missing": (
        "cub200",
        lambda r: (r / BIRDS / "train_test_split.txt").unlink(),
        "missing",
        "CUB-200-2011 needs it",
        False,
    ),
    "cub extra": (
        "cub200",
        lambda r: (r / BIRDS / "images" / "more.txt").write_text("x"),
        "unexpected",
        "in no list",
        False,
    ),
    "cub wrong part": (
        "cub200",
        lambda r: edit(r / BIRDS / "train_test_split.txt", "3 0\n", "3 2\n"),
        "split",
        "'2' of image 3; expected 0 or 1",
        False,
    ),
    "cub unknown class": (
        "cub200",
        lambda r: edit(r / BIRDS / "image_class_labels.txt", "2 1\n", "2 9\n"),
        "split",
        "'9' of image 2; expected a number up to 3",
        False,
    ),
    "cub one too few": (
        "cub200",
        lambda r: edit(r / BIRDS / "train_test_split.txt", "3 0\n", "3 1\n"),
        "count",
        "7 train; 6 are told",
        False,
    ),
    "cub no list": (
        "cub200",
        lambda r: (r / BIRDS / "images.txt").write_text(""),
        "corrupt",
        "is empty",
        False,
    ),
    "imagenet empty class": (
        "imagenet",
        lambda r: [p.unlink() for p in (r / "train" / "n00000002").iterdir()],
        "missing",
        "n00000002 is a class folder without a sample",
        False,
    ),
    "imagenet empty file": (
        "imagenet",
        lambda r: first(r, "val/*/*.JPEG").write_bytes(b""),
        "corrupt",
        "is empty",
        False,
    ),
    "imagenet unsorted": (
        "imagenet",
        lambda r: give_a_picture_of(first(r, "val/*/*.JPEG"), r / "val" / "a.JPEG"),
        "unexpected",
        "holds images directly",
        False,
    ),
    "imagenet synsets differ": (
        "imagenet",
        lambda r: shutil.rmtree(r / "val" / "n00000003"),
        "split",
        "has no folder n00000003",
        False,
    ),
    "imagenet no synset": (
        "imagenet",
        lambda r: give_a_picture_of(first(r, "val/*/*.JPEG"), r / "val" / "cats" / "a.JPEG"),
        "unexpected",
        "is no synset",
        False,
    ),
    "ucf truncated": (
        "ucf101",
        lambda r: cut(first(r, "UCF-101/*/*.avi"), 0.8),
        "corrupt",
        "frames can be decoded, its header declares 6",
        True,
    ),
    "ucf no video": (
        "ucf101",
        lambda r: first(r, "UCF-101/*/*.avi").write_text("gone"),
        "corrupt",
        "corrupt or no video",
        True,
    ),
    "ucf video missing": (
        "ucf101",
        lambda r: first(r, "UCF-101/*/*.avi").unlink(),
        "missing",
        "v_SyntheticAction1_g01_c01.avi is not there, though the data set lists it",
        False,
    ),
    "flow picture missing": (
        "ucf101_flow",
        lambda r: first(r, "tvl1_flow/v/*/frame000003.jpg").unlink(),
        "missing",
        "v_SyntheticAction1_g01_c01 holds 4 frames and lacks 3.",
        False,
    ),
    "ucf third split missing": (
        "ucf101",
        lambda r: (r / "ucfTrainTestlist" / "testlist03.txt").unlink(),
        "missing",
        "testlist03.txt is not there",
        False,
    ),
    "ucf wrong label": (
        "ucf101",
        lambda r: edit(r / "ucfTrainTestlist" / "trainlist01.txt", ".avi 1\n", ".avi 2\n"),
        "split",
        "gives SyntheticAction1 the number 2; classInd.txt 1",
        False,
    ),
    "ucf group in both": (
        "ucf101",
        lambda r: edit(r / "ucfTrainTestlist" / "testlist01.txt", "_g01_", "_g02_"),
        "split",
        "shares group 2 of class 1",
        False,
    ),
    "ucf unknown class": (
        "ucf101",
        lambda r: edit(r / "ucfTrainTestlist" / "testlist02.txt", "SyntheticAction1/", "Yoyo/"),
        "split",
        "whose class classInd.txt does not know",
        False,
    ),
    "mars image missing": (
        "mars",
        lambda r: first(r, "bbox_test/00-1/*.jpg").unlink(),
        "missing",
        "though the data set lists it",
        False,
    ),
    "mars wrong person": (
        "mars",
        lambda r: change_table(
            r / "info/tracks_train_info.mat", "track_train_info", 0, [1, 6, 2, 1]
        ),
        "split",
        "0001C1T0001F001.jpg, which is not of person 2, camera 1",
        False,
    ),
    "mars row too long": (
        "mars",
        lambda r: change_table(
            r / "info/tracks_train_info.mat", "track_train_info", 0, [1, 999, 1, 1]
        ),
        "split",
        "takes lines 1 to 999 of 72 names",
        False,
    ),
    "mars person in both": (
        "mars",
        lambda r: change_table(
            r / "info/tracks_test_info.mat", "track_test_info", -1, [115, 120, 3, 2]
        ),
        "split",
        "has person 3 in the training part",
        False,
    ),
    "mars query out of range": (
        "mars",
        lambda r: scipy.io.savemat(
            r / "info" / "query_IDX.mat", {"query_IDX": np.array([[9, 11, 13, 15, 17, 99]])}
        ),
        "split",
        "names row 99 of a test table of 20 rows",
        False,
    ),
    "mars table cut": (
        "mars",
        lambda r: cut(r / "info" / "tracks_test_info.mat"),
        "corrupt",
        "tracks_test_info.mat is corrupt",
        False,
    ),
    "mars table of another": (
        "mars",
        lambda r: shutil.copy(r / "info" / "query_IDX.mat", r / "info" / "tracks_train_info.mat"),
        "corrupt",
        "holds no table track_train_info; it holds query_IDX",
        False,
    ),
    "ilids person missing": (
        "ilids_vid",
        lambda r: shutil.rmtree(r / "i-LIDS-VID/sequences/cam2/person002"),
        "split",
        "is no order of the 5 persons",
        False,
    ),
    "ilids empty tracklet": (
        "ilids_vid",
        lambda r: [p.unlink() for p in (r / "i-LIDS-VID/sequences/cam1/person001").iterdir()],
        "missing",
        "holds 0 pictures",
        False,
    ),
    "ilids truncated": (
        "ilids_vid",
        lambda r: cut(first(r, "i-LIDS-VID/sequences/cam1/*/*.png")),
        "corrupt",
        "corrupt or truncated",
        True,
    ),
    "prid camera missing": (
        "prid2011",
        lambda r: shutil.rmtree(r / "prid_2011/multi_shot/cam_b"),
        "missing",
        "cam_b is not there",
        False,
    ),
    "prid person missing": (
        "prid2011",
        lambda r: shutil.rmtree(r / "prid_2011/multi_shot/cam_b/person_0201"),
        "count",
        "7 persons in cam_b; 8 are told",
        False,
    ),
    "prid splits wrong": (
        "prid2011",
        lambda r: (r / "prid_2011" / "splits_prid2011.json").write_text(
            json.dumps([{"train": ["person_0001"], "test": ["person_0001", "person_0007"]}])
        ),
        "split",
        "names person_0007, whom both cameras do not show in more than 21",
        False,
    ),
    "cifar truncated": (
        "cifar100",
        lambda r: cut(r / "cifar-100-python" / "test"),
        "corrupt",
        "expected CIFAR-100's MD5",
        False,
    ),
    "fashion missing": (
        "fashion_mnist",
        lambda r: (r / "FashionMNIST/raw/t10k-labels-idx1-ubyte").unlink(),
        "missing",
        "cannot give the test part",
        False,
    ),
    "folder one class": (
        "folder",
        lambda r: [shutil.rmtree(r / "train" / f"class_{k}") for k in (2, 3)],
        "missing",
        "holds one class, class_1",
        False,
    ),
    "folder class of test only": (
        "folder",
        lambda r: shutil.rmtree(r / "train" / "class_3"),
        "split",
        "does not have",
        False,
    ),
    "clips no frames": (
        "clip_folder",
        lambda r: (r / "train" / "class_1" / "empty").mkdir(),
        "missing",
        "though the data set lists it",
        False,
    ),
    "marker cut": ("cub200", lambda r: cut(r / MARKER), "corrupt", "marks synthetic data", False),
}


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_wrong_with_a_data_set_as_made(name, originals):
    report = check(name, originals(name), deep=True)
    assert report.ok, str(report)
    assert report.is_synthetic
    assert report.files > 0
    assert "nothing is wrong" in str(report)


@pytest.mark.parametrize("how", SPOILS)
def test_what_is_spoilt_is_named(how, synthetic):
    name, spoil, kind, words, is_deep = SPOILS[how]
    root = synthetic(name)
    spoil(root)
    found = check(name, root, deep=is_deep).problems
    assert any(p.kind == kind and words in str(p) for p in found), "\n".join(map(str, found))
    if is_deep:
        assert not any(p.kind == kind for p in check(name, root).problems)


def test_the_marker_of_another_data_set_speaks_for_none_but_that(synthetic):
    root = synthetic("cub200")
    edit(root / MARKER, "CUB-200-2011", "Mars")
    report = check("cub200", root)
    assert not report.is_synthetic
    assert {problem.kind for problem in report.problems} == {"count"}


def test_what_a_desktop_leaves_behind_is_no_problem(synthetic):
    root = synthetic("ilids_vid")
    for name in ("Thumbs.db", ".DS_Store"):
        (first(root, "i-LIDS-VID/sequences/cam1/*") / name).write_text("x")
    assert check("ilids_vid", root, deep=True).ok


@pytest.mark.parametrize("name", NAMES)
def test_an_absent_folder_is_one_problem(name, tmp_path):
    (problem,) = check(name, tmp_path / "nowhere").problems
    assert problem.kind == "missing"
    assert "nowhere" in str(problem)


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_folder_is_told_of_and_is_not_read(name, tmp_path):
    report = check(name, tmp_path)
    assert not report.ok
    for train in (True, False):
        with pytest.raises(DataFileError):
            DATASETS[name].read(tmp_path, train, lambda image: image, False)


@pytest.mark.parametrize("name", [n for n in NAMES if LAYOUTS[n].published])
def test_counts_of_real_data_are_the_published_ones(name, synthetic):
    """Without its marker a synthetic set passes for a real one, and is far too small."""
    root = synthetic(name)
    (root / MARKER).unlink()
    kinds = {problem.kind for problem in check(name, root).problems}
    assert kinds == ({"corrupt"} if name.startswith("cifar") else {"count"})


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("cub200", "CUB_200_2011/images.txt"),
        ("cub200", "CUB_200_2011/classes.txt"),
        ("cub200", "CUB_200_2011/image_class_labels.txt"),
        ("ucf101", "ucfTrainTestlist/classInd.txt"),
        ("ucf101", "ucfTrainTestlist/trainlist02.txt"),
        ("mars", "info/train_name.txt"),
        ("mars", "info/tracks_train_info.mat"),
        ("mars", "info/query_IDX.mat"),
        ("ilids_vid", "train-test people splits/train_test_splits_ilidsvid.mat"),
    ],
)
@pytest.mark.parametrize("how", ["absent", "binary"])
def test_one_list_that_is_lost_is_one_problem_not_a_hundred(name, file, how, synthetic):
    root = synthetic(name)
    if how == "absent":
        (root / file).unlink()
    else:
        (root / file).write_bytes(b"\xff\xfe\x00\x80" * 50)
    found = check(name, root).problems
    assert (found[0].kind, found[0].path) == (
        "missing" if how == "absent" else "corrupt",
        root / file,
    )
    of_rows = [p for p in found[1:] if "row" in p.found]  # of a table without its names
    assert len(found) == 1 + len(of_rows) * (file == "info/train_name.txt")
    spec = DATASETS[name].split(2) if "02" in file else DATASETS[name]
    train = "query" not in file
    with pytest.raises(DataFileError, match=Path(file).name):
        spec.read(root, train, str, False)


def test_a_progress_bar_sees_every_file(originals):
    seen = []

    def bar(files, count):
        for file in files:
            seen.append(file)
            yield file
        assert count == len(seen)

    report = check("cub200", originals("cub200"), deep=True, progress=bar)
    assert len(set(seen)) == report.decoded == 12


def test_the_command_exits_with_1_and_lists_the_problems(synthetic, capsys):
    root = synthetic("cub200")
    victim = first(root, f"{BIRDS}/images/*/*.jpg")
    cut(victim)
    for deep, status in (([], 0), (["--deep"], 1)):
        with pytest.raises(SystemExit) as caught:
            main(["check", "cub200", str(root), *deep])
        assert caught.value.code == status
        assert (str(victim) in capsys.readouterr().out) == bool(status)
    with pytest.raises(SystemExit):
        main(["check", "cub200", str(root), "--deep", "--json"])
    content = json.loads(capsys.readouterr().out)
    assert not content["ok"]
    assert [(p["kind"], p["path"]) for p in content["problems"]] == [("corrupt", str(victim))]
    assert content["counts"] == {"classes": 3, "train": 6, "test": 6}


def test_a_long_list_of_problems_is_shortened_for_people_only(tmp_path):
    make("cub200", tmp_path / "r", Plan(classes=2, items=8, height=8, width=8))
    for picture in (tmp_path / "r" / BIRDS / "images").glob("*/*.jpg"):
        picture.unlink()
    report = check("cub200", tmp_path / "r")
    assert "and 12 more; --json lists them all" in str(report)
    assert len(report.to_dict()["problems"]) == 32


def test_the_command_makes_a_data_set_and_never_writes_over_one(tmp_path, capsys):
    root = tmp_path / "new"
    make_it = ["make", "folder", str(root), "--classes", "4", "--items", "2", "--height", "8"]
    with pytest.raises(SystemExit) as caught:
        main(make_it)
    assert caught.value.code == 0
    assert "4 classes, 8 train, 8 test" in capsys.readouterr().out
    with Image.open(first(root, "train/*/*.jpg")) as image:
        assert image.size == (32, 8)
    before = sorted(root.rglob("*"))
    for args, words in (
        (make_it, "is not empty"),
        (["make", "cifar10", str(tmp_path / "c"), "--classes", "11"], "has 10 classes"),
        (["make", "birds", str(tmp_path / "b")], 'unknown data set on disk "birds"'),
        (["make", "folder", str(tmp_path / "b"), "--items", "0"], "items must be at least 1"),
        (["check", "digits", str(tmp_path)], 'unknown data set on disk "digits"'),
    ):
        with pytest.raises(SystemExit) as caught:
            main(args)
        assert caught.value.code == 2
        assert words in capsys.readouterr().err
    assert sorted(root.rglob("*")) == before


def test_one_seed_makes_one_data_set(tmp_path):
    for place, seed in (("a", 1), ("b", 1), ("c", 2)):
        make("prid2011", tmp_path / place, Plan(classes=2, frames=1, height=8, width=8, seed=seed))
    bytes_of = {
        place: {
            str(p.relative_to(tmp_path / place)): p.read_bytes()
            for p in (tmp_path / place).rglob("*.png")
        }
        for place in "abc"
    }
    assert bytes_of["a"] == bytes_of["b"]
    assert bytes_of["a"].keys() == bytes_of["c"].keys()
    assert bytes_of["a"] != bytes_of["c"]
