"""Optical flow: read in its layout, beside the right frames, and turned around with its picture."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from models.data import DATASETS, DataFileError, data_module
from models.data.__main__ import main
from models.data.checking import check
from models.data.flow import FLOW_SCALE, FlowFiles, MirrorWithFlow, WithFlow
from models.data.framing import AsItIs
from models.data.sampling import Dense
from models.data.ucf101 import flow_of, flow_paths
from models.data.videos import Video


def module_of(name, root, **options):
    module = data_module(name, root, sampling=Dense(3), **options)
    module.spec = replace(module.spec, framing=AsItIs(), workers=0)
    module.setup()
    return module


def save_flow(root, clip, values):
    """Pictures whose one value is given: [(horizontal, vertical) of each frame]."""
    for side, folder in enumerate(flow_paths(root, clip)):
        folder.mkdir(parents=True)
        for number, pair in enumerate(values, 1):
            picture = Image.new("L", (4, 6), pair[side])
            picture.save(folder / f"frame{number:06d}.png")


def test_flow_is_horizontal_then_vertical_in_the_order_of_names(tmp_path):
    save_flow(tmp_path, "A/v_A_g01_c01.avi", [(10, 20), (30, 40), (50, 60)])
    flow = flow_of(tmp_path, "A/v_A_g01_c01.avi")
    assert flow.num_frames == 3
    found = flow.frames([2, 0, 2])
    assert found.shape == (3, 2, 6, 4)
    assert found.dtype == torch.uint8
    assert found[:, :, 3, 1].tolist() == [[50, 60], [10, 20], [50, 60]]


@pytest.mark.parametrize("below", ["tvl1_flow", "ucf101_tvl1_flow/tvl1_flow"])
def test_flow_is_found_as_it_is_unpacked(below, tmp_path):
    for side in "uv":
        (tmp_path / below / side).mkdir(parents=True)
    assert flow_paths(tmp_path, "YoYo/v_YoYo_g25_c05.avi") == (
        tmp_path / below / "u/v_YoYo_g25_c05",
        tmp_path / below / "v/v_YoYo_g25_c05",
    )


def test_the_class_whose_clips_are_spelled_otherwise_is_found(tmp_path):
    clip = "HandstandPushups/v_HandStandPushups_g01_c02.avi"
    right = tmp_path / "tvl1_flow/u/v_HandstandPushups_g01_c02"
    right.mkdir(parents=True)
    assert flow_paths(tmp_path, clip)[0] == right


class Frames(Video):
    """Frame t has the value t in all three channels."""

    num_frames = 5

    def frames(self, indices):
        return torch.stack([torch.full((3, 12, 8), i, dtype=torch.uint8) for i in indices])


def test_flow_goes_with_the_frame_it_starts_from(tmp_path):
    save_flow(tmp_path, "A/v_A_g01_c01.avi", [(10 * t, 10 * t + 5) for t in range(4)])
    both = WithFlow(Frames(tmp_path), flow_of(tmp_path, "A/v_A_g01_c01.avi"))
    assert both.num_frames == 4
    found = both.frames([3, 1])
    assert found.shape == (2, 5, 12, 8)  # of the frames' size
    assert found[:, :, 0, 0].tolist() == [[3, 3, 3, 30, 35], [1, 1, 1, 10, 15]]


def test_flow_of_another_video_is_refused(tmp_path):
    save_flow(tmp_path, "A/v_A_g01_c01.avi", [(0, 0)] * 6)
    with pytest.raises(DataFileError, match=r"6 pictures of flow, more than the 5 frames"):
        WithFlow(Frames(tmp_path), flow_of(tmp_path, "A/v_A_g01_c01.avi"))


def test_in_a_mirror_the_horizontal_flow_turns_around():
    torch.manual_seed(0)
    clip = torch.randint(0, 256, (3, 5, 4, 7), dtype=torch.uint8)
    other = clip.flip(-1)
    other[:, 3] = 255 - other[:, 3]  # a byte of 127.5 is no motion
    seen = [MirrorWithFlow(3)(clip) for _ in range(20)]
    assert {torch.equal(item, other) for item in seen} == {True, False}
    assert all(torch.equal(item, other) or torch.equal(item, clip) for item in seen)


def test_training_clips_have_the_flow_of_their_frames_and_test_clips_have_none(originals):
    root = originals("ucf101_flow")
    module = module_of("ucf101", root, with_flow=True)
    torch.manual_seed(3)
    clip, label = module.train_part[2]
    assert clip.shape == (5, 3, 16, 24)
    path = module.train_part.samples[2].path
    flow, spec = flow_of(root, path), DATASETS["ucf101"]
    mean = torch.tensor([*spec.mean, *FLOW_SCALE[0]]).view(5, 1, 1, 1)
    std = torch.tensor([*spec.std, *FLOW_SCALE[1]]).view(5, 1, 1, 1)
    bytes_of = (clip * std + mean) * 255
    starts = [
        start
        for start in range(flow.num_frames - 2)
        if torch.allclose(
            bytes_of[3:], flow.frames(range(start, start + 3)).transpose(0, 1).float(), atol=1e-2
        )
    ]
    assert len(starts) == 1
    rgb = data_module("ucf101", root).spec.read(root, True, lambda video: video, False)[2]
    expected = rgb[0].frames(range(starts[0], starts[0] + 3)).transpose(0, 1)
    torch.testing.assert_close(bytes_of[:3], expected.float(), atol=1e-2, rtol=0)
    assert label == rgb[1]
    assert module.test_part[0][0].shape == (1, 3, 3, 16, 24)


def test_a_data_set_of_flow_alone_needs_no_video(synthetic):
    root = synthetic("ucf101_flow")
    shutil.rmtree(root / "UCF-101")
    assert check("ucf101_flow", root, deep=True).ok
    module = module_of("ucf101_flow", root, flip=True)
    assert module.train_part[0][0].shape == (2, 3, 16, 24)
    assert module.test_part[0][0].shape == (1, 2, 3, 16, 24)
    classes = [label for _, label in module.train_part.samples]
    assert classes == [s.label for s in module_of("ucf101", root).train_part.samples]


@pytest.mark.parametrize(
    ("spoil", "kind", "words"),
    [
        (lambda r: shutil.rmtree(r / "tvl1_flow/v"), "missing", "optical flow of UCF-101"),
        (
            lambda r: shutil.rmtree(min((r / "tvl1_flow/u").iterdir())),
            "missing",
            "though the data set lists it",
        ),
        (
            lambda r: (
                (r / "tvl1_flow/u" / "v_More_g01_c01").mkdir()
                or (r / "tvl1_flow/u/v_More_g01_c01/frame000001.jpg").write_bytes(b"x")
            ),
            "unexpected",
            "in no list",
        ),
        (
            lambda r: next((r / "tvl1_flow/v").rglob("*.jpg")).write_bytes(b"no picture"),
            "corrupt",
            "corrupt or truncated",
        ),
    ],
)
def test_a_check_names_what_is_wrong_with_flow(spoil, kind, words, synthetic, capsys):
    root = synthetic("ucf101_flow")
    spoil(root)
    problems = check("ucf101_flow", root, deep=True).problems
    assert any(p.kind == kind and words in str(p) for p in problems), problems
    with pytest.raises(SystemExit) as caught:
        main(["check", "ucf101_flow", str(root), "--deep"])
    assert caught.value.code == 1


@pytest.mark.parametrize("name", ["ucf101", "ucf101_holdout"])
def test_missing_flow_is_an_error_before_training(name, originals):
    module = data_module(name, originals("ucf101"), with_flow=True)
    with pytest.raises(DataFileError, match=r"tvl1_flow/u is not there.*docs/data\.md"):
        module.setup()


def test_videos_without_known_flow_are_refused(tmp_path):
    module = data_module("clip_folder", tmp_path, with_flow=True)
    with pytest.raises(ValueError, match=r"no optical flow is known for .*ucf101_holdout"):
        module.setup()
    with pytest.raises(ValueError, match="once"):
        data_module("ucf101_flow", tmp_path, with_flow=True)


def test_spoilt_flow_is_named(tmp_path):
    save_flow(tmp_path, "A/v_A_g01_c01.avi", [(1, 2), (3, 4)])
    u, v = flow_paths(tmp_path, "A/v_A_g01_c01.avi")
    (v / "frame000002.png").unlink()
    with pytest.raises(DataFileError, match=r"holds 2 pictures of flow, .* 1; expected as many"):
        FlowFiles(u, v)
    Image.new("L", (9, 9)).save(v / "frame000002.png")
    with pytest.raises(DataFileError, match="of different sizes"):
        FlowFiles(u, v).frames([1])
    (u / "frame000001.png").write_bytes(b"no picture")
    with pytest.raises(DataFileError, match=r"frame000001\.png is missing, corrupt"):
        FlowFiles(u, v).frames([0])
    with pytest.raises(DataFileError, match=r"nowhere holds no optical flow"):
        FlowFiles(Path(tmp_path / "nowhere"), v)
