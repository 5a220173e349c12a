"""The single measurement on the test set, and the chosen stack's cost at prediction."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from trainstack.search.evidence.constraints import read_all
from trainstack.search.evidence.planned_run import confirmation_seed
from trainstack.search.evidence.prediction import affordable
from trainstack.search.folds import SplitId, confirmation_split
from trainstack.search.metrics.conformal import Residuals
from trainstack.search.metrics.table import BESIDE
from trainstack.search.payloads import Refit
from trainstack.search.records import Outcome, Result
from trainstack.spaces.profiles import PROFILES
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.program import Program
from trainstack.workers.export.deployment import latency_ms, lite
from trainstack.workers.export.model import Delivered, export_model, save_all
from trainstack.workers.messages import Job, Kept
from trainstack.workers.tasks.metrics import Scorer
from trainstack.workers.tasks.prediction import PASSES, monte_carlo, sparsified
from trainstack.workers.tasks.refit import refitted
from trainstack.workers.tasks.trivial_predictor import trivial_alone, trivial_document, trivial_run
from trainstack.workers.tasks.yardstick import MOST_SECONDS, yardstick

if TYPE_CHECKING:
    from trainstack.workers.engine.bench import Bench

log = logging.getLogger("trainstack.trainer")


def measure(bench: Bench, job: Job) -> Result:
    """Measure the chosen stack and the baseline on the test set, one figure per seed.

    Exported is the chosen stack's model of the first seed (selected before its test figure was
    known), or one that is trained on all rows that are not for testing.
    """
    began = time.perf_counter()
    asked = job.measures
    assert asked is not None
    measured: dict[str, Any] = {}
    artifacts: dict[str, str] = {}
    chosen_runs: list[Kept] = []
    for role, stack in (("chosen", asked.chosen), ("baseline", asked.baseline)):
        if role == "baseline" and asked.baseline == asked.chosen:
            measured["baseline"] = measured["chosen"]
            continue
        runs = confirmation_runs(bench, asked.runs.get(stack.stack_id, {}))
        if not runs:
            if role == "chosen":
                measured[role] = {"trivial": _trivial_unconfirmed(bench, stack)}
            continue
        measured[role] = _measure_stack(bench, stack, runs)
        if role == "chosen":
            measured["seeds"], chosen_runs = [run.seed for run in runs], runs
            residuals = _residuals(bench, stack, runs[0])
            delivered = _delivered(bench, stack, runs, measured[role]["test"], asked.refit)
            delivered = replace(delivered, residuals=residuals)
            if refit := delivered.refit:
                measured[role]["refit"] = {
                    "rows": len(delivered.split.y_train),
                    "epochs": refit.epochs,
                    "test": {name: values[0] for name, values in delivered.test.items()},
                }
            try:
                artifacts = save_all(bench, stack, delivered, job.folder)
            except OSError as error:  # a full disk costs the export, not the figures
                log.warning("the model could not be written: %s", error)
    if chosen_runs:
        left = MOST_SECONDS - (time.perf_counter() - began)
        measured |= _yardstick(bench, asked.chosen, chosen_runs[0].split, left)
    return Result(
        Outcome.COMPLETED,
        seconds={"total": time.perf_counter() - began},
        artifacts=artifacts,
        payload={**measured, "artifacts": artifacts},
    )


def _delivered(
    bench: Bench,
    stack: Stack,
    runs: list[Kept],
    test: Mapping[str, list[float]],
    asked: Refit | None,
) -> Delivered:
    """Return the model to export: refitted if asked and possible, else the first run's."""
    found = None if asked is None else refitted(bench, stack, asked)
    if found is None or asked is None:
        return Delivered(*bench.weights(stack, runs[0]), [run.seed for run in runs], test)
    program, split = found
    scorer = Scorer.of(bench.spec, split)
    figures = scorer.figures(scorer.answers(program.outputs(split.prepare(split.x_test))), "test")
    each = {name: [value] for name, value in figures.items()}
    return Delivered(program, split, [asked.seed], each, asked)


def _residuals(bench: Bench, stack: Stack, run: Kept) -> Residuals | None:
    """Return a run's errors on its validation part, in regression."""
    if bench.spec.data.task != "regression":
        return None
    program, split = bench.weights(stack, run)
    predicted = split.predictions(program.outputs(split.prepare(split.x_valid)))
    return Residuals.of(split.y_valid, predicted, split.log is not None)


def _yardstick(bench: Bench, stack: Stack, which: SplitId, seconds: float) -> dict[str, Any]:
    """Return the yardstick's document under its name, on the first seed's split, if wanted."""
    spec = bench.spec
    if spec.yardstick is False or spec.experiment:
        return {}
    split, _ = bench.split(which, stack)
    scorer = Scorer.of(spec, split)
    return {"yardstick": yardstick(scorer, spec.yardstick, bench.threads, seconds)}


def _trivial_unconfirmed(bench: Bench, stack: Stack) -> dict[str, Any]:
    """Return the trivial predictor's figures for a study without a confirmed network."""
    split, _ = bench.split(confirmation_split(bench.spec, 0), stack)
    return trivial_alone(Scorer.of(bench.spec, split))


def confirmation_runs(bench: Bench, kept: Mapping[str, Mapping[str, str]]) -> list[Kept]:
    """Return a stack's confirmation runs in the order of their seed indices."""
    return [
        Kept(
            confirmation_seed(bench.spec.seed, int(index)),
            confirmation_split(bench.spec, int(index)),
            artifacts.get("weights", ""),
        )
        for index, artifacts in sorted(kept.items(), key=lambda item: int(item[0]))
    ]


