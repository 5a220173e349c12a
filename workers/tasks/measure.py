"""The single measurement on the test set, and the chosen stack's cost at prediction."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from trainstack.search.evidence.constraints import read_all
from trainstack.search.evidence.planned_run import confirmation_seed
from trainstack.search.evidence.prediction import affordable
from trainstack.search.records import Outcome, Result
from trainstack.spaces.profiles import PROFILES
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.program import Program
from trainstack.workers.export.deployment import latency_ms, lite
from trainstack.workers.export.model import export_model, save_all
from trainstack.workers.messages import Job, Kept
from trainstack.workers.tasks.metrics import (
    classification_figures,
    means,
    probability_figures,
    regression_figures,
)
from trainstack.workers.tasks.prediction import PASSES, monte_carlo, sparsified
from trainstack.workers.tasks.trivial_predictor import trivial_alone, trivial_document, trivial_run
from trainstack.workers.tasks.yardstick import MOST_SECONDS, yardstick

if TYPE_CHECKING:
    from trainstack.workers.engine.bench import Bench

log = logging.getLogger("trainstack.trainer")


def measure(bench: Bench, job: Job) -> Result:
    """Measure the chosen stack and the baseline on the test set, one figure per seed.

    The chosen stack's model of the first seed (selected before its
    test figure was known) is exported.
    """
    began = time.perf_counter()
    asked = job.measures
    assert asked is not None
    measured: dict[str, Any] = {}
    artifacts: dict[str, str] = {}
    for role, stack in (("chosen", asked.chosen), ("baseline", asked.baseline)):
        if role == "baseline" and asked.baseline == asked.chosen:
            measured["baseline"] = measured["chosen"]
            continue
        runs = confirmation_runs(bench, asked.runs.get(stack.stack_id, {}))
        if not runs:
            if role == "chosen":
                measured[role] = {"trivial": _trivial_unconfirmed(bench)}
            continue
        measured[role] = _measure_stack(bench, stack, runs)
        if role == "chosen":
            measured["seeds"] = [run.seed for run in runs]
            try:
                artifacts = save_all(bench, stack, runs, measured[role], job.folder)
            except OSError as error:  # a full disk costs the export, not the figures
                log.warning("the model could not be written: %s", error)
    if "seeds" in measured:
        left = MOST_SECONDS - (time.perf_counter() - began)
        measured |= _yardstick(bench, measured["seeds"][0], left)
    return Result(
        Outcome.COMPLETED,
        seconds={"total": time.perf_counter() - began},
        artifacts=artifacts,
        payload={**measured, "artifacts": artifacts},
    )


def _yardstick(bench: Bench, seed: int, seconds: float) -> dict[str, Any]:
    """Return the yardstick's document under its name, on the first seed's split, if wanted."""
    spec = bench.spec
    if spec.yardstick is False or spec.experiment:
        return {}
    split, _ = bench.split(seed)
    classes = spec.data.class_count
    return {"yardstick": yardstick(split, classes, spec.yardstick, bench.threads, seconds)}


def _trivial_unconfirmed(bench: Bench) -> dict[str, Any]:
    """Return the trivial predictor's figures for a study without a confirmed network."""
    split, _ = bench.split(confirmation_seed(bench.spec.seed, 0))
    return trivial_alone(split, bench.spec.data.class_count)


def confirmation_runs(bench: Bench, kept: Mapping[str, Mapping[str, str]]) -> list[Kept]:
    """Return a stack's confirmation runs in the order of their seed indices."""
    return [
        Kept(confirmation_seed(bench.spec.seed, int(index)), artifacts.get("weights", ""))
        for index, artifacts in sorted(kept.items(), key=lambda item: int(item[0]))
    ]


