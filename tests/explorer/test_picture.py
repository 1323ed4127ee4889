"""The picture behind the maps, read back from its PNG."""

import base64
import io

import matplotlib.image
import numpy as np
import pytest
import torch

from snl_graph.explorer.picture import data_uri_frames, energy, frames_of, volume
from snl_graph.explorer.png import png


def read(content: bytes) -> np.ndarray:
    return np.rint(255 * matplotlib.image.imread(io.BytesIO(content))).astype(int)


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (1, 1)])
def test_another_reader_finds_the_same_pixels(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    np.testing.assert_array_equal(read(png(pixels)), pixels)


def test_values_between_0_and_1_and_bytes_are_taken_as_they_are():
    grey = torch.tensor([[0.0, 0.2], [0.5, 0.6]])
    (frame,) = frames_of(grey, 2)
    np.testing.assert_array_equal(frame, [[0, 51], [128, 153]])
    (same,) = frames_of((255 * grey).round().to(torch.uint8)[None, None], 2)
    np.testing.assert_array_equal(same, frame)


def test_other_values_are_stretched_to_their_range():
    (frame,) = frames_of(torch.tensor([[-2.0, 0.0], [2.0, -1.0]]), 2)
    np.testing.assert_array_equal(frame, [[0, 128], [255, 64]])
    (flat,) = frames_of(torch.full((2, 2), 3.0), 2)
    assert not flat.any()


def test_colours_come_last_and_frames_apart():
    clip = torch.rand(1, 3, 4, 5, 6)
    frames = frames_of(clip, 3)
    assert [frame.shape for frame in frames] == [(5, 6, 3)] * 4
    np.testing.assert_array_equal(frames[2][1, 3], (255 * clip[0, :, 2, 1, 3]).round().numpy())
    assert frames_of(torch.rand(9), 1)[0].shape == (1, 9)


def test_large_pictures_are_averaged_down():
    image = torch.zeros(1, 1280, 960)
    image[:, ::2] = 1
    (frame,) = frames_of(image, 2)
    assert frame.shape == (640, 480)
    assert set(np.unique(frame)) == {128}


def test_the_uri_holds_the_png():
    found = data_uri_frames(torch.rand(2, 3), 2)
    (uri,) = found["frames"]
    content = base64.b64decode(uri.removeprefix("data:image/png;base64,"))
    assert read(content).shape == (2, 3) == (found["height"], found["width"])


@pytest.mark.parametrize("shape", [(2, 5, 5), (2, 3, 5, 5), (5,), (3, 0, 5)])
def test_what_is_no_picture_is_refused(shape):
    with pytest.raises(ValueError, match=r"the image has shape .* Pass image=None"):
        frames_of(torch.rand(shape), 2)


def test_values_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="not finite"):
        frames_of(torch.tensor([[0.0, float("nan")]]), 2)


def test_energy_is_the_root_mean_square_of_the_channels():
    x = torch.tensor([[[[3.0, 0.0]], [[4.0, 0.0]]]])
    torch.testing.assert_close(energy(x), torch.tensor([[1.0, 0.0]]))
    torch.testing.assert_close(energy(2 * x), energy(x))
    assert not energy(torch.zeros(1, 2, 2, 2)).any()


def test_volumes_have_three_axes():
    assert volume((5,)) == (1, 1, 5)
    assert volume((4, 5)) == (1, 4, 5)
    assert volume((3, 4, 5)) == (3, 4, 5)
