"""Rank-k and mean average precision of a search for persons."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torchmetrics.functional.retrieval import retrieval_average_precision


@dataclass(frozen=True)
class Ranking:
    """What a search found.

    Attributes:
        cmc: Share of queries whose person is among the first k, at place k - 1.
        mean_average_precision: Over the queries.
        num_queries: That could be answered: someone of the gallery is of their person, seen by
            another camera.
    """

    cmc: Tensor
    mean_average_precision: float
    num_queries: int

    @property
    def rank1(self) -> float:
        """Share of queries whose nearest neighbour is of their person."""
        return float(self.cmc[0])


def rank(
    distances: Tensor,
    query_persons: Tensor,
    gallery_persons: Tensor,
    query_cameras: Tensor,
    gallery_cameras: Tensor,
    *,
    ranks: int = 20,
) -> Ranking:
    r"""Rank-k and mAP, by the protocol of Market-1501 and Mars (Zheng et al., 2015, 2016).

    For each query the gallery is sorted by distance; what shows the query's own person before the
    query's own camera is left out. Average precision is the mean over the right answers of

    .. math:: \text{precision at } r_j = j / r_j, \quad r_j = \text{place of the } j\text{-th one},

    as torchmetrics computes it; the authors' MATLAB code interpolates by trapezoids, which gives
    slightly more. Queries without a right answer are left out, as there. Of equal distances the
    earlier of the gallery comes first.

    Args:
        distances: (Q, G), smaller is more alike.
        query_persons: (Q,).
        gallery_persons: (G,).
        query_cameras: (Q,).
        gallery_cameras: (G,).
        ranks: Length of the CMC curve.

    Raises:
        ValueError: If shapes disagree, a distance is NaN, or no query can be answered.

    Example:
        >>> found = rank(torch.tensor([[0.1, 0.2, 0.3]]), torch.tensor([7]),
        ...     torch.tensor([5, 7, 7]), torch.tensor([1]), torch.tensor([2, 2, 1]), ranks=2)
        >>> found.cmc.tolist(), found.mean_average_precision
        ([0.0, 1.0], 0.5)

    Cost: O(Q·G log G) time, O(G) memory beside the distances.
    """
    expected = (len(query_persons), len(gallery_persons))
    cameras = (len(query_cameras), len(gallery_cameras))
    if distances.shape != expected or cameras != expected:
        raise ValueError(
            f"distances {tuple(distances.shape)} and cameras {cameras} must be (queries, gallery) "
            f"as the persons are, {expected}."
        )
    if bool(distances.isnan().any()):
        raise ValueError("a distance is NaN; look for NaN in the features that it was made of.")
    hits = torch.zeros(ranks, dtype=torch.float64)
    precisions = []
    for query, row in enumerate(distances):
        same = gallery_persons == query_persons[query]
        kept = ~(same & (gallery_cameras == query_cameras[query]))
        order = row[kept].argsort(stable=True)
        right = same[kept][order]
        if not bool(right.any()):
            continue
        # Places count instead of distances: ties are settled, no precision is lost, and every
        # score is above 0, as torchmetrics wants of what is to be counted.
        scores = torch.arange(len(right), 0, -1.0, device=right.device)
        precisions.append(float(retrieval_average_precision(scores, right)))
        hits[int(right.nonzero()[0]) :] += 1
    if not precisions:
        raise ValueError(
            "no query has its person in the gallery before another camera: nothing can be found. "
            "Give the cameras of both, and the gallery's persons as numbers of the same kind."
        )
    mean = sum(precisions) / len(precisions)
    return Ranking(hits / len(precisions), mean, len(precisions))
