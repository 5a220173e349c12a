"""The pairs of runs of an experiment for claims, contrast by contrast."""

from __future__ import annotations

from trainstack.search.claims.experiment import Arm, Known, settled, sides
from trainstack.search.claims.types import Claim, Contrast
from trainstack.search.records import Run


def pairs(claim: Claim, contrast: Contrast, known: Known, replicates: int) -> list[tuple[Run, Run]]:
    """Return the pairs of a contrast's two arms, at the tuned learning rates.

    If the contrast must exceed another one, the pairs of that one follow in reverse, for the seeds
    that both have.
    """
    first, second = sides(claim, contrast)
    mine = _finished(first, known, replicates), _finished(second, known, replicates)
    seeds = sorted(mine[0].keys() & mine[1].keys())
    if contrast.beyond is None:
        return [(mine[0][j], mine[1][j]) for j in seeds]
    others = {b.seed_index: (b, a) for a, b in pairs(claim, contrast.beyond, known, replicates)}
    both = [j for j in seeds if j in others]
    return [*((mine[0][j], mine[1][j]) for j in both), *(others[j] for j in both)]


def _finished(arm: Arm, known: Known, replicates: int) -> dict[int, Run]:
    """Return an arm's runs with a loss at its tuned rate, by seed index."""
    best, _ = settled(arm, known)
    found = {j: arm.found(best, j, known) for j in range(replicates)} if best else {}
    return {j: run for j, run in found.items() if run is not None and run.finished}
