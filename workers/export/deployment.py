"""Costs of a deployed model: latency, and 16- and 8-bit weights."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

# Rows per prediction: a single request, and a batch.
BATCHES = (1, 64)
PRECISIONS = ("float32", "float16", "int8")
# Rounds of calls; slow models have fewer rounds, at least LEAST_ROUNDS, within ROUNDS_SECONDS.
ROUNDS, LEAST_ROUNDS, CALLS = 20, 5, 10
ROUNDS_SECONDS = 0.2
_WARM_UP = 10


def median_ms(answer: Callable[[], Any]) -> float:
    """Return the median time of a call in milliseconds, in the fastest of several rounds of CALLS.

    Other programs on the machine only make calls slower, so a median over all calls would measure
    their load.
    """
    for _ in range(_WARM_UP):
        answer()
    rounds: list[float] = []
    until = time.perf_counter() + ROUNDS_SECONDS
    while len(rounds) < ROUNDS and (len(rounds) < LEAST_ROUNDS or time.perf_counter() < until):
        seconds = []
        for _ in range(CALLS):
            began = time.perf_counter()
            answer()
            seconds.append(time.perf_counter() - began)
        rounds.append(float(np.median(seconds) * 1e3))
    return min(rounds)


def latency_ms(model: keras.Model, batch: int = 1) -> float:
    """Return the exported model's time to predict `batch` rows, in milliseconds."""
    predict = tf.function(lambda x: model(x, training=False), autograph=False)
    x = tf.constant(np.zeros((batch, *model.input_shape[1:]), np.float32))
    return median_ms(lambda: predict(x).numpy())


def lite(
    model: keras.Model, x: np.ndarray, judge: Callable[[np.ndarray], dict[str, float]]
) -> list[dict[str, Any]]:
    """Measure the model under TensorFlow Lite, on one thread.

    The converter folds batch normalization into the layer before it. `float16` and `int8` are the
    weights' precision; the arithmetic stays in float32 if the machine supports no other.

    Args:
        model: The exported model.
        x: Test inputs in the model's format, [N, ...].
        judge: Outputs [N, K] → named test figures.

    Returns:
        One row per precision: `precision`, `bytes`, `latency_ms` (one row), `latency_ms_64`, and
        the figures of `judge`; or `precision` and `cause`, if it cannot be converted.

    Reference: Jacob et al., "Quantization and Training of Neural Networks for Efficient
    Integer-Arithmetic-Only Inference", 2018.
    """
    return [_measured(model, precision, x, judge) for precision in PRECISIONS]


def _measured(
    model: keras.Model,
    precision: str,
    x: np.ndarray,
    judge: Callable[[np.ndarray], dict[str, float]],
) -> dict[str, Any]:
    try:
        content = converted(model, precision)
        figures = judge(answers(content, x))
        quick = [_lite_ms(content, x[:1], batch) for batch in BATCHES]
    except Exception as error:
        return {"precision": precision, "cause": f"{type(error).__name__}: {error}"[:200]}
    row = {"precision": precision, "bytes": len(content)}
    return {**row, "latency_ms": quick[0], "latency_ms_64": quick[1], **figures}


def converted(model: keras.Model, precision: str) -> bytes:
    """Return the model in TensorFlow Lite's format, its weights in one of PRECISIONS."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    with contextlib.redirect_stdout(io.StringIO()):  # it prints the signature
        return converter.convert()


def answers(content: bytes, x: np.ndarray) -> np.ndarray:
    """Return a converted model's outputs [N, K] for inputs [N, ...]."""
    ask = _asker(content, x.shape)
    return ask(x.astype(np.float32))


def _lite_ms(content: bytes, row: np.ndarray, batch: int) -> float:
    x = np.repeat(row, batch, axis=0).astype(np.float32)
    ask = _asker(content, x.shape)
    return median_ms(lambda: ask(x))


def _asker(content: bytes, shape: tuple[int, ...]) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that runs the model on inputs of one shape."""
    # TensorFlow plans to move this class to the package ai-edge-litert, whose class gives the same
    # outputs equally fast. The converter is still TensorFlow's, so its interpreter is used as well.
    interpreter = tf.lite.Interpreter(model_content=content, num_threads=1)
    place = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(place, shape)
    interpreter.allocate_tensors()
    result = interpreter.get_output_details()[0]["index"]

    def ask(x: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(place, x)
        interpreter.invoke()
        return interpreter.get_tensor(result)

    return ask