def _measure_stack(bench: Bench, stack: Stack, runs: list[Kept]) -> dict[str, Any]:
    classes, targets = bench.spec.data.class_count, bench.spec.data.targets
    stochastic = bool(bench.spec.data.classes) and stack["dropout"] != "none"
    per_seed: list[dict[str, float]] = []
    of_targets: list[list[dict[str, float]]] = []
    passes: list[dict[str, Any]] = []
    extra: dict[str, Any] = {}
    trivial: list[dict[str, Any]] = []
    for place, run in enumerate(runs):
        program, split = bench.weights(stack, run)
        prepared = split.prepared()
        outputs, scorer = program.outputs(prepared.x_test), Scorer.of(bench.spec, split)
        answers = scorer.answers(outputs)
        per_seed.append(scorer.figures(answers, "test"))
        of_targets.append(scorer.figures_of_each(answers, "test"))
        trivial.append(trivial_run(scorer, outputs))
        if stochastic:
            rows = _stochastic(program, stack, scorer, prepared.x_test, run.seed)
            plain = _calibration(per_seed[-1])
            passes.append({"seed": run.seed, "deterministic": plain, "passes": rows})
        if place == 0:
            extra = _first_seed(bench, stack, program, split)
    each = [
        {"target": target, "test": _by_name([seed[place] for seed in of_targets])}
        for place, target in enumerate(targets)
    ]
    return {
        "test": _by_name(per_seed),
        **({"targets": each} if targets else {}),
        "trivial": trivial_document(trivial),
        **{
            name: float(np.mean([figures[name] for figures in per_seed]))
            for name in ("log_loss", "ece", "brier")
            if classes
        },
        **({"monte_carlo": averaged(passes), "monte_carlo_seeds": passes} if passes else {}),
        **extra,
    }


def _by_name(per_seed: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    """Return figure → one value per seed, for the figures that every seed has."""
    names = [name for name in per_seed[0] if all(name in figures for figures in per_seed)]
    return {name: [figures[name] for figures in per_seed] for name in names}


def _stochastic(
    program: Program, stack: Stack, scorer: Scorer, x: np.ndarray, seed: int
) -> list[dict[str, float]]:
    """Return the test figures of Monte-Carlo dropout, one row per number of passes."""
    averages = monte_carlo(program, stack, x, PASSES, seed)
    return [
        {"passes": n, **_calibration(scorer.figures(scorer.of_predictions(p), "test"))}
        for n, p in averages.items()
    ]


def _calibration(figures: Mapping[str, float]) -> dict[str, float]:
    """Return the figures that Monte-Carlo dropout is judged by."""
    return {name: figures[name] for name in ("loss", "log_loss", "accuracy", "brier", "ece")}


def averaged(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    """Return Monte-Carlo dropout's means over the seeds, one row per number of passes."""
    return [
        {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
        for rows in zip(*(run["passes"] for run in runs), strict=True)
    ]


def _first_seed(bench: Bench, stack: Stack, program: Program, split: Any) -> dict[str, Any]:
    """Measure what needs one model only: cost, and choices made at prediction."""
    prepared = split.prepared()
    kernels = np.concatenate([np.asarray(k.numpy()).ravel() for k in program.kernels])
    exported = export_model(bench, stack, program, split)
    found: dict[str, Any] = {
        "latency_ms": latency_ms(exported),
        "latency_ms_64": latency_ms(exported, 64),
        "parameters": int(program.model.count_params()),
        "nonzero_fraction": float(np.mean(kernels != 0)),
    }
    if bench.spec.profile == "low-latency":
        raw = split.x_test.reshape(-1, *exported.input_shape[1:])
        found["deployed"] = lite(exported, raw, lambda y: _exported_figures(bench, split, y))
    sparse = stack["penalty"] in ("l1", "l1_l2") or stack["optimizer"] == "ftrl"
    if sparse or bench.spec.profile == "sparse":
        found["sparsity"] = sparsified(
            program, prepared.x_valid, prepared.y_valid, weights=split.w_valid
        )
        found["sparsity_test_loss"] = program.loss(prepared.x_test, prepared.y_test, split.w_test)
    return found


def _exported_figures(bench: Bench, split: Any, outputs: np.ndarray) -> dict[str, float]:
    """Return the test loss and metrics of an exported model's outputs.

    The outputs are probabilities, or in regression predictions in the target's unit.
    """
    scorer = Scorer.of(bench.spec, split)
    found = scorer.figures(scorer.of_predictions(outputs), "test")
    asked, beside = bench.spec.asked.name, BESIDE[bench.spec.data.task]
    return {name: found[name] for name in ("loss", beside, asked) if name in found}


def bounded_figures(bench: Bench, stack: Stack, program: Program, split: Any) -> dict[str, float]:
    """Return a confirmation run's figures that constraints bound or the profile minimizes.

    The result is empty if none has to be measured. The program's weights stay unchanged.
    """
    asked = {constraint.figure for constraint in read_all(bench.spec.constraints)}
    asked.add(PROFILES[bench.spec.profile].spares or "")
    found: dict[str, float] = {}
    if "latency_ms" in asked:
        found["latency_ms"] = latency_ms(export_model(bench, stack, program, split))
    if "nonzero_fraction" in asked:
        kept, prepared = program.weights(), split.prepared()
        rows = sparsified(program, prepared.x_valid, prepared.y_valid, weights=split.w_valid)
        found["nonzero_fraction"] = affordable(rows)["nonzero_fraction"]
        program.set_weights(kept)
    return found


def validation_figures(bench: Bench, program: Program, split: Any) -> dict[str, float]:
    """Return a confirmation run's loss and all metrics on its validation part."""
    scorer = Scorer.of(bench.spec, split)
    outputs = program.outputs(split.prepare(split.x_valid))
    return scorer.figures(scorer.answers(outputs), "valid")
