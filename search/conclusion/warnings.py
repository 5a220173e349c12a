"""Warnings about weak evidence, one sentence each; those about the search in `search_warnings`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from trainstack.search.conclusion import search_warnings
from trainstack.search.evidence.challenge import Challenge
from trainstack.search.evidence.choice import Choice
from trainstack.search.evidence.constraints import read_all, told
from trainstack.search.evidence.deciding import BY_LOSS, Deciding
from trainstack.search.evidence.effects import Effect
from trainstack.search.evidence.estimates import Verdict
from trainstack.search.evidence.formatting import describe, interval, name, signed
from trainstack.search.records import SEARCH, Outcome, Run
from trainstack.search.spec import StudySpec

# Fewer replicates than this give a poor estimate of the spread.
FEW_REPLICATES = 3

Warner = Callable[[StudySpec, Sequence[Run], Choice], list[str]]


def warnings(spec: StudySpec, runs: Sequence[Run], chosen: Choice) -> list[str]:
    """Return all warnings, those about the conclusion first."""
    return [text for warner in WARNERS for text in warner(spec, runs, chosen)]


def bettered(
    found: Sequence[Effect], deciding: Deciding = BY_LOSS, tested: Challenge | None = None
) -> list[str]:
    """Warn if paired runs made after the choice favour another choice on an axis.

    Args:
        found: The effects.
        deciding: What decides the study.
        tested: The challenge, which the reasons tell about.
    """
    rows = [
        f"{e.axis.replace('_', ' ')} {name(e.alternative)} instead of {name(e.choice)} "
        f"({deciding.objective} {interval([-end for end in reversed(e.ci95)], signed)})"
        for e in found
        if e.word is Verdict.WORSE and e.ci95 and (tested is None or e.axis != tested.axis)
    ]
    if not rows:
        return []
    return [
        f"Paired runs made after the choice speak for {'; '.join(rows)}. Confirm that with "
        "`launch --stacks`, or search with more trials."
    ]


def few_replicates(spec: StudySpec, runs: Sequence[Run], chosen: Choice) -> list[str]:
    """Warn if there are too few seeds for intervals, or none."""
    row = chosen.table(runs).get(chosen.stack.stack_id, {})
    n = len(row)
    if n >= FEW_REPLICATES:
        return []
    if n == 0:
        return [
            "The recommended stack was not confirmed: its score is the search's own, which "
            "flatters itself. Ask for --replicates 5."
        ]
    return [
        f"Only {n} {'seed' if n == 1 else 'seeds'} confirmed the recommended stack; "
        "intervals are wide or missing. Ask for --replicates 5 or more."
    ]


def untouched_folds(spec: StudySpec, runs: Sequence[Run], chosen: Choice) -> list[str]:
    """Warn if there are fewer seeds than folds, so that some rows validate in no run."""
    n = len(chosen.table(runs).get(chosen.stack.stack_id, {}))
    if not 0 < n < spec.folds:
        return []
    return [
        f"Only {n} of {spec.folds} folds confirmed the recommended stack, so that no run validated "
        f"on the other rows. Ask for --replicates {spec.folds}."
    ]


def left_race(spec: StudySpec, runs: Sequence[Run], chosen: Choice) -> list[str]:
    """Warn if a failed run ruled out a candidate, or if the baseline has failed runs."""
    by_id = {c.stack_id: c for c in chosen.candidates}
    found = [
        f"A candidate left the race ({why}): {describe(by_id[i].stack, spec.network_name)}."
        for i, why in chosen.out.items()
        if not why.startswith("clearly worse")
    ]
    spoilt = [
        run
        for run in runs
        if run.phase != SEARCH
        and run.stack_id == chosen.baseline.stack_id
        and run.outcome in (Outcome.DIVERGED, Outcome.INFEASIBLE, Outcome.FAILED)
    ]
    if spoilt:
        found.append(
            f"The chapter's default did not finish {len(spoilt)} of its confirmation runs "
            f"({', '.join(sorted({r.outcome for r in spoilt}))}); it is compared on the others."
        )
    return found


def constraints_kept(spec: StudySpec, runs: Sequence[Run], chosen: Choice) -> list[str]:
    """Warn if the chosen stack breaks a constraint, or the bounded figure was not measured."""
    row = chosen.table(runs).get(chosen.stack.stack_id, {})
    own = list(row.values()) or [r for r in runs if r.stack_id == chosen.stack.stack_id]
    return told(read_all(spec.constraints), own)


def looked_before(spec: StudySpec, runs: Sequence[Run], chosen: Choice) -> list[str]:
    """Warn if the test set was used for an earlier choice."""
    if not spec.reopened:
        return []
    times = "once" if spec.reopened == 1 else f"{spec.reopened} times"
    return [
        f"The test set had been opened {times} before further seeds were confirmed: its figures "
        "are of the present choice, but they may have been known when the seeds were asked for."
    ]


def trained_by_fit(spec: StudySpec, runs: Sequence[Run], chosen: Choice) -> list[str]:
    """Say that Keras's `fit` trained a user's network, and why."""
    if spec.network is None or not spec.network.fit:
        return []
    return [
        f"The network has {spec.network.fit}, so Keras's fit trained it, not the engine. State "
        "that Keras does not save is not in the exported model."
    ]


WARNERS: tuple[Warner, ...] = (
    looked_before,
    few_replicates,
    untouched_folds,
    constraints_kept,
    left_race,
    *search_warnings.WARNERS,
    trained_by_fit,
)
