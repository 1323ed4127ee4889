"""Batches of P persons × K tracklets."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.data.identities import IdentitySampler

COUNTS = st.lists(st.integers(1, 6), min_size=1, max_size=9)


@settings(max_examples=60, deadline=None)
@given(
    counts=COUNTS, data=st.data(), tracklets=st.integers(1, 5), epoch=st.integers(0, 3),
    replicas=st.integers(1, 2),
)  # fmt: skip
def test_every_batch_has_p_persons_and_k_tracklets_of_each(
    counts, data, tracklets, epoch, replicas
):
    if len(counts) < replicas:
        return
    identities = data.draw(st.integers(1, len(counts) // replicas))
    labels = [7 * label for label, count in enumerate(counts) for _ in range(count)]
    seen = Counter()
    for rank in range(replicas):
        sampler = IdentitySampler(labels, identities, tracklets, rank=rank, num_replicas=replicas)
        sampler.set_epoch(epoch)
        indices = list(sampler)
        assert len(indices) == len(sampler)
        size = sampler.batch_size
        assert len(indices) % size == 0
        for start in range(0, len(indices), size):
            batch = indices[start : start + size]
            of_person = Counter(labels[index] for index in batch)
            assert len(of_person) == identities
            assert set(of_person.values()) == {tracklets}
            seen.update(of_person.keys())
            times = Counter(batch)
            for index in batch:  # none comes again before all have come
                available = counts[labels[index] // 7]
                assert times[index] <= -(-tracklets // available)
                if available >= tracklets:
                    assert times[index] == 1
    assert set(seen.values()) == {1}  # nobody twice in a pass, over all processes
    assert len(seen) > len(counts) - identities * replicas


def test_order_depends_on_seed_and_pass_alone():
    labels = [label for label in range(12) for _ in range(3)]

    def order(seed, epoch):
        sampler = IdentitySampler(labels, 4, 2, seed=seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert order(0, 1) == order(0, 1)
    assert len({tuple(order(*case)) for case in [(0, 0), (0, 1), (1, 0), (1, 1)]}) == 4


def test_in_time_every_tracklet_and_every_person_comes():
    labels = [label for label in range(5) for _ in range(4)]
    sampler = IdentitySampler(labels, 3, 2)
    seen = set()
    for epoch in range(40):
        sampler.set_epoch(epoch)
        seen.update(sampler)
    assert seen == set(range(20))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"identities": 4}, "there are 3 persons.*needs 4. Ask for fewer: identities=3"),
        ({"identities": 2, "num_replicas": 2}, "needs 4. Ask for fewer: identities=1"),
        ({"identities": 0}, "identities must be at least 1; got 0"),
        ({"identities": 1, "tracklets": 0}, "tracklets must be at least 1; got 0"),
        ({"identities": 1, "rank": 1}, r"rank must lie in 0 \.\. 0; got 1"),
    ],
)
def test_what_makes_no_batch_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        IdentitySampler([0, 0, 1, 1, 2], **{"tracklets": 2, **options})
