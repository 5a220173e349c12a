"""The models that can be exported, with their figures on the test set.

`single` is the network of the first confirmation run. The others are trained on all rows that are
not for testing: `refit` is one network of the recommended stack, `average` the mean of several, and
`ensemble` the weighted mean of networks of several stacks, which are chosen by their predictions
for validation rows. `further_models` and `greedy` bound their number.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from trainstack.search.evidence.default_model import AVERAGE, ENSEMBLE, KINDS, SINGLE
from trainstack.search.metrics.conformal import COVERAGE, Residuals
from trainstack.search.metrics.table import REGRESSION
from trainstack.search.payloads import MeasurementPayload
from trainstack.spaces.errors import RequestError
from trainstack.workers.export.deployment import latency_ms
from trainstack.workers.export.joint import tempered
from trainstack.workers.export.keras_code import ensemble_script, script
from trainstack.workers.export.model import Delivered, save_all
from trainstack.workers.messages import Kept
from trainstack.workers.tasks.making import Made, Maker
from trainstack.workers.tasks.metrics import Scorer

if TYPE_CHECKING:
    from trainstack.workers.engine.bench import Bench

log = logging.getLogger("trainstack.trainer")

# Rows that a model predicts at once.
_ROWS = 1024


def models(
    bench: Bench,
    asked: MeasurementPayload,
    runs: Sequence[Kept],
    test: Mapping[str, Sequence[float]],
    folder: str,
) -> dict[str, dict[str, Any]]:
    """Make, measure and write the models.

    Args:
        bench: The bench.
        asked: Input of the measurement.
        runs: The recommended stack's confirmation runs, at least one.
        test: Their test figures.
        folder: Folder in the artifact store to write into.

    Returns:
        Each kind's document: its `test` figures, `latency_ms`, `parameters`, `rows` that it was
        trained on, `members`, `artifacts`, and if there are validation rows `validation` (the
        metric that decides), in classification `calibration` and in regression `coverage`; or
        `left_out`, the reason why there is none.
    """
    maker, found = Maker(bench, asked, runs), {}
    for kind in KINDS:
        made = maker.make(kind)
        if isinstance(made, str):
            found[kind] = {"left_out": made}
            continue
        errors = residuals(bench, made)
        document, model = measured(bench, made, errors)
        program = _program(bench, made, runs, test, kind, document)
        stacks = tuple(dict.fromkeys(member.stack for member in made.members))
        delivered = Delivered(model, made.network.split, stacks, program, errors)
        try:
            document["artifacts"] = save_all(bench, delivered, f"{folder}/{kind}")
        except OSError as error:  # a full disk costs the export, not the figures
            log.warning("the model could not be written: %s", error)
        found[kind] = document
    maker.forget_kept()
    return found


def residuals(bench: Bench, made: Made) -> Residuals | None:
    """Return a model's errors on validation rows; None for classes, or if there are none."""
    if made.valid is None or bench.spec.data.task != REGRESSION:
        return None
    split = made.network.split
    found = Residuals.of(made.valid.y, made.valid.p, split.log is not None)
    if len(made.averaged) < 2:
        return found
    each = [predictions(network.model, split.x_test) for network in made.averaged]
    return found.of_mean(np.stack(each).astype(np.float64))


def measured(
    bench: Bench, made: Made, errors: Residuals | None
) -> tuple[dict[str, Any], keras.Model]:
    """Return a model's document, as `models` describes it, and the calibrated model.

    Args:
        bench: The bench.
        made: The model.
        errors: Its `residuals`.
    """
    spec, split, valid = bench.spec, made.network.split, made.valid
    temperature, calibration = 1.0, {}
    if valid is not None and spec.data.task != REGRESSION:
        temperature, before = valid.temperature(), valid
        valid = valid.at(temperature) if temperature != 1.0 else valid
        calibration = {
            "calibration": {
                "temperature": temperature,
                "before": before.calibration(),
                "after": valid.calibration(),
            }
        }
    model = tempered(made.network.model, temperature, bool(spec.data.labels))
    scorer, found = Scorer.of(spec, split), predictions(model, split.x_test)
    figures = scorer.figures(scorer.of_predictions(found), "test")
    document = {
        "test": {name: [value] for name, value in figures.items()},
        "latency_ms": latency_ms(model),
        "parameters": made.network.parameters,
        "rows": len(split.y_train),
        "members": [member.to_json() for member in made.members],
        **calibration,
        **_coverage(errors, split.y_test, found),
    }
    if made.valid is not None:
        with contextlib.suppress(RequestError):  # a user's metric may refuse some rows
            document["validation"] = made.valid.score(spec)
    return document, model


def _coverage(errors: Residuals | None, y: np.ndarray, p: np.ndarray) -> dict[str, float]:
    """Return the share of targets that intervals at `COVERAGE` hold; nothing without intervals.

    Args:
        errors: The model's errors on validation rows.
        y: Targets in their unit, [N] or [N, T], N at least 1.
        p: Predictions, [N, T].
    """
    if errors is None:
        return {}
    try:
        low, high = errors.interval(p.reshape(y.shape), COVERAGE)
    except RequestError:  # too few validation rows
        return {}
    return {"coverage": float(np.mean((low <= y) & (y <= high)))}


def predictions(model: keras.Model, x: np.ndarray) -> np.ndarray:
    """Return a model's outputs for raw rows, in the precision in which it takes them.

    Args:
        model: The model.
        x: Rows as a split holds them, [N, D].
    """
    raw = x.reshape(-1, *model.input_shape[1:])
    parts = [model(raw[k : k + _ROWS], training=False) for k in range(0, len(raw), _ROWS)]
    return np.concatenate([np.asarray(part) for part in parts])


def _program(
    bench: Bench,
    made: Made,
    runs: Sequence[Kept],
    test: Mapping[str, Sequence[float]],
    kind: str,
    document: Mapping[str, Any],
) -> str:
    """Return a program that trains a model again; empty if a user's network has none."""
    network = bench.spec.network
    if network is not None and network.not_written:
        return ""
    about, first = (bench.dataset, bench.spec), made.members[0]
    if kind == SINGLE:
        return script(*about, first.stack, [run.seed for run in runs], test)
    own = document["test"]
    temperature = document.get("calibration", {}).get("temperature", 1.0)
    if kind == ENSEMBLE:
        members = [(one.stack, one.refit, one.weight) for one in made.members if one.refit]
        return ensemble_script(*about, members, own, temperature)
    seeds = [member.seed for member in made.members]
    return script(
        *about, first.stack, seeds, own, first.refit, kind == AVERAGE, temperature=temperature
    )
