"""The results of the designed experiment for each claim, as JSON and as text."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from trainstack.search.claims.experiment import (
    TUNING_INDEX,
    Arm,
    Known,
    arms,
    compared,
    ended,
    run_counts,
    settled,
    sides,
)
from trainstack.search.claims.judging import summed, weighed
from trainstack.search.claims.table import CLAIMS, row_of
from trainstack.search.claims.types import Claim, Context, Contrast, Judgement
from trainstack.search.evidence.comparisons import EQUIVALENCE_MARGIN, LEVEL
from trainstack.search.evidence.formatting import interval, signed
from trainstack.search.records import CONFIRMATION, OUTCOMES, Run
from trainstack.search.spec import StudySpec


def findings(
    spec: StudySpec, runs: Sequence[Run], measured: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Judge the claims that a study tests.

    Args:
        spec: Spec of the study.
        runs: All runs.
        measured: Measurement on the test set; empty if none was taken.

    Returns:
        The document of `claims --json`: the claims with their contrasts, and the arms.
    """
    context = Context(runs, None, measured=(measured or {}).get("chosen", {}))
    claims = [CLAIMS[name] for name in spec.experiment]
    # Only claims with pairs count as comparisons; their intervals hold simultaneously.
    together = sum(_judged(claim, context, spec)[0].n_pairs > 0 for claim in claims)
    context = replace(context, comparisons=max(1, together))
    rows = []
    for claim in claims:
        judgement, parts = _judged(claim, context, spec)
        rows.append({**row_of(claim, judgement), "contrasts": [asdict(part) for part in parts]})
    least, most = run_counts(spec.experiment, spec.replicates)
    mine = [r.outcome for r in runs if r.phase == CONFIRMATION]
    return {
        "study": spec.study,
        "data": spec.data.source,
        "epochs": spec.epochs,
        "replicates": spec.replicates,
        "level": LEVEL,
        "equivalence_margin": EQUIVALENCE_MARGIN,
        "claims": rows,
        "arms": _arms(spec, runs),
        "runs": {
            **{"at_least": least, "at_most": most},
            **{word: mine.count(word) for word in OUTCOMES},
        },
    }


def _judged(claim: Claim, context: Context, spec: StudySpec) -> tuple[Judgement, list[Judgement]]:
    """Judge a claim and each of its contrasts by the runs of its own arms."""
    if not claim.testable:
        return Judgement(reason=f"needs {claim.needs}"), []
    if claim.measures is not None and claim.judge is not None:
        return claim.judge(context), []
    known = ended(context.runs)
    paired = [(c, _pairs(claim, c, known, spec.replicates)) for c in claim.contrasts]
    parts = weighed(paired, context)
    judgement = summed(claim, parts)
    if not judgement.n_pairs:
        judgement = replace(judgement, reason=_silence(claim, known))
    return judgement, parts


def _pairs(
    claim: Claim, contrast: Contrast, known: Known, replicates: int
) -> list[tuple[Run, Run]]:
    """Return the pairs of a contrast's two arms, at the tuned learning rates.

    If the contrast must exceed another one, the pairs of that one follow in reverse, for the seeds
    that both have.
    """
    first, second = sides(claim, contrast)
    mine = _finished(first, known, replicates), _finished(second, known, replicates)
    seeds = sorted(mine[0].keys() & mine[1].keys())
    if contrast.beyond is None:
        return [(mine[0][j], mine[1][j]) for j in seeds]
    others = {b.seed_index: (b, a) for a, b in _pairs(claim, contrast.beyond, known, replicates)}
    both = [j for j in seeds if j in others]
    return [*((mine[0][j], mine[1][j]) for j in both), *(others[j] for j in both)]


def _finished(arm: Arm, known: Known, replicates: int) -> dict[int, Run]:
    """Return an arm's runs with a loss at its tuned rate, by seed index."""
    best, _ = settled(arm, known)
    found = {j: arm.found(best, j, known) for j in range(replicates)} if best else {}
    return {j: run for j, run in found.items() if run is not None and run.finished}


def _silence(claim: Claim, known: Known) -> str:
    """Return the reason why a tested claim has no pairs."""
    for arm in (arm for contrast in compared(claim) for arm in sides(claim, contrast)):
        best, missing = settled(arm, known)
        name = arm.label.partition(": ")[2]
        tried = arm.found(arm.stack, TUNING_INDEX, known)
        if tried is not None and tried.outcome == "infeasible" and tried.cause:
            return tried.cause
        if missing:
            return f"the learning rate of {name} was not tuned to the end"
        if best is None:
            return f"{name} ended with a finite loss at no learning rate tried"
    return "too few runs ended for a pair"


def _arms(spec: StudySpec, runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return one row per arm: its stack, tuned learning rate, and losses."""
    known = ended(runs)
    found = []
    for arm in arms(spec.experiment):
        best = settled(arm, known)[0]
        stack = best or arm.stack
        ran = [arm.found(stack, j, known) for j in range(spec.replicates)] if best else []
        found.append(
            {
                "label": arm.label.partition(": ")[2],
                "stack": stack.to_json(),
                "stack_id": arm.condition.identity(stack),
                "condition": arm.condition.to_json(),
                "learning_rate": best["optimizer.learning_rate"] if best else None,
                "tuned": arm.tuned,
                "losses": [run.value if run and run.finished else None for run in ran],
            }
        )
    return found


def text_of(document: Mapping[str, Any]) -> str:
    """Return findings as plain text for a terminal of 80 columns."""
    lines: list[str] = []
    for row in document["claims"]:
        lines.append(f"{row['id']}  {row['word']}")
        lines += _wrapped(row["claim"] + ".", 4)
        shown = [part for part in row["contrasts"] if part["n_pairs"]]
        for part in shown:
            lines += _wrapped(_line(part), 4)
        if not shown:
            lines += _wrapped(_line(row) if row["n_pairs"] else f"{row['reason']}.", 4)
        lines.append("")
    margin, level = document["equivalence_margin"], document["level"]
    if not any(row["n_pairs"] for row in document["claims"]):
        return "\n".join(lines[:-1])
    lines += _wrapped(
        f"An effect is the first choice's figure minus the second's; below 0 speaks for the "
        f"claim. All intervals hold together with {100 * level:g} %. Equivalent: within "
        f"{100 * margin:g} % of the second choice's figure.",
        0,
    )
    return "\n".join(lines)


def _line(part: Mapping[str, Any]) -> str:
    pairs = f"{part['n_pairs']} pair" + ("s" if part["n_pairs"] != 1 else "")
    effect = f"{signed(part['effect'])} ({interval(part['ci95'], signed)}), {pairs}"
    return f"- {part['reason']}: {effect}, {part['word']}"


def _wrapped(text: str, indent: int) -> list[str]:
    further = indent + (2 if text.startswith("- ") else 0)
    return textwrap.wrap(text, 79, initial_indent=" " * indent, subsequent_indent=" " * further)
