"""The confirmation as a paired race, and the choice after it.

All candidates and the baseline are trained with the same fresh seeds. After the first block of
seeds, and after each further seed, stacks that are clearly worse than the leader are dropped, but
never the leader or the baseline. The others continue to `replicates` seeds. Every function here
depends on the runs alone, so repeated calls give the same result.

Reference: Maron and Moore, "Hoeffding races", 1994; Birattari et al., "A racing algorithm for
configuring metaheuristics", 2002 (blocks of paired runs).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from trainstack.search.evidence import ablation
from trainstack.search.evidence.candidates import (
    BASELINE,
    Candidate,
    candidates,
    confirmed,
    losses,
    usable,
)
from trainstack.search.evidence.comparisons import compare, paired
from trainstack.search.evidence.constraints import read_all, violation
from trainstack.search.evidence.deciding import Deciding
from trainstack.search.evidence.estimates import Estimate
from trainstack.search.evidence.planned_run import Planned, confirmation_seed
from trainstack.search.evidence.simplicity import reasons, simplicity, spared
from trainstack.search.records import CONFIRMATION, Outcome, Run, Status
from trainstack.search.spec import StudySpec
from trainstack.spaces.profiles import PROFILES
from trainstack.spaces.stack import Stack

__all__ = ["Candidate", "Choice", "Planned", "candidates", "choice", "confirmation_seed"]
__all__ += ["Race", "next_runs", "race"]

# Seeds before anything is dropped: three show a spread, two hardly do.
FIRST_BLOCK = 3
# Chance of dropping any stack that is as good as the leader, over all looks together.
DROP_RISK = 0.02


@dataclass(frozen=True)
class Race:
    """The state of the confirmation.

    Attributes:
        entrants: Candidates and, last, the baseline.
        out: Stack's id → reason why it left the race.
        wanted: Runs to plan now.
        done: True if no run is to be planned or awaited.
    """

    entrants: tuple[Candidate, ...]
    out: Mapping[str, str] = field(default_factory=dict)
    wanted: tuple[Planned, ...] = ()
    done: bool = False


@dataclass(frozen=True)
class Choice:
    """The recommended stack and its competitors.

    Attributes:
        stack: The chosen stack.
        baseline: The chapter's default.
        candidates: All compared stacks, the baseline last.
        leader: The stack with the lowest confirmed loss.
        reasons: Sentences that justify the choice.
        out: Stack's id → reason why it left the race.
        barred: Ids of stacks excluded because they break a constraint.
        compared: Number of stacks with a confirmed loss that are not barred.
    """

    stack: Stack
    baseline: Stack
    candidates: tuple[Candidate, ...]
    leader: Stack
    reasons: tuple[str, ...] = ()
    out: Mapping[str, str] = field(default_factory=dict)
    barred: frozenset[str] = frozenset()
    compared: int = 0


def blocks(replicates: int) -> list[int]:
    """Return the cumulative number of seeds after each block.

    >>> blocks(5)
    [3, 4, 5]
    """
    return list(range(min(FIRST_BLOCK, replicates), replicates + 1)) if replicates > 0 else []


def race(spec: StudySpec, runs: Sequence[Run]) -> Race:
    """Evaluate the race from the existing runs."""
    entrants = candidates(spec, runs)
    known = {
        (r.stack_id, r.seed_index): r
        for r in runs
        if r.phase == CONFIRMATION and r.outcome != Outcome.VOIDED
    }
    ends, resolution = blocks(spec.replicates), Deciding.of(spec).resolution
    out: dict[str, str] = {}
    for end in ends:
        for candidate in entrants:
            if candidate.stack_id not in out and not candidate.is_baseline:
                for j in range(end):
                    if why := _spoilt(known.get((candidate.stack_id, j))):
                        out.setdefault(candidate.stack_id, why)
        cells = [(c, j) for j in range(end) for c in entrants if c.stack_id not in out]
        wanted = tuple(
            Planned(c.stack, c.label, j, confirmation_seed(spec.seed, j))
            for c, j in cells
            if (c.stack_id, j) not in known
        )
        awaited = [1 for c, j in cells if (run := known.get((c.stack_id, j))) and _open(run)]
        if wanted or awaited:
            return Race(entrants, out, wanted)
        if end != ends[-1]:
            alive = [c for c in entrants if c.stack_id not in out]
            barred = _barred(spec, entrants, runs, before=end)
            free = [c for c in alive if c.stack_id not in barred]
            out |= {
                c.stack_id: f"breaks {' or '.join(spec.constraints)}"
                for c in alive
                if c.stack_id in barred and not c.is_baseline
            }
            out |= _clearly_worse(free, runs, end, len(ends) - 1, resolution)
    return Race(entrants, out, done=True)


def next_runs(spec: StudySpec, runs: Sequence[Run]) -> list[Planned]:
    """Return the missing confirmation runs, in the order to train them.

    First those of the race; when it is done and the choice settled, those of the ablations. Empty
    while the last planned runs are under way, when the confirmation is done, and if no search trial
    finished. A run that failed, diverged or was infeasible is not repeated.
    """
    standing = race(spec, runs)
    chosen = choice(spec, runs) if standing.done else None
    if chosen is None:
        return list(standing.wanted)
    entrants = [c.stack for c in standing.entrants]
    return ablation.wanted(spec, runs, chosen.stack, entrants)


def choice(spec: StudySpec, runs: Sequence[Run]) -> Choice | None:
    """Choose the simplest stack that cannot be told from the best.

    The best, the leader, has the lowest confirmed loss. A stack cannot be told from it if its
    paired interval against it includes 0 (`comparisons.compare`, corrected for all comparisons).
    Stacks that break a constraint are compared, but not chosen, unless all break one.
    If the chapter's default is among them, it is chosen. Otherwise stacks shown to beat the default
    take precedence. Among them the stack with the fewest departures from the default wins, then the
    one with fewer weights, then the faster one. In a profile that spares something
    (`Profile.spares`) the stack with least of it comes before all these.

    With fewer than two replicates no stacks can be told apart: the lowest loss is chosen.

    Returns:
        The choice, also if the confirmation was cut short; None if no trial finished.
    """
    standing, deciding = race(spec, runs), Deciding.of(spec)
    entrants = standing.entrants
    if not entrants:
        return None
    table = confirmed(entrants, runs)
    rows = losses(table)
    finalists = [c for c in entrants if c.stack_id in rows and c.stack_id not in standing.out]
    if not finalists:
        best = min(
            (c for c in entrants if c.search_value is not None and c.stack_id not in standing.out),
            key=lambda c: (c.search_value, not c.is_baseline),
            default=entrants[-1],
        )
        why = "No confirmation run finished; this is the search's best trial."
        return Choice(best.stack, BASELINE, entrants, best.stack, (why,), standing.out)
    barred = _barred(spec, entrants, runs)
    finalists = [c for c in finalists if c.stack_id not in barred]
    # Diverged stacks, and those whose trial was voided since, have no confirmed loss.
    compared = sum(c.stack_id in rows and c.stack_id not in barred for c in entrants)
    leader = min(finalists, key=lambda c: (_score(c, rows), not c.is_baseline))
    apart = compare(rows, leader.stack_id, resolution=deciding.resolution)
    if any(e.ci95 is None for e in apart.values()):
        best = f"{deciding.best} {deciding.figure}"
        why = f"One replicate cannot tell stacks apart; this one had the {best}."
        sure = (why,), standing.out, barred, compared
        return Choice(leader.stack, BASELINE, entrants, leader.stack, *sure)
    level = [c for c in finalists if c is leader or not _above(apart[c.stack_id])]
    against = {}
    if BASELINE.stack_id in rows:
        against = compare(rows, BASELINE.stack_id, resolution=deciding.resolution)
    ahead = [c for c in level if (e := against.get(c.stack_id)) and (e.high or 0.0) < 0.0]
    default = [c for c in level if c.is_baseline]
    # A profile that spares something may choose a stack that does not beat the default.
    spares = PROFILES[spec.profile].spares is not None
    pool = (level if spares else default) if default else ahead or level
    chosen = min(pool, key=lambda c: simplicity(c, table[c.stack_id], spec.profile))
    among = " that beat the chapter's default" if pool is ahead else ""
    because = spared(spec.profile, table[chosen.stack_id])
    why = reasons(chosen, leader, level, compared, apart, among, because, deciding)
    why = (*_about_bounds(spec, entrants, runs, barred), *why)
    sure = why, standing.out, barred, compared
    return Choice(chosen.stack, BASELINE, entrants, leader.stack, *sure)


def _broken(
    spec: StudySpec, entrants: Sequence[Candidate], runs: Sequence[Run], before: int | None = None
) -> dict[str, float]:
    """Return each confirmed stack's violation of the constraints; 0 if it keeps them."""
    bounds = read_all(spec.constraints)
    table = confirmed(entrants, runs, before)
    return {i: violation(bounds, [*row.values()]) for i, row in table.items() if row}


