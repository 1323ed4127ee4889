"""The Laplacian written out, and the comparison of spectra as sets."""

import numpy as np


def naive_sym(weights):
    m = (weights + weights.T) / 2
    degree = m.sum(axis=1)
    root = np.array([0.0 if d == 0 else d**-0.5 for d in degree])
    return root[:, None] * m * root


def naive_laplacian(weights):
    return np.eye(len(weights)) - naive_sym(weights)


def set_distance(found, expected):
    """Largest distance from a value of one set to the nearest of the other, both ways."""
    distance = np.abs(np.asarray(found)[:, None] - np.asarray(expected)[None])
    return max(distance.min(axis=0).max(), distance.min(axis=1).max())
