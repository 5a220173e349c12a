"""Warnings about a search that was too small, too short, or at an end of its space."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from trainstack.search.evidence.candidates import usable
from trainstack.search.evidence.choice import Choice
from trainstack.search.evidence.deciding import Deciding
from trainstack.search.evidence.finite import finite
from trainstack.search.evidence.formatting import name, number
from trainstack.search.records import COUNTED, SEARCH, Outcome, Run
from trainstack.search.spec import StudySpec
from trainstack.spaces.stopping import cool_from

# Fewer finished trials than this are little evidence about an arm.
FEW_TRIALS = 3
# Fraction of a range, on its log scale, that counts as its edge.
EDGE = 0.1
# A curve still falls when its last epoch beats the best of the epochs before it by this fraction.
STILL_FALLING = 0.002
# Share of the planned schedules that are pruned while hot above which this is worth a warning: the
# usual rule prunes half to two thirds of them there, and hardly ever one of the best
# (docs/training-length.md).
MANY_CUT = 0.75
# Fewer counted trials per searched axis than this are a first look only.
FEW_PER_AXIS = 2


def rate_at_edge(spec: StudySpec, runs: Sequence[Run], chosen: Choice) -> list[str]:
    """Warn if the chosen learning rate lies within a tenth of its range from an end.

    A rate beyond the range belongs to a given stack, such as a reference, and not to the search.
    """
    optimizer = chosen.stack["optimizer"]
    arm = _axes(spec).get("optimizer", {}).get(optimizer, {})
    domain = arm.get("learning_rate") if isinstance(arm, Mapping) else None
    rate = chosen.stack.get("optimizer.learning_rate")
    if not isinstance(domain, Mapping) or "low" not in domain or rate is None:
        return []
    place = _place(rate, domain)
    if place is None or not 0.0 <= place <= 1.0 or EDGE <= place <= 1.0 - EDGE:
        return []
    side = "low" if place < EDGE else "high"
    return [
        f"The learning rate {number(rate)} lies at the {side} edge of the range searched for "
        f"{name(optimizer)} ({number(domain['low'])} to {number(domain['high'])}): the best may "
        "lie outside."
    ]


def still_falling(spec: StudySpec, runs: Sequence[Run], chosen: Choice) -> list[str]:
    """Warn if the chosen stack's validation loss still fell at the end of its plan."""
    row = chosen.table(runs).get(chosen.stack.stack_id, {}).values()
    own = list(row) or [r for r in runs if r.finished and r.stack_id == chosen.stack.stack_id]
    planned = chosen.stack.planned_epochs(spec.epochs)
    falling = [r for r in own if r.epochs >= planned and falls_at_end(r.curve)]
    if not falling or 2 * len(falling) < len(own):
        return []
    what = Deciding.of(spec).objective
    return [
        f"The validation {what} still fell at epoch {planned} in {len(falling)} of {len(own)} "
        "runs of the recommended stack, where its plan ended: more epochs may change the order."
    ]


def stopped_early(spec: StudySpec, runs: Sequence[Run], chosen: Choice) -> list[str]:
    """Warn if at least half of the completed search trials stopped before half of their plan.

    In the named spaces patience is half of a plan, so this concerns spaces of one's own.
    """
    done = [r for r in runs if r.phase == SEARCH and r.finished and r.stack]
    early = [r for r in done if r.stack and 2 * r.epochs < r.stack.planned_epochs(spec.epochs)]
    if not early or 2 * len(early) < len(done):
        return []
    return [
        f"{len(early)} of {len(done)} completed trials stopped before half of their plan: plans of "
        f"{max(1, spec.epochs // 2)} epochs would cost less and may do as well."
    ]


def cut_while_hot(spec: StudySpec, runs: Sequence[Run], chosen: Choice) -> list[str]:
    """Warn if most of the planned schedules were pruned before their rate fell."""
    planned = [
        r
        for r in runs
        if r.phase == SEARCH and r.outcome in COUNTED and r.stack and cool_from(r.stack) > 0
    ]
    cut = [
        r
        for r in planned
        if r.stack
        and r.outcome == Outcome.PRUNED
        and r.epochs < cool_from(r.stack) * r.stack.planned_epochs(spec.epochs)
    ]
    if len(cut) < FEW_TRIALS or len(cut) < MANY_CUT * len(planned):
        return []
    return [
        f"{len(cut)} of {len(planned)} trials whose schedule lowers the rate later were pruned "
        "before it did: they lost to trials as hot as themselves. `--pruner none` lets all finish."
    ]


