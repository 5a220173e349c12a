"""The comparison that a study's decision is about."""

from __future__ import annotations

from collections.abc import Sequence

from trainstack.search.evidence.candidates import losses
from trainstack.search.evidence.choice import Choice
from trainstack.search.evidence.comparisons import compare
from trainstack.search.evidence.deciding import Deciding
from trainstack.search.evidence.decision import Decision, decide
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
    if mine == base:
        mine = min(against, key=lambda name: against[name].mean, default=base)
    if mine not in against:
        return None
    return decide(mine, against[mine], table[mine], table[base], scale, deciding.resolution)
