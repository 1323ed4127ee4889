"""The triplet loss over a batch of persons, with the hardest triplet of each item."""

from __future__ import annotations

import torch
from torch import Tensor


def batch_hard_triplet_loss(features: Tensor, persons: Tensor, margin: float = 0.3) -> Tensor:
    r"""Mean over the batch of max(0, margin + farthest of one's person − nearest of another).

    .. math:: \frac{1}{B} \sum_a \Big[m + \max_{p: y_p = y_a} \|f_a - f_p\|_2
              - \min_{n: y_n \ne y_a} \|f_a - f_n\|_2\Big]_+

    Source: Hermans, Beyer, Leibe, *In Defense of the Triplet Loss* (2017), Eq. 5, as Gao and
    Nevatia (2018) train with it.

    Args:
        features: (B, F).
        persons: (B,), one label for each person.
        margin: m; the paper of the block takes 0.3.

    Returns:
        Scalar. Where two features are equal, the gradient of their distance is taken as zero.

    Raises:
        ValueError: If all items are of one person, so that there is no triplet.

    Example:
        >>> features = torch.tensor([[0.0], [1.0], [3.0], [3.5]])
        >>> batch_hard_triplet_loss(features, torch.tensor([7, 7, 9, 9]), margin=2.0)
        tensor(0.3750)

    Cost: O(B²·F) time, O(B²) memory.
    """
    same = persons[:, None] == persons[None, :]
    if bool(same.all()):
        raise ValueError(
            "a triplet needs two persons in a batch; all items of this one are of one person. Take "
            "batches balanced by identity, such as eight persons with four tracklets each."
        )
    distances = pairwise_distances(features, features)
    farthest = distances.where(same, -torch.inf).amax(dim=1)
    nearest = distances.where(~same, torch.inf).amin(dim=1)
    return (margin + farthest - nearest).clamp(min=0).mean()


def pairwise_distances(left: Tensor, right: Tensor) -> Tensor:
    """Euclidean distances (Q, F), (G, F) → (Q, G), by differences: exact where they are small."""
    return torch.cdist(left, right, compute_mode="donot_use_mm_for_euclid_dist")