def falls_at_end(curve: Sequence[float]) -> bool:
    """Tell whether the last epoch clearly beats all earlier ones."""
    before = finite(curve[:-1])
    if len(before) < 2:
        return False
    lowest = min(before)  # below 0 for some metrics of a user's own
    return math.isfinite(curve[-1]) and curve[-1] < lowest - STILL_FALLING * abs(lowest)


def thin_arms(spec: StudySpec, runs: Sequence[Run], chosen: Choice) -> list[str]:
    """Warn about arms of the space with fewer than three finished trials."""
    if spec.stacks:
        return []
    finished = [r.stack for r in runs if r.phase == SEARCH and r.finished and r.stack]
    found = []
    for axis, choices in _axes(spec).items():
        if axis in ("bundle", "units") or not _is_choice(choices) or len(choices) < 2:
            continue
        counts = {arm: sum(stack.get(axis) == arm for stack in finished) for arm in choices}
        thin = [f"{name(a)} {n}" for a, n in sorted(counts.items()) if n < FEW_TRIALS]
        if thin:
            found.append(f"{axis.replace('_', ' ')} ({', '.join(thin)})")
    if not found:
        return []
    return [f"Arms with fewer than {FEW_TRIALS} finished trials: {'; '.join(found)}."]


def pruned_on_course(spec: StudySpec, runs: Sequence[Run], chosen: Choice) -> list[str]:
    """Warn about pruned trials level with the search's best at the same share of its plan.

    A slow starter under a long schedule may look like that and still win.
    """
    finished = [r for r in runs if r.phase == SEARCH and usable(r) and r.curve]
    if not finished:
        return []
    best = min(finished, key=lambda r: r.value or 0.0)
    planned = best.stack.planned_epochs(spec.epochs) if best.stack else spec.epochs
    early = [
        r.number
        for r in runs
        if r.phase == SEARCH
        and r.outcome == Outcome.PRUNED
        and r.stack
        and 0 < (share := len(r.curve) / r.stack.planned_epochs(spec.epochs)) < 1
        and (reached := finite(r.curve))
        and min(reached) <= _lowest(best.curve[: max(1, round(share * planned))])
    ]
    if not early:
        return []
    which = ", ".join(str(n) for n in early[:5]) + (" …" if len(early) > 5 else "")
    plural = "trial was" if len(early) == 1 else "trials were"
    return [
        f"{len(early)} pruned {plural} level with the best trial when stopped (number {which})."
    ]


def _lowest(curve: Sequence[float]) -> float:
    """Return the lowest loss of a part of a curve; minus infinity if none is finite."""
    return min(finite(curve), default=-math.inf)


def small_budget(spec: StudySpec, runs: Sequence[Run], chosen: Choice) -> list[str]:
    """Warn if there were few trials for the number of searched axes."""
    spent = sum(1 for r in runs if r.phase == SEARCH and r.outcome in COUNTED)
    open_axes = sum(1 for choices in _axes(spec).values() if len(choices) > 1)
    if spec.stacks or spent >= FEW_PER_AXIS * open_axes:
        return []
    plural = "trial" if spent == 1 else "trials"
    return [f"{spent} {plural} for a space of {open_axes} axes is a first look, not a search."]


def bad_trials(spec: StudySpec, runs: Sequence[Run], chosen: Choice) -> list[str]:
    """Warn if many trials diverged or failed."""
    ended = [r for r in runs if r.phase == SEARCH and r.outcome in (*COUNTED, Outcome.FAILED)]
    found = []
    for outcome in (Outcome.DIVERGED, Outcome.INFEASIBLE, Outcome.FAILED):
        n = sum(1 for r in ended if r.outcome == outcome)
        if n and 4 * n >= len(ended):
            found.append(f"{n} of {len(ended)} search trials ended {outcome}.")
    return found


WARNERS = (
    rate_at_edge,
    still_falling,
    stopped_early,
    cut_while_hot,
    small_budget,
    thin_arms,
    pruned_on_course,
    bad_trials,
)


def _axes(spec: StudySpec) -> Mapping[str, Any]:
    """Return the space's axes that are choices: axis → arm → its numbers."""
    axes = spec.space.get("axes", {})
    return {k: v for k, v in axes.items() if _is_choice(v)} if isinstance(axes, Mapping) else {}


def _is_choice(value: Any) -> bool:
    """Tell whether this is a table of arms, not the domain of a number."""
    return isinstance(value, Mapping) and "choices" not in value and "low" not in value


def _place(value: float, domain: Mapping[str, Any]) -> float | None:
    """Return the position of a value in its range, from 0 (low end) to 1 (high end)."""
    low, high = float(domain["low"]), float(domain["high"])
    if domain.get("log"):
        if min(low, high, value) <= 0.0:
            return None
        low, high, value = math.log(low), math.log(high), math.log(value)
    return (value - low) / (high - low) if high > low else None
