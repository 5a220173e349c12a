"""Exports: the model with its preprocessing, plain Keras code, the stack as data."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from trainstack.search.artifacts import put
from trainstack.search.data.model_description import ModelDescription
from trainstack.search.data.preparation import precision_of
from trainstack.search.data.target_log import FARTHEST, TargetLog
from trainstack.search.metrics.conformal import Residuals
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.build import plain_model
from trainstack.workers.engine.own_network import built
from trainstack.workers.engine.program import Program
from trainstack.workers.export.columns import from_columns, levels_of
from trainstack.workers.export.predict_script import predict_script
from trainstack.workers.export.preparation import prepared

if TYPE_CHECKING:
    from trainstack.workers.engine.bench import Bench


def export_model(bench: Bench, stack: Stack, program: Program, split: Any) -> keras.Model:
    """Build the complete model from Keras's layers: preparation, network, softmax or unit.

    It takes raw features (images in their own shape, tables as encoded) and returns class
    probabilities [B, K], or the prediction in the target's unit [B, 1]. For several targets it
    returns the probability of each label's second value, or the predictions, [B, T].

    Features and targets whose mean is more than 1000 deviations from zero are in float64:
    `model(x)` keeps their digits, while Keras's `model.predict(x)` rounds inputs to float32.
    """
    features = split.x_train.shape[1]
    own, width = bench.spec.network, bench.spec.data.outputs
    network = (
        plain_model(stack, split.inputs, width) if own is None else built(own, stack, width).model
    )
    for variable, value in zip(network.weights, program.plain(program.weights()), strict=True):
        variable.assign(value)
    shape = bench.dataset.image_shape or (features,)
    kind = split.preparation.precision
    inputs = outputs = keras.Input(shape, dtype=kind, name="features")
    if len(shape) > 1:
        outputs = keras.layers.Flatten(dtype=kind)(outputs)
    outputs = network(prepared(outputs, split.preparation))
    if bench.spec.data.task == "classification":
        outputs = averaged(keras.layers.Softmax()(outputs))
    elif bench.spec.data.labels:
        outputs = averaged(keras.layers.Activation("sigmoid")(outputs))
    elif split.log is not None:
        outputs = exponential(averaged(outputs), split.log)
    else:
        if split.logarithmic:
            outputs = keras.layers.Activation("exponential")(outputs)
        outputs = in_unit(averaged(outputs), split.y_mean, split.y_scale)
    return keras.Model(inputs, outputs)


def averaged(outputs: Any) -> Any:
    """Return the mean of members' predictions [B, k, K]; those of one network as they are."""
    return keras.layers.GlobalAveragePooling1D()(outputs) if len(outputs.shape) == 3 else outputs


def in_unit(outputs: Any, mean: Any, scale: Any) -> Any:
    """Return outputs * scale + mean, in float64 if float32 would lose digits.

    Mean and scale are numbers, or arrays [T] for several targets.
    """
    kind = precision_of(mean, scale)
    # Arrays, not numbers: Keras would store and cast those in float32.
    arrays: list[Any] = [np.atleast_1d(np.asarray(part, kind)) for part in (scale, mean)]
    return keras.layers.Rescaling(*arrays, dtype=kind)(outputs)


def exponential(outputs: Any, log: TargetLog) -> Any:
    """Return `TargetLog.in_unit` of outputs that are standardised logarithms, by Keras's layers.

    It is exp(scale · outputs) times the geometric mean of the target.
    """
    near = keras.ops.clip(outputs, -FARTHEST, FARTHEST)
    scale, geometric_mean = (
        np.atleast_1d(np.asarray(part, "float32")) for part in (log.scale, np.exp(log.mean))
    )
    ratios = keras.layers.Activation("exponential")(keras.layers.Rescaling(scale)(near))
    return keras.layers.Rescaling(geometric_mean)(ratios)


@dataclass(frozen=True)
class Delivered:
    """A model that is exported.

    Attributes:
        model: Its network, or several networks as one, with their preparation.
        split: The split that it was trained on.
        stacks: Its stacks: one, or those of an ensemble's members.
        program: A program that trains it again; empty: there is none.
        residuals: Errors on validation rows of it, or of networks of its stacks that were trained
            without them; None for classes, or if there are none.
    """

    model: keras.Model
    split: Any
    stacks: Sequence[Stack]
    program: str = ""
    residuals: Residuals | None = None


def save_all(bench: Bench, delivered: Delivered, folder: str) -> dict[str, str]:
    """Write model, scripts and stacks; return kind → name in the store.

    The model of a table takes its columns (`from_columns`), that of arrays the features.

    Raises:
        OSError: The disk or the store is full.
    """
    split = delivered.split
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch)
        written: dict[str, Path] = {"keras": target / "model.keras"}
        exported = delivered.model
        known: dict[str, list[str]] = {}
        if split.encoder is not None:
            exported = from_columns(exported, bench.dataset, split.encoder)
            known = levels_of(bench.dataset, split.encoder)
            written["predict"] = target / "model.predict.py"
            written["predict"].write_text(predict_script(bench.dataset, known), "utf-8")
        exported.save(written["keras"])
        spec = bench.spec
        described = (bench.dataset, spec.study, spec.asked.name, known, delivered.residuals)
        ModelDescription.of(*described).write_into(written["keras"])
        if delivered.program:
            written["python"] = target / "train.py"
            written["python"].write_text(delivered.program, "utf-8")
            if spec.network is not None:
                written["network"] = target / "train.network.py"
                written["network"].write_text(spec.network.code, "utf-8")
                for _, saved in spec.network.files:  # at most one
                    written["saved"] = target / "train.saved.keras"
                    written["saved"].write_bytes(saved.content(bench.artifacts))
        written["json"] = target / "stack.json"
        each = [stack.to_json() for stack in delivered.stacks]
        document = each if len(each) > 1 else each[0]
        written["json"].write_text(json.dumps(document, indent=2) + "\n", "utf-8")
        names = {kind: f"{folder}/{path.name}" for kind, path in written.items()}
        for kind, path in written.items():
            put(bench.artifacts, names[kind], path)
    return names
