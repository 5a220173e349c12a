"""Members of a stack that share nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit, softmax

from tests.support.engine_stacks import (
    BASE,
    BATCH,
    EPOCHS,
    SEED,
    made_up_data,
    made_up_weights,
    program_of,
    structure_of,
)
from tests.support.target_tables import TARGETS, written
from trainstack.search.folds import SplitId
from trainstack.search.spec import StudySpec
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.independent import MEMBER_KEY, member_seed
from trainstack.workers.engine.layer_statistics import look_inside
from trainstack.workers.engine.program import Program
from trainstack.workers.engine.rates import RateMaker
from trainstack.workers.engine.training import Training, batch_order, epoch_key
from trainstack.workers.export.model import export_model
from trainstack.workers.tasks.jobs import JobBench
from trainstack.workers.tasks.prediction import monte_carlo

pytestmark = pytest.mark.keras

COUNT = 3
ALONE = {
    "plain": BASE,
    "batch normalization, dropout, clipping by norm": BASE.but(
        **{"normalization": "after", "input_normalization": "batch", "connection": "residual"},
        **{"dropout": "all", "dropout__rate": 0.3, "clipping": "norm", "clipping__limit": 0.05},
    ),
    "penalties, max-norm, decay, clipping by value": BASE.but(
        **{"penalty": "l1_l2", "max_norm": "clip", "max_norm__radius": 0.5, "decay": "decoupled"},
        **{"clipping": "value", "activation": "prelu", "optimizer": "adam", "bias": "normal"},
    ),
    "ntk, rates, label smoothing, moving average": BASE.but(
        **{"parametrization": "ntk", "input_scale": "learned", "bias_rate": 0.1},
        **{"label_smoothing": 0.1, "averaging": "exponential", "averaging__decay": 0.9},
        **{"bias": "data", "calibration": "weights"},
    ),
    "embedding, falling dropout": BASE.but(
        **{"embedding": "periodic", "dropout": "hidden", "regularizer_schedule": "flat_cosine"},
    ),
    "bins, momentum, last epochs": BASE.but(
        **{"embedding": "piecewise", "optimizer": "momentum", "schedule": "1cycle"},
        **{"averaging": "last", "averaging__share": 0.5},
    ),
}


def joined(stack: Stack, count: int = COUNT) -> Stack:
    """Return a stack of independent members of this stack."""
    return stack.but(members="independent", members__count=count)


def split(task: str = "classification", weighted: bool = False) -> DeviceData:
    """Return the made-up data as training and validation part."""
    x, y = made_up_data(task)
    masses: list[Any] = [tf.constant(made_up_weights())] * 2 if weighted else [None, None]
    return DeviceData(*(tf.constant(part) for part in (x, y, x, y)), *masses)


def train(program: Program, stack: Stack, data: DeviceData, member: int = 0) -> Any:
    """Train on the batches of SEED, with initial weights and masks of a member; return the last
    epoch's result."""
    program.reset(stack, member_seed(SEED, member), data)
    steps = data.rows[0] // BATCH
    maker, found = RateMaker(stack, steps, EPOCHS), None
    for epoch in range(1, EPOCHS + 1):
        order = batch_order(SEED, epoch, data.rows[0], steps, BATCH)
        key = (epoch_key(SEED, epoch) + member * MEMBER_KEY) % 2**32
        found = program.epoch(stack, data, *maker.plan(epoch, order, key).arguments)
    return found


@pytest.mark.parametrize("name", ALONE)
def test_each_member_has_the_weights_that_it_has_alone(name: str) -> None:
    """After two epochs each member's weights, and their average, agree to 1e-6 with those of a
    stack of one network with its initial weights, masks and batches."""
    one, data = ALONE[name], split()
    program, single = program_of(joined(one)), program_of(one)
    result, losses = train(program, joined(one), data), []
    for member in range(COUNT):
        losses.append(train(single, one, data, member).train_loss)
        pairs = [(program.weights(), single.weights()), (program.measured(), single.measured())]
        for ours, theirs in pairs:
            for a, b in zip(ours, theirs, strict=True):
                far = 1e-6 * max(1.0, float(np.abs(b).max()))
                np.testing.assert_allclose(a[member], b, rtol=1e-6, atol=far)
    assert len(set(losses)) == COUNT
    assert result.train_loss == pytest.approx(np.mean(losses), rel=1e-5)


@pytest.mark.parametrize("task", ["multilabel", "regressions"])
def test_weighted_rows_of_several_targets_train_members_as_alone(task: str) -> None:
    """With XLA, too, weights agree with those of the networks alone."""
    one, data = BASE.but(clipping="norm", clipping__limit=0.05), split(task, weighted=True)
    program = Program(structure_of(joined(one), task, compiled=True), joined(one))
    single = Program(structure_of(one, task), one)
    train(program, joined(one), data)
    for member in range(COUNT):
        train(single, one, data, member)
        for a, b in zip(program.weights(), single.weights(), strict=True):
            np.testing.assert_allclose(a[member], b, rtol=1e-4, atol=1e-5)


def by_hand(x: np.ndarray, weights: list[np.ndarray]) -> np.ndarray:
    """Return the members' outputs, [N, members, K], from the weights of ReLU layers."""
    answers = []
    for member in range(COUNT):
        first, b, second, c, head, d = (part[member] for part in weights)
        hidden = np.maximum(np.maximum(x @ first + b, 0) @ second + c, 0)
        answers.append(hidden @ head + d)
    return np.stack(answers, axis=1)


