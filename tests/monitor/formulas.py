"""What the monitor logs, written out on matrices."""

import numpy as np


def gap(a):
    moduli = sorted(np.abs(np.linalg.eigvals(a)), reverse=True)
    return 1 - moduli[1] / moduli[0]


def lambda_max(a):
    return np.linalg.eigvals(np.eye(len(a)) - a).real.max()


def max_imag(a):
    return np.abs(np.linalg.eigvals(a).imag).max()


def asymmetry(a):
    return np.sqrt(((a - a.T) ** 2).sum() / (a**2).sum())


def shares(a):
    """Rows of |A|, each of sum 1; rows of zeros are left out."""
    size = np.abs(a[np.abs(a).sum(1) > 0])
    return size / size.sum(1, keepdims=True)


def entropy(a):
    p = shares(a)
    terms = np.where(p > 0, p * np.log(np.where(p > 0, p, 1)), 0)
    return -terms.sum(1).mean() / np.log(a.shape[1])


def query_dependence(a):
    p = shares(a)
    return (np.abs(p - p.mean(0)).sum(1) / 2).mean()