def _about_bounds(
    spec: StudySpec, entrants: Sequence[Candidate], runs: Sequence[Run], barred: frozenset[str]
) -> tuple[str, ...]:
    """Return a sentence on how the constraints narrowed the choice, if they did."""
    if not barred:
        return ()
    bounds = " or ".join(spec.constraints)
    broken = _broken(spec, entrants, runs)
    if min(broken.values()) > 0.0:
        return (f"All {len(broken)} stacks confirmed break {bounds}; this breaks it least.",)
    which = f"{len(barred)} of the {len(broken)} stacks confirmed"
    does = "breaks {} and was" if len(barred) == 1 else "break {} and were"
    return (f"{which} {does.format(bounds)} not chosen from.",)


def _barred(
    spec: StudySpec, entrants: Sequence[Candidate], runs: Sequence[Run], before: int | None = None
) -> frozenset[str]:
    """Return the ids of the confirmed stacks that break constraints while others do not.

    If all break some, all but those with the least violation.
    """
    broken = _broken(spec, entrants, runs, before)
    return frozenset(i for i, amount in broken.items() if amount > min(broken.values()))


def _spoilt(run: Run | None) -> str | None:
    """Return the reason why a confirmation run rules out its stack, or None."""
    if run is None or _open(run) or usable(run):
        return None
    seed = run.seed_index + 1
    if run.outcome == Outcome.COMPLETED:
        return f"its loss with seed {seed} is not finite"
    return f"{run.outcome} with seed {seed}" + (f": {run.cause}" if run.cause else "")


