"""The recommendation: the conclusion of a study as one frozen record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trainstack.search.claims.elsewhere import Elsewhere, elsewhere
from trainstack.search.claims.table import claims
from trainstack.search.claims.types import Context, Finding
from trainstack.search.conclusion.about_study import about_study
from trainstack.search.conclusion.agreement import difference_on_test, disagreement
from trainstack.search.conclusion.decision_about import (
    decision_about,
    difference_from_default,
    rival,
)
from trainstack.search.conclusion.models import Models, models_of
from trainstack.search.conclusion.replay_command import replay_command
from trainstack.search.conclusion.scores import (
    RunnerUp,
    TargetScore,
    runners_up,
    score_on_test,
    score_on_validation,
    scores_of_targets,
)
from trainstack.search.conclusion.sentence import sentence
from trainstack.search.conclusion.trivial import (
    Trivial,
    nothing_learned,
    trivial,
    trivial_warnings,
)
from trainstack.search.conclusion.warnings import bettered, warnings
from trainstack.search.conclusion.yardsticks import Yardstick, yardstick
from trainstack.search.evidence.candidates import losses
from trainstack.search.evidence.challenge import effects_with
from trainstack.search.evidence.choice import Choice
from trainstack.search.evidence.comparisons import (
    EQUIVALENCE_MARGIN,
    LEVEL,
    optimism,
    seed_deviation,
    verdict,
)
from trainstack.search.evidence.deciding import LOSS, Deciding
from trainstack.search.evidence.decision import Decision
from trainstack.search.evidence.earlier_studies import sources
from trainstack.search.evidence.effects import Effect
from trainstack.search.evidence.estimates import Difference, Score, Verdict
from trainstack.search.evidence.finite import (
    left_out_warning,
    non_finite_warning,
    without_non_finite,
)
from trainstack.search.evidence.formatting import describe
from trainstack.search.evidence.measured import Measured
from trainstack.search.evidence.prediction import profile_note
from trainstack.search.evidence.race import choice
from trainstack.search.json_values import HIDDEN
from trainstack.search.records import OUTCOMES, SEARCH, Run
from trainstack.search.spec import StudySpec
from trainstack.spaces.errors import NothingToRecommend
from trainstack.spaces.stack import Stack

UNOPENED = "The test set has not been opened: all scores are validation scores."


@dataclass(frozen=True)
class Baseline:
    """The chapter's default, beside a recommendation.

    Attributes:
        stack: The stack.
        stack_id: Its fingerprint.
        validation: Its scores over the confirmation's seeds.
        test: Its scores on the test set, for the same seeds.
        trivial: The predictor without features, compared with it.
        measured: Its cost and the calibration of its probabilities.
    """

    stack: Stack
    stack_id: str
    validation: Score
    test: Score
    trivial: Trivial
    measured: Measured


@dataclass(frozen=True)
class Recommendation:
    """The conclusion of a study.

    Attributes:
        study: The study's name.
        profile: Purpose of the stack.
        metric: Name of the metric that decides.
        deciding: What decides, and how it is shown.
        choice: The outcome of the race.
        stack: The recommended stack.
        verdict: `better`, `equivalent`, `worse` or `undecided`, against the chapter's default;
            `equivalent` if that itself is recommended.
        sentence: The conclusion in one sentence.
        reasons: Sentences that justify the choice.
        validation: Scores over the confirmation's seeds.
        test: Scores in the single measurement on the test set, for the same seeds.
        baseline: The chapter's default.
        trivial: Always answering the class shares, or the mean of the targets.
        yardstick: Scikit-learn's gradient boosting on the same rows.
        difference: Objective of the stack minus the default's on the validation part, paired.
        difference_on_test: The same on the test rows, over the seeds measured there.
        decision: What the recommended stack is worth, or, if it is the default, the best of the
            others; null without pairs.
        optimism: Search score minus confirmed score, in seed standard deviations, or null.
        search_value: The search's score of the stack, or null.
        runners_up: The other confirmed stacks, best first.
        effects: Effect of each choice, one row per axis.
        claims: The chapter's claims on this data.
        elsewhere: The chapter's claims over the data sets on which they were tested.
        warnings: Caveats, one sentence each.
        measured: The stack's cost and the calibration of its probabilities.
        models: The models that can be exported, side by side.
        replay: Command line that trains the stack again.
        counts: Search trials by outcome.
        stack_id: Fingerprint of the recommended stack.
        description: The recommended stack in words.
        targets: Its test scores for each of several targets; empty if there is one.
        earlier_studies: Names of the studies whose recommended stacks were among the first trials.
        equivalence_margin: Share of the default's loss that counts as equal.
        level: Probability that all intervals of a family hold.
    """

    study: str
    profile: str
    metric: str
    deciding: Deciding = field(metadata=HIDDEN)
    choice: Choice = field(metadata=HIDDEN)
    stack: Stack
    verdict: Verdict
    sentence: str
    reasons: tuple[str, ...]
    validation: Score
    test: Score
    baseline: Baseline
    trivial: Trivial
    yardstick: Yardstick
    difference: Difference
    difference_on_test: Difference
    decision: Decision | None
    optimism: float | None
    search_value: float | None
    runners_up: tuple[RunnerUp, ...]
    effects: tuple[Effect, ...]
    claims: tuple[Finding, ...]
    elsewhere: tuple[Elsewhere, ...]
    warnings: tuple[str, ...]
    measured: Measured
    models: Models
    replay: str
    counts: Mapping[str, int]
    stack_id: str
    description: str
    targets: tuple[TargetScore, ...] = ()
    earlier_studies: tuple[str, ...] = ()
    equivalence_margin: float = EQUIVALENCE_MARGIN
    level: float = LEVEL


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
    counts: dict[str, int] = {
        o: sum(r.phase == SEARCH and r.outcome == o for r in runs) for o in OUTCOMES
    }
    if chosen is None:
        raise NothingToRecommend(
            f"study '{spec.study}' has no finished trial ({_tally(counts)})",
            "at least one finished trial",
            "see the causes with `trainstack trials`, and allow more trials or epochs",
        )
    document, lost = without_non_finite(measured)
    own_part, base_part = document.get("chosen", {}), document.get("baseline", {})
    deciding = Deciding.of(spec)
    metric = deciding.beside
    table = chosen.table(runs)
    rows = losses(table)
    mine, base = chosen.stack.stack_id, chosen.baseline.stack_id
    difference = difference_from_default(chosen, rows, deciding.resolution)
    validation = score_on_validation(table.get(mine, {}), deciding)
    reference = score_on_validation(table.get(base, {}), deciding)
    means = reference.minimized.mean, validation.minimized.mean
    scale = next((mean for mean in means if mean > 0.0), 0.0)
    word = Verdict.EQUIVALENT if mine == base else verdict(difference, scale)
    candidate = next((c for c in chosen.candidates if c.stack_id == mine), None)
    search_value = candidate.search_value if candidate else None
    about = chosen.challenge, chosen.stack, runs, scale, deciding.resolution
    found = effects_with(*about, spec.network_numbers)
    seen, other = Measured.of(own_part), Measured.of(base_part)
    context = Context(
        *(runs, scale, rival(rows, base, chosen.level, deciding.resolution)),
        measured=seen,
        resolution=deciding.resolution,
        voids=spec.voids,
    )
    test, earlier = score_on_test(own_part, deciding), sources(runs)
    on_test = Difference.of(difference_on_test(own_part, base_part, deciding), deciding.objective)
    floor, base_floor = trivial(own_part, metric), trivial(base_part, metric)
    note = None if mine == base else profile_note(spec.profile, seen, other, difference, deciding)
    opening = nothing_learned(floor, base_floor, metric, mine == base)
    searched = search_value if deciding.figure == LOSS else None
    loss = validation.loss.mean if validation.loss.n else searched
    return Recommendation(
        study=spec.study,
        profile=spec.profile,
        metric=deciding.metric,
        deciding=deciding,
        choice=chosen,
        stack=chosen.stack,
        verdict=word,
        sentence=opening + sentence(chosen, word, validation.minimized, difference, deciding),
        reasons=(
            *chosen.reasons,
            *([note] if note else ()),
            *about_study(spec, earlier),
        ),
        validation=validation,
        test=test,
        baseline=Baseline(
            stack=chosen.baseline,
            stack_id=base,
            validation=reference,
            test=score_on_test(base_part, deciding),
            trivial=base_floor,
            measured=other,
        ),
        trivial=floor,
        yardstick=yardstick(document.get("yardstick"), test, deciding),
        difference=Difference.of(difference, deciding.objective),
        difference_on_test=on_test,
        decision=decision_about(chosen, runs, scale, deciding),
        optimism=optimism(search_value, validation.minimized.mean, seed_deviation(rows)),
        search_value=search_value,
        runners_up=runners_up(chosen, table, deciding),
        effects=found,
        claims=claims(context),
        elsewhere=elsewhere(),
        warnings=(
            *trivial_warnings(floor, test, loss, metric),
            *disagreement(word, on_test),
            *bettered(found, deciding, chosen.challenge),
            *([] if own_part.get("test") else [UNOPENED]),
            *warnings(spec, runs, chosen),
            *non_finite_warning(runs),
            *left_out_warning(lost),
        ),
        measured=seen,
        models=models_of(spec, document, deciding),
        replay=replay_command(spec, candidate),
        counts=counts,
        stack_id=mine,
        description=describe(chosen.stack, spec.network_name),
        targets=scores_of_targets(own_part, deciding),
        earlier_studies=earlier,
    )


def _tally(counts: Mapping[str, int]) -> str:
    counted = ", ".join(f"{n} {outcome}" for outcome, n in counts.items() if n)
    return counted or "no trials"
