"""The recommendation: the conclusion of a study as one frozen record and as JSON."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from trainstack.search.claims import table as table_of_claims
from trainstack.search.conclusion.sentence import sentence
from trainstack.search.conclusion.warnings import bettered, warnings
from trainstack.search.conclusion.yardsticks import (
    nothing_learned,
    trivial,
    trivial_warnings,
    yardstick,
)
from trainstack.search.evidence.candidates import Candidate, confirmed, departures, losses
from trainstack.search.evidence.comparisons import (
    EQUIVALENCE_MARGIN,
    LEVEL,
    Estimate,
    compare,
    optimism,
    score,
    seed_deviation,
    verdict,
)
from trainstack.search.evidence.effects import effects
from trainstack.search.evidence.finite import (
    finite,
    left_out_warning,
    non_finite_warning,
    without_non_finite,
)
from trainstack.search.evidence.formatting import describe
from trainstack.search.evidence.prediction import profile_note
from trainstack.search.evidence.race import Choice, choice
from trainstack.search.json_values import json_safe
from trainstack.search.records import OUTCOMES, SEARCH, Run
from trainstack.search.spec import StudySpec
from trainstack.spaces.errors import NothingToRecommend
from trainstack.spaces.stack import Stack

MEASURED = ("latency_ms", "parameters", "nonzero_fraction", "log_loss", "ece", "brier")


@dataclass(frozen=True)
class Recommendation:
    """The conclusion of a study.

    Attributes:
        study: The study's name.
        profile: The study's profile.
        metric: `accuracy` or `rmse`.
        choice: The outcome of the race; not part of the JSON.
        stack: The recommended stack.
        baseline_stack: The chapter's default.
        verdict: `better`, `equivalent`, `worse` or `undecided`, against the baseline.
        sentence: The conclusion in one sentence.
        reasons: Sentences that justify the choice.
        validation: `loss` and the metric, each {mean, ci95, n}, over the confirmation's seeds.
        test: The same on the test set; null before it was opened.
        baseline: `validation`, `test`, `trivial` and `measured` of the chapter's default.
        trivial: The predictor without features: `validation` and `test`, and the stack's
            `difference` to it on the test rows.
        yardstick: Gradient boosting on the same rows, and its comparison with the stack.
        difference: Validation loss of the stack minus the baseline's, paired.
        optimism: Search score minus confirmed score, in seed standard deviations, or None.
        search_value: The search's score of the stack, or None.
        runners_up: The other confirmed stacks, best first.
        effects: One row per axis.
        claims: One row per claim of the chapter.
        warnings: Sentences.
        measured: Costs of the stack and calibration of its probabilities.
        replay: Command line that trains the stack again.
        counts: Search trials by outcome.
    """

    study: str
    profile: str
    metric: str
    choice: Choice
    stack: Stack
    baseline_stack: Stack
    verdict: str
    sentence: str
    reasons: tuple[str, ...]
    validation: dict[str, Any]
    test: dict[str, Any]
    baseline: dict[str, Any]
    trivial: dict[str, Any]
    yardstick: dict[str, Any]
    difference: dict[str, Any]
    optimism: float | None
    search_value: float | None
    runners_up: list[dict[str, Any]]
    effects: list[dict[str, Any]]
    claims: list[dict[str, Any]]
    warnings: list[str]
    measured: dict[str, Any]
    replay: str
    counts: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """Return the document of `recommend --json`; numbers that are not finite are null."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        plain["stack"], plain["stack_id"] = self.stack.to_json(), self.stack.stack_id
        plain["description"] = describe(self.stack)
        plain["equivalence_margin"], plain["level"] = EQUIVALENCE_MARGIN, LEVEL
        del plain["baseline_stack"], plain["choice"]
        return json_safe(plain)


def recommend(spec: StudySpec, runs: Sequence[Run], measured: Mapping[str, Any]) -> Recommendation:
    """Conclude a study from its runs.

    Args:
        spec: Spec of the study.
        runs: All runs of search and confirmation, with any outcome.
        measured: Measurement on the test set; empty before it was taken.

    Raises:
        NothingToRecommend: No search trial finished.
    """
    chosen = choice(spec, runs)
    counts = {o: sum(r.phase == SEARCH and r.outcome == o for r in runs) for o in OUTCOMES}
    if chosen is None:
        raise NothingToRecommend(
            f"study '{spec.study}' has no finished trial ({_tally(counts)})",
            "at least one finished trial",
            "see the causes with `trainstack trials`, and allow more trials or epochs",
        )
    measured, lost = without_non_finite(measured)
    metric = "accuracy" if spec.data.task == "classification" else "rmse"
    table = confirmed(chosen.candidates, runs)
    rows = losses(table)
    mine, base = chosen.stack.stack_id, chosen.baseline.stack_id
    difference = _difference(rows, mine, base)
    validation = _validation(table.get(mine, {}), metric)
    reference = _validation(table.get(base, {}), metric)
    scale = reference["loss"]["mean"] or validation["loss"]["mean"] or 0.0
    word = "equivalent" if mine == base else verdict(difference, scale)
    candidate = next((c for c in chosen.candidates if c.stack_id == mine), None)
    search_value = candidate.search_value if candidate else None
    found = effects(chosen.stack, runs, scale)
    seen = measured.get("chosen", {})
    context = table_of_claims.Context(runs, scale, _rival(rows, base), measured=seen)
    other = measured.get("baseline", {})
    test, floor, base_floor = _test(seen, metric), trivial(seen, metric), trivial(other, metric)
    loss = _number(validation["loss"]["mean"], search_value)
    note = None if mine == base else profile_note(spec.profile, seen, other, difference)
    return Recommendation(
        study=spec.study,
        profile=spec.profile,
        metric=metric,
        choice=chosen,
        stack=chosen.stack,
        baseline_stack=chosen.baseline,
        verdict=word,
        sentence=nothing_learned(floor, base_floor, metric, mine == base)
        + sentence(chosen, word, validation["loss"], difference),
        reasons=(*chosen.reasons, *([note] if note else ())),
        validation=validation,
        test=test,
        baseline={
            "stack": chosen.baseline.to_json(),
            "stack_id": base,
            "validation": reference,
            "test": _test(other, metric),
            "trivial": base_floor,
            "measured": _measured(other),
        },
        trivial=floor,
        yardstick=yardstick(measured.get("yardstick"), test, metric),
        difference=_contrast(difference),
        optimism=optimism(search_value, _number(validation["loss"]["mean"]), seed_deviation(rows)),
        search_value=search_value,
        runners_up=_runners_up(chosen, rows, table, metric),
        effects=[effect.to_json() for effect in found],
        claims=table_of_claims.claims(context),
        warnings=[
            *trivial_warnings(floor, test, loss, metric),
            *bettered(found),
            *_warnings(spec, runs, chosen, measured),
            *non_finite_warning(runs),
            *left_out_warning(lost),
        ],
        measured=_measured(seen),
        replay=_replay(spec, candidate),
        counts=counts,
    )


