"""The best default over several data sets: regret and rank on each, and leave-one-out.

*Regret* is a stack's excess loss on a data set over the best of the compared stacks, as a fraction
of that best loss, so that losses of different sizes can be averaged. Where the best is 0, which
1 - accuracy can be, it is a fraction of the loss of one validation row instead.

Only stacks trained on every data set are compared. The reference stacks are, since every search
begins with them and none of them is pruned.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean

from trainstack.search.conclusion.across_records import (
    Across,
    Entrant,
    LeftOut,
    Place,
    stack_name,
)
from trainstack.search.evidence.candidates import BASELINE, departures, usable
from trainstack.search.evidence.comparisons import estimate, verdict
from trainstack.search.evidence.deciding import Deciding, resolution_of
from trainstack.search.evidence.effects import confirmed_losses
from trainstack.search.evidence.estimates import Difference, Estimate, Verdict
from trainstack.search.records import SEARCH, Run
from trainstack.search.spec import StudySpec
from trainstack.spaces.errors import RequestError
from trainstack.spaces.stack import Stack


def across(studies: Sequence[tuple[StudySpec, Sequence[Run]]]) -> Across:
    """Compare the stacks that were trained on the data of every study.

    Studies of the same data count as one data set. The stack with the least mean regret comes
    first; of equal ones the one with the fewest departures from the chapter's default. Its interval
    is corrected for the number of stacks it was chosen from.

    Args:
        studies: What each asked, and its runs.

    Raises:
        RequestError: Studies of the same data decide by different metrics.
    """
    by_data: dict[str, list[tuple[StudySpec, Sequence[Run]]]] = {}
    for spec, runs in studies:
        by_data.setdefault(spec.data.fingerprint, []).append((spec, runs))
    stacks: dict[str, Stack] = {}
    tables: dict[str, list[tuple[float, int]]] = {}
    for group in by_data.values():
        _check_objective(group)
        scores = [_scores(runs, stacks) for _, runs in group]
        for name in set.intersection(*map(set, scores)):
            mean = fmean(score[name][0] for score in scores)
            tables.setdefault(name, []).append((mean, sum(score[name][1] for score in scores)))
    data = tuple(_title(group) for group in by_data.values())
    rows = [resolution_of(group[0][0].data, group[0][0].folds) for group in by_data.values()]
    common = {name: rows for name, rows in tables.items() if len(rows) == len(by_data)}
    common = {k: rows for k, rows in common.items() if any(math.isfinite(v) for v, _ in rows)}
    networks = {spec.network_name for spec, _ in studies}
    network = networks.pop() if len(networks) == 1 else ""
    entrants = sorted(
        (Entrant.of(stacks[name], _places(name, common, data, rows), network) for name in common),
        key=lambda e: (e.mean_regret, len(departures(e.stack)), e.stack_id),
    )
    word, difference = _against_default(entrants)
    best = entrants[0].stack if entrants else None
    return Across(
        studies=tuple(spec.study for spec, _ in studies),
        data=data,
        word=word,
        sentence=_sentence(entrants, len(data), word),
        stack=best,
        stack_id=best.stack_id if best else None,
        difference=Difference.of(difference, "regret"),
        stacks=tuple(entrants),
        leave_one_out=_leave_one_out(entrants, data),
    )


def share(regret: float) -> str:
    """Format a regret in percent; an infinite one is `diverged`."""
    return f"{100.0 * regret:.1f} %" if math.isfinite(regret) else "diverged"


def _sentence(entrants: Sequence[Entrant], n_data: int, word: Verdict) -> str:
    """Return the conclusion in one sentence."""
    where = f"{n_data} data {'set' if n_data == 1 else 'sets'}"
    if not entrants:
        return f"No evidence: no stack was trained to its end on all of the {where}."
    best = entrants[0]
    title = stack_name(best.stack_id)
    if len(entrants) == 1:
        return f"No evidence: {title} alone was trained on all of the {where}."
    of = f"of the {len(entrants)} stacks trained on all of them"
    head = f"Over {where}, {title} has the least mean regret {of}: {share(best.mean_regret)}"
    if best.stack == BASELINE:
        return f"{head}. It is the chapter's default."
    if word is Verdict.NO_EVIDENCE:
        return f"{head}; the chapter's default was not trained on all of them."
    base = next(e for e in entrants if e.stack == BASELINE)
    endings = {Verdict.BETTER: "", Verdict.EQUIVALENT: ", equivalent within the margin"}
    luck = endings.get(word, ", which may be luck")
    return f"{head}, the chapter's default {share(base.mean_regret)}{luck}."


def _scores(runs: Sequence[Run], stacks: dict[str, Stack]) -> dict[str, tuple[float, int]]:
    """Return each stack's mean loss in a study and the number of runs behind it.

    The runs are those of the confirmation if there are any, else of the search. A stack that only
    diverged or was infeasible has an infinite loss; a pruned one has none.
    """
    stacks.update({run.stack.stack_id: run.stack for run in runs if run.stack is not None})
    confirmed = confirmed_losses(runs)
    found = {name: (fmean(row.values()), len(row)) for name, row in confirmed.items()}
    searched: dict[str, list[float]] = {}
    for run in runs:
        if run.phase == SEARCH and run.stack_id is not None:
            if usable(run):
                searched.setdefault(run.stack_id, []).append(float(run.value or 0.0))
            elif run.outcome in ("diverged", "infeasible"):
                searched.setdefault(run.stack_id, []).append(math.inf)
    for name, values in searched.items():
        good = [value for value in values if math.isfinite(value)]
        found.setdefault(name, (fmean(good) if good else math.inf, len(good)))
    return found


def _places(
    name: str,
    common: Mapping[str, Sequence[tuple[float, int]]],
    data: Sequence[str],
    rows: Sequence[float],
) -> tuple[Place, ...]:
    """Return a stack's loss, rank and regret on each data set.

    Args:
        name: The stack's id.
        common: Stack's id → loss and number of runs on each data set.
        data: Names of the data sets.
        rows: Loss of one validation row of each; 0 if it is not known.
    """
    found = []
    for k, title in enumerate(data):
        column = [losses[k][0] for losses in common.values()]
        loss, n = common[name][k]
        best = min(column)
        rank = 1 + sum(other < loss for other in column)
        found.append(Place(title, loss, n, rank, _regret(loss, best, rows[k])))
    return tuple(found)


def _regret(loss: float, best: float, row: float) -> float:
    if loss == best:
        return 0.0
    scale = abs(best) or row
    return (loss - best) / scale if scale > 0.0 else math.inf


def _against_default(entrants: Sequence[Entrant]) -> tuple[Verdict, Estimate]:
    """Return the verdict on the first entrant against the chapter's default, and the difference."""
    base = next((e for e in entrants if e.stack == BASELINE), None)
    if base is None or len(entrants) < 2:
        return Verdict.NO_EVIDENCE, Estimate(math.nan)
    best = entrants[0]
    if best is base:
        return Verdict.EQUIVALENT, Estimate(0.0, (0.0, 0.0), len(base.places))
    pairs = zip(best.places, base.places, strict=True)
    gaps = [a.regret - b.regret for a, b in pairs]
    if not all(map(math.isfinite, gaps)):
        return Verdict.UNDECIDED, Estimate(-math.inf, n=len(gaps))
    value = estimate(gaps, comparisons=len(entrants) - 1)
    return verdict(value, 1.0), value


