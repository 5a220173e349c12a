"""The results of the designed experiment for each claim, as records and as text."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from trainstack.search.claims.experiment import (
    TUNING_INDEX,
    Known,
    arms,
    compared,
    ended,
    run_counts,
    settled,
    sides,
)
from trainstack.search.claims.judging import summed, weighed
from trainstack.search.claims.pairs import pairs
from trainstack.search.claims.table import CLAIMS, finding
from trainstack.search.claims.types import Claim, Context, Finding, Judgement
from trainstack.search.conditions import Condition
from trainstack.search.evidence.comparisons import EQUIVALENCE_MARGIN, LEVEL
from trainstack.search.evidence.deciding import Deciding
from trainstack.search.evidence.formatting import interval, signed
from trainstack.search.evidence.measured import Measured
from trainstack.search.json_values import INLINE
from trainstack.search.records import CONFIRMATION, OUTCOMES, Outcome, Run
from trainstack.search.spec import StudySpec
from trainstack.spaces.stack import Stack


@dataclass(frozen=True)
class ExperimentFinding:
    """A claim that a study tests.

    Attributes:
        finding: The claim and its judgement.
        contrasts: The judgements of its comparisons.
    """

    finding: Finding = field(metadata=INLINE)
    contrasts: tuple[Judgement, ...]


@dataclass(frozen=True)
class TrainedArm:
    """A stack that an experiment trains.

    Attributes:
        label: The arm in words.
        stack: The stack, at the learning rate that tuning chose.
        stack_id: Id of its runs, from stack and condition.
        condition: Changes to the run besides the stack; empty if there are none.
        learning_rate: Its learning rate; null: not tuned yet.
        tuned: False if it is trained at a rate that the claim names.
        losses: Validation loss per fresh seed; null: the run did not finish.
    """

    label: str
    stack: Stack
    stack_id: str
    condition: Condition
    learning_rate: float | None
    tuned: bool
    losses: tuple[float | None, ...]


@dataclass(frozen=True)
class Findings:
    """The results of an experiment for claims.

    Attributes:
        study: The study's name.
        data: The data set's name, or its path.
        epochs: Maximum epochs of a run.
        replicates: Number of fresh seeds.
        level: Probability that all intervals hold together.
        equivalence_margin: Share of the second choice's figure that counts as equal.
        claims: The requested claims.
        arms: The stacks that are trained.
        runs: Minimum (`at_least`) and maximum (`at_most`) number of runs, and runs by outcome.
    """

    study: str
    data: str
    epochs: int
    replicates: int
    level: float
    equivalence_margin: float
    claims: tuple[ExperimentFinding, ...]
    arms: tuple[TrainedArm, ...]
    runs: Mapping[str, int]


def findings(
    spec: StudySpec, runs: Sequence[Run], measured: Mapping[str, Any] | None = None
) -> Findings:
    """Judge the claims that a study tests.

    Args:
        spec: Spec of the study.
        runs: All runs.
        measured: Measurement on the test set; empty if none was taken.
    """
    context = Context(
        runs,
        None,
        resolution=Deciding.of(spec).resolution,
        measured=Measured.of((measured or {}).get("chosen", {})),
    )
    claims = [CLAIMS[name] for name in spec.experiment]
    # Only claims with pairs count as comparisons; their intervals hold simultaneously.
    together = sum(_judged(claim, context, spec)[0].n_pairs > 0 for claim in claims)
    context = replace(context, comparisons=max(1, together))
    tested = []
    for claim in claims:
        judgement, parts = _judged(claim, context, spec)
        tested.append(ExperimentFinding(finding(claim, judgement), tuple(parts)))
    least, most = run_counts(spec.experiment, spec.replicates)
    mine = [r.outcome for r in runs if r.phase == CONFIRMATION]
    return Findings(
        study=spec.study,
        data=spec.data.source,
        epochs=spec.epochs,
        replicates=spec.replicates,
        level=LEVEL,
        equivalence_margin=EQUIVALENCE_MARGIN,
        claims=tuple(tested),
        arms=_arms(spec, runs),
        runs={
            **{"at_least": least, "at_most": most},
            **{word: mine.count(word) for word in OUTCOMES},
        },
    )


def _judged(claim: Claim, context: Context, spec: StudySpec) -> tuple[Judgement, list[Judgement]]:
    """Judge a claim and each of its contrasts by the runs of its own arms."""
    if not claim.testable:
        return Judgement(reason=f"needs {claim.needs}"), []
    if claim.measures is not None and claim.judge is not None:
        return claim.judge(context), []
    known = ended(context.runs)
    paired = [(c, pairs(claim, c, known, spec.replicates)) for c in claim.contrasts]
    parts = weighed(paired, context)
    judgement = summed(claim, parts)
    if not judgement.n_pairs:
        judgement = replace(judgement, reason=_silence(claim, known))
    return judgement, parts


def _silence(claim: Claim, known: Known) -> str:
    """Return the reason why a tested claim has no pairs."""
    for arm in (arm for contrast in compared(claim) for arm in sides(claim, contrast)):
        best, missing = settled(arm, known)
        name = arm.label.partition(": ")[2]
        tried = arm.found(arm.stack, TUNING_INDEX, known)
        if tried is not None and tried.outcome == Outcome.INFEASIBLE and tried.cause:
            return tried.cause
        if missing:
            return f"the learning rate of {name} was not tuned to the end"
        if best is None:
            return f"{name} ended with a finite loss at no learning rate tried"
    return "too few runs ended for a pair"


def _arms(spec: StudySpec, runs: Sequence[Run]) -> tuple[TrainedArm, ...]:
    """Return each arm with its tuned learning rate and its losses."""
    known = ended(runs)
    found = []
    for arm in arms(spec.experiment):
        best = settled(arm, known)[0]
        stack = best or arm.stack
        ran = [arm.found(stack, j, known) for j in range(spec.replicates)] if best else []
        found.append(
            TrainedArm(
                label=arm.label.partition(": ")[2],
                stack=stack,
                stack_id=arm.condition.identity(stack),
                condition=arm.condition,
                learning_rate=best["optimizer.learning_rate"] if best else None,
                tuned=arm.tuned,
                losses=tuple(run.value if run and run.finished else None for run in ran),
            )
        )
    return tuple(found)


def text_of(found: Findings) -> str:
    """Return findings as plain text for a terminal of 80 columns."""
    lines: list[str] = []
    judged = False
    for tested in found.claims:
        row, judgement = tested.finding, tested.finding.judgement
        judged = judged or judgement.n_pairs > 0
        lines.append(f"{row.id}  {judgement.word}")
        lines += _wrapped(row.claim + ".", 4)
        shown = [part for part in tested.contrasts if part.n_pairs]
        for part in shown:
            lines += _wrapped(_line(part), 4)
        if not shown:
            lines += _wrapped(_line(judgement) if judgement.n_pairs else f"{judgement.reason}.", 4)
        lines.append("")
    if not judged:
        return "\n".join(lines[:-1])
    lines += _wrapped(
        f"An effect is the first choice's figure minus the second's; below 0 speaks for the "
        f"claim. All intervals hold together with {100 * found.level:g} %. Equivalent: within "
        f"{100 * found.equivalence_margin:g} % of the second choice's figure.",
        0,
    )
    return "\n".join(lines)


def _line(part: Judgement) -> str:
    pairs = f"{part.n_pairs} pair" + ("s" if part.n_pairs != 1 else "")
    effect = f"{signed(part.effect)} ({interval(part.ci95, signed)}), {pairs}"
    return f"- {part.reason}: {effect}, {part.word}"


def _wrapped(text: str, indent: int) -> list[str]:
    further = indent + (2 if text.startswith("- ") else 0)
    return textwrap.wrap(text, 79, initial_indent=" " * indent, subsequent_indent=" " * further)