def _open(run: Run) -> bool:
    return run.outcome in (Status.WAITING, Status.RUNNING)


def _clearly_worse(
    alive: Sequence[Candidate], runs: Sequence[Run], end: int, looks: int, resolution: float
) -> dict[str, str]:
    """Return the stacks clearly worse than the leader after `end` seeds, with the reason."""
    rows = losses(confirmed(alive, runs, before=end))
    here = [c for c in alive if c.stack_id in rows]
    if not here:
        return {}
    leader = min(here, key=lambda c: (_score(c, rows), not c.is_baseline))
    behind = compare(rows, leader.stack_id, 1.0 - DROP_RISK / looks, resolution)
    return {
        c.stack_id: f"clearly worse than the leader after {end} seeds"
        for c in here
        if c is not leader and not c.is_baseline and _above(behind[c.stack_id])
    }


def _above(difference: Estimate) -> bool:
    return difference.low is not None and difference.low > 0.0


def _score(candidate: Candidate, rows: Mapping[str, Mapping[int, float]]) -> float:
    """Return the mean loss minus the baseline's by seed; the plain mean without a baseline."""
    row, base = rows[candidate.stack_id], rows.get(BASELINE.stack_id, {})
    shared = paired(row, base)
    if shared.n:
        return shared.mean
    mean = sum(row.values()) / len(row)
    return mean - sum(base.values()) / len(base) if base else mean
