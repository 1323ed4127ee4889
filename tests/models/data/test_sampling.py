"""Which frames a clip takes, against formulas written out."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.data.sampling import Dense, Segments, Uniform

SAMPLINGS = [
    Dense(4, repeat_short=True),
    Dense(4, repeat_short=True, stride=3),
    Uniform(4, repeat_short=True),
    Segments(4, repeat_short=True),
]


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=str)
@settings(max_examples=40, deadline=None)
@given(count=st.integers(1, 50), clips=st.integers(1, 6))
def test_every_index_is_a_frame_of_the_video(sampling, count, clips):
    train, test = sampling.train(count), sampling.test(count, clips)
    assert train.shape == (4,)
    assert test.shape == (clips, 4)
    assert torch.equal(test, sampling.test(count, clips))
    for indices in (train, test):
        assert indices.dtype == torch.int64
        assert 0 <= int(indices.min()) <= int(indices.max()) < count


def test_a_dense_clip_is_a_window_that_can_begin_anywhere():
    torch.manual_seed(0)
    starts = set()
    for _ in range(300):
        indices = Dense(4, stride=2).train(10).tolist()
        assert [b - a for a, b in pairwise(indices)] == [2, 2, 2]
        starts.add(indices[0])
    assert starts == {0, 1, 2, 3}


def test_one_test_clip_is_the_middle_and_many_reach_from_end_to_end():
    assert Dense(4).test(11)[0].tolist() == [3, 4, 5, 6]
    many = Dense(4).test(11, 3)
    assert (many[0, 0], many[-1, -1]) == (0, 10)
    assert Uniform(3).test(9)[0].tolist() == [1, 4, 7]  # the middles of 012 345 678
    combs = Uniform(3).test(9, 3)
    assert sorted(combs.flatten().tolist()) == list(range(9))  # three combs make the whole


def test_segments_are_drawn_each_alone_and_uniform_all_together():
    torch.manual_seed(0)
    offsets = torch.stack([Segments(3).train(30) - torch.tensor([0, 10, 20]) for _ in range(300)])
    assert offsets.min() == 0
    assert offsets.max() == 9
    assert len({tuple(row) for row in offsets.tolist()}) > 200
    combs = torch.stack([Uniform(3).train(30) - torch.tensor([0, 10, 20]) for _ in range(300)])
    assert bool((combs == combs[:, :1]).all())
    assert len(combs[:, 0].unique()) == 10
    # Every frame of a segment is equally likely: 300 draws of 10, ± 4 standard deviations.
    counts = torch.bincount(offsets.flatten(), minlength=10)
    assert bool(((counts - 90).abs() < 4 * (90 * 0.9) ** 0.5).all())


def test_a_short_video_is_repeated_only_when_asked_to():
    assert Dense(5, repeat_short=True).train(3).tolist() == [0, 1, 2, 0, 1]
    assert Uniform(6, repeat_short=True).test(3)[0].tolist() == [0, 0, 1, 1, 2, 2]
    for sampling, least in ((Dense(5, stride=2), 9), (Uniform(5), 5), (Segments(5), 5)):
        for attempt in (sampling.train, sampling.test):
            with pytest.raises(ValueError, match=rf"has 4 frames.*at least {least}.*repeat_short"):
                attempt(4)
    with pytest.raises(ValueError, match="has 0 frames"):
        Dense(5, repeat_short=True).train(0)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Dense(0), "got frames=0"),
        (lambda: Dense(4, stride=0), "stride must be at least 1; got 0"),
        (lambda: Dense(4).test(9, 0), "got clips=0"),
    ],
)
def test_what_makes_no_clip_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
