"""How often the interval at the end of a study holds, by rules for its level.

    python -m benchmarks.endings [STUDIES]

One stack and the default, with a known spread, so that only the looks matter, and with the spread
estimated from the pairs. A study ends when it is decided, hopeless or worthless
(`trainstack.search.evidence.extension`), or at the last look.

Columns: `every look`: the level of the look at which it ends; `the rest`: all risk that is left is
spent there; `ordering`: the stage-wise ordering that knows the looks' bounds and nothing of
hopelessness; `decided`: the rest at the first look, at the last and if the default is beaten, else
the level of the look; `ends`: the rest at the first look and at the last only, which is the rule
for a single stack; `wider`: the mean width of that interval over that of `decided`.

Reference: Tsiatis, Rosner and Mehta, "Exact confidence intervals following a group sequential
test", 1984.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable

import numpy as np

from tests.support.planted_study import made_up_spec
from trainstack.search.evidence.comparisons import EQUIVALENCE_MARGIN, LEVEL
from trainstack.search.evidence.extension import HOPE, closing_level, levels_of

STUDIES, MOST = 200_000, 40
# The margin in deviations of a run: those of `benchmarks.deciding`, 4 % of the loss.
WORTH = EQUIVALENCE_MARGIN / 0.04
RISK = 1.0 - LEVEL


def ended(
    ratios: np.ndarray, ends: np.ndarray, bounds: np.ndarray, worth: np.ndarray
) -> np.ndarray:
    """Return the index of the look at which each study ends, [studies].

    Args:
        ratios: Mean difference over its standard error at each look, [studies, looks].
        ends: Number of pairs at each look.
        bounds: Half-width of the looks' intervals in standard errors.
        worth: Least gain that matters, in standard errors, [studies, looks].
    """
    beaten = ratios < -bounds
    hopeful = bounds * np.sqrt(ends / ends[-1]) < HOPE - ratios
    over = beaten | ~hopeful | (ratios - bounds >= -worth)
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


def drawn(
    gain: float, ends: np.ndarray, known: bool, studies: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean differences and their standard errors at each look, [studies, looks] each.

    Args:
        gain: In deviations of a pair.
        ends: Number of pairs at each look.
        known: Whether the spread is known, or estimated from the pairs.
        studies: Number of studies.
        seed: Of the draws.
    """
    pairs = np.random.default_rng(seed).normal(size=(studies, MOST)) - gain
    means = pairs.cumsum(axis=1)[:, ends - 1] / ends
    if known:
        return means, np.broadcast_to(1.0 / np.sqrt(ends), means.shape)
    squares = (pairs**2).cumsum(axis=1)[:, ends - 1] - ends * means**2
    return means, np.sqrt(squares / (ends - 1) / ends)


def coverage(gain: float, shared: float, known: bool, studies: int) -> tuple[float, ...]:
    """Return how often the interval holds by each rule, and the ratio of widths."""
    from scipy import special

    spec = made_up_spec(most_replicates=MOST)
    held = levels_of(spec)
    ends = np.array([*held])

    def half_widths(levels: Iterable[float]) -> np.ndarray:
        tails = 0.5 + np.array([*levels]) / 2.0
        return special.ndtri(tails) if known else special.stdtrit(ends - 1, tails)

    bounds = half_widths(held.values())
    rest = half_widths(closing_level(spec, n) for n in held)
    deviation = math.sqrt(2.0 * (1.0 - shared))
    gain = gain / deviation
    means, errors = drawn(gain, ends, known, studies, 1)
    ratios = means / errors
    at = ended(ratios, ends, bounds, WORTH / deviation / errors)
    mean, error, seen = (
        np.take_along_axis(values, at[:, None], axis=1)[:, 0] for values in (means, errors, ratios)
    )
    off = np.abs(mean + gain) / error
    outer = (at == 0) | (at == len(ends) - 1)
    decided = np.where(outer | (seen < -bounds[at]), rest[at], bounds[at])
    outermost = np.where(outer, rest[at], bounds[at])
    others = np.divide(*drawn(gain, ends, known, studies, 2))
    more = ordered(others, bounds, seen, at)
    holds = (
        *(off <= bounds[at], off <= rest[at], np.abs(more - 0.5) < 0.5 - RISK / 2),
        *(off <= decided, off <= outermost),
    )
    wider = np.mean(outermost * error) / np.mean(decided * error)
    return (*(float(np.mean(rule)) for rule in holds), float(wider))


def main(studies: int = STUDIES) -> None:
    """Print the table."""
    heads = ("every look", "the rest", "ordering", "decided", "ends", "wider")
    print(f"{'spread':>10}{'gain':>5}{'shared':>8}{''.join(f'{head:>12}' for head in heads)}")
    for known in (True, False):
        for gain in (0.0, 0.5, 1.0, 2.0):
            for shared in (0.0, 0.5, 0.8):
                cells = "".join(f"{x:12.3f}" for x in coverage(gain, shared, known, studies))
                spread = "known" if known else "estimated"
                print(f"{spread:>10}{gain:5g}{shared:8g}{cells}", flush=True)


if __name__ == "__main__":
    main(*(int(text) for text in sys.argv[1:]))
