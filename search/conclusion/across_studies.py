"""The best default over several data sets: regret and rank on each, and leave-one-out.

*Regret* is a stack's excess loss on a data set over the best of the compared stacks, as a fraction
of that best loss, so that losses of different sizes can be averaged. Only stacks trained on every
data set are compared. The reference stacks are, since every search begins with them and none of
them is pruned.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from trainstack.search.evidence.candidates import BASELINE, departures, usable
from trainstack.search.evidence.comparisons import Estimate, estimate, verdict
from trainstack.search.evidence.effects import NO_EVIDENCE, confirmed_losses
from trainstack.search.evidence.formatting import describe
from trainstack.search.records import SEARCH, Run
from trainstack.search.spec import StudySpec
from trainstack.spaces.references import REFERENCES
from trainstack.spaces.stack import Stack

_LABELS = {stack.stack_id: name for name, stack in REFERENCES.items()}


@dataclass(frozen=True)
class Place:
    """Result of a stack on a data set: loss, number of runs, rank (1: best) and regret."""

    data: str
    loss: float
    n: int
    rank: int
    regret: float


@dataclass(frozen=True)
class Entrant:
    """A stack trained on every data set; `places` follow the order of the data sets."""

    stack: Stack
    places: tuple[Place, ...]

    @property
    def mean_regret(self) -> float:
        """Mean regret over the data sets; infinite if the stack failed to train on one."""
        return fmean(place.regret for place in self.places)

    @property
    def worst_regret(self) -> float:
        """Largest regret on any data set."""
        return max(place.regret for place in self.places)

    @property
    def mean_rank(self) -> float:
        """Mean rank over the data sets."""
        return fmean(place.rank for place in self.places)

    @property
    def name(self) -> str:
        """Name of the reference stack, or the fingerprint of any other stack."""
        return stack_name(self.stack)


@dataclass(frozen=True)
class LeftOut:
    """The stack chosen without one data set, and its result there."""

    data: str
    stack: Stack
    place: Place
    default: Place | None


@dataclass(frozen=True)
class Across:
    """The default over several data sets.

    Attributes:
        studies: Names of the studies read.
        data: The data sets, in the order of the studies.
        entrants: Stacks trained on all of them, the least mean regret first.
        left_out: Leave-one-out, one row per data set; empty with fewer than two.
        difference: Regret of the first entrant minus the chapter default's, paired by data set.
        word: `better`, `equivalent`, `undecided` against the chapter's default, or `no evidence`.
    """

    studies: tuple[str, ...]
    data: tuple[str, ...]
    entrants: tuple[Entrant, ...]
    left_out: tuple[LeftOut, ...]
    difference: Estimate
    word: str

    @property
    def sentence(self) -> str:
        """The conclusion in one sentence."""
        where = f"{len(self.data)} data {'set' if len(self.data) == 1 else 'sets'}"
        if not self.entrants:
            return f"No evidence: no stack was trained to its end on all of the {where}."
        best = self.entrants[0]
        if len(self.entrants) == 1:
            return f"No evidence: {best.name} alone was trained on all of the {where}."
        of = f"of the {len(self.entrants)} stacks trained on all of them"
        head = (
            f"Over {where}, {best.name} has the least mean regret {of}: {share(best.mean_regret)}"
        )
        if best.stack == BASELINE:
            return f"{head}. It is the chapter's default."
        if self.word == NO_EVIDENCE:
            return f"{head}; the chapter's default was not trained on all of them."
        base = next(e for e in self.entrants if e.stack == BASELINE)
        endings = {"better": "", "equivalent": ", equivalent within the margin"}
        luck = endings.get(self.word, ", which may be luck")
        return f"{head}, the chapter's default {share(base.mean_regret)}{luck}."

    def to_json(self) -> dict[str, Any]:
        """Return the document of `recommend --across --json`."""
        best = self.entrants[0] if self.entrants else None
        value = self.difference
        return {
            "studies": list(self.studies),
            "data": list(self.data),
            "word": self.word,
            "sentence": self.sentence,
            "stack": best.stack.to_json() if best else None,
            "stack_id": best.stack.stack_id if best else None,
            "difference": {
                **{"metric": "regret", "mean": value.mean, "ci95": value.ci95},
                "n_pairs": value.n,
            },
            "stacks": [_entrant_json(entrant) for entrant in self.entrants],
            "leave_one_out": [
                {
                    **{"data": row.data, "stack_id": row.stack.stack_id},
                    **{"rank": row.place.rank, "regret": row.place.regret},
                    "default_regret": row.default.regret if row.default else None,
                }
                for row in self.left_out
            ],
        }


def across(studies: Sequence[tuple[StudySpec, Sequence[Run]]]) -> Across:
    """Compare the stacks that were trained on the data of every study.

    Studies of the same data count as one data set. The stack with the least mean regret comes
    first; of equal ones the one with the fewest departures from the chapter's default. Its interval
    is corrected for the number of stacks it was chosen from.

    Args:
        studies: What each asked, and its runs.
    """
    by_data: dict[str, list[tuple[StudySpec, Sequence[Run]]]] = {}
    for spec, runs in studies:
        by_data.setdefault(spec.data.fingerprint, []).append((spec, runs))
    stacks: dict[str, Stack] = {}
    tables: dict[str, list[tuple[float, int]]] = {}
    for group in by_data.values():
        scores = [_scores(runs, stacks) for _, runs in group]
        for name in set.intersection(*map(set, scores)):
            mean = fmean(score[name][0] for score in scores)
            tables.setdefault(name, []).append((mean, sum(score[name][1] for score in scores)))
    data = tuple(_title(group) for group in by_data.values())
    common = {name: rows for name, rows in tables.items() if len(rows) == len(by_data)}
    common = {k: rows for k, rows in common.items() if any(math.isfinite(v) for v, _ in rows)}
    entrants = sorted(
        (Entrant(stacks[name], _places(name, common, data)) for name in common),
        key=lambda e: (e.mean_regret, len(departures(e.stack)), e.stack.stack_id),
    )
    word, difference = _against_default(entrants)
    left_out = _leave_one_out(entrants, data) if len(data) > 1 and len(entrants) > 1 else ()
    names = tuple(spec.study for spec, _ in studies)
    return Across(names, data, tuple(entrants), left_out, difference, word)


def stack_name(stack: Stack) -> str:
    """Return the name of the reference stack that a stack is, or its fingerprint."""
    return _LABELS.get(stack.stack_id, stack.stack_id)


def share(regret: float) -> str:
    """Format a regret in percent; an infinite one is `diverged`."""
    return f"{100.0 * regret:.1f} %" if math.isfinite(regret) else "diverged"


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
    name: str, common: Mapping[str, Sequence[tuple[float, int]]], data: Sequence[str]
) -> tuple[Place, ...]:
    """Return a stack's loss, rank and regret on each data set."""
    found = []
    for k, title in enumerate(data):
        column = [rows[k][0] for rows in common.values()]
        loss, n = common[name][k]
        best = min(column)
        rank = 1 + sum(other < loss for other in column)
        found.append(Place(title, loss, n, rank, _regret(loss, best)))
    return tuple(found)


