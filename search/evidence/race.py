"""The confirmation as a paired race, and the choice after it.

All candidates and the baseline are trained with the same fresh seeds. After the first block of
seeds, and after each further seed, stacks that are clearly worse than the leader are dropped, but
never the leader or the baseline. The others continue to `replicates` seeds, and those whose
comparisons are still open further (`extension`). Every function here depends on the runs alone, so
repeated calls give the same result.

Reference: Maron and Moore, "Hoeffding races", 1994; Birattari et al., "A racing algorithm for
configuring metaheuristics", 2002 (blocks of paired runs).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from trainstack.search.evidence import ablation, challenge
from trainstack.search.evidence.candidates import (
    BASELINE,
    Candidate,
    candidates,
    confirmed,
    losses,
    usable,
)
from trainstack.search.evidence.challenge import Challenge, of_race
from trainstack.search.evidence.choice import Choice
from trainstack.search.evidence.comparisons import LEVEL, compare, paired
from trainstack.search.evidence.constraints import read_all, violation
from trainstack.search.evidence.deciding import Deciding
from trainstack.search.evidence.extension import extend, levels_of
from trainstack.search.evidence.picking import above, pick, score
from trainstack.search.evidence.planned_run import Planned, confirmation_seed
from trainstack.search.evidence.reasons import reasons
from trainstack.search.evidence.simplicity import spared
from trainstack.search.records import CONFIRMATION, Outcome, Run, Status
from trainstack.search.spec import StudySpec

__all__ = ["Candidate", "Planned", "candidates", "choice", "confirmation_seed"]
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
        level: Level of a family of intervals, so that they hold at every look.
    """

    entrants: tuple[Candidate, ...]
    out: Mapping[str, str] = field(default_factory=dict)
    wanted: tuple[Planned, ...] = ()
    done: bool = False
    level: float = LEVEL


def blocks(replicates: int) -> list[int]:
    """Return the cumulative number of seeds after each block.

    >>> blocks(5)
    [3, 4, 5]
    """
    return list(range(min(FIRST_BLOCK, replicates), replicates + 1)) if replicates > 0 else []


def race(spec: StudySpec, runs: Sequence[Run]) -> Race:
    """Evaluate the race from the existing runs."""
    runs = of_race(runs)
    entrants = candidates(spec, runs)
    known = {
        (r.stack_id, r.seed_index): r
        for r in runs
        if r.phase == CONFIRMATION and r.outcome != Outcome.VOIDED
    }
    ends, resolution = blocks(spec.replicates), Deciding.of(spec).resolution
    level = next(iter(levels_of(spec).values()), LEVEL)
    out: dict[str, str] = {}
    wanted: list[Planned] = []

    def missing(stacks: Sequence[Candidate], end: int) -> bool:
        """Plan the missing runs of stacks below a seed; tell if any are missing or under way."""
        for candidate in stacks:
            if candidate.stack_id not in out and not candidate.is_baseline:
                for j in range(end):
                    if why := _spoilt(known.get((candidate.stack_id, j))):
                        out.setdefault(candidate.stack_id, why)
        cells = [(c, j) for j in range(end) for c in stacks if c.stack_id not in out]
        wanted.extend(
            Planned(c.stack, c.label, j, confirmation_seed(spec.seed, j))
            for c, j in cells
            if (c.stack_id, j) not in known
        )
        awaited = [1 for c, j in cells if (run := known.get((c.stack_id, j))) and _open(run)]
        return bool(wanted or awaited)

    for end in ends:
        if missing(entrants, end):
            return Race(entrants, out, tuple(wanted), level=level)
        if end != ends[-1]:
            alive = [c for c in entrants if c.stack_id not in out]
            barred = _barred(spec, entrants, runs, out, before=end)
            free = [c for c in alive if c.stack_id not in barred]
            out |= {
                c.stack_id: f"breaks {' or '.join(spec.constraints)}"
                for c in alive
                if c.stack_id in barred and not c.is_baseline
            }
            out |= _clearly_worse(free, runs, end, len(ends) - 1, resolution)
    if not ends or not entrants:
        return Race(entrants, out, done=True)
    barred = _barred(spec, entrants, runs, out, before=ends[-1])
    further = extend(spec, entrants, out, barred, runs, missing)
    return Race(entrants, out, tuple(wanted), further.done, further.level)


def next_runs(spec: StudySpec, runs: Sequence[Run]) -> list[Planned]:
    """Return the missing confirmation runs, in the order to train them.

    First those of the race; when it is done and the choice settled, those of the ablations, and
    then those of a challenger. Empty while the last planned runs are under way, when the
    confirmation is done, and if no search trial finished. A run that failed, diverged or was
    infeasible is not repeated.
    """
    standing = race(spec, runs)
    chosen = _settled(spec, of_race(runs)) if standing.done else None
    if chosen is None:
        return list(standing.wanted)
    entrants = [c.stack for c in standing.entrants]
    further = ablation.wanted(spec, runs, chosen.stack, entrants)
    made = None if further else _challenge(spec, runs, chosen)
    return list(made.planned) if made is not None else further


