"""How often the interval at the end of a study holds, by rules for its level.

    python -m benchmarks.endings [STUDIES]

One stack and the default, with a known spread, so that only the looks matter. A study ends when it
is decided, hopeless or worthless (`trainstack.search.evidence.extension`), or at the last look.

Columns: `every look`: the level of the look at which it ends; `the rest`: all risk that is left is
spent there; `ordering`: the stage-wise ordering that knows the looks' bounds and nothing of
hopelessness; `ours`: the rest at the first look or if it is decided, else the level of the look.

Reference: Tsiatis, Rosner and Mehta, "Exact confidence intervals following a group sequential
test", 1984.
"""

from __future__ import annotations

import math
import sys

import numpy as np

from tests.support.planted_study import made_up_spec
from trainstack.search.evidence.comparisons import EQUIVALENCE_MARGIN, LEVEL
from trainstack.search.evidence.extension import HOPE, closing_level, levels_of

STUDIES, MOST = 200_000, 40
# The margin in deviations of a run: those of `benchmarks.deciding`, 4 % of the loss.
WORTH = EQUIVALENCE_MARGIN / 0.04
RISK = 1.0 - LEVEL


def ended(ratios: np.ndarray, ends: np.ndarray, bounds: np.ndarray, worth: float) -> np.ndarray:
    """Return the index of the look at which each study ends, [studies].

    Args:
        ratios: Mean difference over its standard error at each look, [studies, looks].
        ends: Number of pairs at each look.
        bounds: Half-width of the looks' intervals in standard errors.
        worth: Least gain that matters, in deviations of one pair.
    """
    beaten = ratios < -bounds
    hopeful = bounds * np.sqrt(ends / ends[-1]) < HOPE - ratios
    over = beaten | ~hopeful | (ratios - bounds >= -worth * np.sqrt(ends))
    over[:, -1] = True
    return over.argmax(axis=1)


def ordered(ratios: np.ndarray, bounds: np.ndarray, seen: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return the chance, by the stage-wise ordering, of a study that speaks more for the stack.

    Args:
        ratios: Ratios of other studies with the same truth, none of which is given up.
        bounds: The looks' bounds.
        seen: Ratio of each study at its last look, [studies].
        at: Index of that look, [studies].
    """
    found, going, decided = np.empty(len(seen)), np.ones(len(ratios), bool), 0.0
    for k, bound in enumerate(bounds):
        here = np.sort(ratios[going, k])
        found[at == k] = decided + np.searchsorted(here, seen[at == k]) / len(ratios)
        decided += float(np.mean(going & (ratios[:, k] < -bound)))
        going &= np.abs(ratios[:, k]) <= bound
    return found


def coverage(gain: float, shared: float, studies: int) -> tuple[float, ...]:
    """Return how often the interval holds, by the rules in the order of the columns."""
    from scipy import special

    spec = made_up_spec(most_replicates=MOST)
    held = levels_of(spec)
    ends = np.array([*held])
    bounds = special.ndtri(0.5 + np.array([*held.values()]) / 2.0)
    rest = special.ndtri(0.5 + np.array([closing_level(spec, n) for n in held]) / 2.0)
    deviation = math.sqrt(2.0 * (1.0 - shared))
    shift = -gain / deviation * np.sqrt(ends)

    def drawn(seed: int) -> np.ndarray:
        sums = np.random.default_rng(seed).normal(size=(studies, MOST)).cumsum(axis=1)
        return sums[:, ends - 1] / np.sqrt(ends) + shift

    ratios = drawn(1)
    at = ended(ratios, ends, bounds, WORTH / deviation)
    seen = np.take_along_axis(ratios, at[:, None], axis=1)[:, 0]
    off = np.abs(seen - shift[at])
    ours = np.where((at == 0) | (seen < -bounds[at]), rest[at], bounds[at])
    more = ordered(drawn(2), bounds, seen, at)
    holds = off <= bounds[at], off <= rest[at], np.abs(more - 0.5) < 0.5 - RISK / 2, off <= ours
    return tuple(float(np.mean(rule)) for rule in holds)


def main(studies: int = STUDIES) -> None:
    """Print the table."""
    print(f"{'gain':>5}{'shared':>8}{'every look':>12}{'the rest':>10}{'ordering':>10}{'ours':>8}")
    for gain in (0.0, 1.0, 2.0):
        for shared in (0.0, 0.5, 0.8):
            every, rest, ordering, ours = coverage(gain, shared, studies)
            cells = f"{every:12.3f}{rest:10.3f}{ordering:10.3f}{ours:8.3f}"
            print(f"{gain:5g}{shared:8g}{cells}", flush=True)


if __name__ == "__main__":
    main(*(int(text) for text in sys.argv[1:]))
