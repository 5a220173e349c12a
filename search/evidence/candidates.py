"""Candidates to confirm: the best distinct stacks, the best of each family, and the baseline."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from trainstack.search.evidence.constraints import read_all, violation
from trainstack.search.evidence.finite import finite
from trainstack.search.records import CONFIRMATION, SEARCH, Outcome, Run
from trainstack.search.spec import StudySpec
from trainstack.spaces.axes import AXES
from trainstack.spaces.portfolio import MEASURED_DEFAULT
from trainstack.spaces.references import CHAPTER_DEFAULT
from trainstack.spaces.stack import Stack

# Most stacks to confirm beside the baseline. Each additional one widens every interval.
MOST_CANDIDATES = 4

BASELINE = CHAPTER_DEFAULT
BASELINE_LABEL = "chapter-default"


@dataclass(frozen=True)
class Candidate:
    """A stack to confirm.

    Attributes:
        stack: The stack.
        label: Name of the reference stack, or None.
        search_value: Its lowest validation loss in the search; None if no trial finished.
        number: Its search trial, or None.
    """

    stack: Stack
    label: str | None = None
    search_value: float | None = None
    number: int | None = None

    @property
    def stack_id(self) -> str:
        """The stack's fingerprint."""
        return self.stack.stack_id

    @property
    def is_baseline(self) -> bool:
        """True for the chapter's default."""
        return self.stack == BASELINE


def searched(runs: Sequence[Run]) -> list[Candidate]:
    """Return the distinct stacks with a finished search trial, best first."""
    finished = [r for r in runs if r.phase == SEARCH and usable(r)]
    return _distinct(finished, lambda r: r.value or 0.0)


def cut_short(runs: Sequence[Run]) -> list[Candidate]:
    """Return the distinct stacks whose search trial was pruned, the lowest loss so far first."""
    pruned = [r for r in runs if r.phase == SEARCH and r.outcome == Outcome.PRUNED]
    return _distinct(pruned, lambda r: min(finite(r.curve), default=math.inf))


def _distinct(runs: Sequence[Run], loss: Callable[[Run], float]) -> list[Candidate]:
    best: dict[str, Candidate] = {}
    for run in sorted(runs, key=lambda r: (loss(r), r.number)):
        if run.stack is not None:
            value = run.value if run.finished else None
            found = Candidate(run.stack, run.label, value, run.number)
            best.setdefault(found.stack_id, found)
    return list(best.values())


def candidates(
    spec: StudySpec, runs: Sequence[Run], most: int = MOST_CANDIDATES
) -> tuple[Candidate, ...]:
    """Return the stacks to confirm, best search value first, the baseline last.

    They are the measured default if its trial finished, the best finished stack of each family
    (self-normalizing, batch-normalized, plain), then the best of all up to `most`, and always the
    baseline, the chapter's default, even if it was not searched. Stacks known to break a constraint
    are left out, unless all do. If all finished ones do, pruned stacks that keep it take their
    place, since they only lost to stacks that cannot be chosen. The result is empty if no search
    trial finished.
    """
    ranked = searched(runs)
    if not ranked:
        return ()
    bounds = read_all(spec.constraints)
    tried: dict[str | None, list[Run]] = {}
    for run in runs:
        if run.phase == SEARCH:
            tried.setdefault(run.stack_id, []).append(run)
    kept = {stack_id for stack_id, same in tried.items() if not violation(bounds, same)}
    within = [c for c in ranked if c.stack_id in kept]
    ranked = within or [c for c in cut_short(runs) if c.stack_id in kept] or ranked
    baseline = Candidate(BASELINE, BASELINE_LABEL)
    baseline = next((c for c in ranked if c.is_baseline), baseline)
    others = [c for c in ranked if not c.is_baseline]
    firsts: dict[str, Candidate] = {}
    for candidate in others:
        firsts.setdefault(candidate.stack.family_in(spec.voids), candidate)
    measured = [c for c in others if c.label == MEASURED_DEFAULT]
    taken = {c.stack_id for c in [*measured, *firsts.values(), *others][:most]}
    # A family's best that is also among the overall best counts once.
    for candidate in others:
        if len(taken) >= most:
            break
        taken.add(candidate.stack_id)
    return (*(c for c in others if c.stack_id in taken), baseline)


def usable(run: Run) -> bool:
    """Tell whether a run's loss can be compared: finished, with a stack and a finite value."""
    return run.finished and run.stack is not None and math.isfinite(run.value or 0.0)


def confirmed(
    entrants: Sequence[Candidate], runs: Sequence[Run], before: int | None = None
) -> dict[str, dict[int, Run]]:
    """Return the confirmation's finished runs: stack's id → seed index → run.

    Args:
        entrants: The stacks of interest; each has an entry, possibly empty.
        runs: All runs.
        before: Only runs whose seed index is less than this.
    """
    table: dict[str, dict[int, Run]] = {c.stack_id: {} for c in entrants}
    for run in runs:
        row = table.get(run.stack_id or "")
        if row is None or run.phase != CONFIRMATION or not usable(run):
            continue
        if before is None or run.seed_index < before:
            row[run.seed_index] = run
    return table


def losses(table: Mapping[str, Mapping[int, Run]]) -> dict[str, dict[int, float]]:
    """Return the table's validation losses, without stacks that have none."""
    return {
        name: {j: float(run.value or 0.0) for j, run in row.items()}
        for name, row in table.items()
        if row
    }


def departures(stack: Stack, origin: Stack = BASELINE) -> tuple[str, ...]:
    """Return the axes whose choice differs, except an initializer that follows its activation.

    An axis differs in its choice (`nadam`, `sgd`); other numbers of the same choice are no
    departure, but other widths and another batch size are.
    """
    axes = [axis for axis in AXES if stack[axis] != origin[axis]]
    return tuple(a for a in axes if a != "initializer" or "activation" not in axes)
