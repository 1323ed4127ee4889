"""Frames of videos, against PyAV's own order, and errors for what cannot be decoded."""

import av
import numpy as np
import pytest
import torch
from PIL import Image

from models.data import DataFileError
from models.data.synthetic import Painter, Plan
from models.data.videos import FrameFiles, VideoFile, open_video

COUNT = 20


@pytest.fixture(scope="module", params=["clip.avi", "clip.mp4", "clip.mkv"])
def video(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("videos") / request.param
    Painter(Plan(frames=COUNT, height=32, width=48)).save_video(path, 1)
    return path


def all_frames(path):
    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])


def test_any_frames_in_any_order_are_those_of_the_file(video):
    expected = all_frames(video)
    opened = VideoFile(video)
    assert opened.num_frames == opened.decode() == COUNT == len(expected)
    for indices in ([0], [COUNT - 1], [3, 4, 5], [7, 2, 7, 19], list(range(COUNT))):
        found = opened.frames(indices)
        assert found.shape == (len(indices), 3, 32, 48)
        np.testing.assert_array_equal(found.permute(0, 2, 3, 1).numpy(), expected[indices])


def test_frames_look_as_they_were_written(video):
    painted = Painter(Plan(frames=COUNT, height=32, width=48)).clip(1)
    found = all_frames(video).astype(float)
    square = painted.max(axis=-1) > 200  # the coloured square, over dark noise
    assert square.any()
    for channel, level in enumerate(painted[square].mean(axis=0)):
        assert abs(found[square][:, channel].mean() - level) < 30


@pytest.mark.parametrize("share", [0.0, 0.2, 0.7])
def test_a_truncated_video_is_named_when_the_lost_frame_is_wanted(share, tmp_path):
    path = tmp_path / "clip.avi"
    Painter(Plan(frames=COUNT, height=64, width=64)).save_video(path, 0)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    words = "truncated.*header declares 20.*Copy it again" if share == 0.7 else "corrupt|truncated"
    for attempt in (VideoFile(path).decode, lambda: VideoFile(path).frames([0, COUNT - 1])):
        with pytest.raises(DataFileError, match=words) as caught:
            attempt()
        assert str(path) in str(caught.value)
    if share == 0.7:
        assert VideoFile(path).frames([0]).shape == (1, 3, 64, 64)


def test_a_header_one_frame_too_long_is_forgiven(video, monkeypatch):
    monkeypatch.setattr(VideoFile, "num_frames", COUNT + 1)
    opened = VideoFile(video)
    assert opened.decode() == COUNT
    last, beyond = opened.frames([COUNT - 1, COUNT])
    assert torch.equal(last, beyond)
    monkeypatch.setattr(VideoFile, "num_frames", COUNT + 2)
    with pytest.raises(DataFileError, match="20 frames can be decoded, its header declares 22"):
        opened.frames([COUNT + 1])


def test_a_file_without_a_picture_is_no_video(tmp_path):
    path = tmp_path / "sound.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(DataFileError, match=r"sound\.mkv holds no video stream"):
        _ = VideoFile(path).num_frames
    with pytest.raises(DataFileError, match=r"gone\.avi is not there"):
        _ = open_video(str(tmp_path / "gone.avi")).num_frames


@pytest.mark.parametrize("digits", [1, 3])
def test_frames_of_a_folder_come_in_the_order_of_their_numbers(digits, tmp_path):
    for number in (10, 2, 1):
        Image.new("RGB", (4, 3), (number, 0, 0)).save(tmp_path / f"{number:0{digits}d}.png")
    (tmp_path / "notes.txt").write_text("x")
    found = open_video(str(tmp_path))
    assert isinstance(found, FrameFiles)
    assert found.num_frames == 3
    assert found.frames([2, 0, 1, 0])[:, 0, 0, 0].tolist() == [10, 1, 2, 1]


def test_a_folder_of_nothing_or_of_two_sizes_is_named(tmp_path):
    with pytest.raises(DataFileError, match="holds no frames; expected pictures"):
        open_video(str(tmp_path))
    for number, size in enumerate([(4, 3), (5, 3)]):
        Image.new("RGB", size).save(tmp_path / f"{number}.png")
    with pytest.raises(DataFileError, match=r"different sizes: 3×4 .*0\.png.*3×5 .*1\.png"):
        open_video(str(tmp_path)).frames([0, 1])
