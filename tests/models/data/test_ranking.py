"""Rank-k and mAP against the protocol written out in loops."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.data.ranking import rank


def naive(distances, queries, gallery, query_cameras, gallery_cameras, ranks):
    """Mean precision at the right answers, and who is found by rank k; one query at a time."""
    cmc, precisions = [0.0] * ranks, []
    for q, person in enumerate(queries):
        order = sorted(range(len(gallery)), key=lambda g: (distances[q][g], g))
        found, place, precision, first = 0, 0, [], None
        for g in order:
            if gallery[g] == person and gallery_cameras[g] == query_cameras[q]:
                continue
            place += 1
            if gallery[g] == person:
                found += 1
                precision.append(found / place)
                first = place if first is None else first
        if first is None:
            continue
        precisions.append(sum(precision) / found)
        for k in range(first - 1, ranks):
            cmc[k] += 1
    count = len(precisions)
    return [c / count for c in cmc] if count else None, count and sum(precisions) / count, count


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 10_000), num_queries=st.integers(1, 5), num_gallery=st.integers(1, 9),
       levels=st.sampled_from([2, 1000]))  # fmt: skip
def test_ranking_is_that_of_the_loops(seed, num_queries, num_gallery, levels):
    draw = torch.Generator().manual_seed(seed)

    def below(bound, *shape):
        return torch.randint(bound, shape, generator=draw)

    distances = below(levels, num_queries, num_gallery) / levels  # 2 levels: many are equal
    persons, cameras = (below(3, num_queries), below(3, num_gallery)), (
        below(2, num_queries), below(2, num_gallery))  # fmt: skip
    cmc, precision, count = naive(
        distances.tolist(), *(p.tolist() for p in (*persons, *cameras)), ranks=6
    )
    if not count:
        with pytest.raises(ValueError, match="no query has its person in the gallery"):
            rank(distances, *persons, *cameras)
        return
    found = rank(distances, *persons, *cameras, ranks=6)
    assert found.cmc.tolist() == pytest.approx(cmc)
    assert found.mean_average_precision == pytest.approx(precision, abs=1e-6)
    assert found.num_queries == count
    assert found.rank1 == pytest.approx(cmc[0])


def test_the_query_itself_in_the_gallery_counts_for_nothing():
    """Same person, same camera: the nearest of all, and left out."""
    found = rank(
        torch.tensor([[0.0, 0.5, 0.9]]), torch.tensor([1]), torch.tensor([1, 2, 1]),
        torch.tensor([1]), torch.tensor([1, 1, 2]), ranks=3,
    )  # fmt: skip
    assert found.cmc.tolist() == [0, 1, 1]
    assert found.mean_average_precision == 0.5


def test_wrong_shapes_and_nan_are_refused():
    one, two = torch.ones(1, dtype=torch.int64), torch.ones(2, dtype=torch.int64)
    with pytest.raises(ValueError, match=r"distances \(2, 1\).*\(1, 2\)"):
        rank(torch.zeros(2, 1), one, two, one, two)
    with pytest.raises(ValueError, match=r"cameras \(1, 1\).*\(1, 2\)"):
        rank(torch.zeros(1, 2), one, two, one, one)
    with pytest.raises(ValueError, match="a distance is NaN"):
        rank(torch.tensor([[0.0, float("nan")]]), one, two, one, two)
