"""Which of several confirmed stacks to choose: one rule, for the race and for the conclusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trainstack.search.evidence.candidates import BASELINE, Candidate, departures
from trainstack.search.evidence.comparisons import compare, paired
from trainstack.search.evidence.estimates import Estimate
from trainstack.search.evidence.simplicity import simplicity
from trainstack.search.records import Run
from trainstack.search.spec import StudySpec
from trainstack.spaces.profiles import PROFILES


@dataclass(frozen=True)
class Picked:
    """The stack that the rule chooses, and what it rests on.

    Attributes:
        chosen: The stack.
        leader: The stack with the lowest confirmed loss.
        level: Stacks that cannot be told from the leader.
        ahead: Stacks shown to be better than the chapter's default.
        apart: Stack's id → its loss minus the leader's.
        against: Stack's id → its loss minus the default's; empty without the default.
        among: Restriction of the choice, if any (` that …`).
    """

    chosen: Candidate
    leader: Candidate
    level: Sequence[Candidate]
    ahead: Sequence[Candidate]
    apart: Mapping[str, Estimate]
    against: Mapping[str, Estimate]
    among: str = ""


def pick(
    spec: StudySpec,
    finalists: Sequence[Candidate],
    table: Mapping[str, Mapping[int, Run]],
    rows: Mapping[str, Mapping[int, float]],
    confidence: float,
    resolution: float,
) -> Picked:
    """Choose the simplest stack that cannot be told from the best, or by a price of simplicity.

    Stacks shown to beat the chapter's default take precedence; without one the default is chosen.
    Among them the simplest (`simplicity.simplicity`) of those that cannot be told from the leader
    is chosen. In a profile that spares something (`Profile.spares`), of all stacks that cannot be
    told from the leader the one with least of it. With `spec.simplicity` the stack with the least
    mean loss, to which each departure from the default adds that share of the default's loss.

    Args:
        spec: Spec of the study.
        finalists: Stacks that may be chosen, each with a confirmed loss; at least one.
        table: Stack's id → seed index → confirmation run.
        rows: Stack's id → seed index → loss, of all compared stacks.
        confidence: Level of a family of intervals (`looks.levels`).
        resolution: As for `contrasts`.
    """
    leader = min(finalists, key=lambda c: (score(c, rows), not c.is_baseline))
    apart = compare(rows, leader.stack_id, confidence, resolution)
    base = BASELINE.stack_id
    against = compare(rows, base, confidence, resolution) if base in rows else {}
    if any(e.ci95 is None for e in apart.values()):
        return Picked(leader, leader, [leader], [], apart, against)
    level = [c for c in finalists if c is leader or not above(apart[c.stack_id])]
    ahead = [c for c in finalists if (e := against.get(c.stack_id)) and (e.high or 0.0) < 0.0]
    if spec.simplicity is not None and base in rows:
        scale = sum(rows[base].values()) / len(rows[base])
        price = spec.simplicity / 100.0 * abs(scale)

        def cost(candidate: Candidate) -> float:
            return score(candidate, rows) + price * len(departures(candidate.stack))

        chosen = min(finalists, key=lambda c: (cost(c), not c.is_baseline))
        return Picked(chosen, leader, level, ahead, apart, against)
    default = [c for c in level if c.is_baseline]
    both = [c for c in level if c in ahead]
    if PROFILES[spec.profile].spares is not None and default:
        # It may choose a stack that does not beat the default.
        pool: Sequence[Candidate] = level
    elif ahead:
        pool = both = both or ahead
    else:
        pool = default or level
    chosen = min(pool, key=lambda c: simplicity(c, table[c.stack_id], spec.profile))
    among = " that beat the chapter's default" if pool is both else ""
    return Picked(chosen, leader, level, ahead, apart, against, among)


def above(difference: Estimate) -> bool:
    """Tell whether a difference is shown to be above 0."""
    return difference.low is not None and difference.low > 0.0


def score(candidate: Candidate, rows: Mapping[str, Mapping[int, float]]) -> float:
    """Return the mean loss minus the baseline's by seed; the plain mean without a baseline."""
    row, base = rows[candidate.stack_id], rows.get(BASELINE.stack_id, {})
    shared = paired(row, base)
    if shared.n:
        return shared.mean
    mean = sum(row.values()) / len(row)
    return mean - sum(base.values()) / len(base) if base else mean
