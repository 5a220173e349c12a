"""A change that runs made after the choice speak for, tested on fresh seeds before the conclusion.

The ablations may show the recommended stack to be better with another choice on an axis. That
result is the best of several, on the seeds of the race, and so does not change the choice by
itself. The variant with the greatest gain, the *challenger*, is trained with as many fresh seeds as
the race's first block has, beside the recommended stack and the default. If its interval there
excludes 0, it is recommended instead.

Only studies that may train more seeds than their first block challenge their choice, and only
within the time for further seeds. A profile that spares something, or a price of simplicity,
chooses by more than the loss, so that a lower loss alone does not challenge it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from trainstack.search.evidence.ablation import LABEL as ABLATION
from trainstack.search.evidence.candidates import Candidate, usable
from trainstack.search.evidence.comparisons import Pair, contrast, paired, verdict
from trainstack.search.evidence.constraints import read_all, violation
from trainstack.search.evidence.deciding import Deciding
from trainstack.search.evidence.effects import (
    Effect,
    Kind,
    axis_value,
    confirmed_losses,
    differ_only,
    effects,
)
from trainstack.search.evidence.estimates import Estimate, Verdict
from trainstack.search.evidence.extension import affordable, elapsed
from trainstack.search.evidence.formatting import interval, name, number
from trainstack.search.evidence.planned_run import Planned, confirmation_seed
from trainstack.search.records import CONFIRMATION, SEARCH, Outcome, Run
from trainstack.search.spec import StudySpec
from trainstack.spaces.network_space import filled
from trainstack.spaces.own_numbers import OwnNumber
from trainstack.spaces.profiles import PROFILES
from trainstack.spaces.stack import Stack

# Index of the first fresh seed: beyond those of the race and of tuning.
FIRST_INDEX = 2000
LABEL = "challenger: "


@dataclass(frozen=True)
class Challenge:
    """A challenger and its runs.

    Attributes:
        axis: Axis on which it departs from the race's choice.
        stack: The challenger.
        beaten: The race's choice.
        before: Its value on the axis.
        planned: Runs that are missing.
        difference: Its loss minus the choice's on the fresh seeds; None while runs are missing.
        against_default: Its loss minus the chapter default's on these seeds, likewise. This
            comparison was known before they were trained, so nothing corrects its interval.
    """

    axis: str
    stack: Stack
    beaten: Stack
    before: Any
    planned: tuple[Planned, ...] = ()
    difference: Estimate | None = None
    against_default: Estimate | None = None

    @property
    def won(self) -> bool:
        """True if the challenger is shown to be better on the fresh seeds."""
        return self.difference is not None and (self.difference.high or 0.0) < 0.0

    @property
    def candidate(self) -> Candidate:
        """The challenger as a stack of the comparison."""
        return Candidate(self.stack, f"{LABEL}{self.axis}={name(self.stack[self.axis])}")


def of_race(runs: Sequence[Run]) -> list[Run]:
    """Return the runs without those of a challenge."""
    return [r for r in runs if r.phase != CONFIRMATION or r.seed_index < FIRST_INDEX]


def challenge(
    spec: StudySpec,
    runs: Sequence[Run],
    chosen: Candidate,
    entrants: Sequence[Candidate],
) -> Challenge | None:
    """Return the challenge of the race's choice, or None if no run speaks for another one.

    Args:
        spec: Spec of the study.
        runs: All runs, those of the ablations complete.
        chosen: The race's choice.
        entrants: All stacks of the race, the default last.
    """
    if spec.replicates < 1 or spec.most_replicates < 2 * spec.replicates:
        return None
    if PROFILES[spec.profile].spares is not None or spec.simplicity is not None:
        return None
    found = _nominated(spec, of_race(runs), chosen.stack, entrants)
    if found is None:
        return None
    effect, stack = found
    made = Challenge(effect.axis, stack, chosen.stack, effect.choice)
    three = {c.stack_id: c for c in (made.candidate, chosen, entrants[-1])}
    raced = {c.stack_id for c in entrants}
    seen = [r for r in of_race(runs) if r.phase == CONFIRMATION and r.stack_id in raced]
    sought = elapsed([r for r in runs if r.phase == SEARCH])
    if not affordable(spec, [*three.values()], seen, sought, spec.replicates):
        return None
    known = {
        (r.stack_id, r.seed_index)
        for r in runs
        if r.phase == CONFIRMATION and r.outcome != Outcome.VOIDED
    }
    planned = tuple(
        Planned(c.stack, c.label, j, confirmation_seed(spec.seed, j))
        for j in range(FIRST_INDEX, FIRST_INDEX + spec.replicates)
        for c in three.values()
        if (c.stack_id, j) not in known
    )
    if planned:
        return replace(made, planned=planned)
    return replace(
        made,
        difference=_fresh(spec, runs, made.stack, made.beaten),
        against_default=_fresh(spec, runs, made.stack, entrants[-1].stack),
    )


def _nominated(
    spec: StudySpec, runs: Sequence[Run], chosen: Stack, entrants: Sequence[Candidate]
) -> tuple[Effect, Stack] | None:
    """Return the effect and the stack of the ablation that is better by most, or None."""
    rows, bounds = confirmed_losses(runs), read_all(spec.constraints)
    numbers = spec.network_numbers
    mine = filled(chosen, numbers)
    if chosen.stack_id not in rows:
        return None
    scale = sum(rows[chosen.stack_id].values()) / len(rows[chosen.stack_id])
    raced = {c.stack_id for c in entrants}
    tried = {
        r.stack_id: r.stack
        for r in runs
        if r.stack is not None and usable(r) and (r.label or "").startswith(ABLATION)
    }
    best: tuple[float, Effect, Stack] | None = None
    for effect in effects(chosen, runs, scale, Deciding.of(spec).resolution, numbers):
        if effect.word is not Verdict.WORSE:
            continue
        for stack_id, stack in tried.items():
            row = rows.get(stack_id or "", {})
            theirs = filled(stack, numbers)
            if stack_id in raced or not row:
                continue
            if not differ_only(mine, theirs, effect.axis, numbers):
                continue
            if axis_value(theirs, effect.axis) != effect.alternative:
                continue
            if violation(bounds, [r for r in runs if r.stack_id == stack_id and usable(r)]):
                continue
            gain = paired(row, rows[chosen.stack_id])
            if gain.n and (best is None or gain.mean < best[0]):
                best = gain.mean, effect, stack
    return best[1:] if best else None


def _fresh(spec: StudySpec, runs: Sequence[Run], stack: Stack, other: Stack) -> Estimate:
    """Return a stack's loss minus another's on the fresh seeds."""
    fresh = [r for r in runs if r.seed_index >= FIRST_INDEX]
    rows = confirmed_losses(fresh)
    mine, theirs = stack.stack_id, other.stack_id
    ours, its = rows.get(mine, {}), rows.get(theirs, {})
    pairs: list[Pair] = [(mine, theirs, j, ours[j] - its[j]) for j in sorted({*ours} & {*its})]
    return contrast(pairs, rows, resolution=Deciding.of(spec).resolution)


def compared_runs(runs: Sequence[Run], made: Challenge | None) -> Sequence[Run]:
    """Return the runs that count in the comparison of stacks.

    Without a challenger that won, those of the race. With one, all but the runs that nominated it.
    """
    if made is None or not made.won:
        return of_race(runs)
    mine = made.stack.stack_id
    return [
        r
        for r in runs
        if r.phase != CONFIRMATION or r.stack_id != mine or r.seed_index >= FIRST_INDEX
    ]


def effects_with(
    made: Challenge | None,
    stack: Stack,
    runs: Sequence[Run],
    scale: float,
    resolution: float,
    numbers: Mapping[str, OwnNumber] | None = None,
) -> tuple[Effect, ...]:
    """Return the effects of a recommended stack, as `effects`.

    After a challenge the axis concerned rests on the fresh seeds; the others on the ablations of
    the race's choice, which agrees with the recommended stack on them.
    """
    if made is None or not made.won or made.difference is None:
        return effects(stack, of_race(runs), scale, resolution, numbers)
    before = effects(made.beaten, of_race(runs), scale, resolution, numbers)
    drawn = [r for r in runs if r.phase == SEARCH]
    searched = {e.axis: e for e in effects(stack, drawn, scale, numbers=numbers)}
    value = made.difference
    own = Effect(
        made.axis,
        axis_value(stack, made.axis),
        made.before,
        value.mean,
        value.ci95,
        value.n,
        verdict(value, scale),
        Kind.PAIRED,
    )
    rested = {e.axis: e for e in before}
    return tuple(
        own
        if axis == made.axis
        else rested[axis]
        if axis in rested and rested[axis].choice == e.choice
        else e
        for axis, e in searched.items()
    )


def about(made: Challenge, deciding: Deciding) -> str:
    """Return a sentence on a challenge that has ended."""
    change = (
        f"{made.axis.replace('_', ' ')} {name(made.stack[made.axis])} instead of "
        f"{name(made.before)}"
    )
    value = made.difference
    if value is None or not value.n:
        return f"Paired runs after the race spoke for {change}; no fresh seed could test that."
    if not made.won:
        return (
            f"Paired runs after the race spoke for {change}; {value.n} fresh seeds did not "
            "confirm it."
        )
    ends = interval(sorted(abs(end) for end in value.ci95 or ()))
    return (
        f"Paired runs after the race spoke for {change}, and {value.n} fresh seeds confirm it: "
        f"{deciding.objective} {number(abs(value.mean))} lower (95 % interval {ends})."
    )