def test_what_is_measured_is_the_mean_of_the_members_predictions() -> None:
    """Outputs, validation loss and accuracy are those of the mean probabilities, in NumPy; the
    members start apart, and the first as the network of the same seed."""
    one = BASE.but(activation="relu")
    stack, data, (x, y) = joined(one), split(), made_up_data("classification")
    program, single = program_of(stack), program_of(one)
    program.slice_rows = 100
    program.reset(stack, SEED, data)
    single.reset(one, SEED, data)
    fresh = program.weights()
    assert len({kernel.tobytes() for kernel in fresh[0]}) == COUNT
    np.testing.assert_array_equal(fresh[0][0], single.weights()[0])
    found = train(program, stack, data)
    chances = softmax(by_hand(x, program.weights()), axis=-1).mean(axis=1)
    expected = -np.log(chances[np.arange(len(y)), y]).mean()
    assert found.valid_loss == pytest.approx(expected, rel=1e-5)
    assert found.metric == pytest.approx((chances.argmax(1) == y).mean(), abs=1e-6)
    program.settle()
    assert program.loss(x, y) == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(softmax(program.outputs(x), axis=-1), chances, rtol=1e-4, atol=1e-6)
    assert program.model.count_params() == COUNT * single.model.count_params()


def test_the_best_epoch_is_that_of_the_mean_prediction() -> None:
    """The weights kept are those whose mean prediction was measured best."""
    stack, data = joined(BASE.but(optimizer__learning_rate=0.03)), split()
    program = program_of(stack)
    program.reset(stack, SEED, data)
    result = Training(program, stack, SEED, 6, 1.4).run(data, lambda measured: None)
    assert result.value == min(measured.valid_loss for measured in result.measurements)
    program.settle()
    x, y = made_up_data("classification")
    assert program.loss(x, y) == pytest.approx(result.value, rel=1e-5)


def test_monte_carlo_dropout_has_masks_of_each_member() -> None:
    """Members with equal weights answer differently while dropout is on, and alike when off."""
    stack = joined(BASE.but(dropout="hidden", dropout__rate=0.5))
    program, x = program_of(stack), made_up_data("classification")[0]
    program.reset(stack, SEED)
    program.set_weights([np.stack([part[0]] * COUNT) for part in program.weights()])
    context = program.context
    context.rate, context.key = tf.constant(0.5), tf.constant(3, tf.uint32)
    context.monte_carlo = True
    drawn: Any = program.model(tf.constant(x))
    context.monte_carlo = False
    assert float(tf.reduce_max(tf.abs(drawn[:, 0] - drawn[:, 1]))) > 0.1
    sure: Any = program.model(tf.constant(x))
    np.testing.assert_allclose(sure[:, 0], sure[:, 1], rtol=1e-5, atol=1e-5)
    averages = monte_carlo(program, stack, x, (1, 2), seed=1)
    np.testing.assert_allclose(averages[2].sum(axis=1), 1.0, rtol=1e-5)


def test_statistics_of_layers_are_means_over_members() -> None:
    """The first layer's figures are the means of those of each member's own outputs."""
    stack, data = joined(BASE.but(activation="relu")), split()
    program, x = program_of(stack), made_up_data("classification")[0][:256]
    program.reset(stack, SEED, data)
    layer = look_inside(program, stack, data)[0]
    kernels, biases = program.weights()[:2]
    each = [np.maximum(x @ kernel + b, 0) for kernel, b in zip(kernels, biases, strict=True)]
    assert layer["mean"] == pytest.approx(np.mean([h.mean() for h in each]), rel=1e-4)
    assert layer["deviation"] == pytest.approx(np.mean([h.std() for h in each]), rel=1e-4)
    assert layer["gradient_norm"] > 0


@pytest.mark.parametrize("name", TARGETS)
def test_the_exported_model_gives_the_engines_predictions(name: str, tmp_path: Path) -> None:
    """Loaded by Keras alone, it averages the members' probabilities or quantities."""
    data = written(name, tmp_path)
    bench = JobBench(StudySpec("m", data, {}, epochs=3), 0, str(tmp_path))
    stack = joined(
        BASE.but(
            **{"embedding": "periodic", "parametrization": "ntk", "normalization": "after"},
            **{"input_scale": "learned", "bias": "normal"},
        )
    )
    split_, held = bench.split(SplitId(0), stack)
    program, _ = bench.program(stack, held, 3)
    program.reset(stack, 5, held)
    export_model(bench, stack, program, split_).save(tmp_path / "model.keras")
    outputs: Any = program.model(split_.prepare(split_.x_test))
    ours = outputs.numpy()
    if name == "classes":
        ours = softmax(ours, axis=-1).mean(axis=1)
    elif name == "labels":
        ours = expit(ours).mean(axis=1)
    elif name == "number":
        ours = ours.mean(axis=1) * split_.y_scale + split_.y_mean
    else:
        logs = np.log(split_.y_train)
        ours = np.exp(ours.mean(axis=1) * logs.std() + logs.mean())
    model: Any = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(model(split_.x_test), ours, rtol=1e-4)
