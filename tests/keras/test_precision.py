"""Mixed precision: steps in bfloat16, all measurements in float32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainstack.search.data.inputs import Inputs
from trainstack.spaces.errors import RequestError
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.precision import check_precision
from trainstack.workers.engine.program import Program
from trainstack.workers.engine.rates import RateMaker
from trainstack.workers.engine.structure import Structure, shaping_items
from trainstack.workers.engine.training import batch_order

pytestmark = pytest.mark.keras

ROWS, BATCH = 320, 32
STACK = Stack.of(
    **{"units": [32, 32], "batch_size": BATCH, "activation": "relu", "initializer": "he_normal"},
    **{"normalization": "before", "dropout": "all"},
)


def trained(precision: str, compiled: bool, rate: float = 0.0) -> tuple[Program, float, Any]:
    """Train two epochs on made-up classes; return the program, the loss and the data."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((ROWS, 12)).astype(np.float32)
    y = (x @ rng.standard_normal((12, 4))).argmax(1).astype(np.int32)
    stack = STACK.but(dropout__rate=rate)
    structure = Structure(
        *(shaping_items(stack), Inputs(12), 4, "classification", (ROWS, ROWS), compiled, precision)
    )
    program = Program(structure, stack)
    program.reset(stack, 3)
    data = DeviceData(*(tf.constant(part) for part in (x, y, x, y)))
    maker, loss = RateMaker(stack, ROWS // BATCH, 2), float("nan")
    for epoch in (1, 2):
        order = batch_order(3, epoch, ROWS, ROWS // BATCH, BATCH)
        loss = program.epoch(stack, data, order, maker.rates(epoch), None, epoch).valid_loss
    program.settle()
    return program, loss, (x, y)


@pytest.mark.parametrize("compiled", [False, True])
def test_mixed_precision_trains_as_float32_within_its_digits(compiled: bool) -> None:
    """Bfloat16 steps reach float32's loss within 2 %, with different weights, stored as float32."""
    exact, loss, _ = trained("float32", compiled)
    mixed, nearly, _ = trained("mixed", compiled)
    assert nearly == pytest.approx(loss, rel=0.02)
    assert any((a != b).any() for a, b in zip(exact.weights(), mixed.weights(), strict=True))
    assert {w.dtype for w in mixed.weights()} == {np.dtype("float32")}


def test_what_is_measured_is_float32() -> None:
    """The reported validation loss equals the float32 network's cross-entropy in NumPy."""
    program, reported, (x, y) = trained("mixed", compiled=False, rate=0.2)
    assert {layer.compute_dtype for layer in program.model.layers} == {"float32"}
    logits = keras.ops.convert_to_numpy(program.model(x, training=False)).astype(np.float64)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    assert reported == pytest.approx(-log_p[np.arange(ROWS), y].mean(), rel=1e-5)


class Gpu:
    """A GPU as TensorFlow lists it."""

    name = "/physical_device:GPU:0"


@pytest.mark.parametrize(("capability", "fits"), [((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_a_gpu_without_bfloat16_is_refused(
    capability: tuple[int, int], fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mixed precision requires compute capability 8.0; float32 runs anywhere."""
    details = {"compute_capability": capability}
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda _: details)
    check_precision("float32", [Gpu()])
    if fits:
        check_precision("mixed", [Gpu()])
        return
    with pytest.raises(RequestError, match="GPU:0 has no bfloat16 arithmetic"):
        check_precision("mixed", [Gpu()])


def test_a_processor_without_bfloat16_is_refused(tmp_path: Path) -> None:
    """If the system lists no bfloat16 instruction, mixed precision is refused in one line."""
    able, unable = tmp_path / "able", tmp_path / "unable"
    able.write_text("flags : fpu avx512f avx512_bf16 sse2\n")
    unable.write_text("flags : fpu avx512f sse2\n")
    check_precision("mixed", [], str(able))
    for place in (unable, tmp_path / "none"):
        with pytest.raises(RequestError, match="this processor has no bfloat16 arithmetic"):
            check_precision("mixed", [], str(place))