def _measure_stack(bench: Bench, stack: Stack, runs: list[Kept]) -> dict[str, Any]:
    classes, targets = bench.spec.data.class_count, bench.spec.data.targets
    stochastic = bool(bench.spec.data.classes) and stack["dropout"] != "none"
    per_seed: list[dict[str, float]] = []
    each_target: list[list[dict[str, float]]] = []
    passes: list[dict[str, Any]] = []
    extra: dict[str, Any] = {}
    trivial: list[dict[str, Any]] = []
    for place, run in enumerate(runs):
        program, split = bench.weights(stack, run)
        standard = split.standardised()
        outputs = split.measurable(program.outputs(standard.x_test))
        each_target.append(target_figures(split, classes, outputs))
        per_seed.append(means(each_target[-1]))
        trivial.append(trivial_run(split, classes, outputs))
        if stochastic:
            rows = _stochastic(program, stack, standard, run.seed)
            passes.append({"seed": run.seed, "deterministic": per_seed[-1], "passes": rows})
        if place == 0:
            extra = _first_seed(bench, stack, program, split)
    names = ("loss", "accuracy") if classes else ("loss", "rmse")
    of_targets = [
        {
            "target": target,
            "test": {name: [seed[place][name] for seed in each_target] for name in names},
        }
        for place, target in enumerate(targets)
    ]
    return {
        "test": {name: [figures[name] for figures in per_seed] for name in names},
        **({"targets": of_targets} if targets else {}),
        "trivial": trivial_document(trivial),
        **{
            name: float(np.mean([figures[name] for figures in per_seed]))
            for name in ("log_loss", "ece", "brier")
            if classes
        },
        **({"monte_carlo": averaged(passes), "monte_carlo_seeds": passes} if passes else {}),
        **extra,
    }


def target_figures(split: Any, classes: int, outputs: np.ndarray) -> list[dict[str, float]]:
    """Return the test figures of each target, which may be a single one.

    Args:
        split: The parts, not standardised.
        classes: Number of classes of each target; 0 in regression.
        outputs: The network's outputs for the test rows, on the scale of `Split.target`.
    """
    found = []
    for part, column in zip(split.each_target(), split.each_output(outputs), strict=True):
        y = part.target(part.y_test)
        found.append(
            classification_figures(column, y)
            if classes
            else regression_figures(column, y, part.y_scale)
        )
    return found


def _stochastic(program: Program, stack: Stack, standard: Any, seed: int) -> list[dict[str, float]]:
    """Return the test figures of Monte-Carlo dropout, one row per number of passes."""
    averages = monte_carlo(program, stack, standard.x_test, PASSES, seed)
    return [
        {"passes": n, **probability_figures(np.log(np.maximum(p, 1e-300)), standard.y_test)}
        for n, p in averages.items()
    ]


def averaged(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    """Return Monte-Carlo dropout's means over the seeds, one row per number of passes."""
    return [
        {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
        for rows in zip(*(run["passes"] for run in runs), strict=True)
    ]


def _first_seed(bench: Bench, stack: Stack, program: Program, split: Any) -> dict[str, Any]:
    """Measure what needs one model only: cost, and choices made at prediction."""
    standard = split.standardised()
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
        found["sparsity"] = sparsified(program, standard.x_valid, standard.y_valid)
        found["sparsity_test_loss"] = program.loss(standard.x_test, standard.y_test)
    return found


def _exported_figures(bench: Bench, split: Any, outputs: np.ndarray) -> dict[str, float]:
    """Return the test loss and metric of an exported model's outputs.

    The outputs are probabilities, or in regression predictions in the target's unit.
    """
    standard = split.standardised()
    if bench.spec.data.labels:
        p = np.clip(outputs.astype(np.float64), 1e-15, 1 - 1e-15)
        found = means(target_figures(split, 2, np.log(p / (1 - p))))
        return {name: found[name] for name in ("loss", "accuracy")}
    if bench.spec.data.task == "classification":
        log_p = np.log(np.maximum(outputs.astype(np.float64), 1e-300))
        found = probability_figures(log_p, standard.y_test)
        return {name: found[name] for name in ("loss", "accuracy")}
    return means(target_figures(split, 0, (outputs - split.y_mean) / split.y_scale))


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
        kept, standard = program.weights(), split.standardised()
        rows = sparsified(program, standard.x_valid, standard.y_valid)
        found["nonzero_fraction"] = affordable(rows)["nonzero_fraction"]
        program.set_weights(kept)
    return found
