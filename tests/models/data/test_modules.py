"""Batches as a network sees them: shapes, values, one cut for all frames of a clip."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from models.data import DATASETS, DataFileError, data_module, mean_over_clips, rank
from models.data.checking import LAYOUTS
from models.data.clip_module import TakeClips
from models.data.framing import AsItIs, ResizedCrop, ShortSide, Whole
from models.data.sampling import Dense, Uniform
from models.data.source import TrackletSpec
from models.data.videos import FrameFiles, VideoFile, open_video

SMALL = (12, 8)
FIXED = {"cifar10", "cifar100", "fashion_mnist"}  # pictures that have their size


def opened(name, root, **options):
    if name not in FIXED:
        options = {"size": SMALL, **options}
    if isinstance(DATASETS[name], TrackletSpec):
        options = {"batch_size": 6, "tracklets": 2, **options}
    module = data_module(name, root, **options)
    module.spec = replace(module.spec, workers=0)
    module.setup()
    return module


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_every_data_set_gives_batches_of_its_shape(name, originals):
    module = opened(name, originals(name), flip=True)
    size = DATASETS[name].size if name in FIXED else SMALL
    shape = (DATASETS[name].in_channels, *size)
    sampling = getattr(module, "sampling", None)
    clip = shape if sampling is None else (shape[0], sampling.frames, *size)
    for loader, item in (
        (module.train_dataloader(), clip),
        (module.test_dataloader(), clip if sampling is None else (1, *clip)),
    ):
        inputs, labels, *_ = next(iter(loader))
        assert inputs.shape == (len(labels), *item)
        assert inputs.dtype == torch.float32
        assert type(inputs) is torch.Tensor
        assert bool(inputs.isfinite().all())
        assert labels.dtype == torch.int64
    assert module.spec.at(originals(name)).num_classes >= 3


@pytest.mark.parametrize("name", ["cub200", "imagenet", "ucf101", "mars"])
def test_values_are_normalised_by_the_table(name, originals):
    """A test item taken back to bytes is the file's pixels, where nothing is resized."""
    spec = DATASETS[name]
    options = {} if name in ("cub200", "imagenet") else {"sampling": Uniform(2), "test_clips": 2}
    module = data_module(name, originals(name), **options)
    module.spec = replace(spec, framing=AsItIs(), workers=0)
    module.setup()
    item = module.test_part[1][0]
    mean, std = (torch.tensor(values)[:, None, None] for values in (spec.mean, spec.std))
    if not options:
        raw = spec.read(originals(name), False, lambda image: image, False)[1][0]
        raw = torch.tensor(list(raw.tobytes())).view(16, 24, 3).permute(2, 0, 1)
        found = item * std + mean
    else:
        video = spec.read(originals(name), False, lambda video: video, False)[1][0]
        # Six frames; two combs of two: the middles of thirds and so on.
        raw = video.frames([0, 3, 2, 5]).unflatten(0, (2, 2))  # (V, T, C, H, W)
        assert item.shape == (2, 3, 2, 16, 24)
        found = item.transpose(1, 2) * std + mean
    torch.testing.assert_close(found * 255, raw.float(), atol=1e-3, rtol=0)


def test_all_frames_of_a_clip_are_cut_and_mirrored_alike(tmp_path):
    class Still(VideoFile):
        num_frames = 6

        def frames(self, indices):
            picture = torch.arange(3 * 40 * 60).view(1, 3, 40, 60) % 251
            return picture.to(torch.uint8).expand(len(indices), -1, -1, -1)

    module = data_module("clip_folder", tmp_path, size=(16, 16), flip=True, sampling=Dense(4))
    seen = set()
    for seed in range(12):
        torch.manual_seed(seed)
        clip = module.transform(True)(Still(tmp_path))  # (C, T, H, W)
        assert torch.equal(clip, clip[:, :1].expand_as(clip))
        seen.add(tuple(clip[0, 0, 0].tolist()))
    assert len(seen) == 12


@pytest.mark.parametrize(
    ("framing", "changes"), [(Whole(), False), (ShortSide(), True), (ResizedCrop(), True)], ids=str
)
def test_framings_reach_the_size_and_are_random_in_training_only(framing, changes):
    image = torch.rand(3, 40, 70)

    def framed(steps):
        result = image
        for step in steps:
            result = step(result)
        return result

    size = (14, 21)
    assert torch.equal(framed(framing.test(size)), framed(framing.test(size)))
    trained = [framed(framing.train(size)) for _ in range(6)]
    assert {tuple(t.shape) for t in [framed(framing.test(size)), *trained]} == {(3, *size)}
    assert any(not torch.equal(trained[0], other) for other in trained) == changes


