"""The losses of re-identification against loops over persons."""

import pytest
import torch

from models.reidentification import search_loss
from models.triplets import batch_hard_triplet_loss


def naive(features, persons, margin):
    """Every triplet looked at, one by one."""
    worst = []
    for a in range(len(persons)):
        losses = [torch.zeros((), dtype=features.dtype)]
        for p in range(len(persons)):
            for n in range(len(persons)):
                if persons[p] == persons[a] and persons[n] != persons[a]:
                    near = ((features[a] - features[n]) ** 2).sum().sqrt()
                    far = ((features[a] - features[p]) ** 2).sum()
                    far = far.sqrt() if a != p else far
                    losses.append(margin + far - near)
        worst.append(torch.stack(losses).max())
    return torch.stack(worst).mean()


@pytest.mark.parametrize("margin", [0.0, 0.3, 5.0])
def test_triplet_loss_is_that_of_the_hardest_triplet_of_each_item(margin):
    torch.manual_seed(0)
    persons = torch.tensor([3, 3, 7, 7, 7, 1])
    features = torch.randn(6, 5, dtype=torch.float64, requires_grad=True)
    found = batch_hard_triplet_loss(features, persons, margin)
    expected = naive(features, persons, margin)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    (ours,) = torch.autograd.grad(found, features)
    (theirs,) = torch.autograd.grad(expected, features)
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)
    assert ours.abs().max() > 0


def test_triplet_loss_is_zero_once_persons_are_far_apart():
    features = torch.tensor([[0.0], [0.1], [9.0], [9.1]], requires_grad=True)
    loss = batch_hard_triplet_loss(features, torch.tensor([0, 0, 1, 1]))
    loss.backward()
    assert float(loss.detach()) == 0
    assert torch.equal(features.grad, torch.zeros(4, 1))


def test_equal_features_have_finite_gradients():
    features = torch.ones(4, 3, requires_grad=True)
    loss = batch_hard_triplet_loss(features, torch.tensor([0, 0, 1, 1]), 0.3)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0.3)
    assert features.grad.isfinite().all()


def test_one_person_makes_no_triplet():
    with pytest.raises(ValueError, match=r"two persons in a batch.*balanced by identity"):
        batch_hard_triplet_loss(torch.zeros(3, 2), torch.tensor([5, 5, 5]))


def test_search_loss_is_the_triplet_loss_of_queries_in_the_gallery():
    torch.manual_seed(1)
    distances = torch.rand(4, 9, dtype=torch.float64)
    query_persons, query_cameras = torch.tensor([1, 2, 3, 9]), torch.tensor([1, 1, 2, 1])
    gallery_persons = torch.tensor([1, 1, 2, 2, 3, 3, 0, 1, 9])
    gallery_cameras = torch.tensor([1, 2, 2, 3, 1, 2, 4, 5, 1])
    losses = []
    for q in range(4):
        right, wrong = [], []
        for g in range(9):
            if query_persons[q] != gallery_persons[g]:
                wrong.append(float(distances[q, g]))
            elif query_cameras[q] != gallery_cameras[g]:
                right.append(float(distances[q, g]))
        if right:
            losses.append(max(0.0, 0.7 + max(right) - min(wrong)))
    assert len(losses) == 3  # no other camera has seen person 9
    which = (query_persons, gallery_persons, query_cameras, gallery_cameras)
    found = search_loss(distances, *which, margin=0.7)
    assert float(found) == pytest.approx(sum(losses) / 3)
