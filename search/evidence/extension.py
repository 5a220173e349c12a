"""More paired runs for the comparisons that are still open, and only for these.

After `replicates` seeds the leading stacks and the default get further seeds, in blocks that end at
the looks of `looks.looks`, until nothing is open, until the time is spent, or until
`most_replicates`. Two comparisons matter: a stack that may beat the default by more than the
equivalence margin, and, once the default is beaten, the chosen stack that may be worse than the
leader by more than that.

Everything here is a function of the runs below the seed at which it looks, so that repeated calls
take the same decisions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from trainstack.search.evidence.candidates import BASELINE, Candidate, confirmed, losses
from trainstack.search.evidence.comparisons import EQUIVALENCE_MARGIN, LEVEL, compare
from trainstack.search.evidence.deciding import Deciding
from trainstack.search.evidence.estimates import Estimate
from trainstack.search.evidence.finite import finite
from trainstack.search.evidence.looks import levels, looks, spent
from trainstack.search.evidence.picking import Picked, pick, score
from trainstack.search.records import CONFIRMATION, SEARCH, Run
from trainstack.search.spec import StudySpec

# Level of a study's first look, if it is the last one: so the intervals hold together in 95 % of
# studies although a search nominates its noisier stacks, and few seeds do not show how noisy they
# are (decision 0106).
FIRST_LEVEL = 0.96
# Fewer seeds give no usable interval to decide by.
FEWEST_SEEDS = 2
# Most stacks that continue beside the default.
MOST_CONTENDERS = 3
# A stack leaves if it is behind the best of the others by more standard errors than this.
REACH = 1.0
# It also leaves if even a gain greater by this many standard errors would stay undecided after the
# last seed.
HOPE = 1.75
# Without a time limit: this share of the search's time, and at least these seconds.
TIME_SHARE, LEAST_SECONDS = 0.5, 20.0

Missing = Callable[[Sequence[Candidate], int], bool]


@dataclass(frozen=True)
class Extension:
    """The state of the further seeds.

    Attributes:
        end: Number of seeds up to which runs are complete, or now wanted.
        level: Level of a family of intervals at this look.
        done: True if no further seed is wanted.
    """

    end: int
    level: float
    done: bool = True


def ends_of(spec: StudySpec) -> tuple[int, ...]:
    """Return the numbers of seeds after which a study looks at its verdict."""
    first, least = spec.replicates, spec.least_replicates
    most = max(first, least, spec.most_replicates if first >= FEWEST_SEEDS else 0)
    return tuple(sorted({*looks(first, most), *([least] if least > first else [])}))


def levels_of(spec: StudySpec) -> dict[int, float]:
    """Return the level of a family of intervals at each look, by its number of seeds."""
    ends = ends_of(spec)
    if len(ends) < 2:
        return dict.fromkeys(ends, FIRST_LEVEL)
    risks = tuple((1.0 - LEVEL) * spent(n, ends[0], ends[-1]) for n in ends)
    return dict(zip(ends, levels(ends, risks), strict=True))


def closing_level(spec: StudySpec, end: int) -> float:
    """Return the level of a family of intervals at the look that ends a study.

    It spends all the risk that is left, whichever look it is; at the first FIRST_LEVEL. This
    is valid if the time ends the study, and near the exact interval, that of the stage-wise
    ordering, if the study ends at its first look, or if the default is beaten and several stacks
    estimate the spread. With a single stack beside the default too few pairs do, and a study ends
    early where the spread looks small (`python -m benchmarks.endings`).

    Args:
        spec: Spec of the study.
        end: Number of seeds at that look.

    Reference: Lan and DeMets 1983; Tsiatis, Rosner and Mehta, "Exact confidence intervals following
    a group sequential test", 1984.
    """
    ends = tuple(n for n in ends_of(spec) if n <= end)
    if len(ends) < 2:
        return FIRST_LEVEL
    most = ends_of(spec)[-1]
    risks = ((1.0 - LEVEL) * spent(n, ends[0], most) for n in ends[:-1])
    return levels(ends, (*risks, 1.0 - LEVEL))[-1]


def extend(
    spec: StudySpec,
    entrants: Sequence[Candidate],
    out: Mapping[str, str],
    barred: frozenset[str],
    runs: Sequence[Run],
    missing: Missing,
) -> Extension:
    """Evaluate the further seeds after the first block.

    Args:
        spec: Spec of the study.
        entrants: All stacks of the race.
        out: Stack's id → reason why it left the race.
        barred: Ids of stacks that may not be chosen.
        runs: All runs.
        missing: Tells whether some stacks lack runs below a number of seeds; may add to `out`.
    """
    held = levels_of(spec)
    ids = {c.stack_id for c in entrants}
    raced = [r for r in runs if r.phase == CONFIRMATION and r.stack_id in ids]
    sought = elapsed([r for r in runs if r.phase == SEARCH])

    def free(stacks: Sequence[Candidate]) -> tuple[Candidate, ...]:
        return tuple(c for c in stacks if c.stack_id not in {*out, *barred})

    contenders, ends = free(entrants), [*held]
    end, level = ends[0], closing_level(spec, ends[0])
    for end, after in zip(ends, [*ends[1:], None], strict=True):
        if end != ends[0] and missing(contenders, end):
            return Extension(end, held[end], done=False)
        contenders, level = free(contenders), closing_level(spec, end)
        if after is None:
            break
        seen = [r for r in raced if 0 <= r.seed_index < end]
        look = _look(spec, entrants, free(entrants), contenders, seen, held[end])
        going = look.going
        if after <= spec.least_replicates:
            going = going or _pair(contenders, seen)
        elif going and not affordable(spec, going, seen, sought, after - end):
            break
        if len(going) < 2:
            if end != ends[0] and not (look.beaten and len(entrants) > 2):
                level = held[end]  # it ends because of what it sees
            break
        contenders = going
    return Extension(end, level)


@dataclass(frozen=True)
class _Look:
    """What a study sees at a look.

    Attributes:
        going: The contenders whose comparisons are open and matter; empty if there is none.
        beaten: Whether a stack is shown to beat the default.
    """

    going: tuple[Candidate, ...] = ()
    beaten: bool = False


def _look(
    spec: StudySpec,
    entrants: Sequence[Candidate],
    free: Sequence[Candidate],
    contenders: Sequence[Candidate],
    runs: Sequence[Run],
    level: float,
) -> _Look:
    """Look at the runs so far, with intervals of this level."""
    table = confirmed(entrants, runs)
    rows = losses(table)
    here = [c for c in free if c.stack_id in rows]
    base = rows.get(BASELINE.stack_id)
    if len(here) < 2 or not base:
        return _Look()
    resolution = Deciding.of(spec).resolution
    worth = EQUIVALENCE_MARGIN * abs(sum(base.values()) / len(base))
    picked = pick(spec, here, table, rows, level, resolution)
    if picked.ahead:
        return _Look(_choice_open(picked, contenders, worth), beaten=True)
    most = ends_of(spec)[-1]
    hopeful = [
        c
        for c in contenders
        if c in here
        and not c.is_baseline
        and _may_win(picked.against[c.stack_id], worth)
        and _may_be_decided(picked.against[c.stack_id], most)
    ]
    if not hopeful:
        return _Look()
    best = min(hopeful, key=lambda c: score(c, rows))
    behind = compare(rows, best.stack_id, level, resolution)
    reach = [c for c in hopeful if c is best or _within_reach(behind[c.stack_id])]
    reach = sorted(reach, key=lambda c: score(c, rows))[:MOST_CONTENDERS]
    return _Look((*reach, *(c for c in contenders if c.is_baseline)))


def _choice_open(
    picked: Picked, contenders: Sequence[Candidate], worth: float
) -> tuple[Candidate, ...]:
    """Return the chosen stack and the leader if the choice may cost more than the worth."""
    pair = picked.chosen, picked.leader
    if picked.chosen is picked.leader or any(c not in contenders for c in pair):
        return ()
    gap = picked.apart[picked.chosen.stack_id]
    return pair if (gap.high or 0.0) > worth else ()


def _may_win(difference: Estimate, worth: float) -> bool:
    """Tell whether a stack may be better than the default by more than the worth."""
    return difference.low is not None and difference.low < -worth


def _may_be_decided(difference: Estimate, most: int) -> bool:
    """Tell whether the most seeds would decide even if the gain is greater by HOPE standard errors.

    The interval's half-width shrinks with the root of the number of pairs.
    """
    if difference.low is None or not difference.n:
        return False
    half = (difference.mean - difference.low) * math.sqrt(difference.n / most)
    return half < HOPE * _error(difference) - difference.mean


def _within_reach(behind: Estimate) -> bool:
    return behind.mean <= REACH * _error(behind)


def _error(difference: Estimate) -> float:
    """Return the standard error of a difference."""
    return (difference.deviation or 0.0) / math.sqrt(max(1, difference.n))


def _pair(contenders: Sequence[Candidate], runs: Sequence[Run]) -> tuple[Candidate, ...]:
    """Return the best stack beside the default, and the default."""
    rows = losses(confirmed(contenders, runs))
    others = [c for c in contenders if not c.is_baseline and c.stack_id in rows]
    default = [c for c in contenders if c.is_baseline]
    return (*sorted(others, key=lambda c: score(c, rows))[:1], *default)


def affordable(
    spec: StudySpec,
    going: Sequence[Candidate],
    runs: Sequence[Run],
    sought: float,
    seeds: int,
) -> bool:
    """Tell whether the next block of seeds fits into the time for further seeds.

    Args:
        spec: Spec of the study.
        going: Stacks of the next block.
        runs: Runs of the race so far.
        sought: Seconds that the search took.
        seeds: Seeds of the next block.
    """
    limit = spec.confirm_seconds
    if limit is None:
        limit = max(LEAST_SECONDS, TIME_SHARE * sought)
    ids = {c.stack_id for c in going}
    times = finite(r.seconds.get("total") for r in runs if r.stack_id in ids)
    one = sum(times) / max(1, len(times))
    further = [r for r in runs if r.seed_index >= spec.replicates]
    return elapsed(further) + one * len(going) * seeds / _workers(runs) <= limit


def elapsed(runs: Sequence[Run]) -> float:
    """Return the time that runs took, shared among their workers."""
    return sum(finite(r.seconds.get("total") for r in runs)) / _workers(runs)


def _workers(runs: Sequence[Run]) -> int:
    return max(1, len({r.worker for r in runs if r.worker}))