@pytest.mark.parametrize("name", ["digits", "cifar10"])
def test_pictures_of_one_size_are_resized_where_another_is_wanted(name, originals):
    root = "data" if name == "digits" else originals(name)
    plain, other = (data_module(name, root, size=size) for size in (None, (10, 6)))
    for module in (plain, other):
        module.setup()
    image, resized = plain.test_part[0][0], other.test_part[0][0]
    assert image.shape[1:] == DATASETS[name].size
    assert resized.shape == (len(image), 10, 6)
    assert resized.mean() == pytest.approx(float(image.mean()), abs=0.2)
    same = data_module(name, root, size=DATASETS[name].size)
    same.setup()
    assert torch.equal(same.test_part[0][0], image)


def test_a_birds_picture_is_resized_to_512_and_cut_to_448():
    resize, crop = DATASETS["cub200"].framing.test((448, 448))
    assert (list(resize.size), list(crop.size)) == ([512], [448, 448])


def test_scores_of_clips_are_averaged_after_the_softmax():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(24, 5)).double()
    clips = torch.randn(2, 3, 3, 2, 2, 2, dtype=torch.float64)
    expected = torch.stack(
        [
            torch.stack([network(clips[b, v][None])[0].softmax(0) for v in range(3)]).mean(0)
            for b in range(2)
        ]
    )
    torch.testing.assert_close(mean_over_clips(network, clips), expected)


def test_a_clip_that_is_too_short_names_file_need_and_remedy(originals):
    module = opened("ucf101", originals("ucf101"), sampling=Dense(16))
    path = module.train_part.samples[0].path
    with pytest.raises(DataFileError, match=r"has 6 frames.*at least 16.*repeat_short") as caught:
        module.train_part[0]
    assert path in str(caught.value)


def test_frames_taken_are_those_the_sampling_names(originals):
    video = open_video(opened("ucf101", originals("ucf101")).train_part.samples[0].path)
    taken = TakeClips(Dense(2, stride=2), 3)(video)
    assert torch.equal(taken, video.frames([0, 2, 2, 4, 3, 5]))


def test_reidentification_from_end_to_end(originals):
    """Colours of the synthetic persons tell them apart: what is read can be searched."""
    module = opened("mars", originals("mars"), size=(16, 24), test_clips=2)
    clips, labels, cameras, queries = next(iter(module.train_dataloader()))
    assert sorted(labels.tolist()) == [0, 0, 1, 1, 2, 2]
    assert not bool(queries.any())
    batches = list(module.test_dataloader())
    clips, persons, cameras, queries = (torch.cat(column) for column in zip(*batches, strict=True))
    assert torch.equal(queries.nonzero().flatten(), torch.arange(6))  # all queries come first
    features = clips.amax((1, 3, 4, 5))  # the brightest of each colour, which is the square's
    distances = torch.cdist(features[queries], features[~queries])
    found = rank(
        distances, persons[queries], persons[~queries], cameras[queries], cameras[~queries]
    )
    assert found.num_queries == 6
    assert found.rank1 == 1
    tracklet = module.test_part.tracklets[0]
    video = FrameFiles(originals("mars"), tracklet.files)
    assert video.num_frames == 6


@pytest.mark.parametrize("name", ["ucf101", "cub200"])
def test_processes_of_the_loader_read_what_one_reads(name, originals):
    single = opened(name, originals(name))
    several = opened(name, originals(name))
    several.spec = replace(several.spec, workers=2)
    for one, many in zip(single.test_dataloader(), several.test_dataloader(), strict=True):
        assert torch.equal(one[0], many[0])


@pytest.mark.parametrize(
    ("attempt", "error", "words"),
    [
        (lambda: data_module("ucf"), ValueError, 'unknown data set "ucf"'),
        (lambda: data_module("ucf101", frames=3), TypeError, "frames"),
        (lambda: data_module("cub200", split=2), ValueError, "one split only; got split=2"),
        (lambda: data_module("mars", batch_size=30), ValueError, "batch_size=30 is no multiple"),
    ],
)
def test_an_unknown_name_or_option_is_refused(attempt, error, words):
    with pytest.raises(error, match=words):
        attempt()


def test_a_module_refuses_data_of_another_kind():
    from models.data import ClipDataModule, TrackletDataModule

    with pytest.raises(ValueError, match='"cub200" is a data set of images'):
        ClipDataModule("cub200")
    with pytest.raises(ValueError, match='"ucf101" holds no tracklets'):
        TrackletDataModule("ucf101")
