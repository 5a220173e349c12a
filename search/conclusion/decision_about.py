"""Comparisons with the chapter's default that a conclusion rests on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from trainstack.search.evidence.candidates import losses
from trainstack.search.evidence.choice import Choice
from trainstack.search.evidence.comparisons import compare
from trainstack.search.evidence.deciding import Deciding
from trainstack.search.evidence.decision import Decision, decide
from trainstack.search.evidence.estimates import Estimate
from trainstack.search.records import Run


def decision_about(
    chosen: Choice, runs: Sequence[Run], scale: float, deciding: Deciding
) -> Decision | None:
    """Return the decision about the recommended stack, or the best of the others.

    Args:
        chosen: The outcome of the race.
        runs: All runs.
        scale: The default's mean objective.
        deciding: What decides the study.

    Returns:
        None if no pair of runs compares a stack with the default.
    """
    table = chosen.table(runs)
    rows, base = losses(table), chosen.baseline.stack_id
    if base not in rows:
        return None
    against = {
        name: value
        for name, value in compare(rows, base, chosen.level, deciding.resolution).items()
        if value.n and name not in chosen.barred
    }
    mine = chosen.stack.stack_id
    if (fresh := _of_challenge(chosen)) is not None:
        against = {mine: fresh} if fresh.n else {}
    if mine == base:
        mine = min(against, key=lambda name: against[name].mean, default=base)
    if mine not in against:
        return None
    return decide(mine, against[mine], table[mine], table[base], scale, deciding.resolution)


def difference_from_default(
    chosen: Choice, rows: Mapping[str, Mapping[int, float]], resolution: float
) -> Estimate:
    """Return the chosen stack's loss minus the default's; exactly 0 for the same stack."""
    mine, base = chosen.stack.stack_id, chosen.baseline.stack_id
    if mine not in rows or base not in rows:
        return Estimate(math.nan)
    if mine == base:
        return Estimate(0.0, (0.0, 0.0), len(rows[mine]))
    fresh = _of_challenge(chosen)
    return compare(rows, base, chosen.level, resolution)[mine] if fresh is None else fresh


def _of_challenge(chosen: Choice) -> Estimate | None:
    """Return the difference on a challenge's fresh seeds if the challenger won."""
    made = chosen.challenge
    return made.against_default if made is not None and made.won else None


def rival(
    rows: Mapping[str, Mapping[int, float]], base: str, level: float, resolution: float
) -> Estimate | None:
    """Return the strongest rival's loss minus the baseline's; stacks that beat it come first."""
    others = compare(rows, base, level, resolution).values() if base in rows else ()
    found = [value for value in others if value.ci95 is not None]
    return min(found, key=lambda v: ((v.high or 0.0) >= 0.0, v.low), default=None)
