"""Coverage and power of intervals on simulated tables of losses.

    python -m benchmarks.intervals [TABLES]

It uses a thousand tables of each kind, where `benchmarks.planted` runs whole studies: stacks that
do not differ, five seeds, several kinds of noise. Noise that all stacks share cancels in every
difference, so it does not affect the results.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping

import numpy as np

from trainstack.search.evidence.comparisons import compare, contrast
from trainstack.search.evidence.extension import FIRST_LEVEL
from trainstack.search.evidence.intervals import critical_t

TABLES, SEEDS = 1000, 5
STACKS = (2, 5, 9)
Noise = Callable[[np.random.Generator, int], np.ndarray]


def _scaled(rng: np.random.Generator, factors: np.ndarray) -> np.ndarray:
    return rng.normal(size=(len(factors), SEEDS)) * factors[:, None]


# Kind of noise → losses of stacks without a difference, [stacks, seeds].
NOISES: Mapping[str, Noise] = {
    "equal, normal": lambda rng, n: rng.normal(size=(n, SEEDS)),
    "Student's t, 3 d.o.f.": lambda rng, n: rng.standard_t(3, size=(n, SEEDS)) / math.sqrt(3.0),
    "skewed (exponential)": lambda rng, n: rng.exponential(size=(n, SEEDS)),
    "uneven, log s.d. 0.5": lambda rng, n: _scaled(rng, np.exp(0.5 * rng.normal(size=n))),
    "every other one doubled": lambda rng, n: _scaled(rng, 1.0 + np.arange(n) % 2),
    "the last one tripled": lambda rng, n: _scaled(rng, 1.0 + 2.0 * (np.arange(n) == n - 1)),
    "the default doubled": lambda rng, n: _scaled(rng, 1.0 + (np.arange(n) == 0)),
}


def held(noise: Noise, stacks: int, tables: int, seed: int = 0) -> dict[str, float]:
    """Return the coverage of intervals against the first stack, and the rate of false findings.

    Returns:
        Shares of tables (`together`: all intervals of a study's first look hold; `better`: a stack
        is called better) and of single uncorrected intervals (`single`; `worst`: those of the stack
        with the lowest coverage).
    """
    rng = np.random.default_rng([seed, stacks])
    together = better = 0
    single = np.zeros(stacks - 1)
    for _ in range(tables):
        losses = noise(rng, stacks)
        table = {str(k): dict(enumerate(row.tolist())) for k, row in enumerate(losses)}
        found = compare(table, "0", FIRST_LEVEL).values()
        together += all((v.low or 0.0) <= 0.0 <= (v.high or 0.0) for v in found)
        better += any((v.high or 0.0) < 0.0 for v in found)
        for k in range(1, stacks):
            gaps = [(str(k), "0", j, losses[k, j] - losses[0, j]) for j in range(SEEDS)]
            value = contrast(gaps, table)
            single[k - 1] += (value.low or 0.0) <= 0.0 <= (value.high or 0.0)
    return {
        "together": together / tables,
        "better": better / tables,
        "single": float(single.mean()) / tables,
        "worst": float(single.min()) / tables,
    }


def reach(shared: float, seeds: int = SEEDS, axes: int = 8, size: float = 1.0) -> dict[str, float]:
    """Return the highest possible chance to find an effect of `size` seed deviations.

    An effect is the difference of two means over `seeds` pairs, whose standard error is
    sqrt(2 (1 - shared) / seeds) seed deviations.

    Returns:
        `one`: one comparison, the spread known exactly; `all, known`: one of `axes` comparisons
        that hold together, the spread known; `all`: the spread estimated from axes + 1 stacks.
    """
    from scipy import stats

    shift = size / math.sqrt(2.0 * (1.0 - shared) / seeds)
    freedom = axes * (seeds - 1)
    known = critical_t(1e6, comparisons=axes, correlation=0.5)
    estimated = critical_t(freedom, comparisons=axes, correlation=0.5)
    return {
        "one": float(stats.norm.cdf(shift - critical_t(1e6))),
        "all, known": float(stats.norm.cdf(shift - known)),
        "all": float(stats.nct.sf(estimated, freedom, shift)),
    }


def seeds_needed(shared: float, axes: int = 8, power: float = 0.8) -> int:
    """Return the replicates needed to find one deviation on one of several axes with this power."""
    return next(n for n in range(2, 1000) if reach(shared, n, axes)["all"] >= power)


def main(tables: int = TABLES) -> None:
    """Print the tables."""
    print(f"{tables} tables each, {SEEDS} seeds, no stack differs\n")
    print(f"{'noise':<26}{'stacks':>7}{'together':>10}{'better':>8}{'single':>8}{'worst':>8}")
    for name, noise in NOISES.items():
        for stacks in STACKS:
            found = held(noise, stacks, tables)
            cells = f"{found['together']:>10.3f}{found['better']:>8.3f}"
            cells += f"{found['single']:>8.3f}{found['worst']:>8.3f}"
            print(f"{name:<26}{stacks:>7}{cells}", flush=True)
    print("\nchance to find 1 seed deviation in 5 pairs, at most; replicates for 80 % on 8 axes")
    print(f"{'shared':<8}{'one':>8}{'8, known':>10}{'8':>8}{'needed':>8}")
    for shared in (0.0, 0.5, 0.68, 0.8, 0.9):
        row = reach(shared)
        cells = f"{row['one']:>8.3f}{row['all, known']:>10.3f}{row['all']:>8.3f}"
        print(f"{shared:<8g}{cells}{seeds_needed(shared):>8}")


if __name__ == "__main__":
    main(*(int(text) for text in sys.argv[1:]))
