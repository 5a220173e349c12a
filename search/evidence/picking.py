"""Which of several confirmed stacks to choose: one rule, for the race and for the conclusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from trainstack.search.evidence.candidates import BASELINE, Candidate, departures
from trainstack.search.evidence.comparisons import compare, paired
from trainstack.search.evidence.estimates import Estimate
from trainstack.search.evidence.simplicity import simplicity
from trainstack.search.records import Run
from trainstack.search.spec import StudySpec
from trainstack.spaces.profiles import PROFILES

# Price of a departure from the chapter's default among stacks shown to beat it, in percent of its
# mean loss; chosen by the regret on recorded runs (`python -m benchmarks.choosing`).
PRICE = 0.5
BEATING = " that beat the chapter's default"


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
        price: Price of a departure from the default if it decided, in percent of its loss.
    """

    chosen: Candidate
    leader: Candidate
    level: Sequence[Candidate]
    ahead: Sequence[Candidate]
    apart: Mapping[str, Estimate]
    against: Mapping[str, Estimate]
    among: str = ""
    price: float | None = None


def pick(
    spec: StudySpec,
    finalists: Sequence[Candidate],
    table: Mapping[str, Mapping[int, Run]],
    rows: Mapping[str, Mapping[int, float]],
    confidence: float,
    resolution: float,
) -> Picked:
    """Choose the cheapest of the stacks shown to beat the chapter's default; without one, that.

    The cheapest has the least mean loss, to which each departure from the default adds PRICE
    percent of the default's loss. With `spec.simplicity`, that price counts, and all stacks may be
    chosen. In a profile that spares something (`Profile.spares`), of all stacks that cannot be told
    from the leader the one with least of it is chosen. If the default is shown to be worse than the
    leader and no stack to beat it, or if it was not confirmed, the simplest of those that cannot be
    told from the leader is chosen (`simplicity.simplicity`).

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
    found = Picked(leader, leader, level, ahead, apart, against)
    sparing = PROFILES[spec.profile].spares is not None
    if spec.simplicity is not None and base in rows:
        return _cheapest(found, finalists, rows, spec.simplicity)
    if ahead and not sparing:
        return _cheapest(replace(found, among=BEATING), ahead, rows, PRICE)
    default = [c for c in level if c.is_baseline]
    if sparing and default:
        pool, among = level, ""  # it may choose a stack that does not beat the default
    elif sparing and ahead:
        pool = [c for c in level if c in ahead] or ahead
        among = BEATING
    else:
        pool, among = default or level, ""
    chosen = min(pool, key=lambda c: simplicity(c, table[c.stack_id], spec.profile))
    return replace(found, chosen=chosen, among=among)


def _cheapest(
    found: Picked,
    pool: Sequence[Candidate],
    rows: Mapping[str, Mapping[int, float]],
    price: float,
) -> Picked:
    """Choose the stack of a pool with the least mean loss and price of its departures."""
    base = rows[BASELINE.stack_id]
    each = price / 100.0 * abs(sum(base.values()) / len(base))

    def cost(candidate: Candidate) -> float:
        return score(candidate, rows) + each * len(departures(candidate.stack))

    chosen = min(pool, key=lambda c: (cost(c), not c.is_baseline))
    return replace(found, chosen=chosen, price=price)


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