def _leave_one_out(entrants: Sequence[Entrant], data: Sequence[str]) -> tuple[LeftOut, ...]:
    """Return, for each data set, the choice of the others and its result there."""
    if len(data) < 2 or len(entrants) < 2:
        return ()
    base = next((e for e in entrants if e.stack == BASELINE), None)
    found = []
    for k, title in enumerate(data):

        def elsewhere(entrant: Entrant, k: int = k) -> tuple[float, int]:
            others = [place.regret for i, place in enumerate(entrant.places) if i != k]
            return fmean(others), len(departures(entrant.stack))

        chosen = min(entrants, key=elsewhere)
        place, default = chosen.places[k], base.places[k].regret if base else None
        found.append(LeftOut(title, chosen.stack_id, place.rank, place.regret, default))
    return tuple(found)


def _check_objective(group: Sequence[tuple[StudySpec, Sequence[Run]]]) -> None:
    """Reject studies of the same data that minimize different numbers."""
    objectives = sorted({Deciding.of(spec).objective for spec, _ in group}, reverse=True)
    if len(objectives) > 1:
        raise RequestError(
            f"studies of {_title(group)} decide by {' and '.join(objectives)}",
            "one metric for the same data",
            "compare studies of one metric",
        )


def _title(group: Sequence[tuple[StudySpec, Sequence[Run]]]) -> str:
    """Return the name of a data set, or of its file."""
    return group[0][0].data.source.rstrip("/").rpartition("/")[2]