def _difference(rows: Mapping[str, Mapping[int, float]], mine: str, base: str) -> Estimate:
    """Return the chosen stack's loss minus the baseline's; exactly 0 for the same stack."""
    if mine not in rows or base not in rows:
        return Estimate(math.nan)
    if mine == base:
        return Estimate(0.0, 0.0, 0.0, len(rows[mine]))
    return compare(rows, base)[mine]


def _rival(rows: Mapping[str, Mapping[int, float]], base: str) -> Estimate | None:
    """Return the strongest rival's loss minus the baseline's; stacks that beat it come first."""
    others = compare(rows, base).values() if base in rows else ()
    found = [value for value in others if value.low is not None and value.high is not None]
    return min(found, key=lambda v: ((v.high or 0.0) >= 0.0, v.low), default=None)


def _score(value: Estimate) -> dict[str, Any]:
    return {"mean": _number(value.mean, None), "ci95": value.ci95, "n": value.n}


def _contrast(value: Estimate) -> dict[str, Any]:
    return {
        "metric": "loss",
        "mean": _number(value.mean, None),
        "ci95": value.ci95,
        "n_pairs": value.n,
    }


def _validation(row: Mapping[int, Run], metric: str) -> dict[str, Any]:
    ordered = [row[j] for j in sorted(row)]
    return {
        "loss": _score(score([float(r.value or 0.0) for r in ordered], "loss")),
        metric: _score(score(finite(r.metrics.get(metric) for r in ordered), metric)),
    }


def _test(part: Mapping[str, Any], metric: str) -> dict[str, Any]:
    """Return the test scores; null where nothing was measured."""
    test = part.get("test") or {}
    return {
        what: _score(score([float(v) for v in test.get(what) or ()], what))
        for what in ("loss", metric)
    }


def _measured(part: Mapping[str, Any]) -> dict[str, Any]:
    """Return the standard figures, null if not measured, and all further ones."""
    more = {what: value for what, value in part.items() if what not in ("test", "trivial")}
    return {**dict.fromkeys(MEASURED), **more}


def _runners_up(
    chosen: Choice,
    rows: Mapping[str, Mapping[int, float]],
    table: Mapping[str, Mapping[int, Run]],
    metric: str,
) -> list[dict[str, Any]]:
    """Return the other compared stacks, the lowest confirmed loss first."""
    mine = chosen.stack.stack_id
    against = compare(rows, mine) if mine in rows else {}
    found = []
    for candidate in chosen.candidates:
        if candidate.stack_id == mine:
            continue
        gap = against.get(candidate.stack_id, Estimate(math.nan))
        found.append(
            {
                "stack": candidate.stack.to_json(),
                "stack_id": candidate.stack_id,
                "description": describe(candidate.stack),
                "label": candidate.label,
                "trial": candidate.number,
                "search_value": candidate.search_value,
                "validation": _validation(table[candidate.stack_id], metric),
                "difference": _contrast(gap),
                "departures": list(departures(candidate.stack)),
                "left_race": chosen.out.get(candidate.stack_id),
            }
        )
    return sorted(found, key=lambda r: _number(r["validation"]["loss"]["mean"], math.inf))


def _warnings(
    spec: StudySpec, runs: Sequence[Run], chosen: Choice, measured: Mapping[str, Any]
) -> list[str]:
    found = warnings(spec, runs, chosen)
    if not measured.get("chosen", {}).get("test"):
        found.insert(0, "The test set has not been opened: all scores are validation scores.")
    return found


def _replay(spec: StudySpec, candidate: Candidate | None) -> str:
    """Return the command that trains the stack again; `launch` for one that was not searched."""
    study = shlex.quote(spec.study)
    if candidate is not None and candidate.number is not None:
        return f"trainstack replay {study} {candidate.number}"
    return (
        f"trainstack export {study} --format json -o stack.json && trainstack launch "
        f"{shlex.quote(spec.data.source)} --stacks stack.json --study {study}-again"
    )


def _tally(counts: Mapping[str, int]) -> str:
    counted = ", ".join(f"{n} {outcome}" for outcome, n in counts.items() if n)
    return counted or "no trials"


def _number(value: Any, otherwise: Any = math.nan) -> Any:
    """Return a finite number, or a substitute."""
    return value if isinstance(value, int | float) and math.isfinite(value) else otherwise
