"""The effect of each choice of the recommended stack, axis by axis, against an alternative.

A *pair* is two confirmation runs with the same seed whose stacks differ in one axis only. An
initializer follows its activation, and the learning rate may differ (it is tuned to the rest);
everything else is equal. Without pairs, search trials with either choice are compared and marked
`observational`: they differ in more than the axis and were not sampled at random, so they never
support a verdict.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from trainstack.search.evidence.ablation import TUNING_INDEX
from trainstack.search.evidence.candidates import usable
from trainstack.search.evidence.comparisons import LEVEL, Pair, contrasts, verdict
from trainstack.search.evidence.estimates import Estimate, Interval, Verdict
from trainstack.search.records import CONFIRMATION, SEARCH, Run, Word
from trainstack.spaces.axes import AXES
from trainstack.spaces.network_space import WITHOUT_CHOICE, filled
from trainstack.spaces.own_numbers import PREFIX, OwnNumber, dependents
from trainstack.spaces.references import CHAPTER_DEFAULT
from trainstack.spaces.stack import Stack


class Kind(Word):
    """What an effect rests on: pairs of runs, search trials, or nothing."""

    PAIRED = "paired"
    OBSERVATIONAL = "observational"
    NONE = "none"


# These follow from another choice or are tuned to it, and do not count as a difference.
_FOLLOWS = {"activation": ("initializer",), "normalization": ("bias",)}
_TUNED = ("optimizer.learning_rate",)


@dataclass(frozen=True)
class Effect:
    """One axis of the recommendation.

    Attributes:
        axis: The axis.
        choice: The recommended choice.
        alternative: The choice to compare with; null if there is none.
        effect: Loss with the choice minus loss with the alternative, below 0 in favour of the
            choice; null if nothing can be compared.
        ci95: Its 95 % interval, for all compared axes together, or null.
        n_pairs: Number of pairs; 0 if not paired.
        word: `better`, `worse`, `equivalent` or `no evidence`, of the choice.
        kind: `paired`, `observational` or `none`.
        n_trials: Number of search trials with the choice or with the alternative, whichever are
            fewer; 0 unless observational.
    """

    axis: str
    choice: Any
    alternative: Any = None
    effect: float | None = None
    ci95: Interval | None = None
    n_pairs: int = 0
    word: Verdict = Verdict.NO_EVIDENCE
    kind: Kind = Kind.NONE
    n_trials: int = 0

    @property
    def evidence(self) -> str:
        """What it rests on in words: `5 pairs`, `3 trials`, or nothing."""
        count, what = (self.n_pairs, "pair") if self.n_pairs else (self.n_trials, "trial")
        return f"{count} {what}{'s' * (count > 1)}" if count else ""

    @property
    def rests_on_one(self) -> bool:
        """Whether one of the sides is a single run, so that chance cannot be told from effect."""
        return self.ci95 is None and self.n_pairs + self.n_trials == 1


def by_evidence(found: Iterable[Effect]) -> list[Effect]:
    """Return the effects that rest on more than one run, those with the most evidence first."""
    shown = [e for e in found if e.kind is not Kind.NONE and not e.rests_on_one]
    return sorted(shown, key=lambda e: (e.kind is not Kind.PAIRED, -e.n_pairs - e.n_trials))


def axis_value(stack: Stack, axis: str) -> Any:
    """Return a stack's choice on an axis in its JSON form (widths as a list)."""
    value = stack.get(axis)
    return list(value) if isinstance(value, tuple) else value


def differ_only(
    first: Stack, second: Stack, axis: str, numbers: Mapping[str, OwnNumber] | None = None
) -> bool:
    """Tell whether two stacks make different choices on one axis and agree on all else.

    What follows from the axis (an activation's initializer, numbers that a network asks for by
    it), the axis's own numbers, and the learning rate may differ.

    Args:
        first: A stack.
        second: Another one.
        axis: The axis, or the key of a network's number.
        numbers: The own numbers of the network, of which both stacks have all that it asks for.
    """
    if first.get(axis) == second.get(axis):
        return False
    own = axis.removeprefix(PREFIX) if axis.startswith(PREFIX) else ""
    follows = (*_FOLLOWS.get(axis, ()), *(PREFIX + name for name in dependents(numbers or {}, own)))
    return rest(first, (axis, *follows)) == rest(second, (axis, *follows))


def rest(stack: Stack, without: Sequence[str]) -> dict[str, Any]:
    """Return a stack's items without some axes, their numbers, and tuned items."""
    return {
        key: value
        for key, value in stack.items
        if not {key, key.partition(".")[0]}.intersection((*without, *_TUNED))
    }


def pairs(
    runs: Iterable[Run],
    axis: str,
    choice: Any,
    alternative: Any,
    numbers: Mapping[str, OwnNumber] | None = None,
) -> list[Pair]:
    """Return every pair for a choice against an alternative; `numbers` as for `differ_only`.

    Returns:
        (id of the stack with the choice, id of the other, seed index, loss difference), sorted.
    """
    rows: dict[str, tuple[Stack, dict[int, float]]] = {}
    for run in runs:
        if run.phase == CONFIRMATION and usable(run) and run.stack is not None and run.stack_id:
            entry = rows.setdefault(run.stack_id, (run.stack, {}))
            entry[1][run.seed_index] = float(run.value or 0.0)
    mine = [r for r in rows.items() if axis_value(r[1][0], axis) == choice]
    theirs = [r for r in rows.items() if axis_value(r[1][0], axis) == alternative]
    return sorted(
        (a, b, j, first[j] - second[j])
        for a, (one, first) in mine
        for b, (other, second) in theirs
        if differ_only(one, other, axis, numbers)
        for j in first.keys() & second.keys()
    )


