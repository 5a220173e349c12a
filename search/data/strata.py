"""Strata of rows with several labels, for parts with equal shares of them."""

from __future__ import annotations

import numpy as np


def strata(y: np.ndarray, least: int = 5) -> np.ndarray:
    """Return the stratum of each row of labels, 0 or 1, [N, T].

    A combination of labels that at least `least` rows have is a stratum. Each other joins the
    smallest of these with the same rarest label; without one, those of a rarest label are together.
    What is still fewer rows joins the largest stratum.
    """
    held, row, count = np.unique(y, axis=0, return_inverse=True, return_counts=True)
    order = np.argsort(y.sum(axis=0), kind="stable")
    rarest = np.where(held.any(axis=1), order[held[:, order].argmax(axis=1)], -1)
    joined = np.arange(len(held))
    for place in np.flatnonzero(count < least):
        alike = np.flatnonzero((count >= least) & (rarest == rarest[place]))
        others = len(held) + 1 + rarest[place]
        joined[place] = alike[count[alike].argmin()] if len(alike) else others
    found = joined[row.reshape(-1)]
    names, place, size = np.unique(found, return_inverse=True, return_counts=True)
    return np.where(size[place] < least, names[size.argmax()], found)