def _regret(loss: float, best: float) -> float:
    if loss == best:
        return 0.0
    return (loss - best) / best if best > 0.0 else math.inf


def _against_default(entrants: Sequence[Entrant]) -> tuple[str, Estimate]:
    """Return the verdict on the first entrant against the chapter's default, and the difference."""
    base = next((e for e in entrants if e.stack == BASELINE), None)
    if base is None or len(entrants) < 2:
        return NO_EVIDENCE, Estimate(math.nan)
    best = entrants[0]
    if best is base:
        return "equivalent", Estimate(0.0, 0.0, 0.0, len(base.places))
    pairs = zip(best.places, base.places, strict=True)
    gaps = [a.regret - b.regret for a, b in pairs]
    if not all(map(math.isfinite, gaps)):
        return "undecided", Estimate(-math.inf, n=len(gaps))
    value = estimate(gaps, comparisons=len(entrants) - 1)
    return verdict(value, 1.0), value


def _leave_one_out(entrants: Sequence[Entrant], data: Sequence[str]) -> tuple[LeftOut, ...]:
    """Return, for each data set, the choice of the others and its result there."""
    base = next((e for e in entrants if e.stack == BASELINE), None)
    found = []
    for k, title in enumerate(data):

        def elsewhere(entrant: Entrant, k: int = k) -> tuple[float, int]:
            others = [place.regret for i, place in enumerate(entrant.places) if i != k]
            return fmean(others), len(departures(entrant.stack))

        chosen = min(entrants, key=elsewhere)
        found.append(
            LeftOut(title, chosen.stack, chosen.places[k], base.places[k] if base else None)
        )
    return tuple(found)


def _title(group: Sequence[tuple[StudySpec, Sequence[Run]]]) -> str:
    """Return the name of a data set, or of its file."""
    return group[0][0].data.source.rstrip("/").rpartition("/")[2]


def _entrant_json(entrant: Entrant) -> dict[str, Any]:
    return {
        "stack": entrant.stack.to_json(),
        "stack_id": entrant.stack.stack_id,
        "label": _LABELS.get(entrant.stack.stack_id),
        "description": describe(entrant.stack),
        "mean_regret": entrant.mean_regret,
        "worst_regret": entrant.worst_regret,
        "mean_rank": entrant.mean_rank,
        "places": [
            {"data": p.data, "loss": p.loss, "n": p.n, "rank": p.rank, "regret": p.regret}
            for p in entrant.places
        ],
    }