def confirmed_losses(runs: Iterable[Run]) -> dict[str, dict[int, float]]:
    """Return the losses of all finished confirmation runs: stack's id → seed index → loss.

    Tuning runs are left out, since the best of three underestimates the loss.
    """
    table: dict[str, dict[int, float]] = {}
    for run in runs:
        tuning = run.seed_index == TUNING_INDEX
        if run.phase == CONFIRMATION and usable(run) and run.stack_id is not None and not tuning:
            table.setdefault(run.stack_id, {})[run.seed_index] = float(run.value or 0.0)
    return table


def effects(
    stack: Stack,
    runs: Sequence[Run],
    scale: float,
    resolution: float = 0.0,
    numbers: Mapping[str, OwnNumber] | None = None,
) -> tuple[Effect, ...]:
    """Return one row per axis, and per number that a user's own network asks for.

    All intervals hold simultaneously. Half of the error probability goes to the axes on which the
    stack departs from the chapter's default, half to all others; if there is only one kind, it has
    all of it. (Weighted Bonferroni: Genovese et al., "False
    discovery control with p-value weighting", 2006.)

    Args:
        stack: The recommended stack.
        runs: All runs.
        scale: The baseline's loss, of which the equivalence margin is a fraction.
        resolution: As for `contrasts`.
        numbers: Own numbers of the user's network; None: dense layers.
    """
    stack, default = filled(stack, numbers), filled(CHAPTER_DEFAULT, numbers)
    if numbers:
        runs = [replace(r, stack=filled(r.stack, numbers)) if r.stack else r for r in runs]
    axes = AXES if numbers is None else [axis for axis in AXES if axis not in WITHOUT_CHOICE]
    every = (*axes, *(key for key, _ in stack.items if key.startswith(PREFIX)))
    found = {axis: _best_paired(stack, runs, axis, numbers) for axis in every}
    compared = [axis for axis in every if found[axis][1]]
    departing = [axis for axis in compared if stack[axis] != default.get(axis)]
    kinds = [k for k in (departing, [a for a in compared if a not in departing]) if k]
    table, values = confirmed_losses(runs), dict[str, Estimate]()
    for axes in kinds:
        level = 1.0 - (1.0 - LEVEL) / len(kinds)
        measured = contrasts([found[a][1] for a in axes], table, level, resolution)
        values |= zip(axes, measured, strict=True)
    return tuple(
        _paired(stack, axis, *found[axis], values[axis], scale)
        if axis in values
        else _observed(stack, runs, axis)
        for axis in every
    )


def _best_paired(
    stack: Stack, runs: Sequence[Run], axis: str, numbers: Mapping[str, OwnNumber] | None
) -> tuple[Any, list[Pair]]:
    """Return the alternative with the most pairs, and its pairs."""
    choice = axis_value(stack, axis)
    best: tuple[Any, list[Pair]] = (None, [])
    for alternative in _alternatives(runs, axis, choice, CONFIRMATION):
        rows = pairs(runs, axis, choice, alternative, numbers)
        if len(rows) > len(best[1]):
            best = (alternative, rows)
    return best


def _alternatives(runs: Sequence[Run], axis: str, choice: Any, phase: str) -> list[Any]:
    """Return the other choices of finished runs, the most frequent first."""
    made = Counter(
        repr(axis_value(r.stack, axis))
        for r in runs
        if r.phase == phase and usable(r) and r.stack is not None
    )
    values = {
        repr(axis_value(r.stack, axis)): axis_value(r.stack, axis)
        for r in runs
        if r.stack is not None
    }
    ranked = sorted(made, key=lambda key: (-made[key], key))
    return [values[key] for key in ranked if values[key] not in (choice, None)]


def _paired(
    stack: Stack,
    axis: str,
    alternative: Any,
    found: list[Pair],
    value: Estimate,
    scale: float,
) -> Effect:
    word = verdict(value, scale)
    word = Verdict.NO_EVIDENCE if word is Verdict.UNDECIDED else word
    choice = axis_value(stack, axis)
    return Effect(axis, choice, alternative, value.mean, value.ci95, len(found), word, Kind.PAIRED)


def _observed(stack: Stack, runs: Sequence[Run], axis: str) -> Effect:
    """Compare search trials for lack of pairs: median difference, no interval, no verdict.

    The median is robust against a few trials with an unsuitable learning rate.
    """
    choice = axis_value(stack, axis)
    if axis == "initializer":  # compare only trials with the same activation
        runs = [r for r in runs if r.stack and r.stack["activation"] == stack["activation"]]
    values: Mapping[str, list[float]] = _by_choice(runs, axis)
    mine = values.get(repr(choice), [])
    for alternative in _alternatives(runs, axis, choice, SEARCH):
        theirs = values.get(repr(alternative), [])
        if mine and theirs:
            gap = _median(mine) - _median(theirs)
            if math.isfinite(gap):
                fewer = min(len(mine), len(theirs))
                return Effect(
                    axis, choice, alternative, gap, kind=Kind.OBSERVATIONAL, n_trials=fewer
                )
    return Effect(axis, choice)


def _by_choice(runs: Sequence[Run], axis: str) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for run in runs:
        if run.phase == SEARCH and usable(run) and run.stack is not None:
            found.setdefault(repr(axis_value(run.stack, axis)), []).append(float(run.value or 0.0))
    return found


def _median(values: Sequence[float]) -> float:
    import statistics

    return statistics.median(values)
