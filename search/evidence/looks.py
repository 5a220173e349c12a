"""Looking repeatedly: intervals that hold together over all looks at the growing evidence.

A confirmation looks at its pairs after `first` seeds and, while a comparison is open, again after
about 40 % more. An interval at the usual level would exclude the truth too often, with six looks
about once in seven studies instead of once in twenty. So each look has a share of the total risk,
and the intervals are as much wider as that takes (repeated confidence intervals: they hold at
whichever look one stops, for whatever reason).

Reference: Lan and DeMets, "Discrete sequential boundaries for clinical trials", 1983; Jennison and
Turnbull, "Interim analyses: the repeated confidence interval approach", 1989; Armitage, McPherson
and Rowe, "Repeated significance tests on accumulating data", 1969 (the recursion).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

# Growth of the number of seeds from one look to the next.
GROWTH = 1.4
# The last look comes no sooner than this after the one before.
LEAST_BLOCK = 1.2
# Share of the risk that is spent at the first look, at which most studies end.
FIRST_SHARE = 1 / 3
# Nodes of the quadrature; the levels are accurate to about 1e-6.
_NODES = 96


def looks(first: int, most: int) -> tuple[int, ...]:
    """Return the numbers of seeds after which to look, from `first` to `most`.

    >>> looks(5, 30)
    (5, 7, 10, 14, 20, 30)
    >>> looks(5, 5), looks(0, 3)
    ((5,), ())
    """
    if first <= 0:
        return ()
    found = [first]
    while found[-1] < most:
        after = max(found[-1] + 1, round(GROWTH * found[-1]))
        # A last block that is much smaller than the others would cost a look for little.
        found.append(after if LEAST_BLOCK * after < most else most)
    return tuple(found)


def spent(seeds: int, first: int, most: int, share: float = FIRST_SHARE) -> float:
    """Return the share of the risk that may be spent up to a number of seeds, in [0, 1].

    It is `share` after the first look and grows with the number of seeds to 1 at `most`.

    Reference: Lan and DeMets 1983 (any increasing function of the information is valid).
    """
    if seeds >= most:
        return 1.0
    return share + (1.0 - share) * (seeds - first) / (most - first)


@lru_cache(maxsize=1024)
def levels(ends: tuple[int, ...], risks: tuple[float, ...]) -> tuple[float, ...]:
    """Return the level of a single interval at each look so that all looks hold together.

    With B(n) the sum of n standard normal variables, c_k solves
    P(|B(n_i)| <= c_i sqrt(n_i) for i < k, |B(n_k)| > c_k sqrt(n_k)) = risk_k - risk_(k-1).

    Args:
        ends: Number of pairs at each look, increasing.
        risks: Risk spent up to and including each look, increasing, in (0, 1).

    Returns:
        1 - 2 Φ(-c_k) for each look.
    """
    from scipy import special

    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    found: list[float] = []
    # B after the last look on a grid, and its density times the grid's weights, where no look has
    # ended in the tails.
    points, density = np.zeros(1), np.ones(1)
    before, last = 0.0, 0
    for n, risk in zip(ends, risks, strict=True):
        step = math.sqrt(n - last)
        edge = _edge(points, density, step, risk - before)
        found.append(1.0 - 2.0 * float(special.ndtr(-edge / math.sqrt(n))))
        steps = (edge * nodes[:, None] - points) / step
        kernel = np.exp(-0.5 * steps**2) / (step * math.sqrt(2.0 * math.pi))
        points, density = edge * nodes, edge * weights * (kernel @ density)
        before, last = risk, n
    return tuple(found)


def _edge(points: np.ndarray, density: np.ndarray, step: float, risk: float) -> float:
    """Return the bound that B exceeds with this probability after a step of this deviation."""
    from scipy import optimize, special

    def excess(edge: float) -> float:
        tails = special.ndtr((-edge - points) / step) + special.ndtr((points - edge) / step)
        return float(density @ tails) - risk

    highest = float(np.max(np.abs(points))) + 12.0 * step
    return float(optimize.root_scalar(excess, bracket=(0.0, highest)).root)