def _challenge(spec: StudySpec, runs: Sequence[Run], chosen: Choice) -> Challenge | None:
    """Return the challenge of a settled choice."""
    candidate = next(c for c in chosen.candidates if c.stack == chosen.stack)
    return challenge.challenge(spec, runs, candidate, chosen.candidates)


def choice(spec: StudySpec, runs: Sequence[Run]) -> Choice | None:
    """Choose a stack: that of the race, or the challenger that is shown to be better.

    Returns:
        The choice, also if the confirmation was cut short; None if no trial finished.
    """
    settled = _settled(spec, of_race(runs))
    made = None if settled is None else _challenge(spec, runs, settled)
    if settled is None or made is None or made.planned:
        return settled
    said = challenge.about(made, Deciding.of(spec))
    if not made.won:
        return replace(settled, reasons=(*settled.reasons, said), challenge=made)
    return replace(
        settled,
        stack=made.stack,
        leader=made.stack,
        candidates=(made.candidate, *settled.candidates),
        reasons=(said,),
        compared=settled.compared + 1,
        challenge=made,
    )


def _settled(spec: StudySpec, runs: Sequence[Run]) -> Choice | None:
    """Choose a stack of the race by the rule of `picking.pick`.

    Stacks that break a constraint are compared, but not chosen, unless all break one. With fewer
    than two replicates no stacks can be told apart: the lowest loss is chosen.

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
    barred = _barred(spec, entrants, runs, standing.out)
    finalists = [c for c in finalists if c.stack_id not in barred]
    # Diverged stacks, and those whose trial was voided since, have no confirmed loss.
    compared = sum(c.stack_id in rows and c.stack_id not in barred for c in entrants)
    picked = pick(spec, finalists, table, rows, standing.level, deciding.resolution)
    chosen, leader = picked.chosen, picked.leader
    sure = standing.out, barred, compared, standing.level
    if any(e.ci95 is None for e in picked.apart.values()):
        best = f"{deciding.best} {deciding.figure}"
        why = f"One replicate cannot tell stacks apart; this one had the {best}."
        return Choice(leader.stack, BASELINE, entrants, leader.stack, (why,), *sure)
    because = spared(spec.profile, table[chosen.stack_id])
    why = reasons(picked, compared, because, deciding)
    why = (*_about_bounds(spec, entrants, runs, standing.out, barred), *why)
    return Choice(chosen.stack, BASELINE, entrants, leader.stack, why, *sure)


def _broken(
    spec: StudySpec, entrants: Sequence[Candidate], runs: Sequence[Run], before: int | None = None
) -> dict[str, float]:
    """Return each confirmed stack's violation of the constraints; 0 if it keeps them."""
    bounds = read_all(spec.constraints)
    table = confirmed(entrants, runs, before)
    return {i: violation(bounds, [*row.values()]) for i, row in table.items() if row}


def _about_bounds(
    spec: StudySpec,
    entrants: Sequence[Candidate],
    runs: Sequence[Run],
    out: Mapping[str, str],
    barred: frozenset[str],
) -> tuple[str, ...]:
    """Return a sentence on how the constraints narrowed the choice, if they did."""
    bounds = " or ".join(spec.constraints)
    broken = _broken(spec, entrants, runs)
    if _least(broken, out) > min(broken.values()):
        return (f"No stack that finished its runs keeps {bounds}; this breaks it least.",)
    if not barred:
        return ()
    if min(broken.values()) > 0.0:
        return (f"All {len(broken)} stacks confirmed break {bounds}; this breaks it least.",)
    which = f"{len(barred)} of the {len(broken)} stacks confirmed"
    does = "breaks {} and was" if len(barred) == 1 else "break {} and were"
    return (f"{which} {does.format(bounds)} not chosen from.",)


def _barred(
    spec: StudySpec,
    entrants: Sequence[Candidate],
    runs: Sequence[Run],
    out: Mapping[str, str],
    before: int | None = None,
) -> frozenset[str]:
    """Return the ids of the confirmed stacks that break constraints while others do not.

    If all break some, all but those with the least violation. Stacks that are out of the race
    cannot be chosen, so that they bar no other.
    """
    broken = _broken(spec, entrants, runs, before)
    return frozenset(i for i, amount in broken.items() if amount > _least(broken, out))


def _least(broken: Mapping[str, float], out: Mapping[str, str]) -> float:
    """Return the least violation of the stacks in the race; of all if every one is out."""
    inside = [amount for i, amount in broken.items() if i not in out]
    return min(inside or broken.values(), default=0.0)


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
    """Return the stacks clearly worse than the leader after `end` seeds, with the reason.

    They are worse by the spread of all stacks and by that of their own pairs: a noisy stack is
    often far behind after three seeds, and the interval of one that is dropped by chance is wrong.
    """
    rows = losses(confirmed(alive, runs, before=end))
    here = [c for c in alive if c.stack_id in rows]
    if not here:
        return {}
    leader = min(here, key=lambda c: (score(c, rows), not c.is_baseline))
    level = 1.0 - DROP_RISK / looks
    behind = compare(rows, leader.stack_id, level, resolution)
    return {
        c.stack_id: f"clearly worse than the leader after {end} seeds"
        for c in here
        if c is not leader
        and not c.is_baseline
        and above(behind[c.stack_id])
        and above(paired(rows[c.stack_id], rows[leader.stack_id], level))
    }
