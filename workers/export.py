"""What a user takes away: the model with its preprocessing, plain Keras code, the stack as data."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from search.artifacts import put
from spaces.stack import Stack
from workers.build import plain_model
from workers.engine import Program
from workers.messages import Kept
from workers.predictcode import predict_script
from workers.pythoncode import script

if TYPE_CHECKING:
    from workers.bench import Bench


def export_model(bench: Bench, stack: Stack, program: Program, split: Any) -> keras.Model:
    """Build the whole model of Keras's own layers: standardise, network, softmax (or the unit).

    It takes the raw features (images in their own shape; tables as the encoder gives them) and
    gives class probabilities [B, K], or the prediction in the target's unit [B, 1].
    """
    network = plain_model(stack, len(split.mean), bench.spec.data.outputs)
    for variable, value in zip(network.weights, program.weights(), strict=True):
        variable.assign(value)
    shape = bench.dataset.image_shape or (len(split.mean),)
    inputs = outputs = keras.Input(shape, name="features")
    if len(shape) > 1:
        outputs = keras.layers.Flatten()(outputs)
    outputs = network(standardised(outputs, split.mean, split.scale))
    if bench.spec.data.task == "classification":
        outputs = keras.layers.Softmax()(outputs)
    else:
        outputs = keras.layers.Rescaling(float(split.y_scale), float(split.y_mean))(outputs)
    return keras.Model(inputs, outputs)


def standardised(inputs: Any, mean: np.ndarray, scale: np.ndarray) -> Any:
    """Return (inputs - mean) / scale by Keras's own layers.

    Keras takes variances in float32 and deviations of at least 1e-7: features in unusual units are
    first brought near 1.
    """
    mean, scale = np.asarray(mean, np.float64), np.asarray(scale, np.float64)
    unusual = (scale < 1e-4) | (scale > 1e15)
    if unusual.any():
        unit = np.where(unusual, 1.0 / scale, 1.0)
        inputs = keras.layers.Rescaling(unit.tolist())(inputs)
        mean, scale = mean * unit, scale * unit
    return keras.layers.Normalization(mean=mean, variance=scale**2)(inputs)


def save_all(
    bench: Bench,
    stack: Stack,
    runs: list[Kept],
    measured: Mapping[str, Any],
    folder: str,
) -> dict[str, str]:
    """Write model, preprocessing, script and stack; return kind → name in the store.

    Raises:
        OSError: There is no room.
    """
    program, split = bench.weights(stack, runs[0])
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch)
        written: dict[str, Path] = {"keras": target / "model.keras"}
        export_model(bench, stack, program, split).save(written["keras"])
        if split.encoder is not None:
            import joblib

            written["preprocessing"] = target / "preprocessing.joblib"
            joblib.dump(split.encoder, written["preprocessing"])
            written["predict"] = target / "model.predict.py"
            written["predict"].write_text(predict_script(bench.dataset), "utf-8")
        written["python"] = target / "train.py"
        text = script(bench.dataset, bench.spec, stack, runs, measured)
        written["python"].write_text(text, "utf-8")
        written["json"] = target / "stack.json"
        written["json"].write_text(json.dumps(stack.to_json(), indent=2) + "\n", "utf-8")
        names = {kind: f"{folder}/{path.name}" for kind, path in written.items()}
        for kind, path in written.items():
            put(bench.artifacts, names[kind], path)
    return names
